//! Who may sign under which registration.

use countersign_testkit::{PASSPHRASE, both, dea};
use http::Method;
use serde_json::{Value, json};

use super::{SIGN, mark};
use crate::{
    integration::{REQUESTS, System, signature, wanted},
    prescribing::{fields, ready, send, shown, signed, signing, with, written},
};

both! {
    /// A registration or a license that does not hold, or does not cover the schedule: a draft is written, and not marked
    /// ready; what was ready is not signed, by page or API, and not sent again. One rule says so everywhere.
    /// Shows: R-1311.100-b, R-1311.100-d, R-1306.08-a
    async fn without_authority_nothing_is_marked_signed_or_sent_again(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let failed = signed(&app, &mut browser, &with(fields(), &[("note", "reject")])).await;
        app.transmit().await;
        app.clock.advance(30);
        let ready_one = ready(&mut browser).await;
        let draft = written(&mut browser).await;
        let mut ehr = System::of(&app, "prescribers.read signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let (status, request) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        assert_eq!(status, 201, "{request}");
        let request_path = format!("{REQUESTS}/{}", request["id"].as_str().unwrap());
        let npi = format!("/api/v1/prescribers/{}", app.person.npi.as_text());
        let parts = shown(&browser.get(SIGN).await);
        let whole = [
            "UPDATE authority SET stops_at = 4102444800000000, withdrawn = NULL, state = 'NE'",
            "UPDATE authority SET schedules = '2 2N 3 3N 4 5' WHERE kind = 'dea'",
        ];
        for (spoil, code, text) in [
            ("UPDATE authority SET schedules = '3 3N 4 5' WHERE kind = 'dea'", "schedule_not_registered", "does not cover this schedule"),
            ("UPDATE authority SET stops_at = 1 WHERE kind = 'dea'", "registration_not_in_force", "registration has expired"),
            ("UPDATE authority SET withdrawn = 1 WHERE kind = 'dea'", "registration_not_in_force", "registration was withdrawn"),
            ("UPDATE authority SET stops_at = 1 WHERE kind = 'licence'", "license_not_in_force", "license for the state this DEA number is registered in has expired"),
            ("UPDATE authority SET withdrawn = 1 WHERE kind = 'licence'", "license_not_in_force", "license for the state this DEA number is registered in was withdrawn"),
            ("UPDATE authority SET state = 'IA' WHERE kind = 'licence'", "license_not_in_force", "No license is on file for the state this DEA number is registered in"),
            ("UPDATE authority SET state = 'IA' WHERE kind = 'dea'", "license_not_in_force", "No license is on file for the state this DEA number is registered in"),
        ] {
            app.database.execute(spoil).await;
            // Marked ready: no, and the page says why.
            let page = browser.get(&draft).await;
            page.says(200, text);
            assert!(!page.body.contains("Mark ready to sign"), "{code}");
            mark(&mut browser, &draft).await.says(422, text);
            // Signed: no, by the page that was open and by a fresh one.
            send(&mut browser, SIGN, &signing(&parts, PASSPHRASE, &app.code())).await.says(422, text);
            let page = browser.get(SIGN).await;
            page.says(200, text);
            assert!(page.find("[name=shown]").is_none(), "{code}");
            let page = browser.post(&format!("{failed}/send-again"), &[]).await;
            page.says(422, "You can't sign it now");
            page.says(422, text);
            // The API: nothing new is put down, what was is not signed.
            let (status, answer) = ehr.send(&token, Method::POST, REQUESTS, Some("other"), &wanted(&app)).await;
            assert_eq!((status, answer["code"].as_str()), (409, Some(code)), "{answer}");
            let (_, view) = ehr.send(&token, Method::GET, &request_path, None, &Value::Null).await;
            assert_eq!(view["prescriptions"][0]["hindrance"]["code"], code, "{view}");
            let body = signature(&view, PASSPHRASE, &app.code());
            let (status, answer) = ehr.send(&token, Method::POST, &format!("{request_path}/signature"), None, &body).await;
            assert_eq!((status, answer["code"].as_str()), (409, Some(code)), "{answer}");
            // A number that can't be used is not offered; one that only lacks the schedule is.
            let offered = code == "schedule_not_registered";
            let number = dea(0).as_text();
            let form = browser.get("/e-prescribing/new").await;
            assert_eq!(form.body.contains(&format!("<option value=\"{number}\"")), offered, "{code}");
            if !offered {
                form.says(200, "You have no DEA number you can use here");
            }
            let (_, known) = ehr.send(&token, Method::GET, &npi, None, &Value::Null).await;
            assert_eq!(known["registrations"].as_array().unwrap().len(), usize::from(offered), "{known}");
            // A draft is written all the same.
            let page = send(&mut browser, "/e-prescribing/new", &fields()).await;
            assert_eq!(page.status, 303);
            browser.post(&format!("{}/cancel", page.location()), &[]).await;
            for mend in whole {
                app.database.execute(mend).await;
            }
        }
        let events = app.events().await;
        for line in [
            "prescription_ready refused schedule_not_registered", "prescription_ready refused registration_not_in_force",
            "prescription_ready refused license_not_in_force", "prescription_signed refused schedule_not_registered",
            "prescription_signed refused registration_not_in_force", "prescription_signed refused license_not_in_force",
            "prescription_sent_again refused license_not_in_force",
        ] {
            assert!(events.iter().any(|event| event == line), "{line}: {events:?}");
        }
        // All as it was: the same page signs, and no refusal has cost the code.
        let parts = shown(&browser.get(SIGN).await);
        let form = signing(&parts, PASSPHRASE, &app.code());
        send(&mut browser, SIGN, &form).await.leads_to("/e-prescribing?done=signed");
        browser.get(&ready_one).await.says(200, "Signed record");
        mark(&mut browser, &draft).await.leads_to("/e-prescribing?done=ready");
        app.clock.advance(30);
        let (_, view) = ehr.send(&token, Method::GET, &request_path, None, &Value::Null).await;
        let body = signature(&view, PASSPHRASE, &app.code());
        let (status, done) = ehr.send(&token, Method::POST, &format!("{request_path}/signature"), None, &body).await;
        assert_eq!(status, 200, "{done}");
    }

    /// A colleague who has the same chart open, may sign, and has a token: another's prescription is not theirs to mark or to
    /// sign, by page or API, and it is on record that they tried.
    /// Shows: R-1311.120-b12
    async fn a_colleague_with_chart_permission_and_token_is_refused(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_addresses(&ben, "ben@x.example").await;
        let at = app.app.at().unwrap();
        app.app.link_ehr_user(app.ehr, "bokafor".to_owned(), Some(ben.npi), None, at).await.unwrap().done().unwrap();
        let mut own = app.launched("amoreno").await;
        let marked = ready(&mut own).await;
        let draft = written(&mut own).await;
        let parts = shown(&own.get(SIGN).await);
        let mut colleague = app.launched("bokafor").await;
        colleague.get(&marked).await.says(200, "Ready to sign");
        for path in [&marked, &draft] {
            mark(&mut colleague, path).await.says(422, "Only the prescriber named on it");
        }
        let form = with(fields(), &[("dea", &dea(1).as_text())]);
        send(&mut colleague, &format!("{marked}/edit"), &form).await.says(422, "Only the prescriber");
        colleague.get(SIGN).await.says(200, "No prescriptions are marked ready");
        let code = ben.phone.code(app.now());
        send(&mut colleague, SIGN, &signing(&parts, PASSPHRASE, &code)).await.says(422, "Nothing was signed");
        // One of their own ready beside it: still not the other's.
        let own_one = with(fields(), &[("dea", &dea(1).as_text()), ("drug", "Alprazolam")]);
        let path = send(&mut colleague, "/e-prescribing/new", &own_one).await.location().to_owned();
        mark(&mut colleague, &path).await.leads_to("/e-prescribing?done=ready");
        let page = colleague.get(SIGN).await;
        assert!(!page.words().contains("Oxycodone"), "{}", page.words());
        let code = ben.phone.code(app.now());
        send(&mut colleague, SIGN, &signing(&parts, PASSPHRASE, &code)).await.says(422, "has changed since");
        send(&mut colleague, SIGN, &signing(&shown(&page), PASSPHRASE, &code)).await.leads_to("/e-prescribing?done=signed");
        own.get(&marked).await.says(200, "Ready to sign");
        // The API: a request for one practitioner takes no factor of another.
        app.clock.advance(30);
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        let mut body = signature(&view, PASSPHRASE, &ben.phone.code(app.now()));
        let path = format!("{REQUESTS}/{}/signature", view["id"].as_str().unwrap());
        let (status, said) = ehr.send(&token, Method::POST, &path, None, &body).await;
        assert_eq!((status, &said["code"]), (422, &json!("passcode_wrong")), "{said}");
        body["credential_id"] = json!(ben.phone.credential.as_str());
        let (status, said) = ehr.send(&token, Method::POST, &path, None, &body).await;
        assert_eq!((status, &said["code"]), (422, &json!("token_not_active")), "{said}");
        let events = app.events().await;
        for line in ["prescription_ready refused prescription_of_another", "prescription_signed refused prescription_not_ready"] {
            assert!(events.iter().any(|event| event == line), "{line}: {events:?}");
        }
    }
}

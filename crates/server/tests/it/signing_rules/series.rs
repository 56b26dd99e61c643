//! Several prescriptions signed in one act, and series.

use countersign_domain::{PrescriptionId, SigningRequestId};
use countersign_store::{ApiKey, SigningRequest};
use countersign_testkit::{PASSPHRASE, both};
use http::Method;
use serde_json::{Value, json};

use super::{SIGN, mark, rules, said, sign};
use crate::{
    integration::{REQUESTS, System, signature, wanted},
    prescribing::{fields, ready, send, shown, signing, with, written},
};

both! {
    /// Two prescriptions of one patient are signed in one act, each with a record; those of two patients never.
    /// Shows: R-1311.120-b13, R-1311.140-a1
    async fn two_of_one_patient_are_signed_in_one_act(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        // Another patient's waits too.
        let mut elsewhere = app.browser();
        let token = app.launch("amoreno", |claims| {
            "p-2002".clone_into(&mut claims.patient.id);
            "Somebody Else".clone_into(&mut claims.patient.name);
        });
        elsewhere.get(&format!("/launch?token={token}")).await;
        let of_another = with(fields(), &[("patient", "p-2002"), ("drug", "Alprazolam")]);
        let theirs = send(&mut elsewhere, "/e-prescribing/new", &of_another).await.location().to_owned();
        mark(&mut elsewhere, &theirs).await.leads_to("/e-prescribing?done=ready");
        let other_parts = shown(&elsewhere.get(SIGN).await);
        let mut browser = app.launched("amoreno").await;
        let first = ready(&mut browser).await;
        let drug = with(fields(), &[("drug", "Alprazolam")]);
        let second = send(&mut browser, "/e-prescribing/new", &drug).await.location().to_owned();
        mark(&mut browser, &second).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        page.says(200, "Sign 2 prescriptions");
        assert!(!page.words().contains("Somebody Else"));
        // What another chart's page showed signs nothing here.
        send(&mut browser, SIGN, &signing(&other_parts, PASSPHRASE, &app.code())).await.says(422, "has changed since");
        let before = app.events().await.iter().filter(|it| *it == "prescription_signed success -").count();
        let one = sign(&app, &mut browser, &first).await;
        let two = said(&app, &mut browser, &second).await;
        assert_eq!((&one["prescription"]["drug"], &two["prescription"]["drug"]), (&json!("Oxycodone hydrochloride"), &json!("Alprazolam")));
        assert_eq!(one["authentication"], two["authentication"], "one act");
        assert_ne!(one["id"], two["id"]);
        let events = app.events().await;
        assert_eq!(events.iter().filter(|it| *it == "prescription_signed success -").count(), before + 2);
        elsewhere.get(&theirs).await.says(200, "Ready to sign");
        // The API: a prescription names no patient of its own, and a set of two people's is signed by nobody.
        app.clock.advance(30);
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let mut body = wanted(&app);
        body["prescriptions"][0]["patient"] = json!({ "id": "p-2", "name": "Somebody Else" });
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &body).await;
        assert_eq!((status, &said["code"]), (422, &json!("body_malformed")), "{said}");
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &wanted(&app)).await;
        let id = |text: &str| -> PrescriptionId { text.rsplit('/').next().unwrap().parse().unwrap() };
        let both = vec![id(view["prescriptions"][0]["id"].as_str().unwrap()), id(&theirs)];
        let (practice, person, now) = (app.practice, app.person.id, app.now());
        let key = ApiKey { id: ehr.id().parse().unwrap(), practice };
        let mixed = app.store.write("test_mixed", move |tx| {
            let id = SigningRequestId::new(now, tx.rng())?;
            tx.create_signing_request(&SigningRequest { id, key, prescriber: person, prescriptions: both.clone() }, now)?;
            Ok(id)
        }).await.unwrap();
        let path = format!("{REQUESTS}/{mixed}");
        let (_, view) = ehr.send(&token, Method::GET, &path, None, &Value::Null).await;
        assert_eq!(view["prescriptions"].as_array().unwrap().len(), 2, "{view}");
        let body = signature(&view, PASSPHRASE, &app.code());
        let (status, said) = ehr.send(&token, Method::POST, &format!("{path}/signature"), None, &body).await;
        assert_eq!((status, &said["code"]), (409, &json!("prescriptions_of_two_patients")), "{said}");
        elsewhere.get(&theirs).await.says(200, "Ready to sign");
    }

    /// A series of schedule II: written one after the other, numbered, at most 90 days, signed together, with the day before
    /// which each but the first may not be filled on page, record, message and print.
    /// Shows: R-1306.12-b1i, R-1306.12-b1ii, R-1306.12-b1iv, R-1306.12-b-90, R-1311.120-b9vi
    async fn a_series_is_signed_together_and_each_says_when_it_may_be_filled(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let first = written(&mut browser).await;
        let id = first.rsplit('/').next().unwrap().to_owned();
        let next = format!("/e-prescribing/new?after={id}");
        browser.get(&first).await.says(200, "Add the next in a series");
        assert_eq!(browser.get("/e-prescribing/new?after=x").await.status, 404);
        // The next one says the same, and is filled later.
        let bad = with(fields(), &[("after", &id), ("days_supply", "many")]);
        let page = send(&mut browser, "/e-prescribing/new", &bad).await;
        page.says(422, "Add the next in a series");
        assert!(page.field_error("days_supply").is_some() && page.body.contains(&format!("name=\"after\" value=\"{id}\"")));
        let edit = format!("{first}/edit");
        send(&mut browser, &edit, &with(fields(), &[("days_supply", "30")])).await.leads_to(&first);
        mark(&mut browser, &first).await.leads_to("/e-prescribing?done=ready");
        let form = browser.get(&next).await;
        form.says(200, "Add the next in a series");
        assert!(form.body.contains("value=\"2026-06-24\""), "{}", form.words());
        let of_series = |days: &'static str, fill: &'static str| {
            with(fields(), &[("after", &id), ("days_supply", days), ("earliest_fill", fill)])
        };
        let second = send(&mut browser, "/e-prescribing/new", &of_series("30", "2026-06-24")).await.location().to_owned();
        // The first one has become one of several: it is looked at again.
        browser.get(&first).await.says(200, "In a series 1 of 2");
        mark(&mut browser, &first).await.leads_to("/e-prescribing?done=ready");
        mark(&mut browser, &second).await.leads_to("/e-prescribing?done=ready");
        let third = send(&mut browser, "/e-prescribing/new", &of_series("31", "2026-07-24")).await.location().to_owned();
        browser.get(&third).await.says(200, "A series covers at most 90 days' supply in all");
        mark(&mut browser, &third).await.says(422, "Some information is missing");
        // Not all of it is ready, and it is signed together or not at all.
        let page = browser.get(SIGN).await;
        page.says(200, "Some information is missing");
        page.says(200, "All prescriptions in a series are signed together");
        assert!(page.find("[name=shown]").is_none());
        let edit = format!("{third}/edit");
        for (change, text) in [
            (("earliest_fill", ""), "every prescription after the first needs an earliest fill date"),
            (("earliest_fill", "2026-06-24"), "each prescription needs a different earliest fill date"),
            (("drug", "Hydromorphone hydrochloride"), "must be for the same drug"),
        ] {
            let form = with(of_series("30", "2026-07-24"), &[change]);
            assert_eq!(send(&mut browser, &edit, &form).await.status, 303);
            browser.get(&third).await.says(200, text);
            mark(&mut browser, &third).await.says(422, "Some information is missing");
        }
        send(&mut browser, &edit, &of_series("30", "2026-07-24")).await.leads_to(&third);
        browser.get(SIGN).await.says(200, "All prescriptions in a series are signed together");
        mark(&mut browser, &third).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        for text in ["In a series 3 of 3", "Do not fill before Jul 24, 2026", "Days' supply 30", "Sign 3 prescriptions"] {
            page.says(200, text);
        }
        let record = sign(&app, &mut browser, &first).await;
        let named = &record["prescription"]["series"]["id"];
        for (path, number, fill) in [(&first, 1, ""), (&second, 2, "2026-06-24"), (&third, 3, "2026-07-24")] {
            let record = said(&app, &mut browser, path).await;
            let rx = &record["prescription"];
            assert_eq!((&rx["series"]["number"], &rx["series"]["of"], &rx["earliest_fill"]), (&json!(number), &json!(3), &json!(fill)));
            assert_eq!((&rx["series"]["id"], &record["written"]), (named, &json!("2026-05-25")), "linked, and of one day");
        }
        browser.get(&format!("{third}/paper")).await.says(200, "Do not fill before Jul 24, 2026");
        // A state that forbids it.
        app.restart_with(|options| options.states = rules(&[], &["NE"], &[])).await;
        app.clock.advance(30);
        let mut browser = app.launched("amoreno").await;
        let one = written(&mut browser).await;
        let one_id = one.rsplit('/').next().unwrap().to_owned();
        let two = send(&mut browser, "/e-prescribing/new", &with(of_series("30", "2026-06-24"), &[("after", &one_id)])).await.location().to_owned();
        browser.get(&two).await.says(200, "NE does not allow a C-II series.");
        mark(&mut browser, &two).await.says(422, "Some information is missing");
        // What is signed has no next one any more.
        let page = send(&mut browser, "/e-prescribing/new", &of_series("30", "2026-08-01")).await;
        page.says(422, "can't be changed");
    }

    /// What can't be signed now, such as a series of which not all are ready, is shown apart with its reason, and keeps
    /// nothing else from being signed. A prescription that is held back meanwhile is not signed unseen.
    async fn what_can_not_be_signed_holds_back_itself_alone(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let alone = ready(&mut browser).await;
        let first = written(&mut browser).await;
        let id = first.rsplit('/').next().unwrap().to_owned();
        send(&mut browser, &format!("{first}/edit"), &with(fields(), &[("days_supply", "30")])).await.leads_to(&first);
        let next = with(fields(), &[("after", &id), ("days_supply", "30"), ("earliest_fill", "2026-06-24")]);
        let second = send(&mut browser, "/e-prescribing/new", &next).await.location().to_owned();
        mark(&mut browser, &first).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        for text in ["Not signed now", "Can't be signed. All prescriptions in a series are signed together", "Sign the prescription"] {
            page.says(200, text);
        }
        // A draft of the series is put away between the look and the signature: what was held back is not signed with it.
        let parts = shown(&page);
        browser.post(&format!("{second}/cancel"), &[]).await;
        mark(&mut browser, &first).await;
        let page = send(&mut browser, SIGN, &signing(&parts, PASSPHRASE, &app.code())).await;
        page.says(422, "changed");
        // Where all that was shown is gone, the reason of what is held back is not given for it.
        let held = written(&mut browser).await;
        let held_id = held.rsplit('/').next().unwrap().to_owned();
        send(&mut browser, &format!("{held}/edit"), &with(fields(), &[("days_supply", "30")])).await.leads_to(&held);
        let next = with(fields(), &[("after", &held_id), ("days_supply", "30"), ("earliest_fill", "2026-06-24")]);
        send(&mut browser, "/e-prescribing/new", &next).await;
        mark(&mut browser, &held).await.leads_to("/e-prescribing?done=ready");
        let parts = shown(&browser.get(SIGN).await);
        sign(&app, &mut browser, &alone).await;
        let page = send(&mut browser, SIGN, &signing(&parts, PASSPHRASE, &app.code())).await;
        page.says(422, "Nothing was signed: a prescription you reviewed is no longer marked ready");
        browser.post(&format!("{held}/cancel"), &[]).await;
        browser.get(&first).await.says(200, "Signed by");
        // Alone, it says why.
        app.clock.advance(30);
        let third = ready(&mut browser).await;
        let parts = shown(&browser.get(SIGN).await);
        app.database.execute("UPDATE authority SET stops_at = 1 WHERE kind = 'dea'").await;
        let page = send(&mut browser, SIGN, &signing(&parts, PASSPHRASE, &app.code())).await;
        page.says(422, "The DEA registration has expired.");
        let page = browser.get(SIGN).await;
        page.says(200, "Can't be signed. The DEA registration has expired.");
        assert!(page.find("[name=shown]").is_none() && !page.words().contains("Not signed now"));
        browser.get(&third).await.says(200, "Ready to sign");
    }

    /// The API: a word of the EHR makes a series of a request.
    async fn a_series_through_the_api(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let body = |days: [u16; 3], fills: [&str; 3]| {
            let mut body = wanted(&app);
            let one = body["prescriptions"][0].clone();
            let all: Vec<Value> = days.iter().zip(fills).map(|(days, fill)| {
                let mut rx = one.clone();
                (rx["series"], rx["days_supply"], rx["earliest_fill"]) = (json!("a"), json!(days), json!(fill));
                rx
            }).collect();
            body["prescriptions"] = json!(all);
            body
        };
        let good = ["2026-07-24", "", "2026-06-24"];
        for (key, body, field) in [
            ("k-1", body([30, 30, 31], good), "days_supply"),
            ("k-2", body([30, 30, 0], good), "days_supply"),
            ("k-3", body([30, 30, 30], ["", "", "2026-06-24"]), "earliest_fill"),
        ] {
            let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some(key), &body).await;
            assert_eq!((status, &said["code"]), (422, &json!("request_wrong")), "{said}");
            let found: Vec<&str> = said["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
            assert!(found.iter().all(|it| *it == field), "{said}");
        }
        let (status, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &body([30, 30, 30], good)).await;
        assert_eq!(status, 201, "{view}");
        let numbers: Vec<&Value> = view["prescriptions"].as_array().unwrap().iter().map(|it| &it["content"]["series"]["number"]).collect();
        assert_eq!(numbers, [&json!(3), &json!(1), &json!(2)]);
        let path = format!("{REQUESTS}/{}/signature", view["id"].as_str().unwrap());
        let (status, done) = ehr.send(&token, Method::POST, &path, None, &signature(&view, PASSPHRASE, &app.code())).await;
        assert_eq!(status, 200, "{done}");
    }
}

//! The rules of prescribing, through the pages and the API: who may sign under which registration, what is asked before a
//! prescription is marked ready, states, series, supervisors, and that what is sent is what was signed.

use std::{collections::BTreeMap, sync::Arc};

use countersign_crypto::SigningKey;
use countersign_domain::{
    AuthorityId, DeaRegistration, PracticeId, PrescriptionId, Role, Schedules, SigningRequestId,
    access::Setting, controlled::Table, state_rules::StateRules,
};
use countersign_protocol::{
    oidc,
    record::{self, RECORD_FORMAT},
};
use countersign_store::{ApiKey, Authority, Paper, SigningRequest, Tx};
use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp, both, dea};
use http::Method;
use serde_json::{Value, json};

use crate::{
    integration::{REQUESTS, System, signature, wanted},
    prescribing::{fields, ready, send, shown, signed, signing, with, written},
};

const SIGN: &str = "/e-prescribing/sign";

/// Marks a draft ready.
async fn mark(browser: &mut Browser, path: &str) -> Page {
    browser.post(&format!("{path}/ready"), &[]).await
}

/// Signs what is ready; what the record of the prescription at this address says.
async fn sign(app: &TestApp, browser: &mut Browser, path: &str) -> Value {
    let parts = shown(&browser.get(SIGN).await);
    send(browser, SIGN, &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .leads_to("/e-prescribing?done=signed");
    said(app, browser, path).await
}

/// What the signed record of the prescription at this address says, verified with the published keys.
async fn said(app: &TestApp, browser: &mut Browser, path: &str) -> Value {
    let jws = browser.get(&format!("{path}/record")).await.body;
    let keys = app.browser().get("/.well-known/jwks.json").await.body;
    record::verify(&jws, keys.as_bytes()).unwrap()
}

fn rules(limits: &[&str], no_series: &[&str], supervised: &[&str]) -> Arc<StateRules> {
    let limits: Vec<_> = limits.iter().map(|text| text.parse().unwrap()).collect();
    let states =
        |all: &[&str]| -> Vec<_> { all.iter().map(|text| text.parse().unwrap()).collect() };
    Arc::new(StateRules::new(&limits, &states(no_series), &states(supervised)).unwrap())
}

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
            ("UPDATE authority SET schedules = '3 3N 4 5' WHERE kind = 'dea'", "schedule_not_registered", "does not cover the schedule"),
            ("UPDATE authority SET stops_at = 1 WHERE kind = 'dea'", "registration_not_in_force", "registration has expired"),
            ("UPDATE authority SET withdrawn = 1 WHERE kind = 'dea'", "registration_not_in_force", "registration was withdrawn"),
            ("UPDATE authority SET stops_at = 1 WHERE kind = 'licence'", "license_not_in_force", "license of the state in which this DEA number is registered has expired"),
            ("UPDATE authority SET withdrawn = 1 WHERE kind = 'licence'", "license_not_in_force", "license of the state in which this DEA number is registered was withdrawn"),
            ("UPDATE authority SET state = 'IA' WHERE kind = 'licence'", "license_not_in_force", "No license of the state in which this DEA number is registered"),
            ("UPDATE authority SET state = 'IA' WHERE kind = 'dea'", "license_not_in_force", "No license of the state in which this DEA number is registered"),
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
            assert!(!page.body.contains("name=\"shown\""), "{code}");
            let page = browser.post(&format!("{failed}/send-again"), &[]).await;
            page.says(422, "You could not sign it now");
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
                form.says(200, "No DEA number can be used here");
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

    /// Schedule V has the refills that are authorized, unless the state of the DEA number says less; III and IV end after
    /// six months; and a state may have a drug in a stricter schedule.
    /// Shows: R-1306.12-a, R-1306.22
    async fn refills_and_schedules_are_those_of_the_state(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let five = with(fields(), &[("drug", "Something new"), ("schedule", "5"), ("refills", "11")]);
        let mut browser = app.launched("amoreno").await;
        let page = send(&mut browser, "/e-prescribing/new", &five).await;
        let path = page.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        page.says(200, "Refills 11");
        assert!(!page.words().contains("Do not fill after"));
        // The state of the number limits it from now on: what was ready can't be signed.
        app.restart_with(|options| {
            options.states = rules(&["NE 5 180"], &[], &[]);
            options.drugs = Arc::new("3N | Testosterone\n2N | Testosterone | NE\n".parse::<Table>().unwrap());
        }).await;
        let mut browser = app.launched("amoreno").await;
        browser.get(SIGN).await.says(200, "Something is missing");
        browser.get(&path).await.says(200, "In NE, schedule V has at most 5 refills.");
        let page = send(&mut browser, "/e-prescribing/new", &five).await;
        assert_eq!(page.field_error("refills").as_deref(), Some("In NE, schedule V has at most 5 refills."));
        let edit = format!("{path}/edit");
        send(&mut browser, &edit, &with(five.clone(), &[("refills", "5")])).await.leads_to(&format!("{path}?done=unmarked"));
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "Do not fill after 2026-11-21");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!(record["prescription"]["last_fill"], "2026-11-21");
        // IV, everywhere: six months, counted from the day of issue.
        app.clock.advance(86_400);
        let mut browser = app.launched("amoreno").await;
        let four = with(fields(), &[("drug", "Another"), ("schedule", "4"), ("refills", "5")]);
        let path = send(&mut browser, "/e-prescribing/new", &four).await.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!((&record["written"], &record["prescription"]["last_fill"]), (&json!("2026-05-26"), &json!("2026-11-26")));
        browser.get(&format!("{path}/paper")).await.says(200, "Do not fill after 2026-11-26");
        // A stricter schedule of the state: found for its number, and a looser one is refused.
        app.clock.advance(30);
        let drug = |schedule: &'static str, refills: &'static str| {
            with(fields(), &[("drug", "testosterone"), ("schedule", schedule), ("refills", refills)])
        };
        for looser in ["3N", "4"] {
            let page = send(&mut browser, "/e-prescribing/new", &drug(looser, "0")).await;
            let error = page.field_error("schedule").unwrap();
            assert!(error.contains("In NE, where the DEA number is registered, this drug is of schedule 2N."), "{error}");
        }
        let page = send(&mut browser, "/e-prescribing/new", &drug("", "1")).await;
        assert_eq!(page.field_error("refills").as_deref(), Some("Schedule II has no refills (21 CFR 1306.12)."));
        for chosen in ["", "2N"] {
            let path = send(&mut browser, "/e-prescribing/new", &drug(chosen, "0")).await.location().to_owned();
            browser.get(&path).await.says(200, "Schedule 2N");
            browser.post(&format!("{path}/cancel"), &[]).await;
        }
        // The same through the API.
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        for (schedule, refills, drug, field) in [
            ("5", 6, "Something new", Some("refills")), ("5", 5, "Something new", None),
            ("3N", 0, "Testosterone", Some("schedule")), ("", 0, "Testosterone", None), ("", 1, "Testosterone", Some("refills")),
        ] {
            let mut body = wanted(&app);
            let rx = &mut body["prescriptions"][0];
            (rx["schedule"], rx["refills"], rx["drug"]) = (json!(schedule), json!(refills), json!(drug));
            let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some(&format!("k-{schedule}-{refills}-{drug}")), &body).await;
            match field {
                Some(field) => assert_eq!((status, &said["errors"][0]["field"]), (422, &json!(field)), "{said}"),
                None => assert_eq!(status, 201, "{said}"),
            }
        }
    }

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

    /// A colleague who has the same chart open, may sign, and has a token: another's prescription is not theirs to mark or to
    /// sign, by page or API, and it is on record that they tried.
    /// Shows: R-1311.120-b12
    async fn a_colleague_with_chart_permission_and_token_is_refused(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_addresses(&ben, "ben@x.example").await;
        let at = app.app.at().unwrap();
        assert!(app.app.link_ehr_user(app.ehr, "bokafor".to_owned(), Some(ben.npi), None, at).await.unwrap());
        let mut own = app.launched("amoreno").await;
        let marked = ready(&mut own).await;
        let draft = written(&mut own).await;
        let parts = shown(&own.get(SIGN).await);
        let mut colleague = app.launched("bokafor").await;
        colleague.get(&marked).await.says(200, "Ready to sign");
        for path in [&marked, &draft] {
            mark(&mut colleague, path).await.says(422, "Only the practitioner whose name stands on it");
        }
        let form = with(fields(), &[("dea", &dea(1).as_text())]);
        send(&mut colleague, &format!("{marked}/edit"), &form).await.says(422, "Only the practitioner");
        colleague.get(SIGN).await.says(200, "Nothing is marked ready");
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

    /// Every element and attribute of the message is what the signed record says, and nothing is left out: one with all that
    /// a prescription can say, and one with as little as may be.
    /// Shows: R-1311.170-e, R-1306.08-d, R-1311.120-b17, R-1311.120-b6
    async fn every_element_of_the_message_equals_the_signed_record(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let full = with(fields(), &[
            ("directions", "One & \"two\" <daily>"), ("days_supply", "30"), ("note", "Call me"),
            ("supervisor", "Dr. Sue O'Neil"), ("supervisor_dea", &dea(77).as_text()),
        ]);
        let first = send(&mut browser, "/e-prescribing/new", &full).await.location().to_owned();
        let id = first.rsplit('/').next().unwrap().to_owned();
        let next = with(full, &[("after", &id), ("earliest_fill", "2026-06-24")]);
        let second = send(&mut browser, "/e-prescribing/new", &next).await.location().to_owned();
        let plain = with(fields(), &[("drug", "Alprazolam"), ("refills", "3")]);
        let third = send(&mut browser, "/e-prescribing/new", &plain).await.location().to_owned();
        for path in [&first, &second, &third] {
            mark(&mut browser, path).await.leads_to("/e-prescribing?done=ready");
        }
        sign(&app, &mut browser, &first).await;
        assert_eq!(app.transmit().await, 3);
        let parcels = app.parcels.lock().unwrap().clone();
        assert_eq!(parcels.len(), 3);
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        let mut seen = std::collections::BTreeSet::new();
        for parcel in &parcels {
            let parcel: Value = serde_json::from_str(parcel).unwrap();
            let jws = parcel["signed_record"].as_str().unwrap();
            let record = record::verify(jws, keys.as_bytes()).unwrap();
            assert_eq!((&parcel["id"], &parcel["pharmacy"]), (&record["id"], &record["prescription"]["pharmacy"]));
            let said = expected(&record, &key_of(jws));
            let message = elements(parcel["new_rx"].as_str().unwrap());
            assert_eq!(message, said, "every element, and no other");
            seen.extend(said.into_iter().map(|(path, _)| path));
        }
        for (path, _) in TEMPLATE_PATHS {
            assert!(seen.iter().any(|it| it.ends_with(path)), "{path} was tried");
        }
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
        browser.get(&first).await.says(200, "Write the next of a series");
        assert_eq!(browser.get("/e-prescribing/new?after=x").await.status, 404);
        // The next one says the same, and is filled later.
        let bad = with(fields(), &[("after", &id), ("days_supply", "many")]);
        let page = send(&mut browser, "/e-prescribing/new", &bad).await;
        page.says(422, "Write the next of a series");
        assert!(page.field_error("days_supply").is_some() && page.body.contains(&format!("name=\"after\" value=\"{id}\"")));
        let edit = format!("{first}/edit");
        send(&mut browser, &edit, &with(fields(), &[("days_supply", "30")])).await.leads_to(&first);
        mark(&mut browser, &first).await.leads_to("/e-prescribing?done=ready");
        let form = browser.get(&next).await;
        form.says(200, "Write the next of a series");
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
        mark(&mut browser, &third).await.says(422, "Something is missing");
        // Not all of it is ready, and it is signed together or not at all.
        let page = browser.get(SIGN).await;
        page.says(200, "Something is missing");
        page.says(200, "All prescriptions of a series are signed together");
        assert!(!page.body.contains("name=\"shown\""));
        let edit = format!("{third}/edit");
        for (change, text) in [
            (("earliest_fill", ""), "each but the first has an earliest fill date"),
            (("earliest_fill", "2026-06-24"), "each has an earliest fill date of its own"),
            (("drug", "Hydromorphone hydrochloride"), "A series is of one drug"),
        ] {
            let form = with(of_series("30", "2026-07-24"), &[change]);
            assert_eq!(send(&mut browser, &edit, &form).await.status, 303);
            browser.get(&third).await.says(200, text);
            mark(&mut browser, &third).await.says(422, "Something is missing");
        }
        send(&mut browser, &edit, &of_series("30", "2026-07-24")).await.leads_to(&third);
        browser.get(SIGN).await.says(200, "All prescriptions of a series are signed together");
        mark(&mut browser, &third).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        for text in ["In a series 3 of 3", "Do not fill before 2026-07-24", "Days' supply 30", "Sign 3 prescriptions"] {
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
        browser.get(&format!("{third}/paper")).await.says(200, "Do not fill before 2026-07-24");
        // A state that forbids it.
        app.restart_with(|options| options.states = rules(&[], &["NE"], &[])).await;
        app.clock.advance(30);
        let mut browser = app.launched("amoreno").await;
        let one = written(&mut browser).await;
        let one_id = one.rsplit('/').next().unwrap().to_owned();
        let two = send(&mut browser, "/e-prescribing/new", &with(of_series("30", "2026-06-24"), &[("after", &one_id)])).await.location().to_owned();
        browser.get(&two).await.says(200, "NE does not allow a series of schedule II.");
        mark(&mut browser, &two).await.says(422, "Something is missing");
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
        for text in ["Not signed now", "Can't be signed. All prescriptions of a series are signed together", "Sign the prescription"] {
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
        page.says(422, "Nothing was signed: what you saw is not marked ready any more");
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
        assert!(!page.body.contains("name=\"shown\"") && !page.words().contains("Not signed now"));
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

    /// The supervisor of a mid-level practitioner: named where the state wants it, told apart, and never the signer.
    /// Shows: R-1311.135-c
    async fn a_supervisor_is_named_and_never_signs(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        app.restart_with(|options| options.states = rules(&[], &[], &["NE"])).await;
        // A number that begins with M is a mid-level practitioner's.
        let number = dea(0).as_text().replacen('B', "M", 1);
        app.database.execute(&format!("UPDATE authority SET number = '{number}' WHERE kind = 'dea'")).await;
        let mut browser = app.launched("amoreno").await;
        let own = with(fields(), &[("dea", &number)]);
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        browser.get(&path).await.says(200, "NE wants the supervisor of a mid-level practitioner named");
        mark(&mut browser, &path).await.says(422, "Something is missing");
        let edit = format!("{path}/edit");
        for (name, dea_number, field) in [
            ("", "BM1234563", "supervisor"), ("Dr. Sue", "BM1234564", "supervisor_dea"), ("Dr. Sue", number.as_str(), "supervisor_dea"),
        ] {
            let page = send(&mut browser, &edit, &with(own.clone(), &[("supervisor", name), ("supervisor_dea", dea_number)])).await;
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        send(&mut browser, &edit, &with(own.clone(), &[("supervisor", "dr. ada moreno")])).await.leads_to(&path);
        browser.get(&path).await.says(200, "nobody is their own supervisor");
        send(&mut browser, &edit, &with(own, &[("supervisor", "Dr. Sue O'Neil"), ("supervisor_dea", "BM1234563")])).await.leads_to(&path);
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "Supervisor, who does not sign Dr. Sue O'Neil, DEA BM1234563");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!(record["prescription"]["supervisor"], json!({ "name": "Dr. Sue O'Neil", "dea": "BM1234563" }));
        assert_eq!((&record["practitioner"]["name"], &record["practitioner"]["dea"]), (&json!("Dr. Ada Moreno"), &json!(number)));
        browser.get(&format!("{path}/paper")).await.says(200, "Supervisor, who does not sign Dr. Sue O'Neil");
    }

    /// A hospital's number does not say who signs under it: where the state wants a supervisor, whoever has no number of
    /// their own that says otherwise names one, on a page and through the API.
    async fn under_a_hospitals_number_a_supervisor_is_asked_for(app: TestApp) {
        let mut house = Hospital::of(app).await;
        house.app.restart_with(|options| options.states = rules(&[], &[], &["NE"])).await;
        let (ada, office) = (house.app.person.clone(), house.office.clone());
        let mut desk = house.app.signed_in_as(&office).await;
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        let own = with(fields(), &[("dea", HOSPITAL_DEA)]);
        let mut browser = house.app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        browser.get(&path).await.says(200, "NE wants the supervisor of a mid-level practitioner named. Under an");
        let mut ehr = System::of(&house.app, "signing").await;
        let token = ehr.token(&house.app, "the-first-of-them").await;
        let mut body = wanted(&house.app);
        body["prescriptions"][0]["dea"] = json!(HOSPITAL_DEA);
        let mut named = body.clone();
        named["prescriptions"][0]["supervisor"] = json!("Dr. Sue O'Neil");
        let mut asked = async |body: &Value, key: &str| {
            let (_, said) = ehr.send(&token, Method::POST, REQUESTS, Some(key), body).await;
            let errors = said["errors"].as_array().cloned().unwrap_or_default();
            errors.iter().any(|it| it["field"] == "supervisor")
        };
        assert!(asked(&body, "k-1").await);
        assert!(!asked(&named, "k-2").await);
        // Their own number says what they are.
        house.own_number(&ada).await;
        for (number, wanted) in [("BM1234563", false), ("MM1234563", true)] {
            let change = format!("UPDATE authority SET number = '{number}' WHERE kind = 'dea' AND person IS NOT NULL");
            house.app.database.execute(&change).await;
            assert_eq!(asked(&body, number).await, wanted, "{number}");
        }
        // Elsewhere nobody is asked.
        house.app.restart_with(|options| options.states = rules(&[], &[], &["TX"])).await;
        let mut browser = house.app.launched("amoreno").await;
        let page = browser.get(&path).await;
        assert!(!page.words().contains("wants the supervisor"), "{}", page.words());
    }

    /// A hospital: its number with the code of each prescriber, on page, record, message, print, API and log; nothing
    /// without a code; and when its registration ends, all its prescribers stop at once.
    /// Shows: R-1306.05-g, R-1311.120-b1ii, R-1311.130-d, R-1311.125-d2
    async fn a_hospitals_number_has_a_code_and_ends_for_everybody(app: TestApp) {
        let house = Hospital::of(app).await;
        let office = house.office.clone();
        let mut desk = house.app.signed_in_as(&office).await;
        let mut second = house.app.signed_in_as(&house.second.clone()).await;
        let (ada, ben) = (house.app.person.clone(), house.ben.clone());
        let number = HOSPITAL_DEA;
        // Nobody has a code: no grant, no number to choose, no signature.
        house.grant(&mut desk, &ada).await.says(422, "Enter the internal code of this person first");
        let own_number = house.own_number(&ada).await;
        let page = house.grant_under(&mut desk, &ada, own_number).await;
        page.says(422, "Enter the internal code of this person first");
        let mut browser = house.app.launched("amoreno").await;
        browser.get("/e-prescribing/new").await.says(200, "the institution has given you no internal code");
        for (typed, text) in [("0-12", "letters and digits"), ("1234567890123456", "letters and digits")] {
            let page = house.code(&mut desk, &ada, typed).await;
            assert!(page.field_error("code").unwrap().contains(text), "{}", page.words());
            assert!(page.body.contains(&format!("value=\"{typed}\"")), "what was typed is kept");
        }
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        let page = desk.get(&house.page(&ada)).await;
        page.says(200, "AH5006134-012");
        page.says(200, "Entered by Dr. Ben Okafor");
        let page = house.code(&mut desk, &ben, "012").await;
        assert!(page.field_error("code").unwrap().contains("Another person of this institution"));
        let page = house.code(&mut desk, &office, "013").await;
        assert!(page.field_error("code").unwrap().contains("does not prescribe here"));
        house.code(&mut desk, &ben, "a12").await.leads_to(&format!("{}?done=saved", house.page(&ben)));
        // With the code alone nobody signs either.
        let own = with(fields(), &[("dea", number)]);
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        mark(&mut browser, &path).await.says(422, "no permission to sign under this DEA number");
        for person in [&ada, &ben] {
            assert_eq!(house.grant(&mut desk, person).await.status, 303);
            house.execute(&mut desk, &mut second).await;
        }
        browser.get(&path).await.says(200, "DEA number AH5006134-012");
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "AH5006134-012");
        let record = sign(&house.app, &mut browser, &path).await;
        assert_eq!((&record["practitioner"]["dea"], &record["prescription"]["dea"]), (&json!("AH5006134-012"), &json!("AH5006134-012")));
        assert_eq!(record["format"], RECORD_FORMAT);
        assert_eq!(house.app.transmit().await, 1);
        let parcel = house.app.parcels.lock().unwrap().last().unwrap().clone();
        assert!(parcel.contains("<DEANumber>AH5006134-012</DEANumber>"), "{parcel}");
        browser.get(&format!("{path}/paper")).await.says(200, "DEA number AH5006134-012");
        let mut portal = house.app.signed_in().await;
        let table = portal.post("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "csv")]).await;
        assert!(table.body.contains("\"AH5006134-012\""), "{}", table.body);
        let pages = portal.post_bytes("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "pdf")]).await;
        assert!(String::from_utf8_lossy(&pages).contains("AH5006134-012"));
        // The other one through the API, with and without the code.
        let mut ehr = System::of(&house.app, "prescribers.read signing").await;
        let token = ehr.token(&house.app, "the-first-of-them").await;
        let npi = format!("/api/v1/prescribers/{}", ben.npi.as_text());
        let (_, known) = ehr.send(&token, Method::GET, &npi, None, &Value::Null).await;
        assert_eq!(known["registrations"][0]["number"], "AH5006134-A12", "{known}");
        let body = |number: &str| {
            let mut body = wanted(&house.app);
            (body["npi"], body["prescriptions"][0]["dea"]) = (json!(ben.npi.as_text()), json!(number));
            body
        };
        let (status, answer) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &body("AH5006134-012")).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("dea")), "another's code: {answer}");
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k-2"), &body("AH5006134-A12")).await;
        let (_, again) = ehr.send(&token, Method::POST, REQUESTS, Some("k-3"), &body("AH5006134")).await;
        for view in [&view, &again] {
            assert_eq!(view["prescriptions"][0]["content"]["dea"], "AH5006134-A12", "{view}");
        }
        let request = format!("{REQUESTS}/{}", view["id"].as_str().unwrap());
        let sign_path = format!("{request}/signature");
        // Another code: what was ready under the old one is looked at again.
        house.app.clock.advance(30);
        let mut browser = house.app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let mut desk = house.app.signed_in_as(&office).await;
        house.code(&mut desk, &ada, "014").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        browser.get(SIGN).await.says(200, "internal code behind the DEA number has changed");
        let page = house.code(&mut desk, &ben, "012").await;
        assert!(page.field_error("code").is_some(), "a code stays its person's");
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        assert!(browser.get(SIGN).await.body.contains("name=\"shown\""));
        // Taken away: at once.
        house.code(&mut desk, &ada, "").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        browser.get(SIGN).await.says(200, "given you no internal code");
        assert!(!house.may_sign(&ada).await && house.may_sign(&ben).await);
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        house.app.clock.advance(30);
        assert!(house.may_sign(&ada).await && house.may_sign(&ben).await);
        // The registration is withdrawn, and then it expires: everybody stops, that very day.
        for (withdrawn, text) in [(true, "registration was withdrawn"), (false, "registration has expired")] {
            house.app.clock.advance(30);
            let token = ehr.token(&house.app, &format!("another-token-{withdrawn}")).await;
            house.end_registration(withdrawn).await;
            browser = house.app.launched("amoreno").await;
            browser.get(SIGN).await.says(200, text);
            let (_, view) = ehr.send(&token, Method::GET, &request, None, &Value::Null).await;
            assert_eq!(view["prescriptions"][0]["hindrance"]["code"], "registration_not_in_force", "{view}");
            let body = signature(&view, PASSPHRASE, &ben.phone.code(house.app.now()));
            let (status, answer) = ehr.send(&token, Method::POST, &sign_path, None, &body).await;
            assert_eq!((status, &answer["code"]), (409, &json!("registration_not_in_force")), "{answer}");
            assert!(!house.may_sign(&ada).await && !house.may_sign(&ben).await);
            if withdrawn {
                house.renew().await;
                house.app.clock.advance(30);
                assert!(house.may_sign(&ada).await && house.may_sign(&ben).await);
            }
        }
        // It is put on record for each of them, and told.
        house.app.app.watch().await.unwrap();
        let events = house.app.events().await;
        assert_eq!(events.iter().filter(|it| *it == "permission_changed success expired").count(), 2, "{events:?}");
        desk = house.app.signed_in_as(&office).await;
        desk.get(&house.page(&ada)).await.says(200, "Suspended: registration or licence expired");
        house.app.clock.advance(8 * 86_400);
        house.app.app.watch().await.unwrap();
        let mut portal = house.app.signed_in().await;
        let practice = house.app.practice.to_string();
        let log = portal.post("/portal/prescriptions/export", &[("practice", practice.as_str()), ("month", "2026-05")]).await;
        assert!(log.body.contains("\"AH5006134-012\""), "the monthly log: {}", log.body);
    }
}

const HOSPITAL_DEA: &str = "AH5006134";

/// A hospital with two prescribers who have licenses and no registration of their own, and two who set access control.
struct Hospital {
    app: TestApp,
    office: Person,
    second: Person,
    ben: Person,
    authority: AuthorityId,
}

impl Hospital {
    async fn of(mut app: TestApp) -> Self {
        let (office, second) = (app.another_person().await, app.another_person().await);
        let ben = app.another_person().await;
        let practice = app.practice;
        app.database.execute("DELETE FROM permission").await;
        app.database.execute("DELETE FROM authority WHERE kind = 'dea'").await;
        app.database.execute("UPDATE token SET sign_until = NULL").await;
        let people = [office.id, second.id];
        let now = app.now();
        let authority = app
            .store
            .write("test_hospital", move |tx| {
                let zone = tx.practice(practice)?.unwrap().zone;
                tx.save_practice_rules(practice, Setting::Institution, &zone)?;
                for person in people {
                    tx.end_role(person, practice, Role::Prescriber, now)?;
                }
                let paper = registration();
                let it = Authority {
                    id: AuthorityId::new(now, tx.rng())?,
                    practice,
                    person: None,
                    stops_at: paper.expires().end(&zone),
                    paper,
                    withdrawn: None,
                    warned: None,
                };
                tx.create_authority(&it, now)?;
                Ok(it.id)
            })
            .await
            .unwrap();
        for (person, email) in [(&office, "office@x.example"), (&second, "second@x.example")] {
            app.give_roles(person, &[Role::Administrator, Role::Designated]).await;
            app.give_addresses(person, email).await;
        }
        app.give_addresses(&app.person, "ada@x.example").await;
        app.give_addresses(&ben, "ben@x.example").await;
        Self { app, office, second, ben, authority }
    }

    fn base(&self) -> String {
        format!("/practice/{}", self.app.practice)
    }

    fn page(&self, person: &Person) -> String {
        format!("{}/people/{}", self.base(), person.id)
    }

    async fn code(&self, desk: &mut Browser, person: &Person, code: &str) -> Page {
        let path = format!("{}/code", self.page(person));
        self.app.confirm(desk, &self.office, &path, &[("code", code)]).await
    }

    async fn grant(&self, desk: &mut Browser, person: &Person) -> Page {
        self.grant_under(desk, person, self.authority).await
    }

    /// Enters the hospital's number as somebody's own.
    async fn own_number(&self, person: &Person) -> AuthorityId {
        let (practice, person, now) = (self.app.practice, person.id, self.app.now());
        let write = move |tx: &mut Tx<'_>| {
            let id = AuthorityId::new(now, tx.rng())?;
            let it = tx.authorities(practice, None)?.remove(0);
            tx.create_authority(&Authority { id, person: Some(person), ..it }, now).map(|()| id)
        };
        self.app.store.write("test_own_number", write).await.unwrap()
    }

    async fn grant_under(&self, desk: &mut Browser, person: &Person, id: AuthorityId) -> Page {
        self.app.clock.advance(1);
        let authority = id.to_string();
        let fields = [
            ("registration", authority.as_str()),
            ("verified", "2026-05-25"),
            ("grant_reason", "joined us"),
        ];
        desk.post(&format!("{}/grant", self.page(person)), &fields).await
    }

    /// The second person executes what waits.
    async fn execute(&self, desk: &mut Browser, second: &mut Browser) {
        let page = desk.get(&self.base()).await;
        let list = page.body.split("id=\"waiting\"").nth(1).unwrap();
        let href = list.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let page = second.get(&href).await;
        let shown = page.body.split("name=\"shown\" value=\"").nth(1).unwrap();
        let shown = shown.split('"').next().unwrap().to_owned();
        self.app.clock.advance(30);
        let code = self.second.phone.code(self.app.now());
        let fields = [
            ("shown", shown.as_str()),
            ("passphrase", PASSPHRASE),
            ("stepup_token", "any"),
            ("stepup_passcode", &code),
        ];
        let page = second.post(&href, &fields).await;
        page.leads_to(&format!("{}?done=executed", self.base()));
    }

    /// Whether a passcode of somebody signs at another system of the practice.
    async fn may_sign(&self, person: &Person) -> bool {
        self.app.clock.advance(30);
        let api = self.app.api().await;
        let code = person.phone.code(self.app.now());
        api.check(person.phone.credential.as_str(), &code).await.verified()
    }

    async fn save(&self, change: fn(&mut Authority, countersign_domain::Timestamp)) {
        let (practice, id, now): (PracticeId, _, _) =
            (self.app.practice, self.authority, self.app.now());
        self.app
            .store
            .write("test_registration", move |tx| {
                let mut it = tx.authority(practice, id)?.unwrap();
                change(&mut it, now);
                tx.save_authority(&it)
            })
            .await
            .unwrap();
    }

    async fn end_registration(&self, withdrawn: bool) {
        if withdrawn {
            self.save(|it, now| it.withdrawn = Some(now)).await;
        } else {
            self.save(|it, now| it.stops_at = now).await;
        }
    }

    async fn renew(&self) {
        self.save(|it, _| it.withdrawn = None).await;
    }
}

fn registration() -> Paper {
    Paper::Dea(DeaRegistration {
        number: HOSPITAL_DEA.parse().unwrap(),
        state: "NE".parse().unwrap(),
        schedules: Schedules::ALL,
        expires: "2027-12-31".parse().unwrap(),
        withdrawn: None,
    })
}

/// Which key a record names.
fn key_of(jws: &str) -> String {
    let header = data_encoding::BASE64URL_NOPAD.decode(jws.split('.').next().unwrap().as_bytes());
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The elements and attributes of a message that hold text, each with the path to it, in order.
fn elements(xml: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let (mut found, mut path): (Vec<(String, String)>, Vec<&str>) = (Vec::new(), Vec::new());
    let body = xml.split_once("?>").unwrap().1;
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(path.pop(), Some(name), "well-formed");
            assert_eq!(text.trim(), "");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        path.push(name);
        let here = path.join("/");
        let mut rest = attributes;
        while let Some((name, tail)) = rest.trim_start().split_once("=\"") {
            let (value, tail) = tail.split_once('"').unwrap();
            found.push((format!("{here}@{name}"), plain(value)));
            rest = tail;
        }
        if !text.trim().is_empty() {
            found.push((here, plain(text.trim())));
        }
    }
    assert!(path.is_empty());
    found
}

/// Where in the message each element of it lies, and which text of the record it is: a JSON pointer. What is not empty in the
/// record is there, and nothing else.
const TEMPLATE_PATHS: [(&str, &str); 27] = [
    ("Header/To", "/prescription/pharmacy/ncpdp"),
    ("Header/From", "/practitioner/npi"),
    ("Header/MessageID", "/id"),
    ("Header/SentTime", "/signed_at"),
    ("Header/PrescriberOrderNumber", "/id"),
    (
        "Patient/HumanPatient/Identification/MedicalRecordIdentificationNumberEHR",
        "/prescription/patient/mrn",
    ),
    ("Patient/HumanPatient/Name/FormattedName", "/prescription/patient/name"),
    ("Patient/HumanPatient/DateOfBirth/Date", "/prescription/patient/birth_date"),
    ("Patient/HumanPatient/Address/AddressLine1", "/prescription/patient/address"),
    ("Pharmacy/Identification/NCPDPID", "/prescription/pharmacy/ncpdp"),
    ("Pharmacy/BusinessName", "/prescription/pharmacy/name"),
    ("Prescriber/NonVeterinarian/Identification/DEANumber", "/practitioner/dea"),
    ("Prescriber/NonVeterinarian/Identification/NPI", "/practitioner/npi"),
    ("Prescriber/NonVeterinarian/Name/FormattedName", "/practitioner/name"),
    ("Prescriber/NonVeterinarian/Address/AddressLine1", "/practitioner/address"),
    ("Prescriber/NonVeterinarian/PracticeLocation/BusinessName", "/practitioner/practice"),
    ("Supervisor/NonVeterinarian/Identification/DEANumber", "/prescription/supervisor/dea"),
    ("Supervisor/NonVeterinarian/Name/FormattedName", "/prescription/supervisor/name"),
    ("MedicationPrescribed/DrugDescription", "drug"),
    ("MedicationPrescribed/DrugCoded/DEASchedule/Code", "schedule"),
    ("MedicationPrescribed/Quantity/Value", "/prescription/quantity"),
    ("MedicationPrescribed/Quantity/QuantityUnitOfMeasure/Description", "/prescription/unit"),
    ("MedicationPrescribed/DaysSupply", "/prescription/days_supply"),
    ("MedicationPrescribed/WrittenDate/Date", "/written"),
    ("MedicationPrescribed/NumberOfRefills", "/prescription/refills"),
    ("MedicationPrescribed/Note", "note"),
    ("MedicationPrescribed/Sig/SigText", "/prescription/directions"),
];

/// What a message of this record must say: every element and attribute with its path, in the order of the message.
fn expected(record: &Value, key: &str) -> Vec<(String, String)> {
    let text = |pointer: &str| match record.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        other => panic!("{pointer}: {other:?}"),
    };
    let code: BTreeMap<&str, &str> = [
        ("2", "C48675"),
        ("2N", "C48675"),
        ("3", "C48676"),
        ("3N", "C48676"),
        ("4", "C48677"),
        ("5", "C48679"),
    ]
    .into();
    let value = |what: &str| match what {
        "drug" => ["drug", "strength", "form"]
            .map(|name| text(&format!("/prescription/{name}")))
            .join(" "),
        "schedule" => code[text("/prescription/schedule").as_str()].to_owned(),
        "note" => {
            let of = text("/prescription/series/of");
            let series = match of.as_str() {
                "0" => String::new(),
                of => format!("Series: {} of {of}.", text("/prescription/series/number")),
            };
            [text("/prescription/note"), series].join(" ").trim().to_owned()
        }
        // The number 0 of days says that nothing was said of them.
        "/prescription/days_supply" => {
            Some(text(what)).filter(|days| days != "0").unwrap_or_default()
        }
        pointer => text(pointer),
    };
    let mut found = Vec::new();
    let mut add = |path: &str, value: String| {
        if !value.is_empty() {
            found.push((format!("Message/{path}"), value));
        }
    };
    for name in ["DatatypesVersion", "TransportVersion"] {
        add(&format!("@{name}"), "20170715".to_owned());
    }
    add("@TransactionDomain", "SCRIPT".to_owned());
    for name in ["TransactionVersion", "StructuresVersion", "ECLVersion"] {
        add(&format!("@{name}"), "20170715".to_owned());
    }
    for (path, what) in TEMPLATE_PATHS {
        let whole = match path.strip_prefix("Header/") {
            Some(_) => path.to_owned(),
            None => format!("Body/NewRx/{path}"),
        };
        match path {
            "Header/To" => add("Header/To@Qualifier", "P".to_owned()),
            "Header/From" => add("Header/From@Qualifier", "D".to_owned()),
            _ => {}
        }
        let rx = "Body/NewRx/MedicationPrescribed";
        if path.ends_with("Sig/SigText") {
            for (name, kind) in
                [("earliest_fill", "EffectiveDate"), ("last_fill", "ExpirationDate")]
            {
                let day = text(&format!("/prescription/{name}"));
                if !day.is_empty() {
                    add(&format!("{rx}/OtherMedicationDate/OtherMedicationDate/Date"), day);
                    add(
                        &format!("{rx}/OtherMedicationDate/OtherMedicationDateQualifier"),
                        kind.to_owned(),
                    );
                }
            }
        }
        add(&whole, value(what));
        match path {
            "Header/PrescriberOrderNumber" => {
                add("Header/DigitalSignature@Version", "1.0".to_owned());
                add("Header/DigitalSignature/DigitalSignatureIndicator", "true".to_owned());
            }
            "MedicationPrescribed/Quantity/Value" => {
                add(&format!("{rx}/Quantity/CodeListQualifier"), "38".to_owned());
            }
            "MedicationPrescribed/WrittenDate/Date" => {
                add(&format!("{rx}/Substitutions"), "0".to_owned());
            }
            "MedicationPrescribed/Sig/SigText" => {
                let place = format!("{rx}/ControlledSubstanceSignature");
                add(&format!("{place}@Format"), "JWS".to_owned());
                add(&format!("{place}@KeyID"), key.to_owned());
                add(&format!("{place}@SignedAt"), text("/signed_at"));
                let words = "signed by the practitioner with two factors (21 CFR 1311.140)";
                add(&place, words.to_owned());
            }
            _ => {}
        }
    }
    found.into_iter().map(|(path, value)| (path.replace("Message/@", "Message@"), value)).collect()
}

/// A record stays verifiable under the format in which it was written; an unknown one, and one that was changed, is none.
#[test]
fn records_of_every_format_are_verified() {
    let keys = include_bytes!("../fixtures/record-keys.json");
    let records =
        [include_str!("../fixtures/record-1.jws"), include_str!("../fixtures/record-2.jws")];
    for (at, jws) in records.into_iter().enumerate() {
        let said = record::verify(jws, keys).unwrap();
        assert_eq!(said["format"], format!("countersign-prescription/{}", at + 1));
        let words = record::paragraphs(&said, "", false).concat();
        let dea = ["BM1234563", "AH5006134-012"][at];
        assert!(words.contains(&format!("DEA {dea}, Dr. Ada Moreno")), "{words}");
        assert!(words.contains("Do not fill before: 2026-06-24"), "{words}");
        assert_eq!(words.contains("Series: 2 of 3"), at == 1);
        let (message, signature) = jws.trim().rsplit_once('.').unwrap();
        let other = format!("{message}.{}", signature.chars().rev().collect::<String>());
        assert!(record::verify(&other, keys).is_err());
    }
    let (key, _) = SigningKey::generate().unwrap();
    let keys = json!({ "keys": [oidc::jwk("k", key.verifying_key().point())] }).to_string();
    let payload = countersign_domain::canonical::Json::object([(
        "format",
        "countersign-prescription/3".into(),
    )]);
    let jws = record::sign(&key, "k", "countersign-prescription+jws", &payload).unwrap();
    assert_eq!(record::verify(&jws, keys.as_bytes()), Err(record::RecordError::Kind));
}

//! Signing: both factors, codes that are bound to what is shown, who writes and who signs.

use countersign_app::CookieSession;
use countersign_crypto::SecretBytes;
use countersign_domain::{
    CredentialId, Role, Timestamp,
    ocra::{Binding, Challenge, typed_code},
    otp::{OtpParams, TokenSeed},
};
use countersign_protocol::record;

use countersign_testkit::{PASSPHRASE, Phone, TestApp, WRONG_CODE, both};
use data_encoding::HEXLOWER;

use super::{fields, ready, send, shown, signing, with};

both! {
    /// The whole act: the data and the statement in view, both factors bound to them, a record that holds
    /// without the server, and nothing that can be changed afterwards.
    /// Shows: R-1311.120-b10a, R-1311.120-b11, R-1311.120-b14, R-1311.120-b15, R-1311.120-b16ii, R-1311.120-b19, R-1311.120-b6, R-1306.08-a, R-1311.115-a, R-1311.140-a2, R-1311.140-a3, R-1311.140-a5, R-1311.140-a6, A15, H-164.312-c1, H-164.312-d
    async fn a_prescription_is_signed_with_both_factors_and_verified_without_us(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        browser.get("/e-prescribing").await.says(200, "None yet");
        let path = ready(&mut browser).await;
        let page = browser.get("/e-prescribing/sign").await;
        for text in [
            "Oxycodone hydrochloride", "5 mg, Tablet", "30 tablets", "One every six hours", "4 Birch Lane", "Rosa Lindqvist",
            "you are legally signing the prescription(s)", "12 Elm Street", "Dr. Ada Moreno", &countersign_testkit::dea(0).as_text(),
        ] {
            page.says(200, text);
        }
        let parts = shown(&page);
        // Neither factor alone, and nothing that is bound to something else.
        let code = app.code();
        for (form, text) in [
            (signing(&parts, "", &code), "Enter your passphrase"),
            (signing(&parts, "not the right passphrase", &code), "Incorrect passphrase"),
            (signing(&parts, PASSPHRASE, WRONG_CODE), "Incorrect passcode"),
            (signing(&("00".repeat(32), parts.1.clone()), PASSPHRASE, &code), "has changed since"),
            (signing(&(parts.0.clone(), "0".to_owned()), PASSPHRASE, &code), "2 minutes"),
        ] {
            send(&mut browser, "/e-prescribing/sign", &form).await.says(422, text);
        }
        let events = app.event_count().await;
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.leads_to("/e-prescribing?done=signed");
        assert!(app.event_count().await > events);
        let page = browser.get(&path).await;
        page.says(200, "Signed record");
        page.says(200, "Being sent to Corner Pharmacy");
        let jws = browser.get(&format!("{path}/record")).await.body;
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        let said = record::verify(&jws, keys.as_bytes()).unwrap();
        assert_eq!(said["prescription"]["drug"], "Oxycodone hydrochloride");
        assert_eq!(said["prescription"]["schedule"], "2", "found from the table");
        assert_eq!(said["practitioner"]["name"], "Dr. Ada Moreno");
        assert_eq!(said["signed_at"], "2026-05-25T14:00:00Z");
        assert_eq!(said["authentication"]["factors"][1], "passcode");
        // The code is spent for everything; the record holds no secret; and a changed one does not hold.
        let api = app.api().await;
        assert!(!api.check(app.person.phone.credential.as_str(), &code).await.verified());
        assert!(!jws.contains(&code));
        let middle = jws.len() / 2;
        let other = if jws.as_bytes()[middle] == b'A' { 'B' } else { 'A' };
        let mut changed = jws.clone();
        changed.replace_range(middle..=middle, &other.to_string());
        assert!(record::verify(&changed, keys.as_bytes()).is_err());
        // Another key from now on: the older record still holds.
        let at = app.app.at().unwrap();
        let made = app.app.rotate_signing_key(app.practice, at).await.unwrap();
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        assert!(keys.contains(&made));
        record::verify(&jws, keys.as_bytes()).unwrap();
        // Signed is signed.
        send(&mut browser, &format!("{path}/edit"), &fields()).await.says(422, "can't be changed");
        browser.post(&format!("{path}/ready"), &[]).await.says(422, "can't be changed");
        browser.post(&format!("{path}/cancel"), &[]).await.says(422, "can't be changed");
        browser.get("/e-prescribing/sign").await.says(200, "No prescriptions are marked ready");
    }

    /// A code can be bound to what is signed: it is good for that and nothing else, once, and the record says so.
    /// The code of the time alone signs as before.
    /// Shows: R-1311.120-b11
    async fn a_code_is_bound_to_what_its_token_has_shown(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let secret = browser.session().unwrap();
        let CookieSession::Open(session) = app.app.session(secret, app.app.at().unwrap()).await.unwrap() else {
            panic!("the session of the chart is open")
        };
        let chart = app.app.chart(&session).unwrap();
        let text = async |app: &TestApp| {
            let set = app.app.signing_set(&chart, app.app.at().unwrap()).await.unwrap();
            set.text(&app.app.options().public_url).unwrap()
        };
        // The token of the terminal shows nothing: whoever has its seed can't say that it did.
        ready(&mut browser).await;
        let now = text(&app).await;
        let code = app.person.phone.bound_code(&now, Binding::Shown, app.now());
        let page = browser.get("/e-prescribing/sign").await;
        send(&mut browser, "/e-prescribing/sign", &signing(&shown(&page), PASSPHRASE, &code)).await.says(422, "Incorrect passcode");
        let path = browser.get("/e-prescribing").await.addresses("/e-prescribing/rx/").remove(0);
        browser.post(&format!("{path}/cancel"), &[]).await;
        app.database.execute("UPDATE token SET model = 'countersign-authenticator'").await;
        app.clock.advance(60);
        let mut before: Option<String> = None;
        for binding in [Binding::Shown, Binding::Typed, Binding::Unbound] {
            let path = ready(&mut browser).await;
            let now = text(&app).await;
            let lines = "\nR. L.\n1. Oxycodone hydrochloride 5 mg Tablet, 30 tablets\nRefills: 0\nDirections: One every six hours\nPharmacy: Corner Pharmacy, 3 Oak Street\nDEA: ";
            assert!(now.contains(lines), "{now}");
            assert!(!now.contains("Rosa") && !now.contains("1001"), "no more of the patient than that: {now}");
            let page = browser.get("/e-prescribing/sign").await;
            let digits = Challenge::of(&now).digits();
            page.says(200, &format!("{} {}", &digits[..4], &digits[4..]));
            assert!(page.body.contains("QR code of what is signed"));
            let phone = &app.person.phone;
            if let Some(before) = before.replace(now.clone()) {
                // What another set was signed with is no code for this one.
                let code = phone.bound_code(&before, Binding::Shown, app.now());
                let form = signing(&shown(&page), PASSPHRASE, &code);
                send(&mut browser, "/e-prescribing/sign", &form).await.says(422, "Incorrect passcode");
            }
            let code = match binding {
                Binding::Unbound => app.code(),
                bound => phone.bound_code(&now, bound, app.now()),
            };
            // It is no code to log in with, and asking costs it nothing.
            if binding != Binding::Unbound {
                let api = app.api().await;
                assert!(!api.check(phone.credential.as_str(), &code).await.verified());
            }
            // The page may be made again: a code that a phone shows stays good for its step.
            let page = browser.get("/e-prescribing/sign").await;
            let form = signing(&shown(&page), PASSPHRASE, &code);
            send(&mut browser, "/e-prescribing/sign", &form).await.leads_to("/e-prescribing?done=signed");
            let jws = browser.get(&format!("{path}/record")).await.body;
            let keys = app.browser().get("/.well-known/jwks.json").await.body;
            let said = record::verify(&jws, keys.as_bytes()).unwrap();
            assert_eq!(said["authentication"]["binding"], binding.code());
            // Spent, and with it the code of the same step that is bound to nothing.
            let path = ready(&mut browser).await;
            let page = browser.get("/e-prescribing/sign").await;
            let form = signing(&shown(&page), PASSPHRASE, &app.code());
            send(&mut browser, "/e-prescribing/sign", &form).await.says(422, "used");
            browser.post(&format!("{path}/cancel"), &[]).await;
            app.clock.advance(60);
        }
    }

    /// An edit clears the mark, and a page that showed something else signs nothing; two minutes are all.
    /// Shows: R-1311.120-b10b, R-1311.120-b10c, R-1311.140-a4, A13
    async fn what_was_shown_is_what_is_signed(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = ready(&mut browser).await;
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        let stronger = with(fields(), &[("strength", "10 mg")]);
        let page = send(&mut browser, &format!("{path}/edit"), &stronger).await;
        page.leads_to(&format!("{path}?done=unmarked"));
        browser.get(page.location()).await.says(200, "no longer marked ready");
        let code = app.code();
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "no longer marked ready");
        browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "has changed since");
        // A second one that came in between is not signed unseen either.
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        ready(&mut browser).await;
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "has changed since");
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        app.clock.advance(120);
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await.says(422, "2 minutes");
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        app.clock.advance(119);
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await.leads_to("/e-prescribing?done=signed");
    }

    /// Somebody signs in to Token Management in the session of a nurse's chart: what is written in the chart stays the
    /// nurse's, and so does its record.
    async fn a_chart_is_of_whom_the_ehr_has_sent_whoever_signs_in_beside_it(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut nurse = app.launched("jlee").await;
        nurse.pass(&app.person.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
        let token = app.person.token.to_string();
        nurse.passcode(&token, &app.code()).await.leads_to("/portal/dashboard");
        let ada = app.person.id.to_string();
        let draft = with(fields(), &[("prescriber", &ada)]);
        let path = send(&mut nurse, "/e-prescribing/new", &draft).await.location().to_owned();
        nurse.post(&format!("{path}/ready"), &[]).await.says(422, "Only the prescriber");
        nurse.get("/e-prescribing/sign").await.says(403, "Only prescribers can sign");
        let actors = app
            .database
            .texts("SELECT actor FROM audit_event WHERE kind LIKE 'prescription_%' ORDER BY kind")
            .await;
        assert_eq!(actors, ["staff", "staff"]);
    }

    /// Staff write and can't mark or sign; a colleague signs nobody else's; another chart sees nothing.
    /// Shows: R-1311.120-b2i, R-1311.135-a, R-1306.05-f
    async fn staff_write_and_the_practitioner_alone_signs(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut nurse = app.launched("jlee").await;
        nurse.get("/e-prescribing/sign").await.says(403, "Only prescribers can sign");
        send(&mut nurse, "/e-prescribing/sign", &[]).await.says(403, "Only prescribers can sign");
        let ada = app.person.id.to_string();
        let page = send(&mut nurse, "/e-prescribing/new", &fields()).await;
        assert!(page.field_error("prescriber").is_some());
        let draft = with(fields(), &[("prescriber", &ada)]);
        let page = send(&mut nurse, "/e-prescribing/new", &draft).await;
        let path = page.location().to_owned();
        nurse.post(&format!("{path}/ready"), &[]).await.says(422, "Only the prescriber");
        // The number is the practitioner's to choose, whatever a form says.
        let mut own = app.launched("amoreno").await;
        own.get(&path).await.says(200, "Choose the DEA number");
        own.post(&format!("{path}/ready"), &[]).await.says(422, "Some information is missing");
        send(&mut own, &format!("{path}/edit"), &fields()).await.leads_to(&path);
        own.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        // A word by staff, and it must be looked at again: it says who wrote, and the number stays.
        send(&mut nurse, &format!("{path}/edit"), &draft).await.leads_to(&format!("{path}?done=unmarked"));
        let page = own.get(&path).await;
        page.says(200, "Last edited by Jamie Lee");
        page.says(200, &countersign_testkit::dea(0).as_text());
        own.get("/e-prescribing").await.says(200, "prepared by Jamie Lee");
        own.get("/e-prescribing/sign").await.says(200, "No prescriptions are marked ready");
        // A different patient's chart knows nothing of it.
        let mut elsewhere = app.browser();
        let token = app.launch("amoreno", |claims| "p-2002".clone_into(&mut claims.patient.id));
        elsewhere.get(&format!("/launch?token={token}")).await;
        // A page that was opened before the other chart writes nothing into it.
        send(&mut elsewhere, "/e-prescribing/new", &fields()).await.says(403, "A different patient's chart");
        for path in [path.clone(), format!("{path}/edit"), format!("{path}/record")] {
            assert_eq!(elsewhere.get(&path).await.status, 404, "{path}");
        }
        assert_eq!(elsewhere.post(&format!("{path}/ready"), &[]).await.status, 404);
        // A colleague neither marks nor changes it.
        let other = app.another_person().await;
        app.give_roles(&other, &[Role::Prescriber]).await;
        let before = app.event_count().await;
        app.browser().get(&path).await.says(403, "from a patient's chart");
        assert_eq!(app.event_count().await, before);
    }
}

/// What other implementations compute: the same vectors are tested in the app, and made by neither.
#[test]
fn codes_that_are_bound_are_those_of_the_vectors() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/signing.json");
    let said: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let id = CredentialId::parse("CNST41648882", None).unwrap();
    let cases = said["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for it in cases {
        let text = |name: &str| it[name].as_str().unwrap();
        let seed = HEXLOWER.decode(text("seed").as_bytes()).unwrap();
        let seed = TokenSeed::new(SecretBytes::new(seed)).unwrap();
        let algorithm = OtpParams::algorithm_from_code(text("algorithm")).unwrap();
        let params = OtpParams::new(algorithm, 6, 30).unwrap();
        let now = Timestamp::from_seconds(it["unix_time"].as_i64().unwrap());
        let phone = Phone::new(id.clone(), seed.clone(), params);
        let challenge = Challenge::of(text("text")).digits();
        assert_eq!(challenge, text("challenge"));
        assert_eq!(phone.bound_code(text("text"), Binding::Shown, now), text("shown"));
        assert_eq!(phone.bound_code(text("text"), Binding::Typed, now), text("typed"));
        let typed = typed_code(&challenge, &seed, &params, params.step_at(now));
        assert_eq!(typed.unwrap(), text("typed"));
    }
}

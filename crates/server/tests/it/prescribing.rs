//! From a draft to a signed record that anybody can verify: who writes, who marks, who signs, and what
//! stands in the way.

use countersign_app::{Build, Chart};
use countersign_crypto::SecretBytes;
use countersign_domain::{
    CredentialId, Role, Timestamp,
    ocra::{Binding, Challenge, typed_code},
    otp::{OtpParams, TokenSeed},
};
use countersign_protocol::record;
use countersign_server::Limits;
use countersign_store::Identity;
use countersign_testkit::{
    Backend, Browser, GatewayMood, PASSPHRASE, Page, Phone, TestApp, WRONG_CODE, both,
};
use data_encoding::HEXLOWER;

/// The fields of a prescription that lacks nothing.
pub(crate) fn fields() -> Vec<(&'static str, String)> {
    let dea = countersign_testkit::dea(0).as_text();
    [
        ("drug", "Oxycodone hydrochloride"),
        ("strength", "5 mg"),
        ("form", "Tablet"),
        ("schedule", ""),
        ("quantity", "30"),
        ("unit", "tablets"),
        ("refills", "0"),
        ("directions", "One every six hours"),
        ("earliest_fill", ""),
        ("patient", "p-1001"),
        ("address", "4 Birch Lane, Lincoln NE 68502"),
        ("note", ""),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .chain([("pharmacy", "9999991".to_owned()), ("dea", dea)])
    .collect()
}

pub(crate) async fn send(
    browser: &mut Browser,
    path: &str,
    fields: &[(&'static str, String)],
) -> Page {
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(path, &fields).await
}

pub(crate) fn with(
    mut fields: Vec<(&'static str, String)>,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in changes {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => (*value).clone_into(&mut field.1),
            None => fields.push((name, (*value).to_owned())),
        }
    }
    fields
}

/// The hidden parts of the page of signing.
pub(crate) fn shown(page: &Page) -> (String, String) {
    let part = |name: &str| {
        let tail = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1);
        tail.unwrap_or_else(|| panic!("{}", page.words())).split('"').next().unwrap().to_owned()
    };
    (part("shown"), part("shown_at"))
}

pub(crate) fn signing(
    shown: &(String, String),
    passphrase: &str,
    code: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("shown", shown.0.clone()),
        ("shown_at", shown.1.clone()),
        ("passphrase", passphrase.to_owned()),
        ("stepup_token", "any".to_owned()),
        ("stepup_passcode", code.to_owned()),
    ]
}

/// Writes one and marks it ready; its address.
pub(crate) async fn ready(browser: &mut Browser) -> String {
    let page = send(browser, "/e-prescribing/new", &fields()).await;
    assert_eq!(page.status, 303, "{}", page.words());
    let path = page.location().to_owned();
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    path
}

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
            (signing(&parts, "", &code), "Type your passphrase"),
            (signing(&parts, "not the right passphrase", &code), "not your present passphrase"),
            (signing(&parts, PASSPHRASE, WRONG_CODE), "not right"),
            (signing(&("00".repeat(32), parts.1.clone()), PASSPHRASE, &code), "has changed since"),
            (signing(&(parts.0.clone(), "0".to_owned()), PASSPHRASE, &code), "two minutes"),
        ] {
            send(&mut browser, "/e-prescribing/sign", &form).await.says(422, text);
        }
        let events = app.event_count().await;
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.leads_to("/e-prescribing?done=signed");
        assert!(app.event_count().await > events);
        let page = browser.get(&path).await;
        page.says(200, "Signed record");
        page.says(200, "On its way to Corner Pharmacy");
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
        browser.get("/e-prescribing/sign").await.says(200, "Nothing is marked ready");
    }

    /// A code can be bound to what is signed: it is good for that and nothing else, once, and the record says so.
    /// The code of the time alone signs as before.
    /// Shows: R-1311.120-b11
    async fn a_code_is_bound_to_what_its_token_has_shown(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let patient = countersign_store::Patient {
            id: "p-1001".to_owned(),
            name: "Rosa Lindqvist".to_owned(),
            birth_date: "1961-04-12".to_owned(),
            mrn: "MRN-1001".to_owned(),
            address: String::new(),
        };
        let chart = Chart { who: Identity::Prescriber(app.person.id), practice: app.practice, patient };
        let text = async |app: &TestApp| {
            let set = app.app.signing_set(&chart, app.app.at().unwrap()).await.unwrap();
            set.text(&app.app.options().public_url).unwrap()
        };
        // The token of the terminal shows nothing: whoever has its seed can't say that it did.
        ready(&mut browser).await;
        let now = text(&app).await;
        let code = app.person.phone.bound_code(&now, Binding::Shown, app.now());
        let page = browser.get("/e-prescribing/sign").await;
        send(&mut browser, "/e-prescribing/sign", &signing(&shown(&page), PASSPHRASE, &code)).await.says(422, "not right");
        let path = browser.get("/e-prescribing").await.body;
        let id = path.split("/e-prescribing/rx/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        browser.post(&format!("/e-prescribing/rx/{id}/cancel"), &[]).await;
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
                send(&mut browser, "/e-prescribing/sign", &form).await.says(422, "not right");
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
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "not marked ready any more");
        browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "has changed since");
        // A second one that came in between is not signed unseen either.
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        ready(&mut browser).await;
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "has changed since");
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        app.clock.advance(120);
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await.says(422, "two minutes");
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        app.clock.advance(119);
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await.leads_to("/e-prescribing?done=signed");
    }

    /// Staff write and can't mark or sign; a colleague signs nobody else's; another chart sees nothing.
    /// Shows: R-1311.120-b2i, R-1311.135-a, R-1306.05-f
    async fn staff_write_and_the_practitioner_alone_signs(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut nurse = app.launched("jlee").await;
        nurse.get("/e-prescribing/sign").await.says(403, "Only prescribers sign");
        send(&mut nurse, "/e-prescribing/sign", &[]).await.says(403, "Only prescribers sign");
        let ada = app.person.id.to_string();
        let page = send(&mut nurse, "/e-prescribing/new", &fields()).await;
        assert!(page.field_error("prescriber").is_some());
        let draft = with(fields(), &[("prescriber", &ada)]);
        let page = send(&mut nurse, "/e-prescribing/new", &draft).await;
        let path = page.location().to_owned();
        nurse.post(&format!("{path}/ready"), &[]).await.says(422, "Only the practitioner");
        // The number is the practitioner's to choose, whatever a form says.
        let mut own = app.launched("amoreno").await;
        own.get(&path).await.says(200, "Choose the DEA number");
        own.post(&format!("{path}/ready"), &[]).await.says(422, "Something is missing");
        send(&mut own, &format!("{path}/edit"), &fields()).await.leads_to(&path);
        own.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        // A word by staff, and it must be looked at again: it says who wrote, and the number stays.
        send(&mut nurse, &format!("{path}/edit"), &draft).await.leads_to(&format!("{path}?done=unmarked"));
        let page = own.get(&path).await;
        page.says(200, "Last written by Jamie Lee");
        page.says(200, &countersign_testkit::dea(0).as_text());
        own.get("/e-prescribing").await.says(200, "written by Jamie Lee");
        own.get("/e-prescribing/sign").await.says(200, "Nothing is marked ready");
        // Another patient's chart knows nothing of it.
        let mut elsewhere = app.browser();
        let token = app.launch("amoreno", |claims| "p-2002".clone_into(&mut claims.patient.id));
        elsewhere.get(&format!("/launch?token={token}")).await;
        // A page that was opened before the other chart writes nothing into it.
        send(&mut elsewhere, "/e-prescribing/new", &fields()).await.says(403, "Another patient's chart");
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

    /// No permission, no registration for the schedule, a loss in between: nothing is signed, and it says which.
    /// Shows: R-1311.100-d
    async fn what_stands_in_the_way_is_named(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let page = send(&mut browser, "/e-prescribing/new", &fields()).await;
        let path = page.location().to_owned();
        let page = browser.get(&path).await;
        page.says(200, "Your address is not on record");
        assert!(!page.body.contains("Mark ready to sign"));
        browser.post(&format!("{path}/ready"), &[]).await.says(422, "Not marked ready. Your address is not on record");
        app.give_addresses(&app.person, "ada@x.example").await;
        browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        // Between the page and the act the permission goes.
        let id = app.person.id;
        app.store.write("test_suspend", move |tx| {
            for (practice, row) in tx.permissions_of(id)? {
                let mut permission = row.permission;
                let (cause, now) = (countersign_domain::access::Cause::NonCompliant, countersign_testkit::START);
                countersign_domain::access::revoke_now(&mut permission, cause, now);
                tx.save_permission(id, practice, row.authority, &permission)?;
            }
            Ok(())
        }).await.unwrap();
        let code = app.code();
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "no permission to sign");
        let page = browser.get("/e-prescribing/sign").await;
        page.says(200, "no permission to sign");
        assert!(!page.body.contains("name=\"shown\""), "no form where nothing can be signed");
        let said = app.events().await;
        assert!(said.contains(&"prescription_signed refused not_permitted".to_owned()), "{said:?}");
        // What can't be read stands beside its field, and what was typed is kept.
        let bad = with(fields(), &[
            ("quantity", "many"), ("refills", "x"), ("earliest_fill", "soon"), ("schedule", "4"), ("note", "<b>"),
        ]);
        let page = send(&mut browser, "/e-prescribing/new", &bad).await;
        for field in ["quantity", "refills", "earliest_fill", "schedule"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        assert!(page.body.contains("value=\"many\"") && !page.body.contains("<b>"));
        // A drug that is not in the table is written freely, with its schedule.
        let free = with(fields(), &[("drug", "Something new"), ("schedule", "4"), ("refills", "6")]);
        let page = send(&mut browser, "/e-prescribing/new", &free).await;
        assert_eq!(page.field_error("refills").as_deref(), Some("At most five refills within six months (21 CFR 1306.22)."));
        let free = with(free, &[("refills", "5")]);
        let page = send(&mut browser, "/e-prescribing/new", &free).await;
        let path = page.location().to_owned();
        browser.post(&format!("{path}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
    }

    /// A schedule that one person takes off a registration is signed no more, from that moment.
    /// Shows: R-1311.125-d3
    async fn a_schedule_that_is_narrowed_is_signed_no_more(mut app: TestApp) {
        let office = app.another_person().await;
        app.give_roles(&office, &[Role::Administrator]).await;
        app.give_addresses(&office, "office@x.example").await;
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        ready(&mut browser).await;
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        let mut desk = app.signed_in_as(&office).await;
        let path = format!("/practice/{}/people/{}", app.practice, app.person.id);
        let number = countersign_testkit::dea(0).as_text();
        let fields = [
            ("dea", number.as_str()), ("dea_state", "NE"), ("schedules", "4 5"), ("dea_expires", "2028-04-24"),
            ("dea_reason", "Schedule II withdrawn"),
        ];
        app.confirm(&mut desk, &office, &format!("{path}/dea"), &fields).await.leads_to(&format!("{path}?done=saved"));
        let page = send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await;
        page.says(422, "does not cover the schedule");
    }

    /// What is typed is kept whole or refused; a schedule belongs to its drug; a strength has a unit.
    /// Shows: R-1306.05-a
    async fn what_is_typed_is_never_cut_and_a_schedule_is_its_drugs(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let long = format!("{} DO NOT EXCEED FOUR A DAY", "One tablet. ".repeat(90));
        let page = send(&mut browser, "/e-prescribing/new", &with(fields(), &[("directions", &long)])).await;
        assert_eq!(page.field_error("directions").as_deref(), Some("At most 1000 characters; these are 1105."));
        assert!(page.body.contains("DO NOT EXCEED FOUR A DAY"), "what was typed is there");
        let both = with(fields(), &[("directions", &long), ("strength", "five"), ("refills", "1")]);
        let page = send(&mut browser, "/e-prescribing/new", &both).await;
        for field in ["directions", "strength", "refills"] {
            assert!(page.field_error(field).is_some(), "all that is wrong is said at once: {field}");
        }
        let most = &long[long.len() - 1_000..];
        let page = send(&mut browser, "/e-prescribing/new", &with(fields(), &[("directions", most)])).await;
        let path = page.location().to_owned();
        browser.get(&path).await.says(200, "DO NOT EXCEED FOUR A DAY");
        // Of the drug that was there the table said its schedule; of the next one it says nothing.
        let edit = format!("{path}/edit");
        let form = browser.get(&edit).await;
        assert!(!form.body.contains("<option value=\"2\" selected"), "nobody chose it");
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "OxyContinn")])).await;
        assert!(page.field_error("schedule").unwrap().contains("not in the table"));
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "oxycodone")])).await;
        assert!(page.field_error("schedule").unwrap().contains("Oxycodone hydrochloride"));
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "OxyContinn"), ("schedule", "2")])).await;
        page.leads_to(&path);
        assert!(browser.get(&edit).await.body.contains("<option value=\"2\" selected"), "somebody chose it");
        for strength in ["5", "fifty", "mg"] {
            let page = send(&mut browser, &edit, &with(fields(), &[("strength", strength)])).await;
            assert!(page.field_error("strength").unwrap().contains("with its unit"), "{strength}");
        }
        let alone = with(fields(), &[("earliest_fill", "2026-06-24"), ("days_supply", "30")]);
        let page = send(&mut browser, &edit, &alone).await;
        assert!(page.field_error("earliest_fill").unwrap().contains("the next of a series"));
    }

    /// Signed is on its way in the same transaction: a server that ends in between loses nothing, a lost
    /// answer sends nothing twice, and the pharmacy verifies before it takes.
    /// Shows: R-1311.170-a, R-1311.120-b18, R-1311.140-c, R-1311.120-b21, R-1311.170-c, A14
    async fn what_is_signed_gets_to_its_pharmacy_once(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let other = ready(&mut browser).await;
        assert_eq!(app.transmit().await, 0, "nothing that is not signed");
        browser.post(&format!("{other}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
        let path = signed(&app, &mut browser, &fields()).await;
        browser.get(&format!("{path}/paper")).await.says(200, "Copy only—not valid for dispensing");
        // The server ends between signing and sending.
        app.restart().await;
        *app.mood.lock().unwrap() = GatewayMood::Mute;
        assert_eq!(app.transmit().await, 1);
        assert_eq!(app.transmit().await, 0, "not at once again");
        let mut browser = app.launched("amoreno").await;
        browser.get(&path).await.says(200, "Not taken yet by Corner Pharmacy");
        browser.post(&format!("{path}/print"), &[]).await.says(422, "Only what could not be sent");
        browser.post(&format!("{path}/send-again"), &[]).await.says(422, "Only what could not be sent");
        *app.mood.lock().unwrap() = GatewayMood::Up;
        app.clock.advance(4);
        assert_eq!(app.transmit().await, 1);
        app.clock.advance(3_600);
        assert_eq!(app.transmit().await, 0, "what is taken is not sent again");
        let desk = Browser::new(app.pharmacy.clone()).get("/").await;
        desk.says(200, "Oxycodone hydrochloride 5 mg");
        assert_eq!(desk.body.matches("<section>").count(), 1, "{}", desk.words());
        let mut browser = app.launched("amoreno").await;
        let page = browser.get(&path).await;
        page.says(200, "Corner Pharmacy, 3 Oak Street took it at");
        browser.get(&format!("{path}/paper")).await.says(200, "Copy only—not valid for dispensing");
        for way in ["print", "send-again", "cancel"] {
            assert_eq!(browser.post(&format!("{path}/{way}"), &[]).await.status, 422, "{way}");
        }
        let events = app.events().await;
        assert!(events.iter().any(|it| it.starts_with("prescription_sent success")), "{events:?}");
    }

    /// A minute: the practitioner is told. A quarter of an hour: it is given up, somebody looks at it, and
    /// the practitioner may send it again or print it; what is printed is never sent.
    /// Shows: R-1311.120-b20, R-1311.120-b22, R-1311.120-b23iii, R-1311.102-c, R-1311.170-b, R-1311.170-d, A14
    async fn what_could_not_be_sent_is_told_and_printed_or_sent_again(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_roles(&ben, &[Role::Designated]).await;
        app.give_addresses(&ben, "ben@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = signed(&app, &mut browser, &fields()).await;
        *app.mood.lock().unwrap() = GatewayMood::Down;
        let kinds = async |app: &TestApp| -> Vec<String> {
            app.messages().await.into_iter().map(|it| format!("{} {}", it.kind, it.body.map(|body| body.to).unwrap_or_default())).collect()
        };
        app.transmit().await;
        assert!(kinds(&app).await.is_empty());
        app.clock.advance(60);
        app.transmit().await;
        let told = kinds(&app).await;
        assert!(told.contains(&"prescription_slow ada@x.example".to_owned()), "{told:?}");
        for _ in 0..20 {
            app.clock.advance(45);
            app.transmit().await;
        }
        let said = app.messages().await;
        let slow = said.iter().filter(|it| it.kind == "prescription_slow" && it.channel.code() == "email").count();
        assert_eq!(slow, 1, "told once");
        for to in ["prescription_failed ada@x.example", "prescription_failed ben@x.example"] {
            assert!(kinds(&app).await.contains(&to.to_owned()), "{to}");
        }
        for message in &said {
            let text = &message.body.as_ref().unwrap().text;
            assert!(!text.contains("Oxycodone") && !text.contains("Rosa"), "{text}");
        }
        let mut console = app.signed_in_as(&ben).await;
        console.get(&format!("/practice/{}/due", app.practice)).await.says(200, "Look at a prescription that was not sent");
        let mut browser = app.launched("amoreno").await;
        browser.get(&path).await.says(200, "It did not get to Corner Pharmacy");
        assert_eq!(browser.get(&format!("{path}/paper")).await.status, 404, "printed first");
        let mut nurse = app.launched("jlee").await;
        for way in ["print", "send-again", "cancel"] {
            nurse.post(&format!("{path}/{way}"), &[]).await.says(422, "Only the practitioner");
        }
        // Once more, in vain; then on paper.
        browser.post(&format!("{path}/send-again"), &[]).await.leads_to("/e-prescribing?done=again");
        for _ in 0..21 {
            app.clock.advance(45);
            app.transmit().await;
        }
        let mut browser = app.launched("amoreno").await;
        let paper = format!("{path}/paper");
        browser.post(&format!("{path}/print"), &[]).await.leads_to(&paper);
        let page = browser.get(&paper).await;
        page.says(200, "originally transmitted electronically to Corner Pharmacy, 3 Oak Street on");
        page.says(200, "The electronic transmission failed.");
        assert!(!page.body.contains("Copy only"));
        *app.mood.lock().unwrap() = GatewayMood::Up;
        browser.post(&format!("{path}/send-again"), &[]).await.says(422, "Only what could not be sent");
        app.clock.advance(3_600);
        assert_eq!(app.transmit().await, 0);
        Browser::new(app.pharmacy.clone()).get("/").await.says(200, "None yet");
    }

    /// The pharmacy turns it down: the reason stands on the page at once, and no incident is made of it.
    /// Shows: R-1311.120-b23iii
    async fn what_is_turned_down_says_why(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let no = with(fields(), &[("note", "Reject this, please")]);
        let path = signed(&app, &mut browser, &no).await;
        assert_eq!(app.transmit().await, 1);
        browser.get(&path).await.says(200, "turned down, since the note to the pharmacist says so");
        let events = app.events().await;
        assert!(events.contains(&"prescription_sent refused rejected".to_owned()), "{events:?}");
        // It waits where its practitioner looks, whatever chart is open; and the notice stops no token.
        let mut portal = app.signed_in().await;
        portal.get("/portal/dashboard").await.says(200, "did not reach the pharmacy, or the pharmacy rejected it");
        portal.get("/portal/prescriptions").await.says(200, "Rosa Lindqvist: Oxycodone hydrochloride 5 mg");
        let failed = app.messages().await.into_iter().find(|it| it.kind == "prescription_failed").unwrap();
        let text = failed.body.unwrap().text;
        assert!(text.contains("/portal/prescriptions") && !text.contains("/not-me/"), "{text}");
        // Nothing that is not posted by the one who has the key.
        browser.post(&format!("{path}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
        assert!(!portal.get("/portal/dashboard").await.body.contains("did not reach the pharmacy"));
        assert_eq!(Browser::new(app.pharmacy.clone()).post("/prescriptions", &[("id", "x")]).await.status, 401);
    }
}

/// Without a way to the pharmacies nothing is signed.
/// Shows: R-1311.100-d
#[tokio::test]
async fn without_a_gateway_nothing_is_signed() {
    let limits = Limits::new(1_000, 1_000);
    let mut app = TestApp::with(Backend::Sqlite, limits, |options| options.gateway = false).await;
    app.give_addresses(&app.person, "ada@x.example").await;
    let mut browser = app.launched("amoreno").await;
    // It can be written, and not be marked ready.
    let path = written(&mut browser).await;
    browser.get(&path).await.says(200, "No way to the pharmacies is set up");
    browser.post(&format!("{path}/ready"), &[]).await.says(422, "No way to the pharmacies");
    app.restart_with(|options| options.gateway = true).await;
    let mut browser = app.launched("amoreno").await;
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    // What is lost between the mark and the signature is said on the page of signing.
    app.restart_with(|options| options.gateway = false).await;
    let mut browser = app.launched("amoreno").await;
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "No way to the pharmacies is set up");
    assert!(!page.body.contains("name=\"shown\""));
    let events = app.events().await;
    assert!(events.contains(&"prescription_ready refused no_gateway".to_owned()), "{events:?}");
}

/// Writes one that lacks nothing; its address.
pub(crate) async fn written(browser: &mut Browser) -> String {
    let page = send(browser, "/e-prescribing/new", &fields()).await;
    assert_eq!(page.status, 303, "{}", page.words());
    page.location().to_owned()
}

/// Writes one, marks it ready and signs it; its address.
pub(crate) async fn signed(
    app: &TestApp,
    browser: &mut Browser,
    fields: &[(&'static str, String)],
) -> String {
    let page = send(browser, "/e-prescribing/new", fields).await;
    let path = page.location().to_owned();
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    let parts = shown(&browser.get("/e-prescribing/sign").await);
    send(browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .leads_to("/e-prescribing?done=signed");
    path
}

/// A build that nobody certified, a clock that was not checked or is wrong: nothing is signed, and it says which.
/// Shows: R-1311.100-c, R-1311.102-f, R-1311.120-b8
#[tokio::test]
async fn a_wrong_clock_or_build_signs_nothing() {
    let mut app = TestApp::on(Backend::Sqlite).await;
    app.give_addresses(&app.person, "ada@x.example").await;
    ready(&mut app.launched("amoreno").await).await;
    app.restart_with(|options| options.demonstration = false).await;
    let mut browser = app.launched("amoreno").await;
    let draft = written(&mut browser).await;
    let mark = format!("{draft}/ready");
    browser.post(&mark, &[]).await.says(422, "not a certified one");
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "This build of the program is not a certified one, so nothing can be signed");
    page.says(200, "This build of the program is not a certified one.");
    assert!(!page.body.contains("name=\"shown\""));
    app.restart_with(|options| options.build = Build::Listed { report: "R-1".to_owned() }).await;
    crate::certification::report_in_force(&app, "R-1").await;
    let mut browser = app.launched("amoreno").await;
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "The clock of the server could not be checked");
    assert!(!page.body.contains("is not a certified one"));
    browser.post(&mark, &[]).await.says(422, "The clock of the server could not be checked");
    app.app.clock_was_measured(-301);
    browser.post(&mark, &[]).await.says(422, "off by more than five minutes");
    browser.post(&format!("{draft}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
    for (offset, right) in [(0, true), (301, false), (-301, false), (-300, true)] {
        app.app.clock_was_measured(offset);
        let page = browser.get("/e-prescribing/sign").await;
        assert_eq!(page.body.contains("name=\"shown\""), right, "{offset}");
    }
    // Between the page and the act the measurement grows old.
    app.clock.advance(3_570);
    let mut browser = app.launched("amoreno").await;
    let parts = shown(&browser.get("/e-prescribing/sign").await);
    app.clock.advance(31);
    send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .says(422, "The clock of the server could not be checked");
    app.app.clock_was_measured(1);
    send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .leads_to("/e-prescribing?done=signed");
    let events = app.events().await;
    assert!(
        events.contains(&"prescription_signed refused clock_not_checked".to_owned()),
        "{events:?}"
    );
}

/// A prescription that waits for a token waits on, is said on the page of tokens, and is reviewed afresh.
#[tokio::test]
async fn what_waits_for_a_token_goes_on_once_there_is_one() {
    let app = TestApp::on(Backend::Sqlite).await;
    app.give_addresses(&app.person, "ada@x.example").await;
    let mut browser = app.launched("amoreno").await;
    ready(&mut browser).await;
    // The only token is put away for a while: what is ready waits.
    let mut portal = app.signed_in().await;
    let path = format!("/portal/tokens/{}", app.person.token);
    let off = [("reason", "temporarily_unavailable"), ("confirmation", "DISABLE")];
    let page = portal.post(&format!("{path}/disable"), &off).await;
    assert_eq!(page.status, 303, "{}", page.words());
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "No token of yours can sign");
    assert!(!page.body.contains("name=\"shown\""), "nothing is signed without one");
    app.clock.advance(30);
    let fields = [("token", app.person.token.to_string()), ("passcode", app.code())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    app.at_passcode()
        .await
        .post("/portal/login/enable", &fields)
        .await
        .leads_to("/portal/login/passcode?done=enabled");
    let page = browser.get("/e-prescribing/sign").await;
    assert!(
        page.body.contains("name=\"shown\""),
        "a fresh review, with a fresh digest: {}",
        page.words()
    );
    // The page of tokens, reached from the chart, leads back to it.
    app.clock.advance(30);
    let npi = app.person.npi.as_text();
    browser
        .post("/portal/login", &[("npi", &npi), ("passphrase", PASSPHRASE)])
        .await
        .leads_to("/portal/login/passcode");
    let id = app.person.token.to_string();
    browser.passcode(&id, &app.code()).await.leads_to("/portal/dashboard");
    browser.get("/portal/tokens").await.says(200, "A prescription waits for your signature");
}

/// One that its practitioner disowns is sent no more; one that could not be signed now is not sent again; and two
/// people whom two EHRs give one ID are not mixed up.
#[tokio::test]
async fn what_must_not_go_out_stays() {
    let app = TestApp::on(Backend::Sqlite).await;
    app.give_addresses(&app.person, "ada@x.example").await;
    let mut browser = app.launched("amoreno").await;
    let path = signed(&app, &mut browser, &fields()).await;
    *app.mood.lock().unwrap() = GatewayMood::Down;
    app.transmit().await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let mut portal = app.signed_in().await;
    let page = portal.post(&format!("/portal/prescriptions/{id}/not-mine"), &[]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    *app.mood.lock().unwrap() = GatewayMood::Up;
    app.clock.advance(120);
    assert_eq!(app.transmit().await, 0);
    browser.get(&path).await.says(200, "Cancelled");
    let no = with(fields(), &[("note", "reject")]);
    let path = signed(&app, &mut browser, &no).await;
    app.transmit().await;
    let person = app.person.id;
    app.store
        .write("test_suspend", move |tx| {
            for (practice, row) in tx.permissions_of(person)? {
                let mut permission = row.permission;
                let (cause, now) =
                    (countersign_domain::access::Cause::NonCompliant, countersign_testkit::START);
                countersign_domain::access::revoke_now(&mut permission, cause, now);
                tx.save_permission(person, practice, row.authority, &permission)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    browser.post(&format!("{path}/send-again"), &[]).await.says(422, "You could not sign it now");
    // The same ID, and somebody else.
    let mut other = app.browser();
    let token = app.launch("amoreno", |claims| "Other Person".clone_into(&mut claims.patient.name));
    other.get(&format!("/launch?token={token}")).await;
    other.get("/e-prescribing").await.says(200, "None yet");
    assert_eq!(other.get(&path).await.status, 404);
    // Characters that show one text as another are none.
    let odd = with(fields(), &[("strength", "5\u{202e}0 mg")]);
    let page = send(&mut browser, "/e-prescribing/new", &odd).await;
    assert!(page.status == 422 && page.field_error("strength").unwrap().contains("U+202E"));
    assert!(!page.body.contains('\u{202e}'));
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

//! Rows of docs/requirements.txt that an auditor scores one by one, each by assertions on it.

use countersign_domain::Role;
use countersign_testkit::{Browser, PASSPHRASE, WRONG_CODE, both};
use data_encoding::HEXLOWER;

use crate::{
    access::blob,
    prescribing::{fields, send, shown, signing, with},
};

/// The signing page's answer to a passphrase and a code, for what it shows now.
async fn sign(browser: &mut Browser, code: &str) -> countersign_testkit::Page {
    let parts = shown(&browser.get("/e-prescribing/sign").await);
    send(browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, code)).await
}

both! {
    /// Each act on a prescription leaves a record of its kind with outcome, actor and the prescription's ID: writing,
    /// altering, marking, signing, sending, deleting, a transmission that failed, printing; refused ones as well.
    /// Shows: R-1311.120-b23i, R-1311.120-b23iii, R-1311.120-b24
    async fn each_act_on_a_prescription_leaves_a_record_of_its_kind(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut nurse = app.launched("jlee").await;
        let mut own = app.launched("amoreno").await;
        let ada = app.person.id.to_string();
        // One that is signed and sent. The clock moves between two acts: records of one moment have no order here.
        let tick = || app.clock.advance(1);
        let draft = with(fields(), &[("prescriber", &ada)]);
        let path = send(&mut nurse, "/e-prescribing/new", &draft).await.location().to_owned();
        tick();
        send(&mut own, &format!("{path}/edit"), &fields()).await.leads_to(&path);
        tick();
        nurse.post(&format!("{path}/ready"), &[]).await.says(422, "Only the prescriber");
        tick();
        own.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        tick();
        assert_eq!(sign(&mut own, WRONG_CODE).await.status, 422);
        tick();
        sign(&mut own, &app.code()).await.leads_to("/e-prescribing?done=signed");
        tick();
        app.transmit().await;
        // One that is put away, and one that does not get through and is printed.
        tick();
        let page = send(&mut own, "/e-prescribing/new", &fields()).await;
        let away = page.location().to_owned();
        tick();
        own.post(&format!("{away}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
        app.clock.advance(60);
        let path = crate::prescribing::signed(&app, &mut own, &with(fields(), &[("note", "reject")])).await;
        tick();
        app.transmit().await;
        tick();
        own.post(&format!("{path}/print"), &[]).await.leads_to(&format!("{path}/paper"));
        let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let of = async |path: &str| {
            app.database.texts(&format!(
                "SELECT kind, outcome, actor, reason FROM audit_event WHERE kind LIKE 'prescription_%' \
                 AND detail LIKE '{}%' ORDER BY at",
                id(path)
            )).await
        };
        assert_eq!(of(&away).await, [
            "prescription_written success person -",
            "prescription_cancelled success person -",
        ]);
        let kinds = of(&path).await;
        for wanted in ["prescription_signed success person -", "prescription_sent refused system rejected", "prescription_printed success person -"] {
            assert!(kinds.iter().any(|kind| kind == wanted), "{wanted}: {kinds:?}");
        }
        let all = app.database.texts(
            "SELECT kind, outcome, actor FROM audit_event WHERE kind LIKE 'prescription_%' ORDER BY at LIMIT 7"
        ).await;
        assert_eq!(all, [
            "prescription_written success staff",
            "prescription_written success person",
            "prescription_ready refused staff",
            "prescription_ready success person",
            "prescription_signed refused person",
            "prescription_signed success person",
            "prescription_sent success system",
        ]);
    }

    /// What must be in view when the factors are asked for, element by element, however long it is.
    /// Shows: R-1311.120-b9i, R-1311.120-b9ii, R-1311.120-b9iii, R-1311.120-b9iv, R-1311.120-b9v, R-1311.120-b9vii, R-1311.120-b9viii, R-1311.140-b
    async fn the_page_of_signing_shows_each_element(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.browser();
        let name = format!("Rosalind {} Lindqvist-Montgomery", "Anastasia ".repeat(8).trim());
        let token = app.launch("amoreno", |claims| name.clone_into(&mut claims.patient.name));
        browser.get(&format!("/launch?token={token}")).await;
        let directions = format!("{}End.", "Take one tablet every six hours. ".repeat(8));
        let later = [("directions", directions.as_str()), ("strength", "7.5 mg")];
        let refilled = [
            ("drug", "Testosterone cypionate"), ("schedule", "3N"), ("strength", "200 mg/mL"), ("form", "Injection"), ("quantity", "10"),
            ("unit", "mL"), ("refills", "4"), ("directions", "Inject 1 mL every two weeks"),
        ];
        for changes in [&later[..], &refilled[..]] {
            let page = send(&mut browser, "/e-prescribing/new", &with(fields(), changes)).await;
            assert_eq!(page.status, 303, "{}", page.words());
            let path = page.location().to_owned();
            let page = browser.post(&format!("{path}/ready"), &[]).await;
            assert_eq!(page.status, 303, "{}", page.words());
        }
        let page = browser.get("/e-prescribing/sign").await;
        assert!(page.find("[name=shown]").is_some(), "{}", page.words());
        let words = page.words();
        for (row, element) in [
            ("b9i, date of issuance", "May 25, 2026"),
            ("b9ii, patient", name.as_str()),
            ("b9iii, drug", "Oxycodone hydrochloride"),
            ("b9iii, drug", "Testosterone cypionate"),
            ("b9iv, strength and form", "7.5 mg, Tablet"),
            ("b9iv, strength and form", "200 mg/mL, Injection"),
            ("b9iv, quantity", "30 tablets"),
            ("b9iv, quantity", "10 mL"),
            ("b9iv, directions", directions.trim()),
            ("b9v, refills", "Refills 4"),
            ("b9vii, practitioner", "Dr. Ada Moreno"),
            ("b9vii, address", "12 Elm Street"),
            ("b9vii, registration", &countersign_testkit::dea(0).as_text()),
            ("140-b, the act is named as signing", "Sign 2 prescriptions"),
            ("b9viii, statement", countersign_domain::prescription::SIGNING_STATEMENT),
        ] {
            assert!(words.contains(element), "{row}: {element}\n{words}");
        }
    }

    /// Where the audit trail or the archive can't be written, nothing is marked ready, signed or sent, and all works
    /// again once they can.
    /// Shows: R-1311.100-d, R-1311.120-b15
    async fn without_the_audit_trail_or_the_archive_nothing_is_marked_signed_or_sent(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &fields()).await.location().to_owned();
        let state = async || app.database.texts("SELECT state FROM prescription").await;
        app.database.execute("ALTER TABLE audit_event RENAME TO audit_event_away").await;
        assert!(browser.post(&format!("{path}/ready"), &[]).await.status >= 500);
        assert_eq!(state().await, ["draft"]);
        app.database.execute("ALTER TABLE audit_event_away RENAME TO audit_event").await;
        browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
        for table in ["audit_event", "signed_record"] {
            let parts = shown(&browser.get("/e-prescribing/sign").await);
            app.database.execute(&format!("ALTER TABLE {table} RENAME TO away")).await;
            let page = send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await;
            assert!(page.status >= 500, "{table}: {}", page.words());
            app.database.execute(&format!("ALTER TABLE away RENAME TO {table}")).await;
            assert_eq!(state().await, ["ready"], "{table}");
            assert_eq!(app.transmit().await, 0, "{table}");
            app.clock.advance(60);
        }
        sign(&mut browser, &app.code()).await.leads_to("/e-prescribing?done=signed");
        assert_eq!(app.transmit().await, 1);
    }

    /// Nobody without a DEA number of their own gets a permission: not by a form, and not under somebody else's number.
    /// Shows: R-1311.120-b1i, R-1311.120-b3
    async fn who_has_no_registration_gets_no_permission(mut app: TestApp) {
        let ruth = app.another_person().await;
        app.give_roles(&ruth, &[Role::Designated, Role::Administrator]).await;
        app.give_addresses(&ruth, "ruth@x.example").await;
        let nobody = app.another_person().await;
        app.give_addresses(&nobody, "nobody@x.example").await;
        let id = blob(&app, &HEXLOWER.encode(nobody.id.as_bytes()));
        for table in ["permission", "authority"] {
            app.database.execute(&format!("DELETE FROM {table} WHERE person = {id}")).await;
        }
        let person = nobody.id;
        app.store.write("test_refresh", move |tx| tx.refresh_signing(person)).await.unwrap();
        let mut console = app.signed_in_as(&ruth).await;
        let path = |person: &countersign_testkit::Person| {
            format!("/practice/{}/people/{}", app.practice, person.id)
        };
        let page = console.get(&path(&nobody)).await;
        page.says(200, "DEA registration");
        assert!(page.find("[name=registration]").is_none(), "nothing to grant: {}", page.words());
        let page = console.get(&path(&app.person)).await;
        let theirs = page.value("registration");
        let grant = [("registration", theirs.as_str()), ("verified", "2026-05-25"), ("grant_reason", "Joined")];
        let page = console.post(&format!("{}/grant", path(&nobody)), &grant).await;
        assert!([404, 422].contains(&page.status), "{}", page.words());
        assert!(app.database.texts("SELECT reason FROM access_request").await.is_empty());
        let api = app.api().await;
        let code = nobody.phone.code(app.now());
        assert!(!api.check(nobody.phone.credential.as_str(), &code).await.verified());
    }
}

//! What keeps a prescription from being signed.

use countersign_app::Build;
use countersign_domain::Role;
use countersign_testkit::{Backend, PASSPHRASE, TestApp, both};

use super::{fields, ready, send, shown, signing, with, written};

both! {
    /// No permission, no registration for the schedule, a loss in between: nothing is signed, and it says which.
    /// Shows: R-1311.100-d
    async fn what_stands_in_the_way_is_named(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let page = send(&mut browser, "/e-prescribing/new", &fields()).await;
        let path = page.location().to_owned();
        let page = browser.get(&path).await;
        page.says(200, "Your address is required on prescriptions");
        assert!(!page.body.contains("Mark ready to sign"));
        browser.post(&format!("{path}/ready"), &[]).await.says(422, "Not marked ready to sign. Your address is required on prescriptions");
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
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await.says(422, "do not have permission to sign");
        let page = browser.get("/e-prescribing/sign").await;
        page.says(200, "do not have permission to sign");
        assert!(page.find("[name=shown]").is_none(), "no form where nothing can be signed");
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
        page.says(422, "does not cover this schedule");
    }

    /// What is typed is kept whole or refused; a schedule belongs to its drug; a strength has a unit.
    /// Shows: R-1306.05-a
    async fn what_is_typed_is_never_cut_and_a_schedule_is_its_drugs(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let long = format!("{} DO NOT EXCEED FOUR A DAY", "One tablet. ".repeat(90));
        let page = send(&mut browser, "/e-prescribing/new", &with(fields(), &[("directions", &long)])).await;
        assert_eq!(page.field_error("directions").as_deref(), Some("Use at most 1000 characters (now 1105)."));
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
        assert!(form.find("option[value=2][selected]").is_none(), "nobody chose it");
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "OxyContinn")])).await;
        assert!(page.field_error("schedule").unwrap().contains("not in the drug table"));
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "oxycodone")])).await;
        assert!(page.field_error("schedule").unwrap().contains("Oxycodone hydrochloride"));
        let page = send(&mut browser, &edit, &with(fields(), &[("drug", "OxyContinn"), ("schedule", "2")])).await;
        page.leads_to(&path);
        assert!(browser.get(&edit).await.find("option[value=2][selected]").is_some(), "somebody chose it");
        for strength in ["5", "fifty", "mg"] {
            let page = send(&mut browser, &edit, &with(fields(), &[("strength", strength)])).await;
            assert!(page.field_error("strength").unwrap().contains("with its unit"), "{strength}");
        }
        let alone = with(fields(), &[("earliest_fill", "2026-06-24"), ("days_supply", "30")]);
        let page = send(&mut browser, &edit, &alone).await;
        assert!(page.field_error("earliest_fill").unwrap().contains("the next in a series"));
    }
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
    browser.post(&mark, &[]).await.says(422, "build is not certified");
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "This software build is not certified, so you can't sign");
    page.says(200, "This software build is not certified.");
    assert!(page.find("[name=shown]").is_none());
    app.restart_with(|options| options.build = Build::Listed { report: "R-1".to_owned() }).await;
    crate::certification::report_in_force(&app, "R-1").await;
    let mut browser = app.launched("amoreno").await;
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "The server's clock could not be verified");
    assert!(!page.body.contains("is not certified"));
    browser.post(&mark, &[]).await.says(422, "The server's clock could not be verified");
    app.app.clock_was_measured(-301);
    browser.post(&mark, &[]).await.says(422, "off by more than 5 minutes");
    browser.post(&format!("{draft}/cancel"), &[]).await.leads_to("/e-prescribing?done=cancelled");
    for (offset, right) in [(0, true), (301, false), (-301, false), (-300, true)] {
        app.app.clock_was_measured(offset);
        let page = browser.get("/e-prescribing/sign").await;
        assert_eq!(page.find("[name=shown]").is_some(), right, "{offset}");
    }
    // Between the page and the act the measurement grows old.
    app.clock.advance(3_570);
    let mut browser = app.launched("amoreno").await;
    let parts = shown(&browser.get("/e-prescribing/sign").await);
    app.clock.advance(31);
    send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .says(422, "The server's clock could not be verified");
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
    page.says(200, "None of your tokens can sign");
    assert!(page.find("[name=shown]").is_none(), "nothing is signed without one");
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
        page.find("[name=shown]").is_some(),
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
    browser.get("/portal/tokens").await.says(200, "1 prescription is waiting for your signature");
}

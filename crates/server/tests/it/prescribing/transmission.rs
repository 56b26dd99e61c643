//! On the way to the pharmacy: sent once, refused, sent again, printed.

use countersign_domain::Role;
use countersign_server::Limits;
use countersign_testkit::{Backend, Browser, GatewayMood, TestApp, both};

use super::{fields, ready, send, signed, with, written};

both! {
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
        browser.get(&path).await.says(200, "Not accepted yet by Corner Pharmacy");
        browser.post(&format!("{path}/print"), &[]).await.says(422, "Only a prescription that could not be delivered");
        browser.post(&format!("{path}/send-again"), &[]).await.says(422, "Only a prescription that could not be delivered");
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
        page.says(200, "Accepted by Corner Pharmacy, 3 Oak Street");
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
        console.get(&format!("/practice/{}/due", app.practice)).await.says(200, "Review a prescription that was not delivered");
        let mut browser = app.launched("amoreno").await;
        browser.get(&path).await.says(200, "Not delivered to Corner Pharmacy");
        assert_eq!(browser.get(&format!("{path}/paper")).await.status, 404, "printed first");
        let mut nurse = app.launched("jlee").await;
        for way in ["print", "send-again", "cancel"] {
            nurse.post(&format!("{path}/{way}"), &[]).await.says(422, "Only the prescriber");
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
        browser.post(&format!("{path}/send-again"), &[]).await.says(422, "Only a prescription that could not be delivered");
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
        browser.get(&path).await.says(200, "rejected, as the note to the pharmacist requests");
        let events = app.events().await;
        assert!(events.contains(&"prescription_sent refused rejected".to_owned()), "{events:?}");
        // It waits where its practitioner looks, whatever chart is open; and the notice stops no token.
        let mut portal = app.signed_in().await;
        portal.get("/portal/dashboard").await.says(200, "did not reach the pharmacy or");
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
    browser.get(&path).await.says(200, "No pharmacy connection is set up");
    browser.post(&format!("{path}/ready"), &[]).await.says(422, "No pharmacy connection");
    app.restart_with(|options| options.gateway = true).await;
    let mut browser = app.launched("amoreno").await;
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    // What is lost between the mark and the signature is said on the page of signing.
    app.restart_with(|options| options.gateway = false).await;
    let mut browser = app.launched("amoreno").await;
    let page = browser.get("/e-prescribing/sign").await;
    page.says(200, "No pharmacy connection is set up");
    assert!(page.find("[name=shown]").is_none());
    let events = app.events().await;
    assert!(events.contains(&"prescription_ready refused no_gateway".to_owned()), "{events:?}");
}

/// One that reported as not issued by the prescriber is sent no more; one that could not be signed now is not sent again; and two
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
    browser.get(&path).await.says(200, "Canceled");
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
    browser.post(&format!("{path}/send-again"), &[]).await.says(422, "You can't sign it now");
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

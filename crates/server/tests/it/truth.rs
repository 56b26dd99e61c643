//! What pages say of somebody is true for them now.

use countersign_domain::{ModelCode, Role};
use countersign_testkit::{Browser, Page, TestApp, WRONG_CODE, both};

use crate::prescribing::ready;

const SUSPENDS: &str = "Your permission to sign is suspended";

#[track_caller]
fn never_says(page: &Page, words: &[&str]) {
    for text in words {
        assert!(!page.words().contains(text), "{text}: {}", page.words());
    }
}

async fn disable(app: &TestApp, browser: &mut Browser, reason: &str) -> Page {
    let path = format!("/portal/tokens/{}/disable", app.person.token);
    browser.post(&path, &[("reason", reason), ("confirmation", "DISABLE")]).await
}

both! {
    /// A loss suspends all signing: said before the click, after it, on the dashboard and on the page of approval, with
    /// who acts next. Nobody who has signed before is at step 1 of an enrolment.
    async fn a_lost_token_suspends_all_signing_and_every_page_says_so(mut app: TestApp) {
        let office = app.another_person().await;
        app.give_roles(&office, &[Role::Administrator, Role::Designated]).await;
        // Whoever sets access control has an address of their own that is confirmed.
        app.give_addresses(&office, "office@lakeside.example").await;
        app.give_addresses(&app.person, "ada@lakeside.example").await;
        let (spare, _) = app.another_token(&app.person, "Spare").await;
        let spare = app.store.read("test", move |tx| tx.token_name(spare)).await.unwrap();
        assert_eq!(spare.as_deref(), Some("Spare"));
        let mut browser = app.signed_in().await;
        let page = browser.get(&format!("/portal/tokens/{}/disable", app.person.token)).await;
        assert_eq!(page.words().matches(SUSPENDS).count(), 3, "lost, stolen, compromised: {}", page.words());
        browser.get("/portal/phone").await.says(200, "That suspends your permission to sign");
        let page = browser.get(&format!("/portal/phone?intent=gone&token={}", app.person.token)).await;
        page.says(200, SUSPENDS);
        app.at_passcode().await.get("/portal/login/lost").await.says(200, SUSPENDS);
        let mut console = app.signed_in_as(&office).await;
        let person = format!("/practice/{}/people/{}", app.practice, app.person.id);
        console.get(&person).await.says(200, "also suspends their permission to sign");
        disable(&app, &mut browser, "lost").await.leads_to("/portal/tokens?done=lost");
        browser.get("/portal/tokens?done=lost").await.says(200, SUSPENDS);
        let page = browser.get("/portal/dashboard").await;
        page.says(200, "a token or the passphrase was reported lost, stolen or compromised on May 25, 2026");
        page.says(200, "Two people at your practice must act");
        page.says(200, "Permission to sign suspended: token or passphrase lost, stolen or compromised");
        never_says(&page, &["can\u{2019}t sign yet", "Permission to sign granted by you"]);
        let page = browser.get("/portal/approval").await;
        page.says(200, SUSPENDS);
        never_says(&page, &["Step 1", "Terms", "Your part is done"]);
        // Who acts next: somebody has entered the grant.
        let page = console.get(&person).await;
        let registration = page.value("registration");
        let fields = [
            ("registration", registration.as_str()),
            ("verified", "2026-05-25"),
            ("grant_reason", "Token is back"),
        ];
        let entered = console.post(&format!("{person}/grant"), &fields).await;
        assert_eq!(entered.status, 303, "{}", entered.words());
        browser.get("/portal/approval").await.says(200, "Dr. Ben Okafor has requested it");
    }

    /// A token that logs in and does not sign is called just that, and is not offered for signing.
    async fn a_token_that_may_not_sign_is_not_offered_for_signing(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let (new, _) = app.another_token(&app.person, "Newcomer").await;
        app.database
            .execute("UPDATE token SET activated = NULL, sign_until = NULL WHERE name = 'Newcomer'")
            .await;
        let mut browser = app.signed_in().await;
        let page = browser.get("/portal/tokens?done=added").await;
        page.says(200, "Token added. You can sign in with it now. To sign prescriptions, activate it");
        page.says(200, "sign-in only: not activated for signing");
        never_says(&page, &["added and active"]);
        let mut chart = app.launched("amoreno").await;
        ready(&mut chart).await;
        let page = chart.get("/e-prescribing/sign").await;
        page.says(200, "First phone");
        assert!(!page.body.contains(&new.to_string()), "{}", page.words());
        // The operator stops the model.
        app.set_model(ModelCode::AUTHENTICATOR, false).await;
        app.set_model(ModelCode::TERMINAL, false).await;
        let page = browser.get("/portal/tokens").await;
        page.says(200, "sign-in only: model not allowed for signing");
        let page = chart.get("/e-prescribing/sign").await;
        page.says(200, "None of your tokens can sign");
        browser.get("/portal/dashboard").await.says(200, "None of your active tokens can sign");
    }

    /// What others did is not said to be done by the person, and a refused attempt is not said to be the act.
    async fn the_history_says_who_did_what_and_what_it_came_to(mut app: TestApp) {
        let office = app.another_person().await;
        app.give_roles(&office, &[Role::Administrator, Role::Designated]).await;
        let mut console = app.signed_in_as(&office).await;
        let person = format!("/practice/{}/people/{}", app.practice, app.person.id);
        let page = console.get(&person).await;
        let registration = page.value("revoked");
        let fields = [
            ("revoked", registration.as_str()),
            ("cause", "withdrawn"),
            ("revoke_reason", "Found on the list"),
        ];
        let page = console.post(&format!("{person}/revoke"), &fields).await;
        assert_eq!(page.status, 303, "{}", page.words());
        let mut browser = app.signed_in().await;
        let page = browser.get("/portal/dashboard").await;
        page.says(200, "Permission to sign suspended: registration or license withdrawn by Dr. Ben Okafor");
        let (new, _) = app.another_token(&app.person, "Newcomer").await;
        app.database
            .execute("UPDATE token SET activated = NULL, sign_until = NULL WHERE name = 'Newcomer'")
            .await;
        app.give_addresses(&app.person, "ada@x.example").await;
        let path = format!("/portal/tokens/{new}");
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await;
        browser.post(&format!("{path}/activate"), &[("code", "AAAAAAAA")]).await.says(422, "Incorrect code");
        let page = browser.get(&path).await;
        page.says(200, "Refused Activation for signing: incorrect code by you");
        never_says(&page, &["Activated for signing"]);
    }

    /// Every page of prescribing says why a prescriber can't sign now, and where to look; nobody else's page does.
    async fn prescribing_says_why_nothing_can_be_signed(app: TestApp) {
        app.give_addresses(&app.person, "ada@lakeside.example").await;
        let mut chart = app.launched("amoreno").await;
        let draft = ready(&mut chart).await;
        let pages = ["/e-prescribing", "/e-prescribing/new", "/e-prescribing/sign", draft.as_str()];
        for path in pages {
            never_says(&chart.get(path).await, &[SUSPENDS, "can\u{2019}t sign"]);
        }
        let mut browser = app.signed_in().await;
        disable(&app, &mut browser, "lost").await.leads_to("/portal/tokens?done=lost");
        for path in pages {
            let page = chart.get(path).await;
            page.says(200, SUSPENDS);
            page.says(200, "Two people at your practice must act");
            assert!(page.find("[href=/portal/approval]").is_some(), "{path}: {}", page.words());
        }
        let mut nurse = app.launched("jlee").await;
        never_says(&nurse.get("/e-prescribing").await, &[SUSPENDS, "can\u{2019}t sign"]);
    }

    /// A wrong passcode after the right passphrase is nobody's for certain.
    async fn a_wrong_passcode_at_log_in_is_not_said_to_be_the_owners(app: TestApp) {
        let mut stranger = app.at_passcode().await;
        stranger.passcode("any", WRONG_CODE).await.says(422, "Incorrect passcode");
        let page = app.signed_in().await.get("/portal/dashboard").await;
        page.says(200, "Passcode to sign in: incorrect passcode by someone who entered your passphrase");
        never_says(&page, &["wrong passcode by you"]);
    }
}

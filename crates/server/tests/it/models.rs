//! Which models of tokens may be added and may sign; the hand-over of a seed; a new phone.

use countersign_crypto::SecretBytes;
use countersign_domain::{
    CredentialId, DisableReason, ModelCode, TokenState,
    otp::{OtpParams, TokenSeed},
};
use countersign_server::Limits;
use countersign_testkit::{Backend, Page, Phone, TestApp, WRONG_CODE, both, wanted};
use data_encoding::BASE32_NOPAD;
use serde_json::json;

use crate::add;

async fn check(app: &TestApp, phone: &Phone, purpose: &str) -> bool {
    let body = json!({
        "credential_id": phone.credential.as_str(), "passcode": phone.code(app.now()),
        "purpose": purpose,
    });
    app.api().await.post("/api/v1/passcode-checks", &body).await.verified()
}

/// With hand-over on and the model for it allowed.
pub(crate) async fn with_other_apps(backend: Backend) -> TestApp {
    let app = TestApp::with(backend, Limits::new(100_000, 100_000), |options| {
        options.policy.otpauth = true;
    })
    .await;
    app.set_model(ModelCode::OTHER, true).await;
    app
}

/// The other app, as it takes the secret from the page.
fn phone_of(page: &Page) -> Phone {
    let secret = page.one("#secret").text().replace(' ', "");
    let bytes = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let seed = TokenSeed::new(SecretBytes::new(bytes)).unwrap();
    let credential = CredentialId::parse(&page.value("credential_id"), None).unwrap();
    Phone::new(credential, seed, OtpParams::OWN.with_sha1())
}

both! {
    /// R-1311.115-b: a token of a model that is not allowed is not added, and that is on record.
    /// Shows: R-1311.115-b, A2
    async fn a_model_that_is_not_allowed_is_not_added(app: TestApp) {
        let phone = app.provision().await;
        let model = app.token(&phone.credential).await.model().to_string();
        assert_eq!(model, ModelCode::AUTHENTICATOR);
        app.set_model(ModelCode::AUTHENTICATOR, false).await;
        let mut browser = app.signed_in().await;
        let before = app.event_count().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.says(422, "not allowed for signing here");
        let error = page.field_error("credential_id").unwrap();
        assert!(error.contains("Lakeside Clinic support desk, +1 555 0100"), "{error}");
        assert_eq!(app.event_count().await - before, 1);
        assert!(app.events().await.contains(&"token_added refused model_not_allowed".to_owned()));
        assert!(app.token(&phone.credential).await.prescriber().is_none());
        app.set_model(ModelCode::AUTHENTICATOR, true).await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");
    }

    /// The form offers the makers of allowed models only, and says where there is none.
    async fn the_form_offers_what_is_allowed(app: TestApp) {
        let mut browser = app.signed_in().await;
        let page = browser.get("/portal/tokens/new").await;
        page.says(200, "demo policy");
        assert!(page.body.contains("value=\"symantec\"") && page.body.contains("value=\"countersign\""));
        app.set_model(ModelCode::VIP_ACCESS, false).await;
        let page = browser.get("/portal/tokens/new").await;
        assert!(!page.body.contains("value=\"symantec\"") && !page.words().contains("Symantec"));
        app.set_model(ModelCode::AUTHENTICATOR, false).await;
        app.set_model(ModelCode::TERMINAL, false).await;
        browser.get("/portal/tokens/new").await.says(200, "No token model is allowed");
        let page = browser.get(&format!("/portal/tokens/{}", app.person.token)).await;
        page.says(200, "FIPS certificate");
        page.says(200, "Not allowed for this model");
    }

    /// A passcode of a model that is not allowed does not sign; it is spent all the same. Other
    /// purposes go on: the person can still get in and add another token.
    /// Shows: R-1311.115-b, A2
    async fn a_model_that_is_not_allowed_does_not_sign(app: TestApp) {
        let phone = app.person.phone.clone();
        assert!(check(&app, &phone, "sign").await);
        app.set_model(ModelCode::TERMINAL, false).await;
        app.clock.advance(30);
        assert!(!check(&app, &phone, "sign").await);
        assert!(!check(&app, &phone, "login").await, "it was spent");
        app.clock.advance(30);
        assert!(check(&app, &phone, "login").await);
        let refused = "SELECT purpose, reason FROM audit_event WHERE kind = 'passcode_tried' AND reason = 'model_not_allowed'";
        assert_eq!(app.database.texts(refused).await, ["sign model_not_allowed"]);
        // A wrong code says nothing of the model, and counts.
        let api = app.api().await;
        assert!(!api.check(phone.credential.as_str(), WRONG_CODE).await.verified());
        assert_eq!(app.owner_failures().await.count, 1);
    }

    /// A new phone in place of the old one: the old one's code, the new one's code, one transaction.
    async fn a_token_takes_the_place_of_another(app: TestApp) {
        let (other, _) = app.another_token(&app.person, "Tablet").await;
        let mut browser = app.signed_in().await;
        browser.get("/portal/tokens").await.says(200, "New phone?");
        browser.get("/portal/phone").await.says(200, "I have both phones");
        let old = app.person.token.to_string();
        let page = browser.post("/portal/phone", &[("intent", "both"), ("token", &old)]).await;
        let form = format!("/portal/tokens/new?replaces={old}#add-token");
        page.leads_to(&form);
        let page = browser.get(form.split('#').next().unwrap()).await;
        page.says(200, "replaces First phone");
        page.says(200, "the passcode that the OLD token shows now");
        assert_eq!((page.value("replaces"), page.value("stepup_token")), (old.clone(), old.clone()));

        // By picture too: whatever page comes between, it stays a replacement.
        let page = browser.post("/portal/pairings", &[("replaces", &old)]).await;
        let pairing = page.location().to_owned();
        assert!(pairing.ends_with(&format!("?replaces={old}")), "{pairing}");
        let page = browser.get(&pairing).await;
        let id = pairing.rsplit('/').next().unwrap().split('?').next().unwrap();
        let next = format!("data-next=\"/portal/tokens/new?pairing={id}&#38;replaces={old}#add-token\"");
        assert!(page.body.contains(&next), "{}", page.body);

        let new = app.provision().await;
        let (otp, code) = (new.code(app.now()), app.code());
        let other = other.to_string();
        let gone = [("replaces", old.as_str())];
        let by = |token, code| [gone[0], ("stepup_token", token), ("stepup_passcode", code)];
        let before = app.event_count().await;
        let page = add(&mut browser, &new, &otp, &by(&other, &code)).await;
        page.says(422, "Confirm with a passcode from the token you are replacing");
        // A wrong code of the new token: the old one's is spent, and the old one stays.
        let page = add(&mut browser, &new, WRONG_CODE, &by(&old, &code)).await;
        assert!(page.field_error("otp").is_some() && page.body.contains("stepup_passcode"));
        assert!(app.token(&app.person.phone.credential).await.is_active());
        assert_eq!(app.event_count().await - before, 3);
        app.clock.advance(30);
        let (otp, code) = (new.code(app.now()), app.code());
        let page = add(&mut browser, &new, &otp, &by(&old, &code)).await;
        page.leads_to("/portal/tokens?done=replaced");
        assert_eq!(app.event_count().await - before, 6, "the passcode, the old token, the new one");
        let reason = DisableReason::Replaced;
        assert_eq!(
            app.token(&app.person.phone.credential).await.state(),
            TokenState::Disabled { reason, since: app.now() }
        );
        assert!(app.token(&new.credential).await.is_active());
        browser.get(&format!("/portal/tokens/{old}")).await.says(200, "it shows a new ID. Add it as a new token");
        let page = add(&mut browser, &new, &otp, &by(&old, &code)).await;
        assert_eq!(page.status, 404, "it can't go twice");
    }

    /// The old phone is gone: it ends with the first press, whatever becomes of the new one, which
    /// another token confirms.
    /// Shows: N-24, A7
    async fn a_lost_token_ends_before_its_successor_comes(app: TestApp) {
        let (other, tablet) = app.another_token(&app.person, "Tablet").await;
        let (old, other) = (app.person.token.to_string(), other.to_string());
        let mut browser = app.signed_in().await;
        let mut elsewhere = app.signed_in().await;
        let page = browser.post("/portal/phone", &[("intent", "gone"), ("token", &old)]).await;
        let named = format!("/portal/phone?intent=gone&token={old}");
        page.leads_to(&named);
        browser.get(&named).await.says(200, "Report First phone lost?");
        assert!(app.token(&app.person.phone.credential).await.is_active(), "named first");
        let sure = [("intent", "gone"), ("token", old.as_str()), ("confirmed", "yes")];
        browser.post("/portal/phone", &sure).await.leads_to("/portal/tokens/new?done=lost");
        let reason = DisableReason::Lost;
        assert_eq!(
            app.token(&app.person.phone.credential).await.state(),
            TokenState::Disabled { reason, since: app.now() }
        );
        elsewhere.get("/portal/dashboard").await.leads_to("/portal/login?ended=1");
        browser.get("/portal/tokens/new?done=lost").await.says(200, "Now add the new token");
        // What the session proved with the lost token vouches for nothing.
        let new = app.provision().await;
        let otp = new.code(app.now());
        add(&mut browser, &new, &otp, &[]).await.says(422, "Choose the token");
        let code = app.code();
        let fields = [("stepup_token", old.as_str()), ("stepup_passcode", &code)];
        let page = add(&mut browser, &new, &otp, &fields).await;
        page.says(422, "This token is not active");
        let code = tablet.code(app.now());
        let fields = [("stepup_token", other.as_str()), ("stepup_passcode", &code)];
        let page = add(&mut browser, &new, &otp, &fields).await;
        page.leads_to("/portal/tokens?done=added");
        assert!(app.token(&new.credential).await.is_active());
    }

    /// With no other token the pages lead to identity proofing; a choice is asked for.
    /// Shows: N-22
    async fn a_new_phone_without_another_token(app: TestApp) {
        let old = app.person.token.to_string();
        let mut browser = app.signed_in().await;
        let before = app.event_count().await;
        let page = browser.post("/portal/phone", &[("token", &old)]).await;
        assert!(page.field_error("intent").is_some());
        let page = browser.post("/portal/phone", &[("intent", "both"), ("token", "x")]).await;
        assert!(page.field_error("token").is_some());
        let page = browser.post("/portal/phone", &[("intent", "getting"), ("token", &old)]).await;
        page.leads_to("/portal/phone?intent=getting");
        browser.get("/portal/phone?intent=getting").await.says(200, "Keep the old phone");
        let page = browser.post("/portal/phone", &[("intent", "gone"), ("token", &old)]).await;
        let to = format!("/portal/phone?intent=gone&token={old}");
        page.leads_to(&to);
        browser.get(&to).await.says(200, "identity proofing");
        assert_eq!(app.event_count().await, before, "nothing was changed");
    }
}

#[tokio::test]
async fn another_app_takes_the_seed_once_sqlite() {
    another_app_takes_the_seed_once(with_other_apps(Backend::Sqlite).await).await;
}

#[tokio::test]
async fn another_app_takes_the_seed_once_postgres() {
    if wanted(Backend::Postgres) {
        another_app_takes_the_seed_once(with_other_apps(Backend::Postgres).await).await;
    }
}

/// Shows: N-04
pub(crate) async fn another_app_takes_the_seed_once(app: TestApp) {
    let mut browser = app.signed_in().await;
    let page = browser.get("/portal/tokens/new").await;
    assert!(page.find("[href=/portal/tokens/other]").is_some());
    // Not without a fresh passcode.
    app.clock.advance(301);
    let page = browser.get("/portal/tokens/other").await;
    page.says(200, "Confirm that it is you");
    let id = page.value("id");
    let before = app.event_count().await;
    let wrong = [("id", id.as_str()), ("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
    let page = browser.post("/portal/tokens/other", &wrong).await;
    assert!(page.field_error("stepup_passcode").is_some() && page.find("#secret").is_none());
    let code = app.code();
    let form = [("id", id.as_str()), ("stepup_token", "any"), ("stepup_passcode", &code)];
    let page = browser.post("/portal/tokens/other", &form).await;
    page.says(200, "shown once");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.body.contains("<svg ") && !page.body.contains("otpauth:"));
    assert_eq!(app.event_count().await - before, 4, "a passcode and a decision, twice");
    let handed = |event: &String| event.starts_with("seed_handed_over success");
    assert_eq!(app.events().await.iter().filter(|event| handed(event)).count(), 1);
    let phone = phone_of(&page);
    // The same form again shows nothing, nor does any other page.
    let again = browser.post("/portal/tokens/other", &form).await;
    again.says(422, "can't be shown again");
    assert!(again.find("#secret").is_none() && !again.body.contains("<svg"));
    let secret = BASE32_NOPAD.encode(phone.seed.expose());
    let all = app.database.texts("SELECT kind, detail FROM audit_event").await.join("\n");
    assert!(!all.contains(&secret) && !all.contains(phone.credential.as_str()));

    let page = add(&mut browser, &phone, WRONG_CODE, &[]).await;
    assert!(page.field_error("otp").is_some() && page.body.contains(phone.credential.as_str()));
    let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
    page.leads_to("/portal/tokens?done=added");
    let token = app.token(&phone.credential).await;
    assert_eq!(token.model().as_str(), ModelCode::OTHER);
    assert_eq!((token.id().to_string(), token.seed_left().is_some()), (id, true));
    let path = format!("/portal/tokens/{}", token.id());
    browser.get(&path).await.says(200, "Exported to another app");
    browser.post(&format!("{path}/disable"), &[("reason", "lost")]).await;
    browser.get(&path).await.says(200, "Exported to another app");
}

#[tokio::test]
async fn another_app_is_off_by_default_and_needs_its_model() {
    let app = TestApp::on(Backend::Sqlite).await;
    app.set_model(ModelCode::OTHER, true).await;
    let mut browser = app.signed_in().await;
    let id = app.person.token.to_string();
    assert_eq!(browser.get("/portal/tokens/other").await.status, 404);
    assert_eq!(browser.post("/portal/tokens/other", &[("id", &id)]).await.status, 404);
    let page = browser.get("/portal/tokens/new").await;
    assert!(!page.body.contains("/portal/tokens/other"));

    let app = with_other_apps(Backend::Sqlite).await;
    app.set_model(ModelCode::OTHER, false).await;
    assert_eq!(app.signed_in().await.get("/portal/tokens/other").await.status, 404);
}

//! A token and the browser that prescribes are two devices (21 CFR 1311.115(a)(3)).

use countersign_crypto::sha256;
use countersign_domain::SameBrowser;
use countersign_server::Limits;
use countersign_testkit::{Api, Backend, Browser, Phone, TestApp};
use data_encoding::HEXLOWER;
use http::Method;
use serde_json::json;

use crate::add;

const MARK_COOKIE: &str = "__Host-countersign-device";
const MARK: &str = "mark-of-the-browser-that-holds-the-token-43";
const HERE: &str = "This token is in the browser you are using now. Use a token on another device.";

async fn app_that(rule: SameBrowser) -> TestApp {
    let limits = Limits::new(100_000, 100_000);
    TestApp::with(Backend::Sqlite, limits, |options| options.policy.same_browser = rule).await
}

/// Makes the browser with [`MARK`] the home of a token.
async fn settle(app: &TestApp, phone: &Phone) {
    let hash = HEXLOWER.encode(&sha256(MARK.as_bytes()));
    let id = phone.credential.as_str();
    let sql = format!("UPDATE token SET browser_hash = x'{hash}' WHERE credential = '{id}'");
    app.database.execute(&sql).await;
    assert!(app.token(&phone.credential).await.device().browser.is_some());
}

fn in_the_same(mut browser: Browser) -> Browser {
    browser.set_cookie(MARK_COOKIE, MARK);
    browser
}

#[tokio::test]
async fn the_browser_is_told_whether_it_holds_a_session() {
    let app = TestApp::on(Backend::Sqlite).await;
    let ask = async |browser: &mut Browser| {
        let page = browser.get("/provision/v1/browser").await;
        assert_eq!(page.status, 200);
        serde_json::from_str::<serde_json::Value>(&page.body).unwrap()["portal_session"].clone()
    };
    assert_eq!(ask(&mut app.browser()).await, false);
    let mut liar = app.browser();
    liar.set_session(&"x".repeat(43));
    assert_eq!(ask(&mut liar).await, false);
    for mut browser in [app.launched("jlee").await, app.at_passcode().await, app.signed_in().await]
    {
        assert_eq!(ask(&mut browser).await, true);
    }
    // To ask doesn't keep a session alive.
    let mut browser = app.signed_in().await;
    for _ in 0..16 {
        app.clock.advance(60);
        ask(&mut browser).await;
    }
    assert_eq!(ask(&mut browser).await, false);
    browser.get("/portal/tokens").await.leads_to("/portal/login?ended=idle");
}

#[tokio::test]
async fn no_token_is_made_in_a_browser_with_a_session() {
    let app = app_that(SameBrowser::Deny).await;
    for mut browser in [app.launched("jlee").await, app.signed_in().await] {
        let reply = app.provision_in(&mut browser).await;
        reply.is_problem(409, "portal_browser");
        assert_eq!(browser.cookie(MARK_COOKIE), None);
    }
    assert!(app.events().await.contains(&"request_refused refused portal_browser".to_owned()));
    let lenient = app_that(SameBrowser::Warn).await;
    let mut browser = lenient.signed_in().await;
    assert_eq!(lenient.provision_in(&mut browser).await.status, 201);
}

#[tokio::test]
async fn a_browser_with_a_token_is_marked_once() {
    let app = TestApp::on(Backend::Sqlite).await;
    let mut browser = app.browser();
    let first = app.provision_in(&mut browser).await;
    let mark = browser.cookie(MARK_COOKIE).unwrap().to_owned();
    assert_eq!(mark.len(), 43);
    let set = first.headers["set-cookie"].to_str().unwrap();
    for part in ["; Path=/", "; Max-Age=34560000", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    let second = app.provision_in(&mut browser).await;
    assert_eq!(browser.cookie(MARK_COOKIE), Some(mark.as_str()), "kept");
    for reply in [first, second] {
        let id = reply.json["credential_id"].as_str().unwrap();
        let id = countersign_domain::CredentialId::parse(id, None).unwrap();
        let token = app.token(&id).await;
        assert_eq!(token.device().browser, Some(sha256(mark.as_bytes())));
    }
    // What isn't a mark of ours is replaced.
    let mut other = app.browser();
    other.set_cookie(MARK_COOKIE, "mine");
    app.provision_in(&mut other).await;
    assert_eq!(other.cookie(MARK_COOKIE).map(str::len), Some(43));
    // The terminal's token is in no browser.
    let phone = app.provision().await;
    assert_eq!(app.token(&phone.credential).await.device().browser, None);
}

#[tokio::test]
async fn deny_refuses_to_add_it_from_its_own_browser() {
    let app = app_that(SameBrowser::Deny).await;
    let phone = app.provision().await;
    settle(&app, &phone).await;
    let code = phone.code(app.now());
    let page = add(&mut in_the_same(app.signed_in().await), &phone, &code, &[]).await;
    assert_eq!(page.field_error("credential_id").as_deref(), Some(HERE));
    assert!(app.events().await.contains(&"token_added refused same_browser".to_owned()));
    // The code isn't spent: from another browser it does.
    add(&mut app.signed_in().await, &phone, &code, &[]).await.leads_to("/portal/tokens?done=added");
}

/// Shows: R-1311.115-a3, A1
#[tokio::test]
async fn deny_refuses_its_codes_in_its_own_browser() {
    let app = app_that(SameBrowser::Deny).await;
    settle(&app, &app.person.phone).await;
    let (_, other) = app.another_token(&app.person, "Hardware token").await;
    let token = app.person.token.to_string();

    // Chosen: refused whatever the code is, so that nothing is learned and nothing is counted.
    let mut browser = in_the_same(app.at_passcode().await);
    browser.get("/portal/login/passcode").await.says(200, "is in this browser");
    for code in [app.code(), countersign_testkit::WRONG_CODE.to_owned()] {
        let page = browser.passcode(&token, &code).await;
        assert_eq!(page.field_error("passcode").as_deref(), Some(HERE));
    }
    assert_eq!(app.owner_failures().await.count, 0);
    assert!(app.events().await.contains(&"passcode_tried refused same_browser".to_owned()));
    // Any of my tokens: refused too, and the code is spent, or right ones could be searched for here.
    let page = browser.passcode("any", &app.code()).await;
    assert_eq!(page.field_error("passcode").as_deref(), Some(HERE));
    let page = app.at_passcode().await.passcode(&token, &app.code()).await;
    assert!(page.field_error("passcode").unwrap().contains("already used"));
    // A token on another device works in that browser.
    browser.passcode("any", &other.code(app.now())).await.leads_to("/portal/dashboard");

    // The same to confirm a change.
    app.clock.advance(600);
    let code = app.code();
    let fields = [("name", "Mine"), ("stepup_token", token.as_str()), ("stepup_passcode", &code)];
    let page = browser.post(&format!("/portal/tokens/{token}/name"), &fields).await;
    assert_eq!(page.field_error("stepup_passcode").as_deref(), Some(HERE));

    // And to turn it back on.
    app.database.execute("UPDATE token SET state = 'disabled', state_reason = 'temporarily_unavailable' WHERE browser_hash IS NOT NULL").await;
    let fields = [("token", token.as_str()), ("passcode", code.as_str())];
    let page = in_the_same(app.at_passcode().await).post("/portal/login/enable", &fields).await;
    assert_eq!(page.field_error("passcode").as_deref(), Some(HERE));
    assert!(app.events().await.contains(&"token_enabled refused same_browser".to_owned()));
}

#[tokio::test]
async fn warn_lets_it_pass_says_so_and_records_it() {
    let app = app_that(SameBrowser::Warn).await;
    settle(&app, &app.person.phone).await;
    let mut browser = in_the_same(app.at_passcode().await);
    browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    browser.get("/portal/dashboard").await.says(200, "is in the browser you are using");
    let phone = app.provision().await;
    settle(&app, &phone).await;
    let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
    page.leads_to("/portal/tokens?done=added");
    browser.get("/portal/tokens?done=added").await.says(200, "is in the browser you are using");
    let events = app.events().await;
    for event in ["passcode_tried success same_browser", "token_added success same_browser"] {
        assert!(events.contains(&event.to_owned()), "{event}: {events:?}");
    }
    // Elsewhere there is nothing to say.
    let mut elsewhere = app.signed_in().await;
    let page = elsewhere.get("/portal/dashboard").await;
    assert!(!page.body.contains("is in the browser you are using"));
}

#[tokio::test]
async fn another_origin_reads_nothing_of_the_browser() {
    let app = TestApp::on(Backend::Sqlite).await;
    let reply = Api::new(app.router(), None);
    let reply = reply.send(Method::GET, "/provision/v1/browser", "", vec![]).await;
    assert_eq!(reply.json, json!({ "portal_session": false }));
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
    assert_eq!(reply.headers["cache-control"], "no-store");
}

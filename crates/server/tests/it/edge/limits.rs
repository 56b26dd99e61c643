//! Limits by address: what fills them, whom they leave alone, what a refusal says.

use std::sync::Arc;

use axum::body::Body;
use countersign_app::Vip;
use countersign_crypto::SystemRng;
use countersign_provision::vip::VipKeys;
use countersign_server::Limits;
use countersign_testkit::{
    Api, Backend, Browser, PASSPHRASE, Page, TestApp, WRONG_CODE, npi, wanted,
};
use http::Request;

use super::{FORM, WRONG, ip};

#[track_caller]
fn says_when(page: &Page, what: &str) {
    assert!(matches!(page.status, 429 | 503), "{what}: {} {:.300}", page.status, page.body);
    let seconds: u64 = page.header("retry-after").parse().unwrap_or(0);
    assert!((1..=60).contains(&seconds), "{what}: {:?}", page.header("retry-after"));
}

async fn post(app: &TestApp, path: &str, kind: &str, body: &str) -> Page {
    let request = Request::post(path).header("content-type", kind);
    app.browser().send(request.body(Body::from(body.to_owned())).unwrap()).await
}

const TOKEN_FORM: &str = "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c";

/// An attempt at each door that fails, until the door is shut: the walk goes over every door that a limit of an
/// address shuts, and over what is shut for all.
#[tokio::test]
async fn every_429_and_503_says_when_to_try_again() {
    let vip = Vip {
        path: "/vip".to_owned(),
        keys: VipKeys::random(&mut SystemRng).unwrap(),
        clock_tolerance_seconds: 300,
    };
    let limits = Limits::new(1, 1).for_all(1);
    let app = TestApp::with(Backend::Sqlite, limits, |o| o.vip = Some(Arc::new(vip))).await;
    let mut browser = app.browser();
    let sign_in = npi(5).as_text();
    let forgot = [
        ("npi", sign_in.as_str()),
        ("first", "111111"),
        ("second", "222222"),
        ("channel", "phone"),
    ];

    assert_eq!(browser.pass(&sign_in, WRONG).await.status, 422);
    let shut = browser.pass(&sign_in, WRONG).await;
    says_when(&shut, "log-in");
    shut.says(429, "Wait a moment");
    assert!(shut.support_code().is_some());
    assert_eq!(browser.post("/portal/forgot", &forgot).await.status, 422);
    says_when(&browser.post("/portal/forgot", &forgot).await, "forgotten passphrase");
    assert_eq!(browser.get("/launch?token=x").await.status, 403);
    for path in ["/launch?token=x", "/smart/launch?iss=x", "/smart/callback?state=x&code=y"] {
        says_when(&browser.get(path).await, path);
    }
    assert_eq!(browser.get("/invitation/none").await.status, 404);
    for path in ["/invitation/none", "/not-me/none"] {
        says_when(&browser.get(path).await, path);
        says_when(&browser.post(path, &[]).await, path);
    }
    says_when(&browser.post("/invitation/none/again", &[]).await, "another invitation");
    assert_eq!(post(&app, "/api/v1/token", FORM, TOKEN_FORM).await.status, 401);
    says_when(&post(&app, "/api/v1/token", FORM, TOKEN_FORM).await, "access token");

    let mut asker = Api::new(app.router(), None);
    asker.provision(None).await;
    let unknown = "ABCDEFGHIJKLMNOPQRSTUVWXYY";
    asker.ask_pairing(unknown).await.is_problem(404, "pairing_unknown");
    for (what, reply) in [
        ("new token", asker.ask_provision(None).await),
        ("pairing code", asker.ask_pairing(unknown).await),
        ("new token from elsewhere", {
            asker.address = ip("192.0.2.9");
            asker.ask_provision(None).await
        }),
    ] {
        reply.is_problem(429, "too_many");
        let seconds: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{what}");
    }

    assert_eq!(post(&app, "/vip/prov", "", "nonsense").await.status, 400);
    says_when(&post(&app, "/vip/prov", "", "nonsense").await, "VIP prov");
    assert_eq!(post(&app, "/vip/otpCheck", FORM, "a=b").await.status, 400);
    says_when(&post(&app, "/vip/otpCheck", FORM, "a=b").await, "VIP check");
    says_when(&post(&app, "/vip/otpSync", FORM, "a=b").await, "VIP sync");

    // What is not limited goes on.
    for path in
        ["/portal/login", "/portal/forgot", "/static/portal.css", "/authenticator/", "/healthz"]
    {
        for _ in 0..3 {
            assert_eq!(browser.get(path).await.status, 200, "{path}");
        }
    }
    // Without a database: a page, a problem, and the word for the monitor.
    let holder = app.database.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut elsewhere = app.browser();
    elsewhere.address = Some(ip("192.0.2.10"));
    says_when(&elsewhere.pass(&sign_in, WRONG).await, "a page without a database");
    let reply = Api::new(app.router(), Some("cs_unknown".to_owned()))
        .check("CNST00000000", WRONG_CODE)
        .await;
    reply.is_problem(503, "unavailable");
    assert_eq!(reply.headers["retry-after"], "5");
    holder.execute_batch("ROLLBACK").unwrap();
}

/// What one thing uses up, another has still.
#[tokio::test]
async fn what_fills_one_limit_leaves_the_others_as_they_are() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut browser = app.browser();
    for number in 0..60 {
        let expected = if number < 5 { 403 } else { 429 };
        assert_eq!(browser.get("/smart/launch?iss=x").await.status, expected);
        browser.get("/invitation/none").await;
        post(&app, "/api/v1/token", FORM, TOKEN_FORM).await;
        Api::new(app.router(), None).ask_provision(None).await;
    }
    let me = app.person.npi.as_text();
    app.browser().pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
    let form =
        [("npi", me.as_str()), ("first", "111111"), ("second", "222222"), ("channel", "phone")];
    assert_eq!(app.browser().post("/portal/forgot", &form).await.status, 422);
    // And the other way round: a guesser at the log-in stops no launch.
    app.clock.advance(60);
    for _ in 0..20 {
        browser.pass(&npi(6).as_text(), WRONG).await;
    }
    assert_eq!(app.browser().pass(&me, PASSPHRASE).await.status, 429);
    app.launched("amoreno").await;
}

/// What a page of another site loads as a picture, a frame or by script is refused, fills no limit and ends nothing; a
/// navigation of the whole tab is a launch.
#[tokio::test]
async fn pages_of_other_sites_fill_no_limit_behind_their_readers_back() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut chart = app.launched("amoreno").await;
    let forms = [
        ("GET", "/smart/launch?iss=x", "no-cors", "image"),
        ("GET", "/smart/launch?iss=x", "navigate", "iframe"),
        ("GET", "/launch?token=x", "cors", "empty"),
        ("GET", "/invitation/none", "no-cors", "image"),
        ("POST", "/api/v1/token", "navigate", "document"),
        ("POST", "/provision/v1/credentials", "navigate", "document"),
    ];
    for _ in 0..20 {
        for (method, path, mode, dest) in forms {
            let mut request = chart.request(&method.parse().unwrap(), path);
            let headers = request.headers_mut().unwrap();
            for (name, value) in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            let page = chart.clone().send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(page.status, 403, "{path} {mode} {dest}");
        }
    }
    chart.get("/e-prescribing").await.says(200, "Rosa Lindqvist");
    app.launched("amoreno").await;
    let reply = post(&app, "/api/v1/token", FORM, TOKEN_FORM).await;
    assert_ne!(reply.status, 429);
    let mut request = app.browser().request(&http::Method::GET, "/smart/launch?iss=x");
    let headers = request.headers_mut().unwrap();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let page = app.browser().send(request.body(Body::empty()).unwrap()).await;
    page.says(403, "This EHR is not registered");
}

/// A browser that the account knows logs in while somebody guesses behind the same address.
#[tokio::test]
async fn a_known_browser_is_not_kept_out_by_its_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut known = app.browser();
    known.pass(&app.person.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
    known.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    known.post("/sign-out", &[]).await;
    app.clock.advance(30);
    for number in 0..20 {
        app.browser().pass(&npi(number + 50).as_text(), WRONG).await;
    }
    let me = app.person.npi.as_text();
    assert_eq!(app.browser().pass(&me, PASSPHRASE).await.status, 429);
    known.pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
}

/// Right log-ins, launches and open links from one address are never too many.
#[tokio::test]
async fn what_is_right_is_never_limited() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(2, 2), |_| {}).await;
    let me = app.person.npi.as_text();
    for _ in 0..5 {
        app.browser().pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
        app.launched("amoreno").await;
        // A SMART launch counts until it has come back.
        let (mut here, mut ehr) = (app.browser(), Browser::new(app.charts.clone()));
        ehr.get("/switch?user=amoreno").await;
        let there = ehr.get("/patients/p-1001/e-prescribing").await;
        let away = here.get(there.location().strip_prefix("https://erx.test").unwrap()).await;
        let back =
            ehr.get(away.location().strip_prefix(countersign_testkit::EHR_ORIGIN).unwrap()).await;
        here.get(back.location().strip_prefix("https://erx.test").unwrap())
            .await
            .says(200, "Opening");
    }
    // An empty field is no attempt.
    for _ in 0..5 {
        assert_eq!(app.browser().pass(&me, "").await.status, 422);
    }
}

async fn no_pairing_is_stopped(backend: Backend) {
    let app = TestApp::with(backend, Limits::new(100, 2).for_all(2), |_| {}).await;
    let mut owner = app.signed_in().await;
    let page = owner.post("/portal/pairings", &[]).await;
    let address = page.location().to_owned();
    let page = owner.get(&address).await;
    let code = page.hook("pairing-code").text();
    // From the very address from which the owner's phone will ask.
    let asker = Api::new(app.router(), None);
    for _ in 0..20 {
        asker.ask_provision(None).await;
        asker.ask_pairing("ABCDEFGHIJKLMNOPQRSTUVWXYY").await;
    }
    asker.ask_provision(None).await.is_problem(429, "too_many");
    asker.ask_pairing("ABCDEFGHIJKLMNOPQRSTUVWXYY").await.is_problem(429, "too_many");
    asker.pair(&code).await;
    // A code that was used is one that nobody shows.
    asker.ask_pairing(&code).await.is_problem(429, "too_many");
}

#[tokio::test]
async fn foreign_requests_stop_no_pairing_and_guesses_stay_limited() {
    no_pairing_is_stopped(Backend::Sqlite).await;
    if wanted(Backend::Postgres) {
        no_pairing_is_stopped(Backend::Postgres).await;
    }
}

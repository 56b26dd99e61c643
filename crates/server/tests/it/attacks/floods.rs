//! Attacks by many requests at once.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use countersign_server::Limits;
use countersign_testkit::{Api, Backend, PASSPHRASE, TestApp, both, npi};
use http::{Method, Request};
use tokio::task::JoinSet;

both! {
    /// Forms from elsewhere leave records, each with the code of its page; a storm of them fills
    /// no disk, and is counted all the same.
    async fn a_storm_of_refused_forms(app: TestApp) {
        let mut browser = app.browser();
        let elsewhere = |from: u8| {
            let mut request = Request::post("/portal/login")
                .header("origin", "https://evil.test")
                .header("host", "erx.test")
                .body(Body::from("a=b"))
                .unwrap();
            let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, from));
            request.extensions_mut().insert(axum::extract::ConnectInfo(there));
            request
        };
        let unmarked = Request::post("/portal/login").body(Body::from("a=b")).unwrap();
        browser.send(unmarked).await.says(403, "You don't have access");
        let page = browser.send(elsewhere(0)).await;
        let code = page.support_code().unwrap().to_owned();
        let sql = format!("SELECT kind, outcome, reason FROM audit_event WHERE support = '{code}'");
        let records = app.database.texts(&sql).await;
        assert_eq!(records, ["request_refused refused form_of_other_origin"]);

        for from in 0..70 {
            for _ in 0..8 {
                assert_eq!(browser.send(elsewhere(from)).await.status, 403);
            }
        }
        let count = "SELECT CAST(COUNT(*) AS TEXT) FROM audit_event WHERE kind = 'request_refused'";
        assert_eq!(app.database.texts(count).await, ["60"]);
        app.clock.advance(60);
        browser.send(elsewhere(1)).await;
        // Of 562 there are 60 on record; the others are told by the records after them.
        let all = "SELECT detail FROM audit_event WHERE detail LIKE '%without a record'";
        let sum: i64 = app
            .database
            .texts(all)
            .await
            .iter()
            .map(|text| text.split(' ').next().unwrap().parse::<i64>().unwrap())
            .sum();
        assert_eq!(sum, 562 - 60);
        // No address is kept.
        let texts = "SELECT reason, detail FROM audit_event WHERE kind = 'request_refused'";
        assert!(app.database.texts(texts).await.iter().all(|text| !text.contains("192.0.2")));
    }
}

/// Sign-ins that fail are counted for each address, and what is too much is refused before anything costs.
#[tokio::test]
async fn a_flood_of_sign_ins_from_one_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut browser = app.browser();
    for _ in 0..5 {
        assert_eq!(browser.pass(&npi(5).as_text(), "not the right passphrase").await.status, 422);
    }
    let page = browser.pass(&app.person.npi.as_text(), PASSPHRASE).await;
    page.says(429, "Wait a moment");
    let sql = format!(
        "SELECT kind, reason FROM audit_event WHERE support = '{}'",
        page.support_code().unwrap()
    );
    assert_eq!(app.database.texts(&sql).await, ["request_refused sign_in_limit"]);
    assert!(page.session().is_none());
    // Another address is served. The address is that of the connection, whatever a header says.
    let mut request = browser
        .request(&Method::POST, "/portal/login")
        .body(Body::from(format!("npi={}", npi(5).as_text())))
        .unwrap();
    request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    assert_eq!(browser.send(request).await.status, 429);
    let mut request = browser
        .request(&Method::POST, "/portal/login")
        .body(Body::from(format!("npi={}", npi(5).as_text())))
        .unwrap();
    let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    request.extensions_mut().insert(axum::extract::ConnectInfo(there));
    assert_eq!(browser.send(request).await.status, 422);
}

/// Those that fail at the same moment are no more than that either: none begins in a place that another may yet take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_simultaneous_sign_ins_from_one_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut flood = JoinSet::new();
    for number in (2_000..).take(40) {
        let mut browser = app.browser();
        flood.spawn(async move {
            browser.pass(&npi(number).as_text(), "not the right passphrase").await.status
        });
    }
    let answers = flood.join_all().await;
    let count = |status: u16| answers.iter().filter(|it| **it == status).count();
    assert_eq!((count(422), count(429)), (5, 35));
}

/// Passcode checks go on while many passphrases are being hashed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sign_ins_starves_passcode_checks() {
    const STORM: usize = 40;
    let app = TestApp::on(Backend::Sqlite).await;
    let api: Api = app.api().await;
    let (finished, mut storm) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for number in (1_000..).take(STORM) {
        let (mut browser, finished) = (app.browser(), Arc::clone(&finished));
        storm.spawn(async move {
            let page = browser.pass(&npi(number).as_text(), PASSPHRASE).await;
            finished.fetch_add(1, Ordering::SeqCst);
            page.status
        });
    }
    // Once one is through, all others stand in line for their hash.
    assert_eq!(storm.join_next().await.unwrap().unwrap(), 422);
    let credential = app.person.phone.credential.to_string();
    assert!(api.check(&credential, &app.code()).await.verified());
    let before = finished.load(Ordering::SeqCst);
    assert!(before < STORM / 2, "the check waited for {before} hashes");
    assert!(storm.join_all().await.into_iter().all(|status| status == 422));
}

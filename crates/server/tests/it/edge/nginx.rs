//! Behind a real nginx.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_domain::Timestamp;
use countersign_server::{AddressSource, Limits, ListenOptions};
use countersign_testkit::{Backend, PASSPHRASE, Phone, TestApp, fill, npi};
use tokio::task::JoinSet;

use super::{Proxy, WRONG, field, nginx, serve, status, trusting};

/// Everything that somebody does to sign in, from one address that all share.
async fn signs_in(proxy: &Proxy, number: u32, phone: &Phone, now: Timestamp) {
    const CLINIC: &str = "127.0.0.7";
    for path in ["/portal/login", "/static/portal.css", "/static/portal.js", "/static/logo.svg"] {
        let answer = proxy.send(CLINIC, "GET", path, "", "").await;
        assert_eq!(status(&answer), 200, "{number} {path}: {answer:.300}");
    }
    let form = format!(
        "npi={}&passphrase={}",
        npi(50_000 + number).as_text(),
        PASSPHRASE.replace(' ', "+")
    );
    let answer = proxy.send(CLINIC, "POST", "/portal/login", "", &form).await;
    assert_eq!(status(&answer), 303, "{number}: {answer:.300}");
    let cookie = field(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let path = "/portal/login/passcode";
    assert_eq!(field(&answer, "location"), Some(path));
    assert_eq!(status(&proxy.send(CLINIC, "GET", path, &cookie, "").await), 200);
    let form = format!("token=any&passcode={}", phone.code(now));
    let answer = proxy.send(CLINIC, "POST", path, &cookie, &form).await;
    assert_eq!(
        (status(&answer), field(&answer, "location")),
        (303, Some("/portal/dashboard")),
        "{answer:.300}"
    );
}

/// Eight in the morning at a clinic whose people share one address, behind a real proxy, while somebody else guesses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_behind_one_address_sign_in_while_another_floods() {
    const PEOPLE: u32 = 200;
    const GUESSERS: usize = 4;
    const ATTACKER: &str = "127.0.0.66";
    const LIMIT: usize = 60;
    let Some(nginx) = nginx() else { return };
    let limits = Limits::new(60, 10).behind(trusting(&["127.0.0.1"], AddressSource::XForwardedFor));
    let app = TestApp::with(Backend::Sqlite, limits, |_| {}).await;
    let phones = fill(&app.store, PEOPLE, "key", app.now()).await;
    let served = serve(app.router(), ListenOptions::default()).await;
    let proxy = Arc::new(Proxy::start(&nginx, served.address).await);

    let (over, judged, refused) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut guessers = JoinSet::new();
    for guesser in 0..GUESSERS {
        let (proxy, over) = (Arc::clone(&proxy), Arc::clone(&over));
        let (judged, refused) = (Arc::clone(&judged), Arc::clone(&refused));
        guessers.spawn(async move {
            let mut number = u32::try_from(guesser).unwrap();
            while !over.load(Ordering::SeqCst) {
                // Another NPI each time: no pause of an account stops this.
                number += 4;
                let form =
                    format!("npi={}&passphrase={}", npi(number).as_text(), WRONG.replace(' ', "+"));
                let answer = proxy.send(ATTACKER, "POST", "/portal/login", "", &form).await;
                match status(&answer) {
                    422 => judged.fetch_add(1, Ordering::SeqCst),
                    429 => {
                        assert!(field(&answer, "retry-after").is_some(), "{answer:.300}");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                    other => panic!("{other}: {answer:.300}"),
                };
            }
        });
    }
    let mut people = JoinSet::new();
    for (number, phone) in (0..).zip(phones) {
        if people.len() >= 16 {
            people.join_next().await.unwrap().unwrap();
        }
        let (proxy, now) = (Arc::clone(&proxy), app.now());
        people.spawn(async move { signs_in(&proxy, number, &phone, now).await });
    }
    while let Some(done) = people.join_next().await {
        done.unwrap();
    }
    while refused.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    over.store(true, Ordering::SeqCst);
    while let Some(done) = guessers.join_next().await {
        done.unwrap();
    }
    // As many as the limit, and at most one more for each that was under way when the last one failed.
    let judged = judged.load(Ordering::SeqCst);
    assert!((LIMIT..=LIMIT + GUESSERS).contains(&judged), "{judged}");
    let sign_ins = "SELECT CAST(COUNT(*) AS TEXT) FROM audit_event WHERE kind = 'passcode_tried' AND outcome = 'success'";
    assert_eq!(app.database.texts(sign_ins).await, [PEOPLE.to_string()]);
    // Who shares the attacker's address waits; what the client itself wrote as its address has helped nobody.
    let form =
        format!("npi={}&passphrase={}", app.person.npi.as_text(), PASSPHRASE.replace(' ', "+"));
    let answer = proxy.send(ATTACKER, "POST", "/portal/login", "", &form).await;
    assert_eq!(status(&answer), 429);
    let answer = proxy.send("127.0.0.8", "POST", "/portal/login", "", &form).await;
    assert_eq!(status(&answer), 303);
}

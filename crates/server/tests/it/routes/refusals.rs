//! Without a session, at the wrong stage, by the wrong method, with a foreign token, from elsewhere.

use axum::body::Body;
use countersign_store::Stage;
use countersign_testkit::{Api, Backend, TestApp};
use http::{Method, Request};

use super::{
    ROUTES,
    Who::{
        self, Anyone, Bereft, Charted, Enrolling, Full, Machine, Pairing, Passphrase, Resetting,
    },
    address, check_headers, methods, open,
};

/// Shows: H-164.312-a1
#[tokio::test]
async fn without_a_session() {
    let app = TestApp::on(Backend::Sqlite).await;
    for (path, list, who) in ROUTES {
        let path = address(path, app.person.token);
        for method in methods(list) {
            let page = open(&mut app.browser(), method.clone(), &path).await;
            match who {
                Anyone(status)
                    if method == Method::GET || path == "/sign-out" || path.ends_with("/again") =>
                {
                    assert_eq!(page.status, status, "{method} {path}");
                }
                Anyone(_) => assert_eq!(page.status, 422, "{method} {path}"),
                Charted => assert_eq!(page.status, 403, "{method} {path}"),
                Resetting => page.leads_to("/portal/forgot"),
                Passphrase | Bereft | Pairing | Enrolling | Full => page.leads_to("/portal/login"),
                Machine(status) => assert!(
                    page.status == status || page.status == 415,
                    "{method} {path}: {}",
                    page.status
                ),
            }
        }
    }
}

#[tokio::test]
async fn at_the_wrong_stage() {
    let app = TestApp::on(Backend::Sqlite).await;
    let nurse = app.launched("jlee").await;
    let prescriber = app.launched("amoreno").await;
    let passphrase = app.at_passcode().await;
    let full = app.signed_in().await;
    let prescriber_id = app.person.id;
    let enrolling = app.browser_at(Stage::Enrolling { prescriber: prescriber_id }).await;
    let resetting = app.browser_at(Stage::Resetting { prescriber: prescriber_id }).await;
    for (path, list, who) in ROUTES {
        let path = address(path, app.person.token);
        let stages = match who {
            Passphrase => vec![
                (&nurse, "/portal/login"),
                (&prescriber, "/portal/login"),
                (&full, "/portal/dashboard"),
                (&enrolling, "/enrol"),
                (&resetting, "/portal/forgot/code"),
            ],
            Full => vec![
                (&nurse, "/portal/login"),
                (&prescriber, "/portal/login"),
                (&passphrase, "/portal/login/passcode"),
                (&enrolling, "/enrol"),
                (&resetting, "/portal/forgot/code"),
            ],
            Bereft => vec![
                (&nurse, "/portal/login"),
                (&prescriber, "/portal/login"),
                (&passphrase, "/portal/login/passcode"),
                (&full, "/portal/tokens"),
                (&enrolling, "/enrol"),
            ],
            Pairing => vec![(&nurse, "/portal/login"), (&prescriber, "/portal/login")],
            Enrolling | Resetting => vec![
                (&nurse, "/portal/login"),
                (&prescriber, "/portal/login"),
                (&passphrase, "/portal/login/passcode"),
                (&full, "/portal/dashboard"),
            ],
            Anyone(_) | Charted | Machine(_) => vec![],
        };
        for method in methods(list) {
            for (browser, to) in &stages {
                let before = app.event_count().await;
                let page = open(&mut (*browser).clone(), method.clone(), &path).await;
                assert_eq!(page.location(), *to, "{method} {path}");
                assert_eq!(app.event_count().await, before);
            }
        }
    }
}

#[tokio::test]
async fn by_the_wrong_method() {
    let app = TestApp::on(Backend::Sqlite).await;
    let browser = app.signed_in().await;
    for (path, list, who) in ROUTES {
        let path = address(path, app.person.token);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if list.split(' ').any(|allowed| allowed == method) {
                continue;
            }
            let request =
                browser.request(&Method::POST, &path).method(method).body(Body::empty()).unwrap();
            let page = browser.clone().send(request).await;
            assert_eq!(page.status, 405, "{method} {path}");
            check_headers(&page, &path);
            if let Machine(_) = who {
                let kind = page.header("content-type");
                assert_eq!(kind, "application/problem+json", "{method} {path}");
            }
        }
    }
    let page = browser.clone().get("/no/such/page").await;
    page.says(404, "Page not found");
    check_headers(&page, "/no/such/page");
    let reply = Api::new(app.router(), None).send(Method::GET, "/api/v1/nothing", "", vec![]).await;
    reply.is_problem(404, "not_found");
}

#[tokio::test]
async fn with_the_token_of_another_prescriber() {
    let mut app = TestApp::on(Backend::Sqlite).await;
    let other = app.another_person().await;
    let mut browser = app.signed_in().await;
    let unassociated = app.provision().await;
    let strangers = [
        other.token.to_string(),
        app.token_id(&unassociated.credential).await.to_string(),
        "0196f000-0000-7000-8000-000000000000".to_owned(),
        "new-thing".to_owned(),
        app.person.token.to_string().to_uppercase() + "0",
    ];
    // What is in another chart: `prescribing.rs` tries that; what is another system's: `integration.rs`.
    let of_a_chart = |who: &Who| matches!(who, Charted | Machine(_));
    let named = |(path, _, who): &&(&str, &str, Who)| path.contains("{id}") && !of_a_chart(who);
    for (path, list, _) in ROUTES.iter().filter(named) {
        for stranger in &strangers {
            let practice = app.practice.to_string();
            let path = path.replace("{id}", stranger).replace("{practice}", &practice);
            for method in methods(list) {
                let before = app.event_count().await;
                let page = open(&mut browser, method.clone(), &path).await;
                assert_eq!(page.status, 404, "{method} {path}");
                assert_eq!(app.event_count().await, before);
            }
        }
    }
    assert!(app.token(&other.phone.credential).await.is_active());
}

#[tokio::test]
async fn forms_from_elsewhere() {
    let app = TestApp::on(Backend::Sqlite).await;
    let browser = app.signed_in().await;
    let cookie = format!("__Host-countersign={}", browser.session().unwrap());
    let mut refused = 0;
    for (path, list, who) in ROUTES {
        if !list.contains("POST") || matches!(who, Machine(_)) {
            continue;
        }
        let path = address(path, app.person.token);
        let headers: [&[(&str, &str)]; 4] = [
            &[],
            &[("origin", "https://evil.test")],
            &[("sec-fetch-site", "cross-site")],
            &[("origin", "https://erx.test"), ("sec-fetch-site", "cross-site")],
        ];
        for set in headers {
            let before = app.event_count().await;
            let mut request = Request::post(&path)
                .header("cookie", &cookie)
                .header("content-type", "application/x-www-form-urlencoded");
            for (name, value) in set {
                request = request.header(*name, *value);
            }
            let page = browser.clone().send(request.body(Body::from("a=b")).unwrap()).await;
            // What the browser says of origin and site must agree.
            assert_eq!(page.status, 403, "{path} {set:?}");
            assert!(page.support_code().is_some(), "{path} {set:?}");
            // A minute has six records of such refusals by one address; the rest is counted.
            let records = i64::from(refused < 6);
            assert_eq!(app.event_count().await - before, records, "{path} {set:?}");
            refused += 1;
            check_headers(&page, &path);
        }
    }
}

//! Whom a request is for: hosts and origins.

use axum::body::Body;
use countersign_server::ListenOptions;
use countersign_testkit::{Api, Backend, TestApp};
use http::Method;

use super::{FORM, field, raw, serve, status};

/// A request is for us or for nobody here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_requests_for_our_own_host_are_served() {
    let app = TestApp::on(Backend::Sqlite).await;
    let served = serve(app.router(), ListenOptions::default()).await;
    let ask = async |target: &str, hosts: &[&str], version: &str| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let text = format!("GET {target} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        raw(served.address, text.as_bytes()).await
    };
    for (target, hosts, expected) in [
        ("/portal/login", vec!["erx.test"], 200),
        ("/portal/login", vec!["ERX.test:443"], 200),
        ("http://erx.test/portal/login", vec!["erx.test"], 200),
        ("/portal/login", vec!["evil.test"], 421),
        ("/portal/login", vec!["erx.test:8443"], 421),
        ("/portal/login", vec!["erx.test."], 421),
        ("/portal/login", vec!["127.0.0.1"], 421),
        ("/static/portal.css", vec!["evil.test"], 421),
        ("/no/such/page", vec!["evil.test"], 421),
        ("/authenticator/", vec!["evil.test"], 421),
        ("http://evil.test/portal/login", vec!["erx.test"], 421),
        ("http://erx.test/portal/login", vec!["evil.test"], 421),
        ("/portal/login", vec![], 400),
        ("/portal/login", vec![""], 400),
        ("/portal/login", vec!["erx.test", "erx.test"], 400),
        ("/portal/login", vec!["erx.test", "evil.test"], 400),
        ("/portal/login", vec!["erx.test, evil.test"], 400),
        // Monitors ask by the address of the machine.
        ("/healthz", vec!["10.0.0.1:8700"], 200),
        ("/readyz", vec![], 200),
    ] {
        for version in ["1.1", "1.0"] {
            let answer = ask(target, &hosts, version).await;
            assert_eq!(status(&answer), expected, "{target} {hosts:?} {version}: {answer:.300}");
            if matches!(expected, 400 | 421) {
                assert!(answer.contains("https://erx.test"), "says where we are: {answer}");
                assert!(field(&answer, "content-security-policy").is_some());
                assert_eq!(field(&answer, "cache-control"), Some("no-store"));
            }
        }
    }
    for path in ["/api/v1/openapi.json", "/provision/v1/time"] {
        let answer = ask(path, &["evil.test"], "1.1").await;
        assert_eq!(status(&answer), 421);
        assert_eq!(field(&answer, "content-type"), Some("application/problem+json"));
        assert!(
            answer.contains("\"code\":\"host_foreign\"") && answer.contains("https://erx.test")
        );
    }
}

/// Whatever its own host says, a form comes from the origin that is configured.
#[tokio::test]
async fn forms_and_new_tokens_of_other_origins_are_refused() {
    let app = TestApp::on(Backend::Sqlite).await;
    for origin in [
        "",
        "null",
        "http://erx.test",
        "https://erx.test:8443",
        "https://erx.test.",
        "https://ERX.test",
        "https://evil.test",
    ] {
        for site in [None, Some("same-origin")] {
            let mut browser = app.signed_in().await;
            let send = |path: &'static str, kind: &str, body: String| {
                let mut request =
                    browser.request(&Method::POST, path).body(Body::from(body)).unwrap();
                let headers = request.headers_mut();
                headers.insert("origin", origin.parse().unwrap());
                headers.insert("content-type", kind.parse().unwrap());
                headers.remove("sec-fetch-site");
                if let Some(site) = site {
                    headers.insert("sec-fetch-site", site.parse().unwrap());
                }
                request
            };
            let form = send("/portal/passphrase", FORM, "current=x".to_owned());
            let token = send("/provision/v1/credentials", "application/json", "{}".to_owned());
            assert_eq!(browser.send(form).await.status, 403, "{origin:?}");
            let page = browser.send(token).await;
            assert_eq!(page.status, 403, "{origin:?}");
            assert!(page.body.contains("\"origin_foreign\""), "{}", page.body);
        }
    }
    // An app that is no browser says nothing of an origin.
    Api::new(app.router(), None).provision(None).await;
}

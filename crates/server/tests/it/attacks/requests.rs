//! Attacks by what a request contains: redirects, HTML, long fields, malformed bodies, floods of headers, forms of other sites.

use std::time::Duration;

use axum::body::Body;
use countersign_server::{Listening, listen};
use countersign_testkit::{Backend, KeepAlive, PASSPHRASE, TestApp, WRONG_CODE, both};
use http::{Method, Request};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::add;

both! {
    /// Nothing that a client sends is long enough, or odd enough, to keep its own event from being
    /// written.
    async fn a_long_field_suppresses_the_audit_record(app: TestApp) {
        let long = "9".repeat(14_000);
        let header = "z".repeat(60_000);
        for text in [long.as_str(), "\u{0}\u{0}", "'; DROP TABLE audit_event; --", "\u{1f9ff}\u{202e}"] {
            let before = app.event_count().await;
            let fields = [("npi", app.person.npi.as_text()), ("passphrase", text.to_owned())];
            let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
            let mut browser = app.browser();
            let body = fields
                .iter()
                .map(|(name, value)| {
                    let value: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
                    format!("{name}={value}")
                })
                .collect::<Vec<_>>()
                .join("&");
            let body = if body.len() > 15_000 {
                format!("npi={}&passphrase={text}", app.person.npi.as_text())
            } else {
                body
            };
            let request = browser
                .request(&Method::POST, "/portal/login")
                .header("user-agent", &header)
                .header("x-forwarded-for", &header)
                .body(Body::from(body))
                .unwrap();
            let page = browser.send(request).await;
            page.says(422, "Incorrect NPI or passphrase");
            assert_eq!(app.event_count().await - before, 1, "{text:.20}");
            app.database.execute("DELETE FROM sign_in_pause").await;
        }
        // The longest name that a token may have, in the widest characters.
        let name = "\u{1f511}".repeat(40);
        let mut browser = app.signed_in().await;
        let before = app.event_count().await;
        let path = format!("/portal/tokens/{}/name", app.person.token);
        assert_eq!(browser.post(&path, &[("name", &name)]).await.status, 303);
        assert_eq!(app.event_count().await - before, 1);
        // A check with a long ID is answered, and on record, like any unknown one.
        let api = app.api().await;
        let before = app.event_count().await;
        assert!(!api.check(&"C".repeat(3_000), WRONG_CODE).await.verified());
        assert_eq!(app.event_count().await - before, 1);
    }

    /// No address that a client gives leads a browser elsewhere.
    async fn open_redirect(app: TestApp) {
        let evil = "https://evil.test/";
        let mut browser = app.browser();
        for path in [
            "/portal/login?next=https://evil.test/",
            "/portal?return=//evil.test",
            "//evil.test/",
            "/portal/login/passcode?to=https://evil.test/",
            "/launch?token=x&redirect=https://evil.test/",
            "/portal/tokens//evil.test/",
        ] {
            let page = browser.get(path).await;
            assert!(!page.location().contains("evil") && !page.body.contains("url=https://evil"));
        }
        let request = Request::get("/").header("host", "evil.test").body(Body::empty()).unwrap();
        let page = browser.send(request).await;
        assert_eq!((page.status, page.location()), (421, ""));
        assert!(!page.body.contains("evil"), "{}", page.body);
        let fields = [("npi", app.person.npi.as_text()), ("passphrase", PASSPHRASE.to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let mut more = fields.clone();
        more.extend([("next", evil), ("return_to", evil)]);
        browser.post("/portal/login", &more).await.leads_to("/portal/login/passcode");
    }

    /// What a person or an EHR typed is shown as text, wherever it is shown.
    async fn html_injection(app: TestApp) {
        let name = "<script>x</script>\"'&";
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{}", app.person.token);
        let page = browser.post(&format!("{path}/name"), &[("name", name)]).await;
        assert_eq!(page.status, 303);
        let no_markup = |page: &countersign_testkit::Page| {
            for bad in ["<script>x", "\"'&\"", "<img ", "onerror=\"", "javascript:"] {
                let found = page.body.match_indices(bad).count();
                let own = if bad == "<img " { page.body.matches("<img src=\"/static/").count() } else { 0 };
                assert_eq!(found, own, "{bad} in {}", page.body);
            }
        };
        let pages = [
            "/portal/tokens".to_owned(),
            "/portal/tokens/new".to_owned(),
            "/portal/dashboard".to_owned(),
            "/portal/history".to_owned(),
            path.clone(),
            format!("{path}/disable"),
            format!("{path}/test"),
            format!("{path}/resync"),
            "/portal/tokens?done=<script>x</script>".replace('<', "%3C").replace('>', "%3E"),
            "/signed-out?expired=%3Cscript%3Ex".to_owned(),
            "/portal/login?ended=%3Cscript%3Ex".to_owned(),
            "/nowhere/%3Cscript%3Ex%3C/script%3E".to_owned(),
        ];
        for path in &pages {
            no_markup(&browser.get(path).await);
        }
        browser.get("/portal/tokens").await.says(200, name);
        // Typed values that come back with an error.
        let phone = app.provision().await;
        let typed = [("name", name), ("credential_id", "\"><img src=x onerror=\"y"), ("manufacturer", name)];
        no_markup(&add(&mut browser, &phone, WRONG_CODE, &typed).await);
        no_markup(&app.browser().pass("\"><script>x", name).await);
        let page = browser
            .post(&format!("{path}/disable"), &[("reason", name), ("confirmation", "\"><script>x")])
            .await;
        no_markup(&page);
        // A name that the EHR sends.
        let token = app.launch("amoreno", |claims| {
            "<img src=x onerror=\"x\">\"'&".clone_into(&mut claims.patient.name);
            "<script>x</script>".clone_into(&mut claims.patient.mrn);
        });
        let mut browser = app.browser();
        browser.get(&format!("/launch?token={token}")).await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "<img src=x onerror=\"x\">\"'&");
        no_markup(&page);
    }

    /// Bodies that are too large, too many, or no text: a 4xx, and the server goes on.
    async fn oversize_and_malformed_bodies(app: TestApp) {
        let mut browser = app.signed_in().await;
        let name = format!("/portal/tokens/{}/name", app.person.token);
        let paths = ["/portal/login", "/portal/tokens", "/sign-out", &name];
        for path in &paths[..2] {
            let page = browser.post_raw(path, vec![b'a'; 17 * 1024]).await;
            page.says(413, "too large");
            page.says(413, "Support code");
        }
        // 10,000 fields: those of a short name fit no body, those of none at all do.
        let bomb = "a=1&".repeat(10_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 413);
        let bomb = "&".repeat(10_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 422);
        let bomb = "a=&".repeat(5_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 422);
        let bodies: [&[u8]; 6] =
            [b"name=%ff%fe", b"name=\xff\xfe", b"name=%00", b"name=a%00b", b"%", b"name=%zz"];
        for body in bodies {
            let page = browser.post_raw(&name, body.to_vec()).await;
            assert!(
                matches!(page.status, 400 | 422 | 303),
                "{body:?} gave {}: {}",
                page.status,
                page.words()
            );
        }
        let token = app.token(&app.person.phone.credential).await;
        assert!(!token.name().as_str().contains('\0'));
        // Another content type is no form.
        for kind in ["application/json", "multipart/form-data", "text/plain", ""] {
            let mut request = browser.request(&Method::POST, &name).body(Body::from("{}")).unwrap();
            request.headers_mut().insert("content-type", kind.parse().unwrap());
            assert_eq!(browser.send(request).await.status, 415, "{kind}");
        }
        for path in ["/portal/tokens/%ff", "/portal/tokens/%00", "/portal/tokens/..%2f..", "/static/%2e%2e%2fx"] {
            let page = browser.get(path).await;
            assert!(matches!(page.status, 400 | 404), "{path} gave {}", page.status);
        }
        let long = format!("/portal/tokens?done={}", "x".repeat(20_000));
        assert_eq!(browser.get(&long).await.status, 200);

        let api = app.api().await;
        let path = "/api/v1/passcode-checks";
        let json = "application/json";
        let reply = api.send(Method::POST, path, json, vec![b' '; 5 * 1024]).await;
        reply.is_problem(413, "body_malformed");
        let deep = "[".repeat(2_000);
        let bodies: [&[u8]; 7] = [
            b"", b"{", b"null", b"[]", deep.as_bytes(), b"{\"credential_id\":1}", b"\xff\xfe",
        ];
        for body in bodies {
            let reply = api.send(Method::POST, path, json, body.to_vec()).await;
            assert!(matches!(reply.status, 400 | 422), "{}", reply.status);
            reply.is_problem(reply.status, "body_malformed");
        }
        let extra = serde_json::json!({
            "credential_id": "x", "passcode": "123456", "purpose": "sign", "admin": true,
        });
        api.post(path, &extra).await.is_problem(422, "body_malformed");
        let reply = api.send(Method::POST, path, "text/plain", b"{}".to_vec()).await;
        reply.is_problem(415, "body_malformed");
    }

    /// Cookies of somebody who sends many, or sends ours twice.
    async fn header_floods_in_process(app: TestApp) {
        let mut browser = app.signed_in().await;
        let secret = browser.session().unwrap().to_owned();
        let flood: String = (0..2_000).map(|n| format!("c{n}=v; ")).collect();
        let request = Request::get("/portal/tokens")
            .header("cookie", format!("{flood}__Host-countersign={secret}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(browser.send(request).await.status, 200);
        let request = Request::get("/portal/tokens")
            .header("cookie", format!("countersign={secret}; __Host-Countersign={secret}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(browser.send(request).await.status, 303, "another name is another cookie");
    }

    /// A form that another site sends is refused, whatever cookie the browser adds.
    async fn cross_site_forms(app: TestApp) {
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{}/disable", app.person.token);
        let form = "reason=lost&confirmation=DISABLE";
        let cases: [&[(&str, &str)]; 11] = [
            &[],
            &[("origin", "https://evil.test")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://erx.test")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://erx.test"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://erx.test.evil.test")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")],
        ];
        for headers in cases {
            let mut request = Request::post(&path)
                .header("cookie", format!("__Host-countersign={}", browser.session().unwrap()))
                .header("host", "erx.test")
                .header("content-type", "application/x-www-form-urlencoded");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let page = browser.send(request.body(Body::from(form)).unwrap()).await;
            assert_eq!(page.status, 403, "{headers:?}");
        }
        assert!(app.token(&app.person.phone.credential).await.is_active());
    }
}

/// Over a real socket: heads that are too long, too many, or never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_floods_on_the_wire() {
    let app = TestApp::on(Backend::Sqlite).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(listen(Listening::Tcp(listener), app.router(), stop.clone()));
    tokio::task::spawn_blocking(move || {
        let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
        let long = format!("X-Long: {}\r\n", "y".repeat(1_000_000));
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(100_000));
        let heads = [
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{long}\r\n"),
            target,
            "GET /healthz HTTP/9.9\r\n\r\n".to_owned(),
            "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
                .to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_owned(),
        ];
        for head in heads {
            let mut wire = KeepAlive::open(address).unwrap();
            // The server may close before all is written; that is an answer too.
            let _ = wire.write(head.as_bytes());
            if let Some(reply) = wire.read() {
                assert!((400..500).contains(&reply.status), "{:.60}: {}", head, reply.status);
            }
        }
        let mut wire = KeepAlive::open(address).unwrap();
        assert_eq!(wire.send("GET", "/healthz", "", "").status, 200);
        let body = "a".repeat(17 * 1024);
        let headers = "Origin: https://erx.test\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        assert_eq!(wire.send("POST", "/portal/login", headers, &body).status, 413);
    })
    .await
    .unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

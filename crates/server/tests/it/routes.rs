//! Every route: who may, by what method, from where; and that each change leaves its record.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use axum::body::Body;
use countersign_domain::TokenId;
use countersign_store::Stage;
use countersign_testkit::{Api, Backend, Browser, PASSPHRASE, Page, TestApp, WRONG_CODE, both};
use http::{Method, Request};

use crate::add;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Everyone; without a session it answers this.
    Anyone(u16),
    /// Whom an EHR has sent, with a patient.
    Charted,
    /// Who has proved the passphrase and no passcode.
    Passphrase,
    /// Who has proved the passphrase at least, and has no active token left.
    Bereft,
    /// Who has proved the passphrase at least, or enrols.
    Pairing,
    /// Who enrols.
    Enrolling,
    /// Who chooses a new passphrase in place of a forgotten one.
    Resetting,
    /// Who has proved both factors.
    Full,
    /// An integrating system or a token app; without a key and a body it answers this.
    Machine(u16),
}

use Who::{Anyone, Bereft, Charted, Enrolling, Full, Machine, Pairing, Passphrase, Resetting};

/// Every route there is. `router_and_list_agree` fails when one is missing here.
const ROUTES: [(&str, &str, Who); 128] = [
    ("/", "GET", Anyone(303)),
    ("/launch", "GET", Anyone(403)),
    ("/smart/launch", "GET", Anyone(403)),
    ("/smart/callback", "GET", Anyone(403)),
    ("/e-prescribing", "GET", Charted),
    ("/e-prescribing/new", "GET POST", Charted),
    ("/e-prescribing/sign", "GET POST", Charted),
    ("/e-prescribing/rx/{id}", "GET", Charted),
    ("/e-prescribing/rx/{id}/edit", "GET POST", Charted),
    ("/e-prescribing/rx/{id}/ready", "POST", Charted),
    ("/e-prescribing/rx/{id}/cancel", "POST", Charted),
    ("/e-prescribing/rx/{id}/send-again", "POST", Charted),
    ("/e-prescribing/rx/{id}/print", "POST", Charted),
    ("/e-prescribing/rx/{id}/paper", "GET", Charted),
    ("/e-prescribing/rx/{id}/record", "GET", Charted),
    ("/.well-known/jwks.json", "GET", Anyone(200)),
    ("/sign-out", "POST", Anyone(303)),
    ("/signed-out", "GET", Anyone(200)),
    ("/get", "GET", Anyone(200)),
    ("/authenticator", "GET", Anyone(308)),
    ("/authenticator/", "GET", Anyone(200)),
    ("/authenticator/open.svg", "GET", Anyone(200)),
    ("/authenticator/{file}", "GET", Anyone(404)),
    ("/portal", "GET", Anyone(303)),
    ("/portal/login", "GET POST", Anyone(200)),
    ("/portal/login/passcode", "GET POST", Passphrase),
    ("/portal/login/resync", "GET POST", Passphrase),
    ("/portal/login/lost", "GET POST", Passphrase),
    ("/portal/login/enable", "GET POST", Passphrase),
    ("/portal/no-token", "GET", Bereft),
    ("/portal/recovery", "POST", Bereft),
    ("/portal/recovery/code", "POST", Bereft),
    ("/portal/recovery/confirm", "POST", Bereft),
    ("/portal/recovery/provider", "POST", Bereft),
    ("/portal/recovery/tokens", "POST", Bereft),
    ("/portal/forgot", "GET POST", Anyone(200)),
    ("/portal/forgot/code", "GET POST", Resetting),
    ("/portal/addresses", "GET POST", Full),
    ("/portal/addresses/{way}/code", "POST", Full),
    ("/portal/addresses/{way}/confirm", "POST", Full),
    ("/portal/approval", "GET", Anyone(303)),
    ("/invitation/{link}", "GET POST", Anyone(404)),
    ("/invitation/{link}/again", "POST", Anyone(303)),
    ("/enrol", "GET", Enrolling),
    ("/enrol/terms", "POST", Enrolling),
    ("/enrol/data", "POST", Enrolling),
    ("/enrol/code", "POST", Enrolling),
    ("/enrol/confirm", "POST", Enrolling),
    ("/enrol/provider", "POST", Enrolling),
    ("/enrol/tokens", "POST", Enrolling),
    ("/enrol/passphrase", "POST", Enrolling),
    ("/proofing/return", "GET", Anyone(200)),
    ("/proofing/finish", "GET", Anyone(303)),
    ("/enrol/certification", "GET", Enrolling),
    ("/portal/dashboard", "GET", Full),
    ("/portal/certification", "GET POST", Full),
    ("/portal/certification/{id}", "GET", Full),
    ("/portal/tokens", "GET POST", Full),
    ("/portal/tokens/new", "GET", Full),
    ("/portal/pairings", "POST", Pairing),
    ("/portal/pairings/{id}", "GET", Pairing),
    ("/portal/pairings/{id}/code.svg", "GET", Pairing),
    ("/portal/pairings/{id}/state", "GET", Pairing),
    ("/portal/tokens/other", "GET POST", Full),
    ("/portal/passphrase", "GET POST", Full),
    ("/portal/phone", "GET POST", Full),
    ("/portal/prescriptions", "GET", Full),
    ("/portal/prescriptions/export", "POST", Full),
    ("/portal/prescriptions/{id}/not-mine", "POST", Full),
    ("/portal/history", "GET", Full),
    ("/portal/tokens/{id}", "GET", Full),
    ("/portal/tokens/{id}/name", "POST", Full),
    ("/portal/tokens/{id}/disable", "GET POST", Full),
    ("/portal/tokens/{id}/enable", "GET POST", Full),
    ("/portal/tokens/{id}/test", "GET POST", Full),
    ("/portal/tokens/{id}/resync", "GET POST", Full),
    ("/portal/tokens/{id}/activate", "GET POST", Full),
    ("/portal/tokens/{id}/activation-code", "POST", Full),
    ("/not-me/{link}", "GET POST", Anyone(404)),
    ("/practice", "GET", Full),
    ("/practice/{practice}", "GET", Full),
    ("/practice/{practice}/due", "GET", Full),
    ("/practice/{practice}/due/{id}", "POST", Full),
    ("/practice/{practice}/invite", "GET POST", Full),
    ("/practice/{practice}/invitations/{id}/resend", "POST", Full),
    ("/practice/{practice}/invitations/{id}/revoke", "POST", Full),
    ("/practice/{practice}/cases", "GET", Full),
    ("/practice/{practice}/cases/{id}", "GET POST", Full),
    ("/practice/{practice}/rules", "GET", Full),
    ("/practice/{practice}/rules/zone", "POST", Full),
    ("/practice/{practice}/rules/model", "POST", Full),
    ("/practice/{practice}/rules/provider", "POST", Full),
    ("/practice/{practice}/records", "GET", Full),
    ("/practice/{practice}/records/export", "POST", Full),
    ("/practice/{practice}/holds", "GET POST", Full),
    ("/practice/{practice}/holds/{id}/lift", "POST", Full),
    ("/practice/{practice}/fleet", "GET", Full),
    ("/practice/{practice}/fleet/send", "POST", Full),
    ("/practice/{practice}/people/{id}", "GET", Full),
    ("/practice/{practice}/people/{id}/role", "POST", Full),
    ("/practice/{practice}/people/{id}/disable", "POST", Full),
    ("/practice/{practice}/people/{id}/prove-again", "POST", Full),
    ("/practice/{practice}/people/{id}/grant", "POST", Full),
    ("/practice/{practice}/people/{id}/revoke", "POST", Full),
    ("/practice/{practice}/people/{id}/dea", "POST", Full),
    ("/practice/{practice}/people/{id}/licence", "POST", Full),
    ("/practice/{practice}/people/{id}/end", "POST", Full),
    ("/practice/{practice}/people/{id}/code", "POST", Full),
    ("/practice/{practice}/requests/{id}", "GET POST", Full),
    ("/practice/{practice}/requests/{id}/reject", "POST", Full),
    ("/practice/{practice}/certification", "GET POST", Full),
    ("/practice/{practice}/requests/{id}/withdraw", "POST", Full),
    ("/practice/{practice}/letters", "GET", Full),
    ("/practice/{practice}/letters/{id}", "POST", Full),
    ("/static/{file}", "GET", Anyone(404)),
    ("/healthz", "GET", Anyone(200)),
    ("/readyz", "GET", Anyone(200)),
    ("/api/v1/passcode-checks", "POST", Machine(401)),
    ("/api/v1/token", "POST", Machine(400)),
    ("/api/v1/prescribers/{npi}", "GET", Machine(401)),
    ("/api/v1/signing-requests", "POST", Machine(401)),
    ("/api/v1/signing-requests/{id}", "GET", Machine(401)),
    ("/api/v1/signing-requests/{id}/signature", "POST", Machine(401)),
    ("/api/v1/prescriptions/{id}", "GET", Machine(401)),
    ("/api/v1/openapi.json", "GET", Machine(200)),
    ("/provision/v1/credentials", "POST", Machine(415)),
    ("/provision/v1/time", "GET", Machine(200)),
    ("/provision/v1/browser", "GET", Machine(200)),
];

const HEADERS: [&str; 8] = [
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "strict-transport-security",
];

fn address(path: &str, id: TokenId) -> String {
    path.replace("{id}", &id.to_string())
        .replace("{file}", "nothing.css")
        .replace("{link}", "no-link")
        .replace("{way}", "phone")
        .replace("{practice}", "0196f000-0000-7000-8000-000000000000")
}

fn methods(list: &str) -> impl Iterator<Item = Method> {
    list.split(' ').map(|method| method.parse().unwrap())
}

async fn open(browser: &mut Browser, method: Method, path: &str) -> Page {
    let request = browser.request(&method, path).body(Body::empty()).unwrap();
    let page = browser.send(request).await;
    check_headers(&page, path);
    page
}

#[track_caller]
fn check_headers(page: &Page, path: &str) {
    if path.starts_with("/api/") || path.starts_with("/provision/") {
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        return;
    }
    if path == "/authenticator" || path.starts_with("/authenticator/") {
        return check_app_headers(page, path);
    }
    for name in HEADERS {
        assert!(!page.header(name).is_empty(), "{path} answers {} without {name}", page.status);
    }
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("cache-control"), "no-store", "{path}");
    if page.body.contains("<html") {
        let inline = page.body.contains("<style") || page.body.contains(" style=\"");
        let handlers = page.body.contains(" onclick=") || page.body.contains(" onsubmit=");
        let scripts = page.body.matches("<script").count();
        assert!(!inline && !handlers, "{path} has inline style or script");
        assert_eq!(scripts, page.body.matches("<script src=\"/static/").count(), "{path}");
    }
}

/// The web app has a policy of its own: no forms, but connections to us, a worker and the camera.
#[track_caller]
fn check_app_headers(page: &Page, path: &str) {
    for name in HEADERS {
        assert!(!page.header(name).is_empty(), "{path} answers {} without {name}", page.status);
    }
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;",
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none';",
        "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';",
        "trusted-types countersign-worker",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("permissions-policy"), "camera=(self), geolocation=(), microphone=()");
}

#[tokio::test]
async fn the_app_is_served_whole() {
    let app = TestApp::on(Backend::Sqlite).await;
    let mut browser = app.browser();
    let moved = browser.get("/authenticator").await;
    assert_eq!((moved.status, moved.location()), (308, "/authenticator/"));
    let index = browser.get("/authenticator/").await;
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(index.header("cache-control"), "no-cache");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/authenticator");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("/authenticator/{name}");
        let request = browser.request(&Method::HEAD, &path).body(Body::empty()).unwrap();
        let answer = browser.send(request).await;
        check_app_headers(&answer, &path);
        assert_eq!(answer.status, 200, "{path}");
        let hashed = name.starts_with("index-") || name.starts_with("jsQR-");
        let keep = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        assert_eq!(answer.header("cache-control"), keep, "{path}");
        let kind = match name.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            other => panic!("a type for {other}"),
        };
        assert_eq!(answer.header("content-type"), kind, "{path}");
    }
    let picture = browser.get("/authenticator/open.svg").await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert!(picture.body.starts_with("<svg "));
    for path in ["/authenticator/..%2fportal.css", "/authenticator/none.js"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    let page = browser.get("/get").await;
    page.says(200, "https://erx.test/authenticator/");
    assert!(page.body.contains("src=\"/authenticator/open.svg\""));
}

/// Addresses of the VIP Access protocol, below a path that the operator chooses; tested in vip.rs.
const VIP_ROUTES: [(&str, &str); 3] = [("prov", "POST"), ("otpCheck", "POST"), ("otpSync", "POST")];

#[test]
fn router_and_list_agree() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    for path in rust_files(&source) {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        for (route, methods) in routes_of(&fs::read_to_string(&path).unwrap(), &file) {
            assert!(found.insert(route.clone(), methods).is_none(), "{file}: {route} twice");
        }
    }
    let listed: BTreeMap<String, String> = ROUTES
        .into_iter()
        .map(|(path, methods, _)| (path, methods))
        .chain(VIP_ROUTES)
        .map(|(path, methods)| (path.to_owned(), methods.to_owned()))
        .collect();
    assert_eq!(found, listed, "put the new route into ROUTES, and its record into the tests below");
}

#[test]
fn a_route_that_the_list_can_not_see_is_found() {
    let one = |text: &str| routes_of(text, "new.rs");
    assert_eq!(one(".route(\"/a\", get(show).post(change))"), [("/a".into(), "GET POST".into())]);
    assert_eq!(one(".route(\n \"/a\",\n delete(x),\n)"), [("/a".into(), "DELETE".into())]);
    assert_eq!(one(".route(&at(\"prov\"), post(x))"), [("prov".into(), "POST".into())]);
    for hidden in [
        ".nest(\"/a\", other())",
        ".nest_service(\"/a\", files)",
        ".route_service(\"/a\", files)",
        ".fallback_service(files)",
        ".route(PATH, get(show))",
        ".route(\"/a\", any(show))",
        ".route(\"/a\", on(MethodFilter::GET, show))",
        ".route(\"/a\", MethodRouter::new())",
    ] {
        assert!(std::panic::catch_unwind(|| one(hidden)).is_err(), "{hidden}");
    }
}

/// The routes of a file, with their methods. Panics at a form of routing whose addresses or methods can't be read here.
fn routes_of(text: &str, file: &str) -> Vec<(String, String)> {
    for form in [".nest(", ".nest_service(", ".route_service(", ".fallback_service("] {
        assert!(!text.contains(form), "{file}: the list of routes can't see {form}");
    }
    let mut found = Vec::new();
    for rest in text.split(".route(").skip(1) {
        let mut open = 1;
        let end = rest.find(|letter| {
            open += i32::from(letter == '(') - i32::from(letter == ')');
            open == 0
        });
        let rest = &rest[..end.unwrap_or(rest.len())];
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("&at(").unwrap_or(rest);
        let rest = rest.strip_prefix('"').unwrap_or_else(|| panic!("{file}: no address: {rest}"));
        let (path, handlers) = rest.split_once('"').unwrap();
        let has = |method: &str| {
            handlers.match_indices(&format!("{method}(")).any(|(at, _)| {
                let before = handlers[..at].trim_end().chars().next_back().unwrap();
                [',', '.', ':'].contains(&before)
            })
        };
        let known =
            ["get", "post", "put", "delete", "patch", "head", "options", "trace", "any", "on"];
        let methods: Vec<String> =
            known.iter().filter(|method| has(method)).map(|method| method.to_uppercase()).collect();
        let clear = !methods.is_empty() && !methods.iter().any(|it| it == "ANY" || it == "ON");
        assert!(clear, "{file}: {path}: methods can't be read");
        found.push((path.to_owned(), methods.join(" ")));
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

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
    page.says(404, "no such page");
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

#[tokio::test]
async fn looking_changes_nothing_and_leaves_no_record() {
    let app = TestApp::on(Backend::Sqlite).await;
    let (disabled, _) = app.another_token(&app.person, "Old").await;
    let path = format!("/portal/tokens/{disabled}/disable");
    app.signed_in().await.post(&path, &[("reason", "temporarily_unavailable")]).await;
    let full = app.signed_in().await;
    let passphrase = app.at_passcode().await;
    for (path, list, who) in ROUTES {
        if !list.contains("GET") {
            continue;
        }
        for id in [app.person.token, disabled] {
            let path = address(path, id);
            let launch = ["/launch", "/smart/launch", "/smart/callback"].contains(&path.as_str());
            let mut browser = match who {
                // It ends the session in its browser, so that it gets one of its own.
                _ if launch => app.signed_in().await,
                Passphrase => passphrase.clone(),
                _ => full.clone(),
            };
            let before = app.event_count().await;
            let page = open(&mut browser, Method::GET, &path).await;
            assert!(page.status < 500, "{path}: {}", page.status);
            // A launch is used up by a GET, and that is on record, as is the session that it ended.
            // So is a provider's answer, also one that belongs to nothing.
            let expected = match path.as_str() {
                _ if launch => 2,
                "/proofing/finish" => 1,
                _ => 0,
            };
            assert_eq!(app.event_count().await - before, expected, "{path}");
        }
    }
    for file in ["portal.css", "portal.js", "favicon.svg", "logo.svg"] {
        let page = app.browser().get(&format!("/static/{file}")).await;
        assert_eq!(page.status, 200, "{file}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
}

/// Counts the records of one request.
struct Count<'a> {
    app: &'a TestApp,
    before: i64,
}

impl<'a> Count<'a> {
    async fn from(app: &'a TestApp) -> Self {
        Self { app, before: app.event_count().await }
    }

    #[track_caller]
    fn is(&self, now: i64, records: i64, what: &str) {
        assert_eq!(now - self.before, records, "{what}");
    }
}

/// Runs a request and compares status and number of records.
macro_rules! leaves {
    ($app:expr, $records:literal, $status:literal, $request:expr) => {{
        let count = Count::from(&$app).await;
        let page = $request.await;
        assert_eq!(page.status, $status, "{}: {:.2000}", stringify!($request), page.body);
        count.is(count.app.event_count().await, $records, stringify!($request));
        page
    }};
}

both! {
    /// Shows: R-1311.120-b24, R-1311.150-a1, H-164.312-b
    async fn every_change_leaves_its_record(app: TestApp) {
        let npi = app.person.npi.as_text();
        let id = app.person.token.to_string();
        let launch = format!("/launch?token={}", app.launch("amoreno", |_| {}));
        let mut browser = app.browser();
        leaves!(app, 1, 200, browser.get(&launch));
        leaves!(app, 1, 403, app.browser().get(&launch));

        leaves!(app, 1, 422, app.browser().pass(&npi, "not the right passphrase"));
        leaves!(app, 0, 422, app.browser().pass(&npi, ""));
        leaves!(app, 0, 422, app.browser().pass("12", PASSPHRASE));
        leaves!(app, 1, 303, browser.pass("", PASSPHRASE));
        leaves!(app, 1, 422, browser.passcode(&id, WRONG_CODE));
        leaves!(app, 0, 422, browser.passcode(&id, "12"));
        leaves!(app, 0, 422, browser.passcode("nothing", WRONG_CODE));
        leaves!(app, 1, 422, browser.passcode("any", WRONG_CODE));
        leaves!(app, 1, 303, browser.passcode(&id, &app.code()));

        let mut login = app.at_passcode().await;
        let one = app.person.phone.code_after(app.now(), 1);
        let two = app.person.phone.code_after(app.now(), 2);
        let pair = [("token", id.as_str()), ("passcode1", &one), ("passcode2", &two)];
        let wrong = [("token", id.as_str()), ("passcode1", "111111"), ("passcode2", "222222")];
        leaves!(app, 1, 422, login.post("/portal/login/resync", &wrong));
        leaves!(app, 0, 422, login.post("/portal/login/resync", &wrong[..2]));
        leaves!(app, 1, 303, login.post("/portal/login/resync", &pair));
        let lost = [("token", id.as_str()), ("reason", "lost")];
        leaves!(app, 1, 422, login.post("/portal/login/lost", &lost));
        let enable = [("token", id.as_str()), ("passcode", WRONG_CODE)];
        leaves!(app, 1, 422, login.post("/portal/login/enable", &enable));

        app.clock.advance(90);
        let mut browser = app.signed_in().await;
        let phone = leaves_provisioned(&app).await;
        leaves!(app, 0, 422, add(&mut browser, &phone, "1", &[]));
        leaves!(app, 1, 422, add(&mut browser, &phone, WRONG_CODE, &[]));
        leaves!(app, 1, 303, add(&mut browser, &phone, &phone.code(app.now()), &[]));
        let new = app.token_id(&phone.credential).await;
        let path = |what: &str| format!("/portal/tokens/{new}/{what}");
        leaves!(app, 1, 303, browser.post(&path("name"), &[("name", "Other")]));
        leaves!(app, 0, 422, browser.post(&path("name"), &[("name", "")]));
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 0, 422, browser.post(&path("test"), &[("passcode", "x")]));
        let code = phone.code_after(app.now(), 1);
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", &code)]));
        let one = phone.code_after(app.now(), 5);
        let two = phone.code_after(app.now(), 6);
        leaves!(app, 1, 422, browser.post(&path("resync"), &wrong[1..]));
        let pair = [("passcode1", one.as_str()), ("passcode2", two.as_str())];
        leaves!(app, 1, 303, browser.post(&path("resync"), &pair));
        let off = [("reason", "temporarily_unavailable")];
        leaves!(app, 1, 303, browser.post(&path("disable"), &off));
        let code = phone.code_after(app.now(), 7);
        leaves!(app, 1, 422, browser.post(&path("enable"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 1, 303, browser.post(&path("enable"), &[("passcode", &code)]));

        leaves!(app, 0, 422, browser.post("/portal/passphrase", &[("current", "x")]));
        let changed = [
            ("current", "not the present passphrase"),
            ("new", "copper meadow violin harbor"),
            ("again", "copper meadow violin harbor"),
            ("stepup_token", "any"),
            ("stepup_passcode", "000000"),
        ];
        leaves!(app, 1, 422, browser.post("/portal/passphrase", &changed));
        leaves!(app, 0, 303, browser.post("/portal/phone", &[("intent", "getting")]));
        leaves!(app, 0, 422, browser.post("/portal/phone", &[]));
        // Off by default: as if there were no such page.
        leaves!(app, 0, 404, browser.post("/portal/tokens/other", &[("id", id.as_str())]));

        // With a passcode that confirms: one record for it, one for the change.
        app.clock.advance(301);
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let third = app.provision().await;
        let otp = third.code(app.now());
        let none = [("stepup_token", "any"), ("stepup_passcode", "")];
        leaves!(app, 0, 422, add(&mut browser, &third, &otp, &none));
        let bad = [("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        leaves!(app, 2, 422, add(&mut browser, &third, &otp, &bad));
        leaves!(app, 2, 422, browser.post(&path("disable"), &[off[0], bad[0], bad[1]]));
        // The resync above has taught the server that this token is two steps ahead.
        let code = app.person.phone.code_after(app.now(), 2);
        let good = [("stepup_token", id.as_str()), ("stepup_passcode", code.as_str())];
        leaves!(app, 2, 303, browser.post(&path("disable"), &[off[0], good[0], good[1]]));

        // What an integrating system does.
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        leaves!(app, 1, 200, api.check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check("CNST00000000", WRONG_CODE));
        leaves!(app, 0, 422, api.check(&credential, "x"));
        leaves!(app, 1, 401, Api::new(app.router(), None).check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check(&credential, &app.person.phone.code_after(app.now(), 3)));

        leaves!(app, 1, 303, browser.post("/sign-out", &[]));
        leaves!(app, 0, 303, browser.post("/sign-out", &[]));
    }

    /// The code on the page is the code of the record.
    async fn the_support_code_on_the_page_is_that_of_the_record(app: TestApp) {
        let page = app.at_passcode().await.passcode("any", WRONG_CODE).await;
        let code = page.support_code().unwrap().to_owned();
        let sql = format!("SELECT kind, reason FROM audit_event WHERE support = '{code}'");
        assert_eq!(app.database.texts(&sql).await, ["passcode_tried passcode_wrong"]);
    }

    /// No record holds a passcode, a passphrase, a seed, a session or a patient.
    async fn records_hold_no_secret(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        browser.pass("", "not the right passphrase").await;
        browser.pass("", PASSPHRASE).await;
        let code = app.code();
        browser.passcode("any", &code).await.leads_to("/portal/dashboard");
        let phone = app.provision().await;
        let otp = phone.code(app.now());
        add(&mut browser, &phone, &otp, &[("name", "Grandma")]).await;
        let all = app.database.texts("SELECT kind, detail, reason, purpose, support, actor FROM audit_event").await;
        let all = all.join("\n");
        let secrets = [
            code.as_str(), &otp, PASSPHRASE, "not the right", "Lindqvist", "MRN-1001",
            browser.session().unwrap(), phone.credential.as_str(), &app.person.npi.as_text(),
        ];
        for secret in secrets {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

async fn leaves_provisioned(app: &TestApp) -> countersign_testkit::Phone {
    let count = Count::from(app).await;
    let phone = app.provision().await;
    count.is(app.event_count().await, 1, "provisioning");
    phone
}

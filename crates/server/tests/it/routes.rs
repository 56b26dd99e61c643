//! Every route: who may, by what method, from where; and that each change leaves its record.

mod list;
mod records;
mod refusals;
mod web_app;

use axum::body::Body;
use countersign_domain::TokenId;
use countersign_testkit::{Browser, Page};
use http::Method;

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

use super::*;

use axum::body::{Body, to_bytes};
use http::{
    Request,
    header::{ALLOW, LOCATION},
};
use tower::ServiceExt;

use countersign_protocol::launch::{peek_issuer, verify_launch};

const AUDIENCE: &str = "http://127.0.0.1:8480";
const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn user(user: &str, name: &str, role: &str) -> EhrUser {
    EhrUser { user: user.to_owned(), name: name.to_owned(), role: role.to_owned() }
}

fn ehr(users: Vec<EhrUser>) -> Ehr {
    Ehr {
        users,
        signing_key: Arc::new(SigningKey::generate().unwrap().0),
        ehr_id: EhrId::from_slice(&[7; 16]).unwrap(),
        audience: AUDIENCE.to_owned(),
        clock: Arc::new(|| NOW),
        launch_seconds: 60,
        smart: None,
        mailbox: Arc::new(Vec::new),
    }
}

fn two_users() -> Vec<EhrUser> {
    vec![
        user("dr.test", "Dr. Pat <Test>", "Prescriber"),
        user("nurse;a=b&c", "Nora Trial", "Nurse"),
    ]
}

fn app() -> Router {
    router(ehr(two_users()))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body).unwrap() }
}

async fn get_with(app: &Router, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(app, request.body(Body::empty()).unwrap()).await
}

async fn get(app: &Router, uri: &str) -> Answer {
    get_with(app, uri, &[]).await
}

fn token_of(answer: &Answer) -> String {
    let prefix = format!("{AUDIENCE}/launch?token=");
    answer.header(LOCATION).strip_prefix(&prefix).unwrap().to_owned()
}

#[tokio::test]
async fn every_patient_is_listed_and_has_a_chart_with_its_tabs() {
    let app = app();
    let list = get(&app, "/").await;
    assert_eq!(list.status, StatusCode::OK);
    for chart in &CHARTS {
        let at = format!("/patients/{}", chart.id);
        assert!(list.body.contains(&format!("href=\"{at}\"")));
        for (query, heading) in [
            ("", "Summary"),
            ("?tab=summary", "Summary"),
            ("?tab=medications", "Medications"),
            ("?tab=notes", "Notes"),
            ("?tab=%3Cscript%3E", "Summary"),
            ("?tab=notes&tab=notes", "Summary"),
            ("?tab=%FF", "Summary"),
        ] {
            let page = get(&app, &format!("{at}{query}")).await;
            assert_eq!(page.status, StatusCode::OK, "{at}{query}");
            assert!(page.body.contains(&format!("<h1>{heading}</h1>")), "{at}{query}");
            assert!(page.body.contains(chart.mrn) && page.body.contains(chart.name));
            assert!(page.body.contains(&format!("href=\"{at}/e-prescribing\"")));
        }
    }
}

#[tokio::test]
async fn a_launch_is_signed_for_this_user_and_patient() {
    let ehr = ehr(two_users());
    let key = ehr.signing_key.verifying_key();
    let (app, id) = (router(ehr), EhrId::from_slice(&[7; 16]).unwrap());
    for chart in &CHARTS {
        let answer = get(&app, &format!("/patients/{}/e-prescribing", chart.id)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let token = token_of(&answer);
        assert_eq!(peek_issuer(&token), Ok(id));
        let claims = verify_launch(&token, &key, AUDIENCE, NOW, 60).unwrap();
        assert_eq!(claims.sub, "dr.test");
        assert_eq!(claims.patient.mrn, chart.mrn);
        assert_eq!(claims.patient.birth_date, chart.birth_date());
    }
}

#[tokio::test]
async fn two_launches_are_two_tokens() {
    let app = app();
    let uri = format!("/patients/{FIRST_PATIENT}/e-prescribing");
    let (one, two) = (get(&app, &uri).await, get(&app, &uri).await);
    assert_ne!(token_of(&one), token_of(&two));
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_audience_stays_in_the_token_only() {
    let ehr = Ehr { audience: format!("{AUDIENCE}/"), ..ehr(two_users()) };
    let key = ehr.signing_key.verifying_key();
    let answer = get(&router(ehr), &format!("/patients/{FIRST_PATIENT}/e-prescribing")).await;
    let token = token_of(&answer);
    assert!(verify_launch(&token, &key, &format!("{AUDIENCE}/"), NOW, 60).is_ok());
}

#[tokio::test]
async fn switching_changes_the_page_and_the_launch() {
    let ehr = ehr(two_users());
    let key = ehr.signing_key.verifying_key();
    let app = router(ehr);
    let first = get(&app, "/").await;
    assert!(first.body.contains("Nora Trial") && !first.body.contains("<Test>"));
    let href = "/switch?user=nurse%3Ba%3Db%26c";
    assert!(first.body.contains(href));

    let switched = get(&app, href).await;
    assert_eq!(switched.status, StatusCode::SEE_OTHER);
    assert_eq!(switched.header(LOCATION), "/");
    let cookie = switched.header(SET_COOKIE);
    assert_eq!(cookie, "demo-ehr-user=nurse%3Ba%3Db%26c; HttpOnly; SameSite=Lax; Path=/");
    let cookie = format!("__Host-countersign=x; {}", cookie.split(';').next().unwrap());

    let second = get_with(&app, "/", &[("cookie", &cookie)]).await;
    assert!(second.body.contains("Nora Trial, Nurse"));
    assert!(second.body.contains("/switch?user=dr.test"));
    let uri = format!("/patients/{FIRST_PATIENT}/e-prescribing");
    let launch = get_with(&app, &uri, &[("cookie", &cookie)]).await;
    let claims = verify_launch(&token_of(&launch), &key, AUDIENCE, NOW, 60).unwrap();
    assert_eq!(claims.sub, "nurse;a=b&c");
}

#[tokio::test]
async fn an_unknown_user_is_refused_and_an_unknown_cookie_ignored() {
    let app = app();
    for uri in ["/switch", "/switch?user=", "/switch?user=nobody", "/switch?user=%FF"] {
        let answer = get(&app, uri).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{uri}");
        assert!(!answer.headers.contains_key(SET_COOKIE));
    }
    for cookie in ["demo-ehr-user=nobody", "demo-ehr-user", ";;=;", "demo-ehr-user=%"] {
        let answer = get_with(&app, "/", &[("cookie", cookie)]).await;
        assert!(answer.body.contains(", Prescriber"), "{cookie}");
    }
}

#[tokio::test]
async fn a_foreign_page_can_neither_launch_nor_switch() {
    let app = app();
    let launch = format!("/patients/{FIRST_PATIENT}/e-prescribing");
    for uri in [launch.as_str(), "/switch?user=dr.test"] {
        for (site, allowed) in
            [("cross-site", false), ("same-origin", true), ("same-site", true), ("none", true)]
        {
            let answer = get_with(&app, uri, &[("sec-fetch-site", site)]).await;
            assert_eq!(answer.status == StatusCode::SEE_OTHER, allowed, "{uri} {site}");
            assert_eq!(answer.headers.contains_key(LOCATION), allowed, "{uri} {site}");
        }
    }
}

#[tokio::test]
async fn an_unknown_patient_is_a_page_that_leads_back() {
    let app = app();
    for uri in [
        "/patients/p-9999",
        "/patients/p-9999/e-prescribing",
        "/patients/%FF",
        "/patients/%FF/e-prescribing",
        "/patients/p-1001%00",
        "/patients/",
        "/patients/p-1001/",
        "/static/portal.css",
        "/static/..%2FCargo.toml",
        "/static/%FF",
        "/launch",
    ] {
        let answer = get(&app, uri).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{uri}");
        assert!(answer.body.contains("<a href=\"/\">Back to patients</a>"), "{uri}");
    }
}

#[tokio::test]
async fn nothing_can_be_sent() {
    let request = Request::post("/").body(Body::from("x")).unwrap();
    let answer = send(&app(), request).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header(ALLOW), "GET,HEAD");
    assert!(answer.body.contains("is read-only"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = app();
    for uri in [
        "/",
        "/patients/p-1001",
        "/patients/p-1001/e-prescribing",
        "/patients/p-9999",
        "/switch?user=dr.test",
        "/static/ehr.css",
        "/static/ehr.svg",
        "/nothing",
    ] {
        let answer = get(&app, uri).await;
        assert_eq!(answer.header(CONTENT_SECURITY_POLICY), POLICY, "{uri}");
        assert_eq!(answer.header(REFERRER_POLICY), "no-referrer", "{uri}");
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff", "{uri}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store", "{uri}");
    }
}

#[tokio::test]
async fn static_files_have_their_types() {
    let app = app();
    let css = get(&app, "/static/ehr.css?v=1").await;
    assert_eq!(css.header(CONTENT_TYPE), "text/css; charset=utf-8");
    assert!(css.body.contains("body {"));
    let logo = get(&app, "/static/ehr.svg").await;
    assert_eq!(logo.header(CONTENT_TYPE), "image/svg+xml");
}

#[tokio::test]
async fn without_a_user_who_can_launch_the_page_says_so() {
    for users in [vec![], vec![user("two words", "Somebody", "Prescriber")]] {
        let app = router(ehr(users));
        assert_eq!(get(&app, "/").await.status, StatusCode::OK);
        let answer = get(&app, &format!("/patients/{FIRST_PATIENT}/e-prescribing")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains("Try again."));
    }
}

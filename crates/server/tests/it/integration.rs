//! An EHR with screens of its own: its token, a signing request, the act of signing, receipts; and everything
//! that must not work.

use axum::body::Body;
use countersign_crypto::SigningKey;
use countersign_domain::{
    Timestamp,
    ocra::{Binding, Challenge},
};
use countersign_protocol::record;
use countersign_testkit::{Browser, PASSPHRASE, Page, TestApp, WRONG_CODE, both};
use data_encoding::BASE64URL_NOPAD;
use http::{Method, Request};
use serde_json::{Value, json};

const AUDIENCE: &str = "https://erx.test/api/v1/token";

/// A system of the practice, and its key.
pub(crate) struct System {
    pub(crate) id: String,
    key: SigningKey,
    browser: Browser,
}

impl System {
    pub(crate) async fn of(app: &TestApp, scopes: &str) -> Self {
        let (key, _) = SigningKey::generate().unwrap();
        let point = key.verifying_key().point().to_vec();
        let at = app.app.at().unwrap();
        let id = app
            .app
            .create_api_client(app.practice, "EHR".to_owned(), point, scopes.to_owned(), at)
            .await;
        Self { id: id.unwrap().to_string(), key, browser: app.browser() }
    }

    /// Its ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn assertion(&self, now: Timestamp, jti: &str, change: impl FnOnce(&mut Value)) -> String {
        let now = now.seconds();
        let mut claims = json!({ "iss": self.id, "sub": self.id, "aud": AUDIENCE, "iat": now, "exp": now + 60, "jti": jti });
        change(&mut claims);
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message =
            format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(&claims));
        format!("{message}.{}", BASE64URL_NOPAD.encode(&self.key.sign(message.as_bytes()).unwrap()))
    }

    async fn ask(&mut self, assertion: &str, scope: &str) -> Page {
        let form = format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}&scope={scope}"
        );
        let request = Request::post("/api/v1/token")
            .header("content-type", "application/x-www-form-urlencoded");
        self.browser.send(request.body(Body::from(form)).unwrap()).await
    }

    pub(crate) async fn token(&mut self, app: &TestApp, jti: &str) -> String {
        let assertion = self.assertion(app.now(), jti, |_| {});
        let page = self.ask(&assertion, "").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let said: Value = serde_json::from_str(&page.body).unwrap();
        said["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(
        &mut self,
        token: &str,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
        };
        let page = self.browser.send(request.unwrap()).await;
        (page.status, serde_json::from_str(&page.body).unwrap_or_default())
    }
}

pub(crate) fn wanted(app: &TestApp) -> Value {
    json!({
        "npi": app.person.npi.as_text(),
        "patient": { "id": "p-1", "name": "Rosa Lindqvist", "birth_date": "1961-04-12", "mrn": "M-1", "address": "4 Birch Lane, Lincoln NE" },
        "prescriptions": [{
            "drug": "Oxycodone hydrochloride", "strength": "5 mg", "form": "tablet", "quantity": "20", "unit": "tablets",
            "directions": "One every six hours", "refills": 0, "pharmacy": "9999991",
            "dea": countersign_testkit::dea(0).as_text(), "ready": true,
        }],
    })
}

pub(crate) fn signature(view: &Value, passphrase: &str, code: &str) -> Value {
    json!({ "shown_at": view["shown_at"], "digest": view["digest"], "passphrase": passphrase, "passcode": code })
}

pub(crate) const REQUESTS: &str = "/api/v1/signing-requests";

both! {
    /// An assertion that says from when on it holds does not hold before; the other clock may be 30 seconds ahead.
    async fn an_assertion_does_not_hold_before_its_time(app: TestApp) {
        let mut system = System::of(&app, "signing").await;
        let now = app.now().seconds();
        for (number, (nbf, expected)) in [
            (json!(now + 31), 401),
            (json!(i64::MAX), 401),
            (json!("soon"), 401),
            (json!(null), 401),
            (json!(now + 30), 200),
            (json!(now - 1_000), 200),
        ]
        .into_iter()
        .enumerate()
        {
            let jti = format!("not-before-{number:0>16}");
            let assertion = system.assertion(app.now(), &jti, |claims| claims["nbf"] = nbf.clone());
            let page = system.ask(&assertion, "").await;
            assert_eq!(page.status, expected, "{nbf}: {}", page.body);
        }
    }

    /// From a token to a record that its pharmacy has taken, all through the API.
    /// Shows: R-1311.140-a1, R-1311.120-b11
    async fn a_system_has_a_prescription_signed(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut ehr = System::of(&app, "prescribers.read signing receipts.read").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let npi = app.person.npi.as_text();
        let (status, said) = ehr.send(&token, Method::GET, &format!("/api/v1/prescribers/{npi}"), None, &Value::Null).await;
        assert_eq!(status, 200);
        assert_eq!(said["name"], "Dr. Ada Moreno");
        assert_eq!((&said["tokens"][0]["activated"], &said["registrations"][0]["state"]), (&json!(true), &json!("NE")), "{said}");
        let (status, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &wanted(&app)).await;
        assert_eq!(status, 201, "{view}");
        assert_eq!(view["prescriptions"][0]["state"], "ready");
        assert_eq!(view["prescriptions"][0]["hindrance"], Value::Null);
        assert_eq!(view["prescriptions"][0]["content"]["drug"], "Oxycodone hydrochloride");
        assert!(view["statement"].as_str().unwrap().contains("you are legally signing"));
        // The same again is the same; another request under the key is none.
        let (status, again) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &wanted(&app)).await;
        assert_eq!((status, &again["id"]), (201, &view["id"]));
        let mut other = wanted(&app);
        other["prescriptions"][0]["quantity"] = json!("30");
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &other).await;
        assert_eq!((status, &said["code"]), (409, &json!("idempotency_key_reused")));
        let path = format!("{REQUESTS}/{}", view["id"].as_str().unwrap());
        let sign = format!("{path}/signature");
        let code = app.code();
        let mut changed = signature(&view, PASSPHRASE, &code);
        changed["digest"] = json!("00".repeat(32));
        let mut short = changed.clone();
        short["digest"] = json!("00");
        for (body, status, word) in [
            (signature(&view, "not the right passphrase", &code), 422, "passphrase_wrong"),
            (signature(&view, PASSPHRASE, WRONG_CODE), 422, "passcode_wrong"),
            (signature(&view, PASSPHRASE, "12"), 422, "passcode_malformed"),
            (changed, 409, "prescription_changed"),
            (short, 422, "digest_malformed"),
        ] {
            let (found, said) = ehr.send(&token, Method::POST, &sign, None, &body).await;
            assert_eq!((found, said["code"].as_str().unwrap()), (status, word), "{said}");
        }
        // What the system shows as a picture: a code that is bound to it signs.
        let text = view["signing_text"].as_str().unwrap();
        assert_eq!(Challenge::of(text).digits(), view["challenge"].as_str().unwrap());
        assert!(text.contains("\nR. L.\n1. Oxycodone hydrochloride"), "{text}");
        let bound = app.person.phone.bound_code(text, Binding::Typed, app.now());
        let (status, done) = ehr.send(&token, Method::POST, &sign, None, &signature(&view, PASSPHRASE, &bound)).await;
        assert_eq!(status, 200, "{done}");
        assert_eq!((&done["signing_text"], &done["challenge"]), (&Value::Null, &Value::Null), "nothing is left to sign");
        let rx = &done["prescriptions"][0];
        assert_eq!(rx["state"], "signed");
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        let said = record::verify(rx["record"].as_str().unwrap(), keys.as_bytes()).unwrap();
        assert_eq!(said["prescription"]["patient"]["name"], "Rosa Lindqvist");
        assert_eq!(said["authentication"]["binding"], "challenge_typed");
        assert_eq!(said["practitioner"]["dea_state"], "NE");
        assert_eq!(app.transmit().await, 1);
        let receipt = format!("/api/v1/prescriptions/{}", rx["id"].as_str().unwrap());
        let (_, said) = ehr.send(&token, Method::GET, &receipt, None, &Value::Null).await;
        assert_eq!((&said["state"], &said["transmission"]), (&json!("transmitted"), &json!("accepted")));
        // Signed once.
        let (status, said) = ehr.send(&token, Method::POST, &sign, None, &signature(&view, PASSPHRASE, &code)).await;
        assert_eq!((status, &said["code"]), (409, &json!("prescription_not_ready")), "{said}");
    }

    /// Two minutes; a fresh view; what is wrong stands beside its field; nothing half put down.
    async fn what_is_wrong_is_named_and_nothing_is_half_done(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        let mut bad = wanted(&app);
        let second = bad["prescriptions"][0].clone();
        bad["prescriptions"].as_array_mut().unwrap().push(second);
        bad["prescriptions"][1]["dea"] = json!("AB1234567");
        bad["prescriptions"][1]["quantity"] = json!("many");
        bad["prescriptions"][1]["ready"] = json!(false);
        bad["prescriptions"][1]["pharmacy"] = json!("1");
        let before = app.event_count().await;
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &bad).await;
        assert_eq!(status, 422);
        let found: Vec<_> = said["errors"].as_array().unwrap().iter().map(|it| (it["prescription"].as_u64(), it["field"].as_str().unwrap())).collect();
        assert_eq!(found, [(Some(1), "quantity"), (Some(1), "dea"), (Some(1), "pharmacy"), (Some(1), "ready")]);
        assert_eq!(app.event_count().await, before + 1, "the refusal; nothing was put down");
        assert!(app.events().await.contains(&"prescription_ready refused request_wrong".to_owned()));
        // By the path in the request; what all of them share is said once.
        let mut two = wanted(&app);
        let second = two["prescriptions"][0].clone();
        two["prescriptions"].as_array_mut().unwrap().push(second);
        for (name, value, field) in [
            ("address", " ", "patient.address"),
            ("address", "4 Birch\nLane", "patient.address"),
            ("name", " Rosa", "patient.name"),
            ("birth_date", "1961-02-30", "patient.birth_date"),
            ("id", "p 1", "patient.id"),
            ("mrn", "", "patient.mrn"),
        ] {
            let mut bad = two.clone();
            bad["patient"][name] = json!(value);
            let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &bad).await;
            let errors = said["errors"].as_array().unwrap();
            assert_eq!((status, errors.len()), (422, 1), "{said}");
            assert_eq!((&errors[0]["field"], &errors[0]["prescription"]), (&json!(field), &Value::Null), "{said}");
        }
        let mut nobody = wanted(&app);
        nobody["npi"] = json!("1245319599");
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &nobody).await;
        assert_eq!((status, &said["errors"][0]["field"]), (422, &json!("npi")), "{said}");
        for (field, value) in [("npi", json!("1234567890")), ("patient", json!({})), ("prescriptions", json!([]))] {
            let mut bad = wanted(&app);
            bad[field] = value;
            let (status, _) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &bad).await;
            assert_eq!(status, 422, "{field}");
        }
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, None, &wanted(&app)).await;
        assert_eq!((status, &said["code"]), (400, &json!("idempotency_key_missing")));
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        let path = format!("{REQUESTS}/{}", view["id"].as_str().unwrap());
        app.clock.advance(121);
        let sign = format!("{path}/signature");
        let (_, said) = ehr.send(&token, Method::POST, &sign, None, &signature(&view, PASSPHRASE, &app.code())).await;
        assert_eq!(said["code"], "signing_timed_out");
        let (_, view) = ehr.send(&token, Method::GET, &path, None, &Value::Null).await;
        let (status, _) = ehr.send(&token, Method::POST, &sign, None, &signature(&view, PASSPHRASE, &app.code())).await;
        assert_eq!(status, 200);
        // What stands in the way is said before it is signed.
        let id = app.person.id;
        app.store.write("test_suspend", move |tx| {
            for (practice, row) in tx.permissions_of(id)? {
                let mut permission = row.permission;
                let (cause, now) = (countersign_domain::access::Cause::NonCompliant, countersign_testkit::START);
                countersign_domain::access::revoke_now(&mut permission, cause, now);
                tx.save_permission(id, practice, row.authority, &permission)?;
            }
            Ok(())
        }).await.unwrap();
        let before = app.event_count().await;
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k-2"), &wanted(&app)).await;
        assert_eq!((status, &said["code"]), (409, &json!("not_permitted")), "{said}");
        assert_eq!((&said["errors"][0]["prescription"], &said["errors"][0]["field"]), (&json!(0), &json!("dea")));
        assert_eq!(app.event_count().await, before + 1, "the refusal; nothing is put down that can't be marked ready");
        assert!(app.events().await.contains(&"prescription_ready refused not_permitted".to_owned()));
    }

    /// Tokens and assertions: once, in time, for us, by this key; scopes; another practice; a revoked system.
    async fn who_may_not_does_not(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut ehr = System::of(&app, "receipts.read").await;
        let now = app.now();
        let good = ehr.assertion(now, "once-and-never-again", |_| {});
        assert_eq!(ehr.ask(&good, "").await.status, 200);
        assert_eq!(ehr.ask(&good, "").await.status, 401, "an assertion works once");
        let stranger = System::of(&app, "signing").await;
        for (what, assertion) in [
            ("late", ehr.assertion(now, "late-late-late-late", |it| it["exp"] = json!(now.seconds()))),
            ("too long", ehr.assertion(now, "long-long-long-long", |it| it["exp"] = json!(now.seconds() + 3_600))),
            ("elsewhere", ehr.assertion(now, "else-else-else-else", |it| it["aud"] = json!("https://other.example/token"))),
            ("another", ehr.assertion(now, "other-other-other-other", |it| it["sub"] = json!(stranger.id))),
            ("short", ehr.assertion(now, "short", |_| {})),
            ("other key", System { id: ehr.id.clone(), key: SigningKey::generate().unwrap().0, browser: app.browser() }.assertion(now, "forged-forged-forged", |_| {})),
            ("unsigned", good.rsplit_once('.').unwrap().0.to_owned() + "."),
            ("nothing", "x".to_owned()),
        ] {
            let page = ehr.ask(&assertion, "").await;
            assert_eq!((page.status, page.body.contains("invalid_client")), (401, true), "{what}");
        }
        let assertion = ehr.assertion(now, "wants-more-than-it-may", |_| {});
        assert_eq!(ehr.ask(&assertion, "signing").await.status, 400);
        let token = ehr.token(&app, "a-token-to-read-with").await;
        let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        assert_eq!((status, &said["code"]), (403, &json!("scope_missing")));
        let npi = format!("/api/v1/prescribers/{}", app.person.npi.as_text());
        assert_eq!(ehr.send(&token, Method::GET, &npi, None, &Value::Null).await.0, 403);
        assert_eq!(ehr.send("made-up", Method::GET, &npi, None, &Value::Null).await.0, 401);
        // A key for passcode checks opens nothing here, and this token no passcode check.
        let key = app.api().await.key.unwrap();
        assert_eq!(ehr.send(&key, Method::GET, &npi, None, &Value::Null).await.0, 401);
        let check = json!({ "credential_id": "CNST00000000", "passcode": "123456", "purpose": "sign" });
        assert_eq!(ehr.send(&token, Method::POST, "/api/v1/passcode-checks", None, &check).await.0, 401);
        // One system does not see the other's requests; and five minutes later the token opens nothing.
        let mut one = System::of(&app, "signing").await;
        let mut two = System::of(&app, "signing").await;
        let (first, second) = (one.token(&app, "token-of-the-first").await, two.token(&app, "token-of-the-second").await);
        let (_, view) = one.send(&first, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        let path = format!("{REQUESTS}/{}", view["id"].as_str().unwrap());
        assert_eq!(two.send(&second, Method::GET, &path, None, &Value::Null).await.0, 404);
        assert_eq!(two.send(&second, Method::POST, &format!("{path}/signature"), None, &signature(&view, PASSPHRASE, "123456")).await.0, 404);
        let revoked = one.id.parse().unwrap();
        app.app.revoke_api_key(revoked, app.app.at().unwrap()).await.unwrap().done().unwrap();
        assert_eq!(one.send(&first, Method::GET, &path, None, &Value::Null).await.0, 401, "revoked at once");
        app.clock.advance(300);
        assert_eq!(two.send(&second, Method::GET, &path, None, &Value::Null).await.0, 401);
    }
}

/// The document in the tree is the one that the code makes.
#[test]
fn the_openapi_document_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = format!("{:#}\n", countersign_server::api::openapi());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap_or_default() == made, "run it with UPDATE_DOCS=1");
}

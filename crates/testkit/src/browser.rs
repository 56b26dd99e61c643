use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, body::Body, extract::ConnectInfo};
use cookie::{Cookie, SameSite};
use countersign_crypto::{AgreementKey, sha256};
use countersign_provision::native::{Answer, SeedAlgorithm, VERSION};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use tower::ServiceExt;

use crate::Phone;

/// The origin under which browsers reach the server.
pub(crate) const ORIGIN: &str = "https://erx.test";
/// Host of `server.public_url` in tests.
pub(crate) const HOST: &str = "erx.test";
pub(crate) const COOKIE: &str = "__Host-countersign";
/// By which a launch finds the session that it ends.
const OPEN_COOKIE: &str = "__Host-countersign-open";
/// Digits that no token here shows in any test: the generator is seeded.
pub const WRONG_CODE: &str = "000000";

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Page {
    /// HTTP status code.
    pub status: u16,
    /// Header fields of the answer.
    pub headers: HeaderMap,
    /// Body as text.
    pub body: String,
}

impl Page {
    async fn read(router: Router, mut request: Request<Body>) -> Self {
        // No client leaves it out.
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static(HOST));
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4 * 1024 * 1024).await.unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A header as text; empty, where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Location` field of a redirect.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// Expects a 303 to an address.
    #[track_caller]
    pub fn leads_to(&self, to: &str) {
        assert_eq!((self.status, self.location()), (303, to), "{}", self.words());
    }

    /// Expects a status and a text on the page, whatever its case.
    #[track_caller]
    pub fn says(&self, status: u16, text: &str) {
        let words = self.words();
        assert_eq!(self.status, status, "expected {text:?} in {words}");
        let found = words.to_lowercase().contains(&text.to_lowercase());
        assert!(found, "expected {text:?} in {words}");
    }

    /// What a person reads: tags gone, blanks squeezed, entities resolved.
    pub fn words(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in self.body.chars() {
            match c {
                '<' => inside = true,
                '>' if inside => {
                    inside = false;
                    text.push(' ');
                }
                c if !inside => text.push(c),
                _ => {}
            }
        }
        let text: Vec<&str> = text.split_whitespace().collect();
        let text = text.join(" ");
        let entities =
            [("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">")];
        let text = entities.iter().fold(text, |text, (from, to)| text.replace(from, to));
        text.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&").replace("&amp;", "&")
    }

    /// The support code on the page.
    pub fn support_code(&self) -> Option<&str> {
        let (_, rest) = self.body.split_once("<code>")?;
        rest.split_once("</code>").map(|(code, _)| code)
    }

    /// The body without what is new in every answer: to compare two.
    pub fn without_support_code(&self) -> String {
        match self.support_code() {
            Some(code) => self.body.replace(code, "CODE"),
            None => self.body.clone(),
        }
    }

    /// The session that it gives: `None` without a cookie, empty where it takes it away.
    pub fn session(&self) -> Option<&str> {
        let first = self.headers.get(header::SET_COOKIE)?.to_str().unwrap();
        let cookie = Cookie::parse(first).unwrap();
        cookie.value_raw().filter(|_| cookie.name() == COOKIE)
    }
}

/// A browser: keeps its cookie, says where its forms come from, follows nothing by itself.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    cookies: BTreeMap<String, String>,
    /// Names of the cookies that stay at home when another site links here (`SameSite=Strict`).
    strict: BTreeSet<String>,
    /// Where its connections come from; loopback, where it is left out.
    pub address: Option<IpAddr>,
}

impl Browser {
    /// A browser without cookies.
    pub const fn new(router: Router) -> Self {
        Self { router, cookies: BTreeMap::new(), strict: BTreeSet::new(), address: None }
    }

    /// Talks to another server from now on, with the same cookie.
    pub fn use_server(&mut self, router: Router) {
        self.router = router;
    }

    /// The session it holds.
    pub fn session(&self) -> Option<&str> {
        self.cookies.get(COOKIE).map(String::as_str)
    }

    /// Puts this secret into the session cookie.
    pub fn set_session(&mut self, secret: &str) {
        self.cookies.insert(COOKIE.to_owned(), secret.to_owned());
        self.strict.insert(COOKIE.to_owned());
        let open = BASE64URL_NOPAD.encode(&sha256(secret.as_bytes()));
        self.cookies.insert(OPEN_COOKIE.to_owned(), open);
    }

    /// A request with the cookie and whatever else a browser would send with a form.
    pub fn request(&self, method: &Method, path: &str) -> http::request::Builder {
        let mut builder = Request::builder().method(method).uri(path).header(header::HOST, HOST);
        if !self.cookies.is_empty() {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            builder = builder.header(header::COOKIE, cookies.join("; "));
        }
        if *method == Method::POST {
            builder = builder
                .header(header::ORIGIN, ORIGIN)
                .header("sec-fetch-site", "same-origin")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder
    }

    /// Sends a request as it is and keeps the cookie of the answer.
    pub async fn send(&mut self, mut request: Request<Body>) -> Page {
        if let Some(address) = self.address {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        let page = Page::read(self.router.clone(), request).await;
        for set in page.headers.get_all(header::SET_COOKIE) {
            let set = Cookie::parse(set.to_str().unwrap()).unwrap();
            if set.same_site() == Some(SameSite::Strict) {
                self.strict.insert(set.name().to_owned());
            }
            if set.value().is_empty() {
                self.cookies.remove(set.name());
            } else {
                self.cookies.insert(set.name().to_owned(), set.value().to_owned());
            }
        }
        page
    }

    /// Follows a link of another site: cookies with `SameSite=Strict` stay at home.
    pub async fn get_from_elsewhere(&mut self, path: &str) -> Page {
        let mut visitor = self.clone();
        visitor.cookies.retain(|name, _| !self.strict.contains(name));
        let request = visitor.request(&Method::GET, path).header("sec-fetch-site", "cross-site");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a form of another site: no cookie with `SameSite` goes along.
    pub async fn post_from_elsewhere(&mut self, path: &str) -> Page {
        let request = Request::post(path)
            .header(header::ORIGIN, "https://elsewhere.example")
            .header("sec-fetch-site", "cross-site")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends GET for a path of the server; redirects are not followed.
    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.request(&Method::GET, path).body(Body::empty()).unwrap();
        self.send(request).await
    }

    /// Sends a form of our own page.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_raw(path, form(fields).into_bytes()).await
    }

    /// Sends a form of our own page that is answered with a file.
    pub async fn post_bytes(&mut self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let request = self.request(&Method::POST, path).body(Body::from(form(fields))).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        axum::body::to_bytes(response.into_body(), 4 * 1024 * 1024).await.unwrap().to_vec()
    }

    /// Sends bytes as a form of our own page.
    pub async fn post_raw(&mut self, path: &str, body: Vec<u8>) -> Page {
        let request = self.request(&Method::POST, path).body(Body::from(body)).unwrap();
        self.send(request).await
    }

    /// A cookie that it holds.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Puts a cookie of this name into the browser.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Sends a JSON value, as the app in this browser does.
    pub async fn post_json(&mut self, path: &str, body: &Value) -> Reply {
        let mut request = self.request(&Method::POST, path).body(body.to_string().into()).unwrap();
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let page = self.send(request).await;
        let json = serde_json::from_str(&page.body).unwrap_or(Value::Null);
        Reply { status: page.status, headers: page.headers, body: page.body, json }
    }

    /// Steps 1 and 2 of the sign-in, as a person does them.
    pub async fn sign_in(&mut self, npi: &str, passphrase: &str, token: &str, code: &str) -> Page {
        let page = self.pass(npi, passphrase).await;
        page.leads_to("/portal/login/passcode");
        self.passcode(token, code).await
    }

    /// Posts NPI and passphrase: the first step of signing in.
    pub async fn pass(&mut self, npi: &str, passphrase: &str) -> Page {
        self.post("/portal/login", &[("npi", npi), ("passphrase", passphrase)]).await
    }

    /// Posts a passcode of a token: the second step of signing in.
    pub async fn passcode(&mut self, token: &str, code: &str) -> Page {
        self.post("/portal/login/passcode", &[("token", token), ("passcode", code)]).await
    }
}

/// A form as browsers write it.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Header fields of the answer.
    pub headers: HeaderMap,
    /// Body, as it came.
    pub body: String,
    /// Body, read; null where it is no JSON.
    pub json: Value,
}

impl Reply {
    /// Whether it is a problem document with this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        let kind = self.headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap());
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(kind, Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.json["status"], status);
        assert_eq!(self.json["code"], code, "{}", self.body);
        assert!(self.json["title"].is_string() && self.json["detail"].is_string());
    }

    /// The answer of a passcode check.
    #[track_caller]
    pub fn verified(&self) -> bool {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json["verified"].as_bool().unwrap()
    }
}

/// A client of the JSON API.
#[derive(Clone)]
pub struct Api {
    router: Router,
    /// API key, sent as a bearer token; none sends no `Authorization`.
    pub key: Option<String>,
    /// Client address that the server sees.
    pub address: IpAddr,
}

impl Api {
    /// With or without a key, from loopback.
    pub const fn new(router: Router, key: Option<String>) -> Self {
        Self { router, key, address: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// Talks to another server from now on.
    pub fn use_server(&mut self, router: Router) {
        self.router = router;
    }

    /// Sends one request; `kind` is its content type, and an empty one sends none.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Reply {
        let mut builder = Request::builder().method(method).uri(path);
        if !kind.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, kind);
        }
        if let Some(key) = &self.key {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let mut request = builder.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(self.address));
        let page = Page::read(self.router.clone(), request).await;
        let json = serde_json::from_str(&page.body).unwrap_or(Value::Null);
        Reply { status: page.status, headers: page.headers, body: page.body, json }
    }

    /// Posts a JSON value.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, "application/json", body.to_string().into_bytes()).await
    }

    /// Checks a passcode for signing.
    pub async fn check(&self, credential: &str, passcode: &str) -> Reply {
        self.check_for(credential, passcode, "sign").await
    }

    /// Checks a passcode for a purpose.
    pub async fn check_for(&self, credential: &str, passcode: &str, purpose: &str) -> Reply {
        let body = serde_json::json!({
            "credential_id": credential, "passcode": passcode, "purpose": purpose,
        });
        self.post("/api/v1/passcode-checks", &body).await
    }

    /// Asks for a new soft token, as an app does.
    pub async fn ask_provision(&self, family: Option<&str>) -> Reply {
        self.ask_with(&AgreementKey::generate().unwrap(), family, None).await
    }

    /// The same with a pairing code.
    pub async fn ask_pairing(&self, code: &str) -> Reply {
        self.ask_with(&AgreementKey::generate().unwrap(), None, Some(code)).await
    }

    async fn ask_with(
        &self,
        own: &AgreementKey,
        family: Option<&str>,
        pairing_code: Option<&str>,
    ) -> Reply {
        let mut body = serde_json::json!({
            "version": VERSION,
            "device_key": BASE64URL_NOPAD.encode(own.public_key().as_bytes()),
        });
        if let Some(family) = family {
            body["family"] = family.into();
            body["algorithm"] = algorithm_of(Some(family)).code().into();
        }
        if let Some(code) = pairing_code {
            body["pairing_code"] = code.into();
        }
        self.post("/provision/v1/credentials", &body).await
    }

    /// A new soft token.
    pub async fn provision(&self, family: Option<&str>) -> Phone {
        self.phone(family, None).await
    }

    /// A new soft token made with a pairing code.
    pub async fn pair(&self, code: &str) -> Phone {
        self.phone(None, Some(code)).await
    }

    async fn phone(&self, family: Option<&str>, pairing_code: Option<&str>) -> Phone {
        let own = AgreementKey::generate().unwrap();
        let reply = self.ask_with(&own, family, pairing_code).await;
        assert_eq!(reply.status, StatusCode::CREATED.as_u16(), "{}", reply.body);
        let answer = Answer::from_json(reply.body.as_bytes()).unwrap();
        let algorithm = algorithm_of(family);
        let seed = answer.seed(own, algorithm).unwrap();
        Phone::new(answer.credential_id, seed, algorithm.params().unwrap())
    }
}

/// A request for a new soft token, by a device whose key nobody keeps.
pub(crate) fn provision_body() -> Value {
    serde_json::json!({
        "version": VERSION,
        "device_key": BASE64URL_NOPAD.encode(AgreementKey::generate().unwrap().public_key().as_bytes()),
    })
}

/// What an app asks for: a vendor's apps know SHA-1 only.
fn algorithm_of(family: Option<&str>) -> SeedAlgorithm {
    match family {
        Some("symantec") => SeedAlgorithm::Sha1,
        _ => SeedAlgorithm::default(),
    }
}

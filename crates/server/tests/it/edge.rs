//! The edge of HTTP: whom a request is for and whom it comes from, limits by address, and framing; much of it over
//! real sockets, since a request that was never written down can't be written wrongly.

use std::{
    env, fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use countersign_app::Vip;
use countersign_crypto::SystemRng;
use countersign_domain::Timestamp;
use countersign_provision::vip::VipKeys;
use countersign_server::{
    AddressSource, ClientAddresses, Limits, ListenOptions, Listening, listen_with,
};
use countersign_testkit::{
    Api, Backend, Browser, PASSPHRASE, Page, Phone, TestApp, WRONG_CODE, fill, npi, wanted,
};
use http::{Method, Request};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, UnixListener, UnixStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

const WRONG: &str = "not the right passphrase";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusting(proxies: &[&str], source: AddressSource) -> ClientAddresses {
    ClientAddresses::new(proxies.iter().map(|it| it.parse().unwrap()).collect(), source)
}

/// A server on a free port, until it is dropped.
struct Served {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(router: Router, options: ListenOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(listen_with(Listening::Tcp(listener), router, options, stopped));
    Served { address, _stop: stop, server }
}

/// Sends bytes, as they are, and reads what comes until the server closes or says no more.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let bytes = bytes.to_vec();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(&bytes);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
    .await
    .unwrap()
}

/// The status of an answer as it was written; 0 where there is none.
fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The value of a field of an answer as it was written.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[track_caller]
fn says_when(page: &Page, what: &str) {
    assert!(matches!(page.status, 429 | 503), "{what}: {} {:.300}", page.status, page.body);
    let seconds: u64 = page.header("retry-after").parse().unwrap_or(0);
    assert!((1..=60).contains(&seconds), "{what}: {:?}", page.header("retry-after"));
}

async fn post(app: &TestApp, path: &str, kind: &str, body: &str) -> Page {
    let request = Request::post(path).header("content-type", kind);
    app.browser().send(request.body(Body::from(body.to_owned())).unwrap()).await
}

const TOKEN_FORM: &str = "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c";
const FORM: &str = "application/x-www-form-urlencoded";

/// An attempt at each door that fails, until the door is shut: the walk goes over every door that a limit of an
/// address shuts, and over what is shut for all.
#[tokio::test]
async fn every_429_and_503_says_when_to_try_again() {
    let vip = Vip {
        path: "/vip".to_owned(),
        keys: VipKeys::random(&mut SystemRng).unwrap(),
        clock_tolerance_seconds: 300,
    };
    let limits = Limits::new(1, 1).for_all(1);
    let app = TestApp::with(Backend::Sqlite, limits, |o| o.vip = Some(Arc::new(vip))).await;
    let mut browser = app.browser();
    let sign_in = npi(5).as_text();
    let forgot = [
        ("npi", sign_in.as_str()),
        ("first", "111111"),
        ("second", "222222"),
        ("channel", "phone"),
    ];

    assert_eq!(browser.pass(&sign_in, WRONG).await.status, 422);
    let shut = browser.pass(&sign_in, WRONG).await;
    says_when(&shut, "log-in");
    shut.says(429, "Wait a little");
    assert!(shut.support_code().is_some());
    assert_eq!(browser.post("/portal/forgot", &forgot).await.status, 422);
    says_when(&browser.post("/portal/forgot", &forgot).await, "forgotten passphrase");
    assert_eq!(browser.get("/launch?token=x").await.status, 403);
    for path in ["/launch?token=x", "/smart/launch?iss=x", "/smart/callback?state=x&code=y"] {
        says_when(&browser.get(path).await, path);
    }
    assert_eq!(browser.get("/invitation/none").await.status, 404);
    for path in ["/invitation/none", "/not-me/none"] {
        says_when(&browser.get(path).await, path);
        says_when(&browser.post(path, &[]).await, path);
    }
    says_when(&browser.post("/invitation/none/again", &[]).await, "another invitation");
    assert_eq!(post(&app, "/api/v1/token", FORM, TOKEN_FORM).await.status, 401);
    says_when(&post(&app, "/api/v1/token", FORM, TOKEN_FORM).await, "access token");

    let mut asker = Api::new(app.router(), None);
    asker.provision(None).await;
    let unknown = "ABCDEFGHIJKLMNOPQRSTUVWXYY";
    asker.ask_pairing(unknown).await.is_problem(404, "pairing_unknown");
    for (what, reply) in [
        ("new token", asker.ask_provision(None).await),
        ("pairing code", asker.ask_pairing(unknown).await),
        ("new token from elsewhere", {
            asker.address = ip("192.0.2.9");
            asker.ask_provision(None).await
        }),
    ] {
        reply.is_problem(429, "too_many");
        let seconds: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{what}");
    }

    assert_eq!(post(&app, "/vip/prov", "", "nonsense").await.status, 400);
    says_when(&post(&app, "/vip/prov", "", "nonsense").await, "VIP prov");
    assert_eq!(post(&app, "/vip/otpCheck", FORM, "a=b").await.status, 400);
    says_when(&post(&app, "/vip/otpCheck", FORM, "a=b").await, "VIP check");
    says_when(&post(&app, "/vip/otpSync", FORM, "a=b").await, "VIP sync");

    // What is not limited goes on.
    for path in
        ["/portal/login", "/portal/forgot", "/static/portal.css", "/authenticator/", "/healthz"]
    {
        for _ in 0..3 {
            assert_eq!(browser.get(path).await.status, 200, "{path}");
        }
    }
    // Without a database: a page, a problem, and the word for the monitor.
    let holder = app.database.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut elsewhere = app.browser();
    elsewhere.address = Some(ip("192.0.2.10"));
    says_when(&elsewhere.pass(&sign_in, WRONG).await, "a page without a database");
    let reply = Api::new(app.router(), Some("cs_unknown".to_owned()))
        .check("CNST00000000", WRONG_CODE)
        .await;
    reply.is_problem(503, "unavailable");
    assert_eq!(reply.headers["retry-after"], "5");
    holder.execute_batch("ROLLBACK").unwrap();
}

/// What one thing uses up, another has still.
#[tokio::test]
async fn what_fills_one_limit_leaves_the_others_as_they_are() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut browser = app.browser();
    for number in 0..60 {
        let expected = if number < 5 { 403 } else { 429 };
        assert_eq!(browser.get("/smart/launch?iss=x").await.status, expected);
        browser.get("/invitation/none").await;
        post(&app, "/api/v1/token", FORM, TOKEN_FORM).await;
        Api::new(app.router(), None).ask_provision(None).await;
    }
    let me = app.person.npi.as_text();
    app.browser().pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
    let form =
        [("npi", me.as_str()), ("first", "111111"), ("second", "222222"), ("channel", "phone")];
    assert_eq!(app.browser().post("/portal/forgot", &form).await.status, 422);
    // And the other way round: a guesser at the log-in stops no launch.
    app.clock.advance(60);
    for _ in 0..20 {
        browser.pass(&npi(6).as_text(), WRONG).await;
    }
    assert_eq!(app.browser().pass(&me, PASSPHRASE).await.status, 429);
    app.launched("amoreno").await;
}

/// What a page of another site loads as a picture, a frame or by script is refused, fills no limit and ends nothing; a
/// navigation of the whole tab is a launch.
#[tokio::test]
async fn pages_of_other_sites_fill_no_limit_behind_their_readers_back() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut chart = app.launched("amoreno").await;
    let forms = [
        ("GET", "/smart/launch?iss=x", "no-cors", "image"),
        ("GET", "/smart/launch?iss=x", "navigate", "iframe"),
        ("GET", "/launch?token=x", "cors", "empty"),
        ("GET", "/invitation/none", "no-cors", "image"),
        ("POST", "/api/v1/token", "navigate", "document"),
        ("POST", "/provision/v1/credentials", "navigate", "document"),
    ];
    for _ in 0..20 {
        for (method, path, mode, dest) in forms {
            let mut request = chart.request(&method.parse().unwrap(), path);
            let headers = request.headers_mut().unwrap();
            for (name, value) in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            let page = chart.clone().send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(page.status, 403, "{path} {mode} {dest}");
        }
    }
    chart.get("/e-prescribing").await.says(200, "Rosa Lindqvist");
    app.launched("amoreno").await;
    let reply = post(&app, "/api/v1/token", FORM, TOKEN_FORM).await;
    assert_ne!(reply.status, 429);
    let mut request = app.browser().request(&http::Method::GET, "/smart/launch?iss=x");
    let headers = request.headers_mut().unwrap();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let page = app.browser().send(request.body(Body::empty()).unwrap()).await;
    page.says(403, "This EHR is not known here");
}

/// A browser that the account knows logs in while somebody guesses behind the same address.
#[tokio::test]
async fn a_known_browser_is_not_kept_out_by_its_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut known = app.browser();
    known.pass(&app.person.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
    known.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    known.post("/sign-out", &[]).await;
    app.clock.advance(30);
    for number in 0..20 {
        app.browser().pass(&npi(number + 50).as_text(), WRONG).await;
    }
    let me = app.person.npi.as_text();
    assert_eq!(app.browser().pass(&me, PASSPHRASE).await.status, 429);
    known.pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
}

/// Right log-ins, launches and open links from one address are never too many.
#[tokio::test]
async fn what_is_right_is_never_limited() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(2, 2), |_| {}).await;
    let me = app.person.npi.as_text();
    for _ in 0..5 {
        app.browser().pass(&me, PASSPHRASE).await.leads_to("/portal/login/passcode");
        app.launched("amoreno").await;
        // A SMART launch counts until it has come back.
        let (mut here, mut ehr) = (app.browser(), Browser::new(app.charts.clone()));
        ehr.get("/switch?user=amoreno").await;
        let there = ehr.get("/patients/p-1001/e-prescribing").await;
        let away = here.get(there.location().strip_prefix("https://erx.test").unwrap()).await;
        let back =
            ehr.get(away.location().strip_prefix(countersign_testkit::EHR_ORIGIN).unwrap()).await;
        here.get(back.location().strip_prefix("https://erx.test").unwrap())
            .await
            .says(200, "Opening");
    }
    // An empty field is no attempt.
    for _ in 0..5 {
        assert_eq!(app.browser().pass(&me, "").await.status, 422);
    }
}

async fn no_pairing_is_stopped(backend: Backend) {
    let app = TestApp::with(backend, Limits::new(100, 2).for_all(2), |_| {}).await;
    let mut owner = app.signed_in().await;
    let page = owner.post("/portal/pairings", &[]).await;
    let address = page.location().to_owned();
    let page = owner.get(&address).await;
    let code =
        page.body.split("class=\"pairing-code\">").nth(1).unwrap().split('<').next().unwrap();
    // From the very address from which the owner's phone will ask.
    let asker = Api::new(app.router(), None);
    for _ in 0..20 {
        asker.ask_provision(None).await;
        asker.ask_pairing("ABCDEFGHIJKLMNOPQRSTUVWXYY").await;
    }
    asker.ask_provision(None).await.is_problem(429, "too_many");
    asker.ask_pairing("ABCDEFGHIJKLMNOPQRSTUVWXYY").await.is_problem(429, "too_many");
    asker.pair(code).await;
    // A code that was used is one that nobody shows.
    asker.ask_pairing(code).await.is_problem(429, "too_many");
}

#[tokio::test]
async fn foreign_requests_stop_no_pairing_and_guesses_stay_limited() {
    no_pairing_is_stopped(Backend::Sqlite).await;
    if wanted(Backend::Postgres) {
        no_pairing_is_stopped(Backend::Postgres).await;
    }
}

/// Behind a proxy each client has limits of its own, and nobody but the proxy says whose they are.
#[tokio::test]
async fn an_attacker_behind_a_proxy_shuts_out_nobody_else() {
    let limits = Limits::new(3, 3).behind(trusting(&["127.0.0.1"], AddressSource::XForwardedFor));
    let app = TestApp::with(Backend::Sqlite, limits, |_| {}).await;
    let pass = async |from: Option<&str>, chain: &str, name: String, passphrase: &str| {
        let mut browser = app.browser();
        browser.address = from.map(ip);
        let body = format!("npi={name}&passphrase={}", passphrase.replace(' ', "+"));
        let request = browser
            .request(&Method::POST, "/portal/login")
            .header("x-forwarded-for", chain)
            .body(Body::from(body))
            .unwrap();
        browser.send(request).await.status
    };
    let (me, other) = (app.person.npi.as_text(), npi(7).as_text());
    for number in 0..6 {
        // Whatever the attacker writes in front changes nothing.
        let chain = format!("198.51.100.{number}, 203.0.113.66");
        let expected = if number < 3 { 422 } else { 429 };
        assert_eq!(pass(None, &chain, other.clone(), WRONG).await, expected, "{number}");
    }
    assert_eq!(pass(None, "203.0.113.5", me.clone(), PASSPHRASE).await, 303);
    assert_eq!(pass(None, "198.51.100.1", me.clone(), PASSPHRASE).await, 303);
    assert_eq!(pass(None, "203.0.113.66", me.clone(), PASSPHRASE).await, 429);
    // An IPv6 client has all addresses of its network, and one limit.
    for number in 0..4 {
        let expected = if number < 3 { 422 } else { 429 };
        let chain = format!("[2001:db8:0:1::{number}]:4711");
        assert_eq!(pass(None, &chain, npi(8).as_text(), WRONG).await, expected, "{number}");
    }
    assert_eq!(pass(None, "2001:db8:0:2::1", me.clone(), PASSPHRASE).await, 303);
    // What no proxy has sent is not believed: it counts as who it is.
    for number in 0..4 {
        let expected = if number < 3 { 422 } else { 429 };
        let chain = format!("203.0.113.{number}");
        assert_eq!(pass(Some("192.0.2.50"), &chain, npi(9).as_text(), WRONG).await, expected);
    }
    assert_eq!(pass(None, "192.0.2.51", me, PASSPHRASE).await, 303);
}

/// Shows who the listener takes a client to be.
fn mirror() -> Router {
    let said = async |info: Option<axum::Extension<ConnectInfo<IpAddr>>>| {
        info.map_or("socket".to_owned(), |info| info.0.0.to_string())
    };
    Router::new().route("/", get(said))
}

fn proxy_head(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, body].concat()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: erx.test\r\nConnection: close\r\n\r\n";
const V4: [u8; 12] = [203, 0, 113, 5, 127, 0, 0, 1, 1, 2, 3, 4];

/// The PROXY protocol from whom it is expected; anything else from there closes the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_protocol_names_the_client_or_the_connection_ends() {
    let options = |proxies: &[&str]| ListenOptions {
        addresses: trusting(proxies, AddressSource::ProxyProtocol),
        ..ListenOptions::default()
    };
    let served = serve(mirror(), options(&["127.0.0.1"])).await;
    let ask = async |head: &[u8]| raw(served.address, &[head, GET].concat()).await;
    assert!(ask(&proxy_head(0x21, 0x11, &V4)).await.ends_with("203.0.113.5"));
    let answer = ask(&proxy_head(0x20, 0, &[])).await;
    assert!(answer.ends_with("127.0.0.1"), "the proxy's own health check: {answer}");
    for bad in [
        b"PROXY TCP4 203.0.113.5 127.0.0.1 1 2\r\n".to_vec(),
        Vec::new(),
        proxy_head(0x31, 0x11, &V4),
        proxy_head(0x21, 0x12, &V4),
        proxy_head(0x21, 0x11, &V4[..8]),
    ] {
        assert_eq!(ask(&bad).await, "", "{bad:?}");
    }
    // Whoever is not expected to speak it is read as HTTP, and refused with it.
    let served = serve(mirror(), options(&["192.0.2.1"])).await;
    assert!(raw(served.address, GET).await.ends_with("127.0.0.1"));
    let answer = raw(served.address, &[&proxy_head(0x21, 0x11, &V4), GET].concat()).await;
    assert_eq!(status(&answer), 400, "{answer}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listening = Listening::Unix(UnixListener::bind(&path).unwrap(), path.clone());
    let (_stop, stopped) = watch::channel(false);
    let server = tokio::spawn(listen_with(listening, mirror(), options(&["unix"]), stopped));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&[&proxy_head(0x21, 0x11, &V4), GET].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("203.0.113.5"), "{answer}");
    server.abort();
}

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

/// What a proxy in front may read in another way than we do is answered with 400, and the connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_can_be_read_in_two_ways_are_refused() {
    let app = TestApp::on(Backend::Sqlite).await;
    let served = serve(app.router(), ListenOptions::default()).await;
    let next = "GET /healthz HTTP/1.1\r\nHost: erx.test\r\nConnection: close\r\n\r\n";
    let head =
        |fields: &str| format!("POST /portal/login HTTP/1.1\r\nHost: erx.test\r\n{fields}\r\n");
    for (request, cause) in [
        ("GET /healthz HTTP/1.1\nHost: erx.test\n\n".to_owned(), "LF alone"),
        ("GET /healthz HTTP/1.1\r\nHost: erx.test\n\r\n".to_owned(), "LF alone"),
        ("GET /healthz HTTP/1.1\r\nHost: erx.test\r\n\n".to_owned(), "LF alone"),
        ("\nGET /healthz HTTP/1.1\r\nHost: erx.test\r\n\r\n".to_owned(), "LF alone"),
        (head("X: a\rb\r\n"), "CR without LF"),
        (head("X: a\0b\r\n"), "control character"),
        (head("X: a\r\n b\r\n"), "begins with a blank"),
        (head("X : a\r\n"), "name"),
        (head("Content-Length : 5\r\n"), "name"),
        ("GET /a b HTTP/1.1\r\nHost: erx.test\r\n\r\n".to_owned(), "first line"),
        (head("Content-Length: 0\r\nContent-Length: 0\r\n"), "Content-Length more than once"),
        (head("Content-Length: 5\r\nContent-Length: 6\r\n"), "Content-Length more than once"),
        (head("Content-Length: 0, 0\r\n"), "not a number"),
        (head("Content-Length: +1\r\n"), "not a number"),
        (head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "together"),
        (head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "together"),
        (head("Transfer-Encoding: gzip, chunked\r\n"), "other than chunked"),
        (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "more than once"),
        ("CONNECT erx.test:443 HTTP/1.1\r\nHost: erx.test\r\n\r\n".to_owned(), "CONNECT"),
    ] {
        // Alone, behind a good request, and with one behind it that must not be read.
        let good = next.replace("Connection: close\r\n", "");
        for (before, after) in [("", ""), ("", next), (good.as_str(), next)] {
            let answer = raw(served.address, format!("{before}{request}{after}").as_bytes()).await;
            let last = if before.is_empty() {
                answer.as_str()
            } else {
                answer.split_once("ok\n").unwrap().1
            };
            assert_eq!(status(last), 400, "{request:?}: {answer}");
            assert!(last.contains(cause), "{request:?}: {answer}");
            assert_eq!(last.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
        }
    }
    let answer =
        raw(served.address, head(&format!("X: {}\r\n", "x".repeat(70_000))).as_bytes()).await;
    assert_eq!(status(&answer), 431, "{answer:.200}");
    // A body that is cut into chunks is one, and the next request begins behind it.
    let chunked = format!(
        "POST /portal/login HTTP/1.1\r\nHost: erx.test\r\nOrigin: https://erx.test\r\nContent-Type: {FORM}\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nnpi=1\r\n3;x=y\r\n&a=\r\n0\r\n\r\n{next}"
    );
    let answer = raw(served.address, chunked.as_bytes()).await;
    assert!(status(&answer) == 422 && answer.ends_with("ok\n"), "{answer:.300}");
    let broken = chunked.replace("5\r\nnpi=1\r\n", "5\nnpi=1\r\n");
    let answer = raw(served.address, broken.as_bytes()).await;
    assert!(!answer.ends_with("ok\n") && status(&answer) != 422, "{answer:.300}");
}

/// Whether an answer takes the session out of the browser: both cookies, with the attributes they were set with.
#[track_caller]
fn takes_the_session_away(answer: &str) {
    for (name, same_site) in [("__Host-countersign", "Strict"), ("__Host-countersign-open", "Lax")]
    {
        let cookie = format!("{name}=; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age=0");
        let found = answer.lines().any(|line| {
            line.split_once(": ").is_some_and(|(field, value)| {
                field.eq_ignore_ascii_case("set-cookie") && value == cookie
            })
        });
        assert!(found, "{name}: {answer:.600}");
    }
}

/// A launch whose address is too long to be read is a launch that is refused: it leaves no chart open in the browser,
/// and the answer arrives although the client was still sending. Behind a proxy too.
#[tokio::test]
async fn a_launch_that_is_too_long_to_be_read_leaves_nothing_open() {
    let app = TestApp::on(Backend::Sqlite).await;
    let served = serve(app.router(), ListenOptions::default()).await;
    let proxy = match nginx() {
        Some(nginx) => Some(Proxy::start(&nginx, served.address).await),
        None => None,
    };
    for length in [70_000, 80_000, 4_000_000] {
        for address in [Some(served.address), proxy.as_ref().map(|proxy| proxy.address)] {
            let Some(address) = address else { continue };
            let token = "x".repeat(length);
            let request = format!(
                "GET /launch?token={token} HTTP/1.1\r\nHost: erx.test\r\nConnection: close\r\n\r\n"
            );
            let answer = raw(address, request.as_bytes()).await;
            assert!(matches!(status(&answer), 414 | 431), "{length} to {address}: {answer:.300}");
            takes_the_session_away(&answer);
        }
    }
}

/// So does one that can't be read for another reason, whoever refuses it: our check of the head or hyper.
#[tokio::test]
async fn a_launch_that_can_not_be_read_leaves_nothing_open() {
    let app = TestApp::on(Backend::Sqlite).await;
    let served = serve(app.router(), ListenOptions::default()).await;
    let many = "X: y\r\n".repeat(70);
    for (target, fields) in [
        (&b"/launch?token=a b"[..], ""),
        (b"/launch?token=a\x01b", ""),
        (b"/launch?token=a\xff", ""),
        (b"/launch?token=\"x\"", ""),
        (b"/launch?token=<x>", ""),
        (b"/launch?token=x", "Content-Length: 0\r\nContent-Length: 0\r\n"),
        (b"/launch?token=x", "Content-Length: 18446744073709551615\r\n"),
        (b"/launch?token=x", many.as_str()),
    ] {
        let rest = format!(" HTTP/1.1\r\nHost: erx.test\r\n{fields}\r\n");
        let request = [b"GET ", target, rest.as_bytes()].concat();
        let answer = raw(served.address, &request).await;
        assert!(matches!(status(&answer), 400 | 431), "{}: {answer}", target.escape_ascii());
        assert!(
            answer.contains("This request can't be read"),
            "{}: {answer}",
            target.escape_ascii()
        );
        takes_the_session_away(&answer);
        // Behind a request of HTTP/1.0 whose connection was kept.
        let before = b"GET /healthz HTTP/1.0\r\nHost: erx.test\r\nConnection: keep-alive\r\n\r\n";
        let answer = raw(served.address, &[&before[..], &request].concat()).await;
        takes_the_session_away(&answer);
    }
}

/// A connection that is kept open, without a request under way.
struct Idle(tokio::net::TcpStream);

impl Idle {
    async fn open(address: SocketAddr, sent: &[u8]) -> Self {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        Self(stream)
    }

    async fn read(&mut self) -> String {
        let mut bytes = [0; 4_096];
        let read = self.0.read(&mut bytes).await.unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    async fn ask(&mut self) -> String {
        if self.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_err() {
            return String::new();
        }
        self.read().await
    }
}

fn few(most_connections: usize) -> ListenOptions {
    ListenOptions { most_connections, ..ListenOptions::default() }
}

/// Where all places are taken by connections that do nothing, the one that has done nothing for longest makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_room_for_new_ones_in_a_storm() {
    let served = serve(mirror(), few(4)).await;
    // In the order in which they became idle: one that has said nothing, half a head, and two that are kept.
    let mut silent = Idle::open(served.address, b"").await;
    let mut half = Idle::open(served.address, b"GET / HT").await;
    let mut kept = Idle::open(served.address, b"").await;
    let mut newer = Idle::open(served.address, b"").await;
    assert!(kept.ask().await.ends_with("127.0.0.1"));
    assert!(newer.ask().await.ends_with("127.0.0.1"));

    let mut first = Idle::open(served.address, b"").await;
    assert!(first.ask().await.ends_with("127.0.0.1"), "served at once");
    assert_eq!(silent.read().await, "", "the oldest is closed");
    let mut second = Idle::open(served.address, b"").await;
    assert!(second.ask().await.ends_with("127.0.0.1"));
    assert_eq!(half.read().await, "", "then the next");
    // Those who have asked since are younger, and stay.
    assert!(kept.ask().await.ends_with("127.0.0.1"));
    let mut third = Idle::open(served.address, b"").await;
    assert!(third.ask().await.ends_with("127.0.0.1"));
    assert_eq!(newer.read().await, "");
    assert!(kept.ask().await.ends_with("127.0.0.1"));

    // Thousands that do nothing keep nobody out.
    let mut storm = Vec::new();
    for _ in 0..300 {
        storm.push(Idle::open(served.address, b"").await);
    }
    let mut client = Idle::open(served.address, b"").await;
    assert!(client.ask().await.ends_with("127.0.0.1"));
}

/// A request that is under way is never cut off for a new one: that one is told when to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_connections_are_not_cut_off_and_a_new_one_is_told_to_come_back() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.notify_one();
                go_on.notified().await;
                "slow"
            }
        }
    };
    let router = Router::new().route("/", get(async || "quick")).route("/slow", get(slow));
    let served = serve(router, few(2)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(Idle::open(served.address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await);
        begun.notified().await;
    }
    let mut new = Idle::open(served.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = new.read().await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert_eq!(field(&answer, "retry-after"), Some("1"), "{answer}");
    assert_eq!(field(&answer, "connection"), Some("close"));
    for busy in &mut busy {
        go_on.notify_one();
        assert!(busy.read().await.ends_with("slow"));
    }
    // Now they are idle, and there is room.
    let mut next = Idle::open(served.address, b"").await;
    assert!(next.ask().await.ends_with("quick"));
}

/// The path of nginx; without it the test says so and passes, except in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn nginx() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join("nginx")).find(|path| path.is_file());
    assert!(
        found.is_some() || env::var_os("CI").is_none(),
        "nginx is missing: scripts/setup-test.sh"
    );
    if found.is_none() {
        eprintln!("skipped: nginx is missing (scripts/setup-test.sh installs it)");
    }
    found
}

/// A proxy with the configuration that the documents show; stopped at the end.
struct Proxy {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    async fn start(nginx: &Path, upstream: SocketAddr) -> Self {
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
        let text = fs::read_to_string(documents).unwrap();
        let blocks: Vec<&str> = text
            .split("```nginx\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap())
            .collect();
        let [http, server] = blocks.as_slice() else { panic!("the documents show two parts") };
        assert!(http.contains("127.0.0.1:8700"));
        let http = http.replace("127.0.0.1:8700", &upstream.to_string());
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            // Free now; if it is taken before nginx has it, another is tried.
            let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let place = folder.path().display();
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {place}/{name};\n"))
                .concat();
            let configuration = format!(
                "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\n\
                 events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}{http}\n\
                 server {{\nlisten {address};\n{server}\n}}\n}}\n"
            );
            let path = folder.path().join("nginx.conf");
            fs::write(&path, configuration).unwrap();
            let mut child = Command::new(nginx)
                .arg("-c")
                .arg(&path)
                .arg("-p")
                .arg(folder.path())
                .arg("-e")
                .arg(folder.path().join("error.log"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            loop {
                if TcpStream::connect(address).is_ok() {
                    return Self { child, address, _folder: folder };
                }
                if let Some(ended) = child.try_wait().unwrap() {
                    let log =
                        fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
                    assert!(log.contains("in use"), "nginx: {ended}: {log}");
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        panic!("no free port for nginx")
    }

    /// Sends a request from an address of loopback; the answer.
    async fn send(&self, from: &str, method: &str, path: &str, cookie: &str, body: &str) -> String {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip(from), 0)).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        let form = match method {
            "POST" => format!(
                "Origin: https://erx.test\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n",
                body.len()
            ),
            _ => String::new(),
        };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: erx.test\r\nX-Forwarded-For: 198.51.100.1\r\nCookie: {cookie}\r\n\
             {form}Connection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

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

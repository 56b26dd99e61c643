//! Reverse proxies: whose address a request comes from, by header and by PROXY protocol.

use axum::body::Body;
use countersign_server::{AddressSource, Limits, ListenOptions, Listening, listen_with};
use countersign_testkit::{Backend, PASSPHRASE, TestApp, npi};
use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use super::{GET, WRONG, ip, mirror, raw, serve, status, trusting};

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

fn proxy_head(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, body].concat()
}

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
    let stop = CancellationToken::new();
    let server = tokio::spawn(listen_with(listening, mirror(), options(&["unix"]), stop));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&[&proxy_head(0x21, 0x11, &V4), GET].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("203.0.113.5"), "{answer}");
    server.abort();
}

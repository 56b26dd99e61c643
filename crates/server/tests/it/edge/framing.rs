//! Requests that can be read in two ways, and launches that can't be read.

use cookie::{Cookie, SameSite};
use countersign_server::ListenOptions;
use countersign_testkit::{Backend, TestApp};

use super::{FORM, Proxy, nginx, raw, serve, status};

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
        (head("X: a\r\n b\r\n"), "starts with whitespace"),
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
    for (name, same_site) in
        [("__Host-countersign", SameSite::Strict), ("__Host-countersign-open", SameSite::Lax)]
    {
        let gone = Cookie::build((name, ""))
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(same_site)
            .max_age(cookie::time::Duration::ZERO)
            .build();
        // Two cookies are equal whatever their `SameSite`.
        let found = answer.lines().any(|line| {
            line.split_once(": ").is_some_and(|(field, value)| {
                field.eq_ignore_ascii_case("set-cookie")
                    && Cookie::parse(value)
                        .is_ok_and(|it| it == gone && it.same_site() == gone.same_site())
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

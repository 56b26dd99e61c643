use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn read(text: &str) -> Result<Part, HeadFault> {
    let whole = {
        let mut framing = Framing::new();
        framing.feed(text.as_bytes()).map(|()| framing.part).map_err(|(_, fault)| fault)
    };
    // In pieces it is the same.
    let mut framing = Framing::new();
    let pieces = text.as_bytes().chunks(3).try_for_each(|piece| framing.feed(piece));
    assert_eq!(pieces.map(|()| framing.part).map_err(|(_, fault)| fault), whole, "{text:?}");
    whole
}

const START: Part = Part::Request { skipped: false };

#[test]
fn requests_follow_each_other() {
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /?q=%20 HTTP/1.0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\n\n\n\nGET / HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length:0\r\n\r\nGET / HTTP/1.1\r\nX:\t\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\n\n\0\r\r\nA;a=\"b\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET /caf\u{e9} HTTP/1.1\r\nX: caf\u{e9}\r\n\r\n",
    ] {
        assert_eq!(read(text), Ok(START), "{text:?}");
    }
    let more = read("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n123");
    assert_eq!(more, Ok(Part::Body { left: 7 }));
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    use HeadFault as F;
    let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let cases = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(), F::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".to_owned(), F::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".to_owned(), F::BareLf),
        ("\nGET / HTTP/1.1\r\n\r\n".to_owned(), F::BareLf),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), F::RequestLine),
        (head("X: a\rb\r\n"), F::BareCr),
        (head("X: a\r\rb\r\n"), F::BareCr),
        (head("X: a\0b\r\n"), F::Control),
        (head("X: a\u{b}b\r\n"), F::Control),
        (head("X: a\u{7f}b\r\n"), F::Control),
        ("GET /\0 HTTP/1.1\r\n\r\n".to_owned(), F::Control),
        (head("X: a\r\n b\r\n"), F::Folded),
        (head("X: a\r\n\tb\r\n"), F::Folded),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(), F::Folded),
        (head("X : a\r\n"), F::Name),
        (head("X\t: a\r\n"), F::Name),
        (head(": a\r\n"), F::Name),
        (head("X\r\n"), F::Name),
        (head("X(: a\r\n"), F::Name),
        (head("Caf\u{e9}: a\r\n"), F::Name),
        ("GET  / HTTP/1.1\r\n\r\n".to_owned(), F::RequestLine),
        ("GET / HTTP/1.1 \r\n\r\n".to_owned(), F::RequestLine),
        ("GET\t/ HTTP/1.1\r\n\r\n".to_owned(), F::RequestLine),
        ("GET /a b HTTP/1.1\r\n\r\n".to_owned(), F::RequestLine),
        ("GET /\r\n\r\n".to_owned(), F::RequestLine),
        ("GET / HTTP/1.2\r\n\r\n".to_owned(), F::RequestLine),
        ("GET / http/1.1\r\n\r\n".to_owned(), F::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\n".to_owned(), F::RequestLine),
        ("CONNECT a:80 HTTP/1.1\r\n\r\n".to_owned(), F::Connect),
        (head("Content-Length: 5\r\nContent-Length: 5\r\n"), F::Length),
        (head("Content-Length: 5\r\ncontent-length: 6\r\n"), F::Length),
        (head("Content-Length: 5, 5\r\n"), F::Length),
        (head("Content-Length: +5\r\n"), F::Length),
        (head("Content-Length: -1\r\n"), F::Length),
        (head("Content-Length: 0x5\r\n"), F::Length),
        (head("Content-Length: \r\n"), F::Length),
        (head("Content-Length: 99999999999999999999\r\n"), F::Length),
        (head("Content-Length: 18446744073709551615\r\n"), F::Length),
        ("GET /a\u{22}b<c> HTTP/1.1\r\n\r\n".to_owned(), F::Target),
        (head(&"X: y\r\n".repeat(MOST_FIELDS)), F::TooMany),
        (head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), F::LengthAndEncoding),
        (head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), F::LengthAndEncoding),
        (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), F::Encoding),
        (head("Transfer-Encoding: gzip, chunked\r\n"), F::Encoding),
        (head("Transfer-Encoding: identity\r\n"), F::Encoding),
        (head("Transfer-Encoding: xchunked\r\n"), F::Encoding),
        (head("Transfer-Encoding:\r\n"), F::Encoding),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), F::Encoding),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX)), F::TooLong),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_MAX)), F::TooLong),
    ];
    for (text, fault) in cases {
        assert_eq!(read(&text), Err(fault), "{text:.80?}");
    }
    let body = |body: &str| format!("{}{body}", head("Transfer-Encoding: chunked\r\n"));
    for (chunks, fault) in [
        ("3\nabc\r\n0\r\n\r\n", F::BareLf),
        ("3\r\nabc\n0\r\n\r\n", F::BareLf),
        ("3\r\nabcd\r\n0\r\n\r\n", F::Chunk),
        ("0x3\r\nabc\r\n", F::Chunk),
        (" 3\r\nabc\r\n", F::Chunk),
        ("-3\r\nabc\r\n", F::Chunk),
        ("\r\n", F::Chunk),
        ("ffffffffffffffff\r\n", F::Chunk),
        ("0\r\nContent-Length: 5\r\n\r\n", F::Chunk),
        ("0\r\nX : 5\r\n\r\n", F::Name),
        ("3;a=\0\r\nabc\r\n", F::Control),
    ] {
        assert_eq!(read(&body(chunks)), Err(fault), "{chunks:?}");
    }
    let extension = body(&format!("3;{}\r\nabc\r\n", "x".repeat(CHUNK_LINE_MAX)));
    assert_eq!(read(&extension), Err(F::Chunk));
}

/// The answer to a request that comes in pieces of 16 bytes.
async fn answer(request: String) -> String {
    let (mut client, server) = tokio::io::duplex(16);
    let service = hyper::service::service_fn(|_| async {
        Ok::<_, std::convert::Infallible>(hyper::Response::new("ok".to_owned()))
    });
    let io = hyper_util::rt::TokioIo::new(Strict::new(server));
    let served =
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let mut all = Vec::new();
    let send = async { drop(writing.write_all(request.as_bytes()).await) };
    let _ = tokio::join!(send, reading.read_to_end(&mut all));
    drop(client);
    drop(served.await);
    String::from_utf8(all).unwrap()
}

/// hyper looks at a head that comes in pieces only once it ends; who sent it is told the cause all the same, also
/// where they are still sending.
#[tokio::test]
async fn a_head_in_pieces_is_told_the_cause() {
    for (fields, told) in [
        ("X: a\0b\r\n".to_owned(), "400 Bad Request"),
        ("X: a\nY: b\r\n".to_owned(), "400 Bad Request"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n".to_owned(), "400 Bad Request"),
        (format!("X: {}\r\n", "x".repeat(2 * HEAD_MAX)), "431 Request Header Fields Too Large"),
    ] {
        let said = answer(format!("GET /a-longer-path HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {told}\r\n")), "{fields:.40?}: {said}");
        assert!(said.contains("This request can't be read"), "{fields:.40?}: {said}");
        assert_eq!(said.matches("Set-Cookie").count(), 2);
        let (head, _) = said.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{head:?}");
    }
}

proptest! {
    /// How the bytes are cut does not matter, and a request that is good is followed to its end.
    #[test]
    fn cuts_change_nothing(body in proptest::collection::vec(any::<u8>(), 0..200), cut in 1_usize..50) {
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        let all = [head.as_bytes(), &body, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let mut framing = Framing::new();
        for piece in all.chunks(cut) {
            prop_assert_eq!(framing.feed(piece), Ok(()));
        }
        prop_assert_eq!(framing.part, START);
    }
}

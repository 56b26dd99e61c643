//! The PROXY protocol, version 2 (`HAProxy`, "The PROXY protocol", sections 2.2 and 2.3): what a proxy says of
//! its client before the first request of a connection. Version 1, a line of text, is refused.

use std::net::IpAddr;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Most bytes of addresses and extensions; proxies send some hundred at most.
const MOST_BYTES: u16 = 4_096;

/// Why a connection is closed before its first request.
#[derive(Debug, Error)]
pub(crate) enum ProxyProtocolError {
    /// The connection ended, or broke, before the head was whole.
    #[error("the connection ended within the PROXY protocol: {0}")]
    Ended(#[from] std::io::Error),
    /// It begins with `P`, as the text of version 1 does.
    #[error("version 1 of the PROXY protocol is not supported: let the proxy send version 2")]
    Version1,
    /// Its first 12 bytes are not the signature of version 2.
    #[error("the connection does not begin with the PROXY protocol, version 2")]
    Missing,
    /// Another version, command, family, or length.
    #[error("the head of the PROXY protocol is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the head. The address of the client; none where the proxy speaks for itself (health checks) or for a
/// client without an address.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, ProxyProtocolError> {
    // What begins in another way may be shorter than the signature, and then wait for an answer.
    for (at, expected) in SIGNATURE.iter().enumerate() {
        let byte = stream.read_u8().await?;
        if byte != *expected {
            let version1 = at == 0 && byte == b'P';
            return Err(if version1 {
                version1_or_missing(stream).await
            } else {
                ProxyProtocolError::Missing
            });
        }
    }
    let [command, family, high, low] = {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        rest
    };
    let length = u16::from_be_bytes([high, low]);
    if length > MOST_BYTES {
        return Err(ProxyProtocolError::Malformed("it is too long"));
    }
    let mut body = vec![0; usize::from(length)];
    stream.read_exact(&mut body).await?;
    match command {
        // The proxy's own connection: whatever addresses it names are to be ignored.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(ProxyProtocolError::Malformed("its version or command is not known")),
    }
    let short = ProxyProtocolError::Malformed("it is too short for its addresses");
    match family {
        0x11 => {
            let ([source, ..], _) = body.as_chunks::<4>() else { return Err(short) };
            if body.len() < 12 { Err(short) } else { Ok(Some(IpAddr::from(*source))) }
        }
        0x21 => {
            let ([source, ..], _) = body.as_chunks::<16>() else { return Err(short) };
            if body.len() < 36 { Err(short) } else { Ok(Some(IpAddr::from(*source))) }
        }
        // A Unix socket has no address of a client; nor has what the proxy does not know.
        0x31 if body.len() >= 216 => Ok(None),
        0x31 => Err(short),
        0x00 => Ok(None),
        _ => Err(ProxyProtocolError::Malformed("its family or transport is no stream")),
    }
}

/// Whether what began with `P` goes on as version 1 does.
async fn version1_or_missing(stream: &mut (impl AsyncRead + Unpin)) -> ProxyProtocolError {
    for expected in b"ROXY " {
        match stream.read_u8().await {
            Ok(byte) if byte == *expected => {}
            Ok(_) => return ProxyProtocolError::Missing,
            Err(error) => return error.into(),
        }
    }
    ProxyProtocolError::Version1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    async fn read_all(bytes: &[u8]) -> Result<(Option<IpAddr>, Vec<u8>), ProxyProtocolError> {
        let mut stream = bytes;
        let found = read(&mut stream).await?;
        Ok((found, stream.to_vec()))
    }

    #[tokio::test]
    async fn the_client_is_the_source_address() {
        let v4 = [203, 0, 113, 5, 127, 0, 0, 1, 1, 2, 3, 4];
        let v6: Vec<u8> = ["2001:db8::5", "::1"]
            .iter()
            .flat_map(|it| it.parse::<std::net::Ipv6Addr>().unwrap().octets())
            .chain([1, 2, 3, 4])
            .collect();
        let with_more = [&v4[..], &[3, 0, 4, 9, 9, 9, 9]].concat();
        let unix = [1; 216];
        for (bytes, client) in [
            (head(0x21, 0x11, &v4), Some("203.0.113.5")),
            (head(0x21, 0x11, &with_more), Some("203.0.113.5")),
            (head(0x21, 0x21, &v6), Some("2001:db8::5")),
            (head(0x20, 0x11, &v4), None),
            (head(0x20, 0x00, &[]), None),
            (head(0x21, 0x00, &[]), None),
            (head(0x21, 0x31, &unix), None),
        ] {
            let (found, rest) =
                read_all(&[&bytes[..], b"GET / HTTP/1.1\r\n"].concat()).await.unwrap();
            assert_eq!(found, client.map(|it| it.parse().unwrap()), "{bytes:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "nothing of the request is taken");
        }
    }

    #[tokio::test]
    async fn what_is_malformed_closes_the_connection() {
        let v4 = [203, 0, 113, 5, 127, 0, 0, 1, 1, 2, 3, 4];
        for (bytes, why) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not begin"),
            (b"POST / HTTP/1.1\r\n\r\n".to_vec(), "does not begin"),
            (b"PROXY TCP4 203.0.113.5 127.0.0.1 1 2\r\n".to_vec(), "version 1"),
            (b"\r\n\r\n\0\r\nQUIX\n".to_vec(), "does not begin"),
            (b"\r\n\r\n\0\r\nQU".to_vec(), "ended"),
            (Vec::new(), "ended"),
            (head(0x11, 0x11, &v4), "version or command"),
            (head(0x22, 0x11, &v4), "version or command"),
            (head(0x21, 0x12, &v4), "no stream"),
            (head(0x21, 0x41, &v4), "no stream"),
            (head(0x21, 0x11, &v4[..11]), "too short"),
            (head(0x21, 0x11, &[]), "too short"),
            (head(0x21, 0x21, &v4), "too short"),
            (head(0x21, 0x21, &[0; 35]), "too short"),
            (head(0x21, 0x31, &[0; 215]), "too short"),
            (head(0x21, 0x11, &[0; 5_000]), "too long"),
            (head(0x21, 0x11, &v4)[..20].to_vec(), "ended"),
        ] {
            let error = read_all(&bytes).await.unwrap_err().to_string();
            assert!(error.contains(why), "{bytes:?}: {error}");
        }
    }
}

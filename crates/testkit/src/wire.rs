use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::browser::HOST;

/// A connection that is kept, over a real socket: for what only a real server shows.
pub struct KeepAlive {
    stream: BufReader<TcpStream>,
    host: String,
}

/// Status and body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireReply {
    /// HTTP status code.
    pub status: u16,
    /// Body as text.
    pub body: String,
}

impl KeepAlive {
    /// Connects to a server of the tests, under the name that it has there.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        Self::to(address, HOST)
    }

    /// Connects to a server whose clients know it as `host`.
    pub fn to(address: SocketAddr, host: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::new(stream), host: host.to_owned() })
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request and reads the answer.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> WireReply {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.host,
            body.len()
        );
        self.write(text.as_bytes()).unwrap();
        self.read().expect("an answer")
    }

    /// Reads an answer; `None` where the server has closed.
    pub fn read(&mut self) -> Option<WireReply> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).unwrap_or(0);
        if read == 0 {
            return None;
        }
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(WireReply { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Checks a passcode for signing, with this key.
    pub fn check(&mut self, key: &str, credential: &str, passcode: &str) -> WireReply {
        let body = format!(
            r#"{{"credential_id":"{credential}","passcode":"{passcode}","purpose":"sign"}}"#
        );
        let headers = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
        self.send("POST", "/api/v1/passcode-checks", &headers, &body)
    }
}

//! The edge of HTTP: whom a request is for and whom it comes from, limits by address, and framing; much of it over
//! real sockets, since a request that was never written down can't be written wrongly.

mod connections;
mod framing;
mod hosts;
mod limits;
mod nginx;
mod proxies;

use std::{
    env, fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, routing::get};
use countersign_server::{AddressSource, ClientAddresses, ListenOptions, Listening, listen_with};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

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
    let listening = Listening::Tcp(listener);
    let server = tokio::spawn(listen_with(listening, router, options, CancellationToken::new()));
    Served { address, server }
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

const FORM: &str = "application/x-www-form-urlencoded";

/// Shows who the listener takes a client to be.
fn mirror() -> Router {
    let said = async |info: Option<axum::Extension<ConnectInfo<IpAddr>>>| {
        info.map_or("socket".to_owned(), |info| info.0.0.to_string())
    };
    Router::new().route("/", get(said))
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: erx.test\r\nConnection: close\r\n\r\n";

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

//! The listener: HTTP/1.1 on loopback or a Unix socket, with limits on time and number.

mod slots;

use std::{
    convert::Infallible,
    net::IpAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::slots::{BusySlot, HeldSlot, Slots, TrackedBody};
use crate::web::{
    client_address::{ClientAddresses, Sender, UnixSocket},
    head::{MOST_FIELDS, Strict, plain_answer},
    proxy_protocol,
};

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 4_096;
/// Most connections at a time that are told that all slots are taken.
const MOST_TURNED_AWAY: usize = 256;
/// Seconds for the head of a request, and before it for that of the PROXY protocol.
const HEAD_SECONDS: u64 = 15;
/// Seconds after which a connection is closed once its request is answered; a client opens another.
const LIFE_SECONDS: u64 = 600;
/// Seconds for the last answer of a connection to be read.
const LAST_SECONDS: u64 = 15;
/// Seconds for the answer that all slots are taken.
const TURNED_AWAY_SECONDS: u64 = 2;
/// Seconds for requests under way to be answered once the server is told to stop.
const STOP_SECONDS: u64 = 20;
/// Errors of `accept`: the process, or the machine, has no more file handles (errno(3)).
const NO_HANDLES: [i32; 2] = [24, 23];

/// A listener that is bound and can serve.
pub enum Listening {
    /// TCP on loopback.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener, PathBuf),
}

impl Listening {
    /// Binds `address`: `127.0.0.1:8700`, `[::1]:8700` or `unix:/path`.
    pub async fn bind(address: &str) -> std::io::Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => {
                let path = PathBuf::from(path);
                // A socket left by a server that is gone can't be bound over; one that answers can't either.
                let left =
                    std::fs::symlink_metadata(&path).is_ok_and(|it| it.file_type().is_socket());
                if left && tokio::net::UnixStream::connect(&path).await.is_err() {
                    let _ = std::fs::remove_file(&path);
                }
                let listener = UnixListener::bind(&path)?;
                // For the TLS terminator, by its group; for nobody else.
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
                Ok(Self::Unix(listener, path))
            }
            None => Ok(Self::Tcp(TcpListener::bind(address).await?)),
        }
    }
}

/// How connections are taken.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Most connections at a time. For one more, the connection that has been idle for longest is closed; where
    /// none is idle, the new one is told to come back.
    pub most_connections: usize,
    /// Who begins connections with the PROXY protocol.
    pub addresses: ClientAddresses,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { most_connections: MOST_CONNECTIONS, addresses: ClientAddresses::default() }
    }
}

/// Serves until `stop` is canceled, then lets requests that are under way finish, for `STOP_SECONDS` at most.
pub async fn listen(listening: Listening, router: Router, stop: CancellationToken) {
    listen_with(listening, router, ListenOptions::default(), stop).await;
}

/// The same with options.
pub async fn listen_with(
    listening: Listening,
    router: Router,
    options: ListenOptions,
    stop: CancellationToken,
) {
    let slots = Arc::new(Slots::default());
    let addresses = Arc::new(options.addresses);
    let (mut served, mut turned_away) = (JoinSet::new(), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listening) => accepted,
            Some(_) = served.join_next() => continue,
            Some(_) = turned_away.join_next() => continue,
            () = stop.cancelled() => break,
        };
        let (stream, sender) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if error.raw_os_error().is_some_and(|code| NO_HANDLES.contains(&code)) {
                    slots.close_longest_idle();
                }
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if slots.count() >= options.most_connections && !slots.close_longest_idle() {
            tracing::warn!("all connections are in use: a connection was rejected");
            if turned_away.len() < MOST_TURNED_AWAY {
                turned_away.spawn(turn_away(stream));
            }
            continue;
        }
        let slot = slots.claim();
        let (router, stop) = (router.clone(), stop.clone());
        let (slots, addresses) = (Arc::clone(&slots), Arc::clone(&addresses));
        served.spawn(async move {
            let held = HeldSlot { slot, slots };
            tokio::select! {
                // Dropped, and closed with that; it is between two requests.
                () = held.slot.close.notified() => {}
                () = connection(stream, sender, &addresses, router, held.clone(), stop) => {}
            }
            held.slots.release(&held.slot);
        });
    }
    let all = async { while served.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(STOP_SECONDS), all).await;
    if let Listening::Unix(_, path) = &listening {
        let _ = std::fs::remove_file(path);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn accept(listening: &Listening) -> std::io::Result<(Box<dyn Stream>, Sender)> {
    match listening {
        Listening::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), Sender::Address(address.ip())))
        }
        Listening::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            Ok((Box::new(stream), Sender::Unix))
        }
    }
}

/// Tells a client that all slots are taken, and when to come back.
async fn turn_away(mut stream: Box<dyn Stream>) {
    let text = "All connections are in use. Try again in a moment.\n";
    let answer = plain_answer("503 Service Unavailable", "Retry-After: 1\r\n", text);
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // What was not read when a socket is closed can take the answer back (RFC 9112, 9.6).
        let mut rest = [0; 1_024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(TURNED_AWAY_SECONDS), told).await;
}

async fn connection(
    mut stream: Box<dyn Stream>,
    sender: Sender,
    addresses: &ClientAddresses,
    router: Router,
    held: HeldSlot,
    stop: CancellationToken,
) {
    let mut client = sender;
    if addresses.speaks_proxy_protocol(sender) {
        let head = tokio::time::timeout(
            Duration::from_secs(HEAD_SECONDS),
            proxy_protocol::read(&mut stream),
        );
        match head.await {
            Ok(Ok(Some(address))) => client = Sender::Address(address),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a connection of a trusted proxy was closed");
                return;
            }
            Err(_) => {
                tracing::warn!(
                    "a connection of a trusted proxy was closed: no PROXY protocol in time"
                );
                return;
            }
        }
    }
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        let held = held.clone();
        async move {
            if !held.slot.mark_busy() {
                // The connection is being closed; nothing is begun on it.
                std::future::pending::<()>().await;
            }
            let busy = BusySlot(held);
            let mut request = request.map(Body::new);
            match client {
                Sender::Address(address) => {
                    request.extensions_mut().insert(ConnectInfo::<IpAddr>(address));
                }
                Sender::Unix => {
                    request.extensions_mut().insert(ConnectInfo(UnixSocket));
                }
            }
            let answer: Result<_, Infallible> = router.oneshot(request).await;
            answer.map(|answer| answer.map(|body| TrackedBody::new(body, busy)))
        }
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEAD_SECONDS))
            .max_headers(MOST_FIELDS)
            .serve_connection(TokioIo::new(Strict::new(stream)), service)
    );
    tokio::select! {
        // In this order: most times it is a request.
        biased;
        _ = served.as_mut() => return,
        () = stop.cancelled() => served.as_mut().graceful_shutdown(),
        () = tokio::time::sleep(Duration::from_secs(LIFE_SECONDS)) => served.as_mut().graceful_shutdown(),
    }
    // Who does not read what it asked for is let go.
    let _ = tokio::time::timeout(Duration::from_secs(LAST_SECONDS), served).await;
}

//! The listener: HTTP/1.1 on loopback or a Unix socket, with limits on time and number.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
};
use tower::ServiceExt;

/// Most connections at a time; one more waits until another ends.
const MOST_CONNECTIONS: usize = 4_096;
/// Seconds for the head of a request; a client that dribbles is let go.
const HEAD_SECONDS: u64 = 15;

/// Seconds after which a connection is closed once its request is answered; a client opens another.
const LIFE_SECONDS: u64 = 600;
/// Seconds for the last answer of a connection to be read.
const LAST_SECONDS: u64 = 15;

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

/// Serves until `stop` says so, then lets requests that are under way finish.
pub async fn listen(listening: Listening, router: Router, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = accept(&listening) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let (router, stop) = (router.clone(), stop.clone());
                tokio::spawn(async move {
                    connection(stream, address, router, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file handles, most likely: wait for some to come back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let most = u32::try_from(MOST_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(Duration::from_secs(20), permits.acquire_many(most)).await;
    if let Listening::Unix(_, path) = &listening {
        let _ = std::fs::remove_file(path);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn accept(listening: &Listening) -> std::io::Result<(Box<dyn Stream>, IpAddr)> {
    match listening {
        Listening::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), address.ip()))
        }
        Listening::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            Ok((Box::new(stream), IpAddr::V4(Ipv4Addr::LOCALHOST)))
        }
    }
}

async fn connection(
    stream: Box<dyn Stream>,
    address: IpAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            let answer: Result<_, Infallible> = router.oneshot(request).await;
            answer
        }
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEAD_SECONDS))
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // In this order: most times it is a request.
        biased;
        _ = served.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => served.as_mut().graceful_shutdown(),
        () = tokio::time::sleep(Duration::from_secs(LIFE_SECONDS)) => served.as_mut().graceful_shutdown(),
    }
    // Who does not read what it asked for is let go.
    let _ = tokio::time::timeout(Duration::from_secs(LAST_SECONDS), served).await;
}

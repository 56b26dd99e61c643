//! The bare HTTP limit of a machine: the same framework as the server's, and nothing behind it.

use std::io::{Read, Write};

use anyhow::Result;
use axum::{Json, Router, routing::post, serve::ListenerExt};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::oneshot};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    credential_id: String,
    passcode: String,
    purpose: String,
}

#[derive(Serialize)]
struct Reply {
    verified: bool,
}

/// Says `true` to every well-formed check until standard input ends. Prints its address first.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", listener.local_addr()?)?;
        out.flush()?;
        let (send, parent_gone) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            // Whoever started us holds the other end; it closes however that process ends.
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            drop(send);
        });
        tokio::select! {
            served = serve_on(listener) => Ok(served?),
            _ = parent_gone => Ok(()),
        }
    })
}

async fn serve_on(listener: TcpListener) -> std::io::Result<()> {
    let router = Router::new().route("/api/v1/passcode-checks", post(answer));
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await
}

async fn answer(Json(check): Json<Check>) -> Json<Reply> {
    let whole =
        [&check.credential_id, &check.passcode, &check.purpose].iter().all(|s| !s.is_empty());
    Json(Reply { verified: whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{self, Checks};
    use std::{sync::Arc, time::Duration};

    #[tokio::test]
    async fn a_load_on_the_echo_is_verified() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve_on(listener));
        let checks = Arc::new(Checks::around_now(100, "key", address).unwrap());
        let found = load::run(address, &checks, Duration::from_secs(30)).await.unwrap();
        // A tenth of all codes went into the warm-up.
        assert_eq!((found.verified, found.wrong), (checks.total() - checks.total() / 10, 0));
        assert!(found.ran_out && found.rate() > 0.0);
        assert!(found.milliseconds(0.5) <= found.milliseconds(0.99));
        let endless = Arc::new(Checks::around_now(100, "key", address).unwrap().endless());
        let found = load::run(address, &endless, Duration::from_millis(300)).await.unwrap();
        assert!(found.wrong == 0 && found.verified > 0 && !found.ran_out, "{found:?}");
        server.abort();
    }
}

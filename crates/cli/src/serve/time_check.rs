//! Measures the clock of this machine against a time server.

use std::{sync::Arc, time::Duration};

use countersign_app::App;

/// How often the clock is measured, and how long one measurement may take.
const MEASURE_EVERY: Duration = Duration::from_mins(10);
const MEASURE_MOST: Duration = Duration::from_secs(5);

/// Measures this host's clock against the time server, again and again.
pub(super) async fn watch_clock(app: Arc<App>, server: String) {
    if server.is_empty() {
        return;
    }
    loop {
        let pause = match measured(&server).await {
            Ok(offset) => {
                app.clock_was_measured(offset);
                if offset.abs() > 60 {
                    tracing::error!(offset, "the clock of this host is wrong");
                }
                MEASURE_EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the time server did not respond");
                Duration::from_mins(1)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// By how many seconds a time server is ahead of this host (SNTP, RFC 4330).
pub(super) async fn measured(server: &str) -> Result<i64, rsntp::SynchronizationError> {
    let mut client = rsntp::AsyncSntpClient::new();
    client.set_timeout(MEASURE_MOST);
    let offset = client.synchronize(server).await?.clock_offset().as_secs_f64();
    #[expect(clippy::cast_possible_truncation, reason = "seconds between two clocks of today")]
    Ok(offset.round() as i64)
}

//! What a server does by itself while it serves: tidies up, sends notices and prescriptions, measures its clock.

use std::{future::Future, sync::Arc, time::Duration};

use countersign_app::{App, outbound::Outbound};
use countersign_server::Limits;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::time_check::watch_clock;
use crate::soft_token::now;

/// How often is tidied up, and the pause after a fault of the outbox.
const MINUTE: Duration = Duration::from_mins(1);
/// How often the outbox is looked at, and the pause after a fault of the way to the gateway.
const DELIVER_EVERY: Duration = Duration::from_secs(2);

/// Loops that run beside the listener. They end at their next point of waiting once this is dropped.
pub(super) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
    _ends_when_dropped: DropGuard,
}

impl Background {
    /// Begins all of them. An empty `time_server` means that the clock is not measured.
    pub(super) fn start(
        app: &Arc<App>,
        limits: Arc<Limits>,
        outbound: Arc<dyn Outbound>,
        time_server: String,
    ) -> Self {
        let background = Self::new();
        background.run(tidy(Arc::clone(app), limits));
        background.run(deliver(Arc::clone(app), Arc::clone(&outbound)));
        background.run(transmit(Arc::clone(app), outbound));
        background.run(watch_clock(Arc::clone(app), time_server));
        background
    }

    fn new() -> Self {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        Self { tasks: TaskTracker::new(), stop, _ends_when_dropped: guard }
    }

    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// Ends all of them, each at its next point of waiting, and returns once none runs any more.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Removes what has run out, and looks at what ends by itself.
async fn tidy(app: Arc<App>, limits: Arc<Limits>) {
    loop {
        tokio::time::sleep(MINUTE).await;
        limits.shrink(now());
        if let Err(error) = app.purge().await {
            tracing::warn!(%error, "cleanup failed");
        }
        if let Err(error) = app.watch_certification().await {
            tracing::warn!(%error, "checking notices of noncompliance failed");
        }
        if let Err(error) = app.watch().await {
            tracing::warn!(%error, "checking registrations failed");
        }
    }
}

/// Sends the notices that are due.
async fn deliver(app: Arc<App>, outbound: Arc<dyn Outbound>) {
    loop {
        match app.deliver(outbound.as_ref()).await {
            // There may be more.
            Ok(sent) if sent > 0 => {}
            Ok(_) => tokio::time::sleep(DELIVER_EVERY).await,
            Err(error) => {
                tracing::warn!(%error, "sending notices failed");
                tokio::time::sleep(MINUTE).await;
            }
        }
    }
}

/// Hands signed prescriptions over to the gateway.
async fn transmit(app: Arc<App>, gateway: Arc<dyn Outbound>) {
    loop {
        match app.transmit(&gateway).await {
            // There may be more.
            Ok(tried) if tried > 0 => {}
            Ok(_) => app.something_signed().await,
            Err(error) => {
                tracing::warn!(%error, "sending prescriptions failed");
                tokio::time::sleep(DELIVER_EVERY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop that never ends by itself, and holds `alive` as long as it runs.
    async fn forever(alive: Arc<()>) {
        loop {
            tokio::time::sleep(DELIVER_EVERY).await;
            assert!(Arc::strong_count(&alive) > 1);
        }
    }

    #[tokio::test]
    async fn nothing_runs_once_the_end_was_waited_for() {
        let (alive, background) = (Arc::new(()), Background::new());
        for _ in 0..3 {
            background.run(forever(Arc::clone(&alive)));
        }
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&alive), 4);
        background.end().await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test]
    async fn what_is_dropped_ends_too() {
        let (alive, background) = (Arc::new(()), Background::new());
        background.run(forever(Arc::clone(&alive)));
        let tasks = background.tasks.clone();
        drop(background);
        tasks.close();
        tokio::time::timeout(MINUTE, tasks.wait()).await.unwrap();
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

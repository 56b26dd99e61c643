use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use super::Error;

/// Most sign-ins that may wait for a hash: at about 0.1 s each, ten seconds of patience.
const MOST_WAITING: usize = 100;

/// Runs slow hashes on few threads, so that a login storm does not stop passcode checks.
pub(super) struct HashPool {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl HashPool {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            permits: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a place in the line, or says at once that it is too long: a try that is turned away
    /// must not have been counted.
    pub(super) fn reserve(&self) -> Result<Place<'_>, Error> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= MOST_WAITING {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::Busy);
        }
        Ok(Place(self))
    }
}

/// A place in the line for a hash; given back when it is dropped.
pub(super) struct Place<'p>(&'p HashPool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Place<'_> {
    pub(super) async fn run<R: Send + 'static>(
        self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(move || {
            let out = work();
            drop(permit);
            out
        })
        .await
        .map_err(|_| Error::Busy)
    }
}

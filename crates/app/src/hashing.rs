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
    /// Waits for its turn and hashes. A hash comes before the decision that it is for, so that one that panicked
    /// has changed nothing: [`Error::HashFailed`].
    pub(super) async fn run<R: Send + 'static>(
        self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        let permit =
            Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| Error::HashFailed)?;
        let hashed = tokio::task::spawn_blocking(move || {
            let out = work();
            drop(permit);
            out
        });
        hashed.await.map_err(|error| {
            tracing::error!(
                panicked = error.is_panic(),
                "a passphrase hash ended without an answer"
            );
            Error::HashFailed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_that_panicked_is_no_unknown_outcome_and_gives_its_place_back() {
        let pool = HashPool::new();
        for _ in 0..2 * MOST_WAITING {
            let place = pool.reserve().unwrap();
            let hashed = place
                .run(|| {
                    assert!(std::hint::black_box(false), "in the hash");
                })
                .await;
            assert!(matches!(hashed, Err(Error::HashFailed)), "{hashed:?}");
        }
        assert_eq!(pool.reserve().unwrap().run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn whoever_finds_the_line_full_is_told_so() {
        let pool = HashPool::new();
        let places: Vec<_> = (0..MOST_WAITING).map(|_| pool.reserve().unwrap()).collect();
        assert!(matches!(pool.reserve(), Err(Error::Busy)));
        drop(places);
        pool.reserve().map(drop).unwrap();
    }
}

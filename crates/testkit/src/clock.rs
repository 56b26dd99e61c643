use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use countersign_app::Clock;
use countersign_crypto::{Rng, RngError, sha256};
use countersign_domain::Timestamp;

/// When every test begins: 2026-05-25T14:00:00Z, the first second of a step.
pub const START: Timestamp = Timestamp::from_seconds(1_779_717_600);

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct FrozenClock(AtomicI64);

impl Default for FrozenClock {
    fn default() -> Self {
        Self(AtomicI64::new(START.micros()))
    }
}

impl FrozenClock {
    /// Sets the clock to a time, later or earlier.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.micros(), Ordering::SeqCst);
    }

    /// Moves on by so many seconds; back, where they are negative.
    pub fn advance(&self, seconds: i64) {
        self.set(self.now().plus_seconds(seconds));
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The true time, for tests that start the real binary.
pub fn real_now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the binary reads the same clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// A generator that gives the same bytes in every run, and never the same twice in one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeededRng;

static DRAWN: AtomicU64 = AtomicU64::new(0);

impl Rng for SeededRng {
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), RngError> {
        for chunk in buf.chunks_mut(32) {
            let drawn = DRAWN.fetch_add(1, Ordering::SeqCst);
            let block = sha256(format!("countersign tests {drawn}").as_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// [`SeededRng`] as the store and the application take it.
pub fn seeded_rng() -> Box<dyn Rng> {
    Box::new(SeededRng)
}

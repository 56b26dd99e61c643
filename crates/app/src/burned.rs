//! Steps whose fate nobody knows count as consumed.
//!
//! A commit may be lost in sight of the coast, a client may leave, a request may run out of time:
//! then the answer "not verified" has been given, or none, and the step must not verify later.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_domain::{Token, TokenId, otp::Step};
use countersign_store::Error;

/// The steps that count as accepted though no row may say so.
#[derive(Clone, Default)]
pub(super) struct Burned(Arc<Mutex<HashMap<TokenId, Step>>>);

impl Burned {
    /// Makes burned steps count as accepted.
    pub(super) fn apply<'t>(&self, tokens: impl Iterator<Item = &'t mut Token>) {
        let burned = lock(&self.0);
        if burned.is_empty() {
            return;
        }
        for token in tokens {
            if let Some(step) = burned.get(&token.id) {
                token.last_step = Some(token.last_step.map_or(*step, |last| last.max(*step)));
            }
        }
    }

    /// Watches one transaction: the first half stays with the request, the second goes into the
    /// closure that decides.
    pub(super) fn watch(&self) -> (Watch, Consumed) {
        let consumed = Consumed { burned: self.clone(), inner: Arc::default() };
        (Watch { consumed: consumed.clone(), known: false }, consumed)
    }

    fn burn(&self, steps: &[(TokenId, Step)]) {
        let mut burned = lock(&self.0);
        for (id, step) in steps {
            let known = burned.entry(*id).or_insert(*step);
            *known = (*known).max(*step);
        }
    }
}

impl fmt::Debug for Burned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Burned")
    }
}

/// What a closure has consumed, told before its commit.
#[derive(Debug, Clone)]
pub(super) struct Consumed {
    burned: Burned,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    steps: Vec<(TokenId, Step)>,
    abandoned: bool,
}

impl Consumed {
    /// The steps consumed by this run of the closure; an earlier run has come to nothing.
    pub(super) fn set(&self, steps: impl Iterator<Item = (TokenId, Step)>) {
        let mut inner = lock(&self.inner);
        inner.steps = steps.collect();
        if inner.abandoned {
            self.burned.burn(&inner.steps);
        }
    }
}

/// Burns what was consumed unless the outcome becomes known. A request that is dropped half way
/// never knows.
#[derive(Debug)]
pub(super) struct Watch {
    consumed: Consumed,
    known: bool,
}

impl Watch {
    /// The request has its answer.
    pub(super) fn settle<T>(mut self, result: &Result<T, Error>) {
        self.known = !matches!(result, Err(Error::OutcomeUnknown(_)));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.known {
            let mut inner = lock(&self.consumed.inner);
            inner.abandoned = true;
            self.consumed.burned.burn(&inner.steps);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::Timestamp;

    fn step(number: i64) -> (TokenId, Step) {
        (TokenId::new(Timestamp::from_seconds(1), &mut SystemRng).unwrap(), Step::new(number))
    }

    fn is_burned(burned: &Burned, (id, step): (TokenId, Step)) -> bool {
        lock(&burned.0).get(&id) == Some(&step)
    }

    #[test]
    fn a_known_outcome_burns_nothing() {
        let burned = Burned::default();
        let it = step(7);
        let (watch, consumed) = burned.watch();
        consumed.set([it].into_iter());
        watch.settle(&Ok(()));
        let (watch, consumed) = burned.watch();
        consumed.set([it].into_iter());
        watch.settle::<()>(&Err(Error::Unavailable("away".into())));
        assert!(!is_burned(&burned, it));
    }

    #[test]
    fn an_unknown_outcome_and_a_dropped_request_burn() {
        let burned = Burned::default();
        let (unknown, dropped, later) = (step(7), step(8), step(9));
        let (watch, consumed) = burned.watch();
        consumed.set([unknown].into_iter());
        watch.settle::<()>(&Err(Error::OutcomeUnknown("lost".into())));
        let (watch, consumed) = burned.watch();
        consumed.set([dropped].into_iter());
        drop(watch);
        // The client left before the closure ran.
        let (watch, consumed) = burned.watch();
        drop(watch);
        consumed.set([later].into_iter());
        for it in [unknown, dropped, later] {
            assert!(is_burned(&burned, it));
        }
    }
}

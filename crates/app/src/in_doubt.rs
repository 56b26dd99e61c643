//! Steps whose fate nobody knows count as consumed.
//!
//! The connection to the database can break while a commit is under way, a client can leave, a request can run out of
//! time: then the answer "not verified" has been given, or none, and the step must not verify later.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_domain::{Token, TokenId, otp::Step};
use countersign_store::Error;

/// The steps that count as accepted though no row may say so.
#[derive(Clone, Default)]
pub(super) struct InDoubtSteps(Arc<Mutex<HashMap<TokenId, Step>>>);

impl InDoubtSteps {
    /// Makes steps in doubt count as accepted.
    pub(super) fn apply<'t>(&self, tokens: impl Iterator<Item = &'t mut Token>) {
        let in_doubt = lock(&self.0);
        if in_doubt.is_empty() {
            return;
        }
        for token in tokens {
            if let Some(step) = in_doubt.get(&token.id()) {
                token.consume(*step);
            }
        }
    }

    /// Watches one transaction: the first half stays with the request, the second goes into the
    /// closure that decides.
    pub(super) fn watch(&self) -> (InDoubtGuard, ConsumedSteps) {
        let consumed = ConsumedSteps { in_doubt: self.clone(), inner: Arc::default() };
        (InDoubtGuard { consumed: consumed.clone(), known: false }, consumed)
    }

    fn add(&self, steps: &[(TokenId, Step)]) {
        let mut in_doubt = lock(&self.0);
        for (id, step) in steps {
            let known = in_doubt.entry(*id).or_insert(*step);
            *known = (*known).max(*step);
        }
    }
}

impl fmt::Debug for InDoubtSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InDoubtSteps")
    }
}

/// What a closure has consumed, told before its commit.
#[derive(Debug, Clone)]
pub(super) struct ConsumedSteps {
    in_doubt: InDoubtSteps,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    steps: Vec<(TokenId, Step)>,
    abandoned: bool,
}

impl ConsumedSteps {
    /// The steps consumed by this run of the closure; an earlier run has come to nothing.
    pub(super) fn set(&self, steps: impl Iterator<Item = (TokenId, Step)>) {
        let mut inner = lock(&self.inner);
        inner.steps = steps.collect();
        if inner.abandoned {
            self.in_doubt.add(&inner.steps);
        }
    }
}

/// Burns what was consumed unless the outcome becomes known. A request that is dropped half way
/// never knows.
#[derive(Debug)]
pub(super) struct InDoubtGuard {
    consumed: ConsumedSteps,
    known: bool,
}

impl InDoubtGuard {
    /// The request has its answer.
    pub(super) fn settle<T>(mut self, result: &Result<T, Error>) {
        self.known = !matches!(result, Err(Error::OutcomeUnknown(_)));
    }
}

impl Drop for InDoubtGuard {
    fn drop(&mut self) {
        if !self.known {
            let mut inner = lock(&self.consumed.inner);
            inner.abandoned = true;
            self.consumed.in_doubt.add(&inner.steps);
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

    fn is_in_doubt(in_doubt: &InDoubtSteps, (id, step): (TokenId, Step)) -> bool {
        lock(&in_doubt.0).get(&id) == Some(&step)
    }

    #[test]
    fn a_known_outcome_burns_nothing() {
        let in_doubt = InDoubtSteps::default();
        let it = step(7);
        let (watch, consumed) = in_doubt.watch();
        consumed.set([it].into_iter());
        watch.settle(&Ok(()));
        let (watch, consumed) = in_doubt.watch();
        consumed.set([it].into_iter());
        watch.settle::<()>(&Err(Error::Unavailable("away".into())));
        assert!(!is_in_doubt(&in_doubt, it));
    }

    #[test]
    fn an_unknown_outcome_and_a_dropped_request_burn() {
        let in_doubt = InDoubtSteps::default();
        let (unknown, dropped, later) = (step(7), step(8), step(9));
        let (watch, consumed) = in_doubt.watch();
        consumed.set([unknown].into_iter());
        watch.settle::<()>(&Err(Error::OutcomeUnknown("lost".into())));
        let (watch, consumed) = in_doubt.watch();
        consumed.set([dropped].into_iter());
        drop(watch);
        // The client left before the closure ran.
        let (watch, consumed) = in_doubt.watch();
        drop(watch);
        consumed.set([later].into_iter());
        for it in [unknown, dropped, later] {
            assert!(is_in_doubt(&in_doubt, it));
        }
    }
}

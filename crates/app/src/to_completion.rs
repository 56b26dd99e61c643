//! Use cases that run to completion even if the client leaves, and what is said when one ends without an answer.

use std::future::Future;

use tokio::task::JoinError;

use super::{At, Error};

/// Runs a use case in a task of its own, so that a client that leaves cancels nothing.
///
/// # Errors
///
/// What the use case answers. A task that panicked or was cut off may have committed before: that is
/// [`Error::OutcomeUnknown`], never "nothing was changed".
pub(super) async fn to_completion<T: Send + 'static>(
    name: &'static str,
    at: At,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(ended_early(name, at, &error)))
}

/// The error of a task that ended without an answer, with its line in the log. Passcode steps that the task had
/// consumed without hearing of the commit count as accepted when its state is dropped (`InDoubtGuard` in `in_doubt.rs`).
pub(super) fn ended_early(name: &'static str, at: At, error: &JoinError) -> Error {
    let support = at.support;
    tracing::error!(%support, task = name, panicked = error.is_panic(), "a task ended without an answer");
    let cause = format!("the task {name} ended without an answer");
    Error::OutcomeUnknown(countersign_store::Error::OutcomeUnknown(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::{SupportCode, Timestamp};

    fn at() -> At {
        let support = SupportCode::new(&mut SystemRng).unwrap();
        At { now: Timestamp::from_seconds(1), support, browser: None, known_browser: None }
    }

    #[tokio::test]
    async fn a_task_that_panicked_or_was_cut_off_has_an_unknown_outcome() {
        let panicked = to_completion("test", at(), async {
            assert!(std::hint::black_box(false), "after the commit");
            Ok(())
        });
        assert!(matches!(panicked.await, Err(Error::OutcomeUnknown(_))));
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let error = ended_early("test", at(), &task.await.unwrap_err());
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}");
    }

    #[tokio::test]
    async fn an_answer_is_passed_on_as_it_is() {
        assert_eq!(to_completion("test", at(), async { Ok(7) }).await.unwrap(), 7);
        let busy = to_completion::<()>("test", at(), async { Err(Error::Busy) }).await;
        assert!(matches!(busy, Err(Error::Busy)));
    }
}

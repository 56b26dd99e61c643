//! The places for connections: which are idle, and for how long.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// The place is busy: a request was read, and its answer is not yet handed over.
const BUSY: u64 = u64::MAX;
/// The place was taken back: the connection ends.
const CLOSED: u64 = u64::MAX - 1;

/// One of the connections that are open.
pub(super) struct Place {
    number: u64,
    /// [`BUSY`], [`CLOSED`], or the count of changes at which it became idle.
    state: AtomicU64,
    pub(super) close: Notify,
}

impl Place {
    /// Whether a request may begin.
    pub(super) fn begin(&self) -> bool {
        let begun = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state != CLOSED).then_some(BUSY)
        });
        begun.is_ok()
    }
}

/// The connections that are open.
#[derive(Default)]
pub(super) struct Places {
    /// Counts changes: what is idle at a smaller count is idle for longer.
    changes: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Place>>>,
}

impl Places {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Place>>> {
        // Nothing that can panic runs under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// A connection that has sent nothing yet is idle.
    pub(super) fn take(&self) -> Arc<Place> {
        let number = self.change();
        let place = Arc::new(Place { number, state: AtomicU64::new(number), close: Notify::new() });
        self.open().insert(number, Arc::clone(&place));
        place
    }

    pub(super) fn leave(&self, place: &Place) {
        self.open().remove(&place.number);
    }

    /// Closes the connection that has been idle for longest; whether there was one.
    pub(super) fn close_longest_idle(&self) -> bool {
        let mut open = self.open();
        loop {
            let longest = open
                .values()
                .map(|place| (place.state.load(Ordering::Acquire), place))
                .filter(|(state, _)| *state < CLOSED)
                .min_by_key(|(state, _)| *state);
            let Some((state, place)) = longest else { return false };
            let number = place.number;
            // Unless its next request has begun meanwhile.
            let closed =
                place.state.compare_exchange(state, CLOSED, Ordering::AcqRel, Ordering::Acquire);
            if closed.is_ok() {
                place.close.notify_one();
                open.remove(&number);
                return true;
            }
        }
    }
}

/// A place, and those that it is one of.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) place: Arc<Place>,
    pub(super) places: Arc<Places>,
}

/// Makes the place idle again, however the request ends.
pub(super) struct Begun(pub(super) Held);

impl Drop for Begun {
    fn drop(&mut self) {
        let Held { place, places } = &self.0;
        let idle = places.change();
        let _ = place.state.compare_exchange(BUSY, idle, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// The body of an answer; when it is handed over the connection is idle again.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _begun: Begun,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

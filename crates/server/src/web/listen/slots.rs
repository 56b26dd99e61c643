//! The slots of open connections: which are idle, and which of them for longest.

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

/// State of a slot whose request was read and whose answer is not yet handed over to the connection.
const BUSY: u64 = u64::MAX;
/// State of a slot that another connection needed: its own connection is being closed.
const CLOSED: u64 = u64::MAX - 1;

/// The slot of one open connection.
pub(super) struct Slot {
    /// The count of changes at which the connection was accepted: no two slots have the same.
    number: u64,
    /// [`BUSY`], [`CLOSED`], or the count of changes at which it became idle.
    state: AtomicU64,
    /// Told when the connection has to be closed.
    pub(super) close: Notify,
}

impl Slot {
    /// Marks the slot as busy; false where the connection is being closed, and no request may begin.
    pub(super) fn mark_busy(&self) -> bool {
        let begun = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state != CLOSED).then_some(BUSY)
        });
        begun.is_ok()
    }
}

/// The slots of all open connections.
#[derive(Default)]
pub(super) struct Slots {
    /// Counts changes: what is idle at a smaller count is idle for longer.
    changes: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Slot>>>,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Slot>>> {
        // Nothing that can panic runs under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// A slot for a new connection, which is idle as long as it has sent nothing.
    pub(super) fn claim(&self) -> Arc<Slot> {
        let number = self.next_change();
        let slot = Arc::new(Slot { number, state: AtomicU64::new(number), close: Notify::new() });
        self.lock().insert(number, Arc::clone(&slot));
        slot
    }

    /// Gives the slot of a connection that has ended to others.
    pub(super) fn release(&self, slot: &Slot) {
        self.lock().remove(&slot.number);
    }

    /// Closes the connection that has been idle for longest; whether there was one.
    pub(super) fn close_longest_idle(&self) -> bool {
        let mut open = self.lock();
        loop {
            let longest = open
                .values()
                .map(|slot| (slot.state.load(Ordering::Acquire), slot))
                .filter(|(state, _)| *state < CLOSED)
                .min_by_key(|(state, _)| *state);
            let Some((state, slot)) = longest else { return false };
            let number = slot.number;
            // Unless its next request has begun meanwhile.
            let closed =
                slot.state.compare_exchange(state, CLOSED, Ordering::AcqRel, Ordering::Acquire);
            if closed.is_ok() {
                slot.close.notify_one();
                open.remove(&number);
                return true;
            }
        }
    }
}

/// The slot that a connection holds, with the set that it is one of.
#[derive(Clone)]
pub(super) struct HeldSlot {
    pub(super) slot: Arc<Slot>,
    pub(super) slots: Arc<Slots>,
}

/// A busy slot of a request: idle again once dropped, however the request ends.
pub(super) struct BusySlot(pub(super) HeldSlot);

impl Drop for BusySlot {
    fn drop(&mut self) {
        let HeldSlot { slot, slots } = &self.0;
        let idle = slots.next_change();
        let _ = slot.state.compare_exchange(BUSY, idle, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// The body of an answer, which keeps the slot busy until it is handed over.
pub(super) struct TrackedBody {
    body: Body,
    _busy: BusySlot,
}

impl TrackedBody {
    pub(super) fn new(body: Body, busy: BusySlot) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for TrackedBody {
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

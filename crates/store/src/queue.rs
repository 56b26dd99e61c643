use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Most items that may wait: more could not be answered in time anyway.
const MOST: usize = 8_192;

/// A queue between the async side and the database threads; closed when the store is dropped.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    wake: Condvar,
}

struct Inner<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            inner: Mutex::new(Inner { items: VecDeque::new(), closed: false }),
            wake: Condvar::new(),
        }
    }

    /// Puts an item in; gives it back when the queue is closed or full.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut inner = self.lock();
        if inner.closed || inner.items.len() >= MOST {
            return Err(item);
        }
        inner.items.push_back(item);
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for at least one item and takes up to `most`; empty once closed and drained.
    pub(crate) fn take(&self, most: usize) -> Vec<T> {
        let mut inner = self.lock();
        while inner.items.is_empty() && !inner.closed {
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let count = inner.items.len().min(most);
        inner.items.drain(..count).collect()
    }

    /// Takes half of what is there, but at least `least` and at most `most` where there are so many,
    /// without waiting; says how many are left.
    pub(crate) fn take_half(&self, least: usize, most: usize) -> (Vec<T>, usize) {
        let mut inner = self.lock();
        let there = inner.items.len();
        let count = (there / 2).max(least).min(most).min(there);
        (inner.items.drain(..count).collect(), there - count)
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing that can panic runs under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

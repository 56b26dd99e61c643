//! Attacks that have worked on systems like this one, a test each, named after the attack.

mod floods;
mod passcodes;
mod requests;
mod sessions;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use countersign_app::Clock;
use countersign_domain::Timestamp;
use countersign_testkit::FrozenClock;
use tokio::sync::oneshot;

/// A clock that counts how often it is read, and holds whoever reads it for a given time until the test goes on.
struct HoldingClock {
    time: Arc<FrozenClock>,
    reads: AtomicUsize,
    hold: Mutex<Option<Hold>>,
}

/// Which reading is held, and how the test hears of it and ends it.
struct Hold {
    reading: usize,
    reached: oneshot::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Clock for HoldingClock {
    fn now(&self) -> Timestamp {
        let reading = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        let held = self.hold.lock().unwrap().take_if(|hold| hold.reading == reading);
        if let Some(hold) = held {
            let _: Result<(), ()> = hold.reached.send(());
            let _: Result<(), mpsc::RecvError> = hold.go_on.recv();
        }
        self.time.now()
    }
}

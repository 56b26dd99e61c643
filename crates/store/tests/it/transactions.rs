//! One closure, one fate: its changes are kept or undone together, its reply waits for the commit,
//! and nobody else's work suffers.

use countersign_domain::{EventKind, PracticeId};
use countersign_store::{Error, Store, Tx};

use crate::support::{Gate, NOW, append_many, event, is_waiting, named, on_sqlite, seen, started};

/// Whether the practice with this name is there for a reader of this store.
async fn there(store: &Store, name: &'static str) -> bool {
    let all = store.read("names", |tx| tx.practices()).await.unwrap();
    all.iter().any(|(_, found)| found == name)
}

/// A write that makes the practice with this ID. A second one with the same ID waits for the first to end, and fails
/// only if the first was committed.
fn making(
    id: PracticeId,
    name: &str,
) -> impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static {
    let name = name.to_owned();
    move |tx| tx.create_practice(id, &name, NOW)
}

on_both! {
    async fn an_error_or_a_panic_undoes_only_its_own_work(place: &Place) {
        let store = place.open().await;
        // While the first one holds the writer, all others gather behind it for one commit.
        let (gate, work) = Gate::around(named("first"));
        let first = started(store.write("first", work)).await;
        gate.reached.await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..40_u32 {
            let mut make = named(&format!("practice {number}"));
            let work = move |tx: &mut Tx<'_>| {
                make(tx)?;
                match number % 4 {
                    1 => Err(Error::Conflict),
                    2 => panic!("asked for"),
                    _ => Ok(number),
                }
            };
            waiting.push((number, started(store.write("one of many", work)).await));
        }
        gate.go_on.send(()).unwrap();
        first.await.unwrap();
        for (number, answer) in waiting {
            match (number % 4, answer.await) {
                (1, Err(Error::Conflict)) | (2, Err(Error::Driver(_))) => {
                    assert_eq!(seen(place, &format!("practice {number}")).await, 0);
                }
                (0 | 3, Ok(answered)) => {
                    assert_eq!(answered, number);
                    assert_eq!(seen(place, &format!("practice {number}")).await, 1);
                }
                (_, other) => panic!("{number}: {other:?}"),
            }
        }
    }

    async fn a_failed_statement_undoes_the_work_even_if_nobody_looks(place: &Place) {
        let store = place.open().await;
        store.write("taken", named("taken")).await.unwrap();
        let id = store.read("id", |tx| tx.practices()).await.unwrap()[0].0;
        let (mut make, mut later) = (named("beside"), named("later"));
        let careless = store
            .write("careless", move |tx| {
                make(tx)?;
                let _ = tx.create_practice(id, "twice", NOW);
                let _ = later(tx);
                Ok(())
            })
            .await;
        assert!(careless.is_err());
        assert_eq!((seen(place, "beside").await, seen(place, "later").await), (0, 0));
    }

    async fn a_reply_comes_only_after_the_commit(place: &Place) {
        let (store, other) = (place.open().await, place.open().await);
        let (gate, work) = Gate::around(named("durable"));
        let mut answer = started(store.write("durable", work)).await;
        gate.reached.await.unwrap();
        assert!(is_waiting(&mut answer).await);
        assert!(!there(&other, "durable").await, "seen before its commit");
        gate.go_on.send(()).unwrap();
        answer.await.unwrap();
        assert!(there(&other, "durable").await);
        assert_eq!(seen(place, "durable").await, 1);
    }

    async fn an_answer_that_comes_too_late_is_unknown_and_the_work_stands(place: &Place) {
        let store = place.open().await;
        let id = new_id!(PracticeId);
        let (gate, work) = Gate::around(making(id, "late"));
        // The clock of this runtime jumps to the next deadline whenever everything waits.
        let late = std::thread::spawn({
            let store = store.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .start_paused(true)
                    .build()
                    .unwrap();
                runtime.block_on(store.write("late", work)).unwrap_err()
            }
        });
        let late = late.join().unwrap();
        assert!(matches!(late, Error::OutcomeUnknown(_)), "{late:?}");
        assert_eq!(seen(place, "late").await, 0);
        gate.go_on.send(()).unwrap();
        assert!(place.open().await.write("again", making(id, "again")).await.is_err());
        assert_eq!(seen(place, "late").await, 1);
    }

    async fn a_client_that_left_does_not_undo_its_write(place: &Place) {
        let (store, other) = (place.open().await, place.open().await);
        let id = new_id!(PracticeId);
        let (gate, work) = Gate::around(making(id, "left"));
        let answer = started(store.write("left", work)).await;
        gate.reached.await.unwrap();
        drop(answer);
        gate.go_on.send(()).unwrap();
        drop(store);
        assert!(other.write("again", making(id, "again")).await.is_err(), "the write was undone");
        assert_eq!(seen(place, "left").await, 1);
    }

    async fn no_record_no_change(place: &Place) {
        let store = place.open().await;
        let many: Vec<_> = (0..3).map(|_| event(EventKind::PracticeCreated)).collect();
        place.sql("ALTER TABLE audit_event RENAME TO audit_event_away").await;
        for careless in [false, true] {
            for events in [many[..1].to_vec(), many.clone()] {
                let mut make = named("unrecorded");
                let made = store
                    .write("unrecorded", move |tx| {
                        make(tx)?;
                        let recorded = append_many(tx, &events, NOW);
                        if careless { Ok(()) } else { recorded }
                    })
                    .await;
                assert!(made.is_err(), "the change was made without its record");
                assert_eq!(seen(place, "unrecorded").await, 0);
            }
        }
        place.sql("ALTER TABLE audit_event_away RENAME TO audit_event").await;
        let mut make = named("recorded");
        store
            .write("recorded", move |tx| {
                make(tx)?;
                append_many(tx, &many, NOW)
            })
            .await
            .unwrap();
        assert_eq!((seen(place, "recorded").await, place.count("audit_event").await), (1, 3));
    }
}

/// PostgreSQL shows a reader the commits of others between two statements; SQLite does not, and a
/// page that reads twice relies on nothing more than that each row is whole.
#[test]
fn a_read_on_sqlite_sees_one_state_however_long_it_takes() {
    on_sqlite(async |place| {
        let store = place.open().await;
        store.write("before", named("before")).await.unwrap();
        let (gate, mut first) = Gate::around(|tx| Ok(tx.practices()?.len()));
        let reading =
            started(store.read("twice", move |tx| Ok((first(tx)?, tx.practices()?.len())))).await;
        gate.reached.await.unwrap();
        store.write("meanwhile", named("meanwhile")).await.unwrap();
        gate.go_on.send(()).unwrap();
        assert_eq!(reading.await.unwrap(), (1, 1));
    });
}

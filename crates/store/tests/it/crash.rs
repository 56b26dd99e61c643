//! A process that is killed loses nothing that it has answered.
//!
//! The test runs this executable again as a child, which writes as fast as it can and prints the
//! number of each write once it is acknowledged.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign_domain::EventKind;
use countersign_store::{Database, Store};

use crate::support::{NOW, Place, event, master_key, named, system_rng};

/// Where the child shall write; set for the child only.
const CHILD: &str = "COUNTERSIGN_TEST_STORM";
/// The test that a child is started with.
const DOUBLE: &str = "crash::a_killed_process_leaves_the_file_in_one_piece";
/// Acknowledged writes after which the child is killed, in the midst of the next ones.
const ENOUGH: usize = 400;

/// What the child does until it is killed.
fn storm(place: String) {
    let database = if place.starts_with("postgres") {
        Database::Postgres { url: place, connections: 8 }
    } else {
        Database::Sqlite { path: place.into() }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&database, master_key(1), system_rng, false, NOW).await.unwrap();
        let next = Arc::new(AtomicU64::new(0));
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (store, next) = (store.clone(), Arc::clone(&next));
            writers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let mut make = named(&format!("write {number}"));
                    let made = event(EventKind::PracticeCreated);
                    let answer = store.write("storm", move |tx| {
                        make(tx)?;
                        tx.append(&made, NOW)
                    });
                    if answer.await.is_err() {
                        return number;
                    }
                    // In one piece, so that a line is either whole or has no end.
                    let line = format!("acknowledged write {number}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            });
        }
        let refused = writers.join_next().await;
        panic!("write {refused:?} was refused before the kill");
    });
}

/// Kills the child in the midst of its writes; gives the names of those that it has acknowledged.
fn acknowledged_before_the_kill(place: &Place) -> Vec<String> {
    let address = match place {
        Place::Sqlite { .. } => place.file().into_os_string(),
        Place::Postgres { .. } => place.url().into(),
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", DOUBLE, "--nocapture"])
        .env(CHILD, address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    // After the kill the pipe still holds what was printed before it.
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, name)) = line.split_once("acknowledged ") {
            if line.ends_with('\n') {
                acknowledged.push(name.trim().to_owned());
            }
            if acknowledged.len() == ENOUGH {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= ENOUGH, "the child ended early: {}", acknowledged.len());
    acknowledged
}

on_both! {
    async fn what_a_killed_process_has_acknowledged_is_there(place: &Place) {
        drop(place.open().await);
        let mut wanted = Vec::new();
        for _ in 0..3 {
            wanted.extend(acknowledged_before_the_kill(place));
            let store = place.open().await;
            let names = store.read("names", |tx| tx.practices()).await.unwrap();
            let mut there: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
            let rows = i64::try_from(there.len()).unwrap();
            // A later child counts from zero again: each name is there as often as it was answered.
            for name in &wanted {
                let at = there.iter().position(|found| found == name);
                there.swap_remove(at.unwrap_or_else(|| panic!("{name} is lost")));
            }
            let events = store.read("events", |tx| tx.event_count()).await.unwrap();
            assert_eq!(events, rows, "a change and its record stand or fall together");
        }
    }
}

#[test]
fn a_killed_process_leaves_the_file_in_one_piece() {
    if let Ok(place) = std::env::var(CHILD) {
        return storm(place);
    }
    crate::support::on_sqlite(async |place| {
        drop(place.open().await);
        acknowledged_before_the_kill(place);
        place.open().await;
        assert_eq!(place.texts("PRAGMA integrity_check").await, ["ok"]);
        assert_eq!(place.texts("PRAGMA journal_mode").await, ["wal"]);
    });
}

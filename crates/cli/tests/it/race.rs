//! One passcode, many connections, real servers: accepted once in every round.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use countersign_store::Database;
use countersign_testkit::{
    Backend, Phone, TestDatabase, fill, open_store, real_now, wanted, write_key_file,
};

use crate::run::{Place, Server, connect, free_ports};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 200;
const KEY: &str = "cs_flood-of-the-tests";

/// Fills a database with as many tokens as there are rounds: a token that saw a race pauses.
fn prepare(database: &Database) -> Vec<Phone> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open_store(database, real_now()).await;
        fill(&store, u32::try_from(ROUNDS).unwrap(), KEY, real_now()).await
    })
}

fn serve(place: &mut Place) -> (u16, Server) {
    let port = free_ports();
    place.listen_on(port);
    place.set(
        "COUNTERSIGN_LOG",
        "warn,countersign=info,countersign_app=error,countersign_server=error",
    );
    (port, place.start(&["serve"], "ready"))
}

/// Every connection sends the same code at the same moment; each round takes another token.
fn fire(ports: &[u16], phones: Vec<Phone>) {
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let aim = Arc::new(Mutex::new((String::new(), String::new())));
    let accepted = Arc::new(AtomicUsize::new(0));
    let phones = Arc::new(phones);
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (barrier, aim) = (Arc::clone(&barrier), Arc::clone(&aim));
            let (accepted, phones) = (Arc::clone(&accepted), Arc::clone(&phones));
            let port = ports[number % ports.len()];
            thread::spawn(move || {
                let mut wire = connect(port);
                let mut rounds = Vec::new();
                for phone in phones.iter() {
                    if number == 0 {
                        let code = phone.code(real_now());
                        *aim.lock().unwrap() = (phone.credential.to_string(), code);
                    }
                    barrier.wait();
                    let (credential, code) = aim.lock().unwrap().clone();
                    let reply = wire.check(KEY, &credential, &code);
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    if reply.body == r#"{"verified":true}"# {
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                    barrier.wait();
                    if number == 0 {
                        rounds.push(accepted.swap(0, Ordering::SeqCst));
                    }
                }
                rounds
            })
        })
        .collect();
    let rounds: Vec<usize> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert_eq!(rounds, vec![1; ROUNDS], "accepted in each round");
}

#[test]
fn race_for_one_code_at_one_sqlite_server() {
    let mut place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    write_key_file(&place.path("data/master.key"));
    let phones = prepare(&Database::Sqlite { path: place.path("data/countersign.db") });
    let (port, server) = serve(&mut place);
    fire(&[port], phones);
    assert_eq!(server.stop(), 0);
}

#[test]
fn race_for_one_code_at_two_servers_on_one_postgresql() {
    if !wanted(Backend::Postgres) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::create(Backend::Postgres));
    let phones = prepare(&database.database());
    let mut place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    write_key_file(&place.path("data/master.key"));
    place.set("COUNTERSIGN_DATABASE__KIND", "postgres");
    place.set("COUNTERSIGN_DATABASE__URL", database.url().unwrap());
    let (first_port, first) = serve(&mut place);
    let (second_port, second) = serve(&mut place);
    fire(&[first_port, second_port], phones);
    assert_eq!((first.stop(), second.stop()), (0, 0));
}

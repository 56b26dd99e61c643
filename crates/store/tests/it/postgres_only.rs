//! What only a server can do to us: end connections, cancel waits, find deadlocks, crash.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
};

use countersign_domain::{Failures, PasscodeFailures};
use countersign_store::{Database, Error, Store};
use tempfile::TempDir;

use crate::support::{
    Gate, NOW, People, Place, master_key, named, new_token, on_postgres, pg_client, pg_server,
    seen, skipped, started, stored, system_rng,
};

/// Connections of stores to this database that match a condition on `pg_stat_activity`.
fn activity(name: &str, condition: &str) -> String {
    format!(
        "pg_stat_activity WHERE datname = '{name}' AND application_name = 'countersign' \
         AND {condition}"
    )
}

async fn number(client: &tokio_postgres::Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until as many connections match.
async fn until(client: &tokio_postgres::Client, name: &str, condition: &str, count: i64) {
    let sql = format!("SELECT COUNT(*) FROM {}", activity(name, condition));
    while number(client, &sql).await != count {
        tokio::task::yield_now().await;
    }
}

/// Ends or cancels every matching connection; says how many there were.
async fn signal(
    client: &tokio_postgres::Client,
    function: &str,
    name: &str,
    condition: &str,
) -> usize {
    let sql = format!("SELECT {function}(pid) FROM {}", activity(name, condition));
    client.query(&sql, &[]).await.unwrap().len()
}

fn parts(place: &Place) -> (&str, &str) {
    let Place::Postgres { server, name } = place else { unreachable!() };
    (server, name)
}

#[test]
fn an_idle_connection_that_was_ended_is_replaced_without_a_word() {
    on_postgres(async |place| {
        let (server, name) = parts(place);
        let client = pg_client(server).await;
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let lane = store.lane("lane", |tx, names: &[String]| {
            names.iter().map(|name| named(name)(tx)).collect()
        });
        for round in 0..3 {
            // As many at once as there are connections, so that each of them has been used.
            let writes: Vec<_> = (0..12)
                .map(|n| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        store.write("write", named(&format!("round {round} {n}"))).await
                    })
                })
                .collect();
            for write in writes {
                write.await.unwrap().unwrap();
            }
            lane.submit(format!("lane {round}")).await.unwrap();
            assert!(signal(&client, "pg_terminate_backend", name, "state = 'idle'").await > 1);
            until(&client, name, "TRUE", 0).await;
            store.read("read", |tx| tx.practices()).await.unwrap();
            stored(&store, token.credential()).await;
        }
        let practices = store.read("practices", |tx| tx.practices()).await.unwrap();
        assert_eq!(practices.len(), 1 + 3 * (12 + 1));
    });
}

#[test]
fn a_connection_that_ends_inside_a_transaction_is_an_error() {
    on_postgres(async |place| {
        let (server, name) = parts(place);
        let client = pg_client(server).await;
        let store = place.open().await;
        // Before its last statement: nothing was committed, and that is known.
        let (gate, mut work) = Gate::around(named("half"));
        let mut rest = named("other half");
        let answer = started(store.write("half", move |tx| {
            work(tx)?;
            rest(tx)
        }))
        .await;
        gate.reached.await.unwrap();
        let inside = "state = 'idle in transaction'";
        assert_eq!(signal(&client, "pg_terminate_backend", name, inside).await, 1);
        until(&client, name, inside, 0).await;
        gate.go_on.send(()).unwrap();
        let error = answer.await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        // Before its commit: we can't know that the server did not take it.
        let (gate, work) = Gate::around(named("whole"));
        let answer = started(store.write("whole", work)).await;
        gate.reached.await.unwrap();
        assert_eq!(signal(&client, "pg_terminate_backend", name, inside).await, 1);
        until(&client, name, inside, 0).await;
        gate.go_on.send(()).unwrap();
        let error = answer.await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
        store.write("after", named("after")).await.unwrap();
        for (name, count) in [("half", 0), ("other half", 0), ("whole", 0), ("after", 1)] {
            assert_eq!(seen(place, name).await, count, "{name}");
        }
    });
}

#[test]
fn a_canceled_statement_is_an_error_and_undoes_the_rest() {
    on_postgres(async |place| {
        let (server, name) = parts(place);
        let client = pg_client(server).await;
        let store = place.open().await;
        let people = People::new(&store).await;
        let (gate, work) = Gate::around(move |tx| tx.lock_prescriber(people.prescriber));
        let holder = started(store.write("holder", work)).await;
        gate.reached.await.unwrap();
        let mut make = named("canceled");
        let waiting = started(store.write("waiting", move |tx| {
            make(tx)?;
            tx.lock_prescriber(people.prescriber)
        }))
        .await;
        until(&client, name, "wait_event_type = 'Lock'", 1).await;
        signal(&client, "pg_cancel_backend", name, "wait_event_type = 'Lock'").await;
        assert!(waiting.await.is_err());
        gate.go_on.send(()).unwrap();
        holder.await.unwrap();
        assert_eq!(seen(place, "canceled").await, 0);
        store.write("after", named("after")).await.unwrap();
    });
}

#[test]
fn a_deadlock_is_tried_again() {
    on_postgres(async |place| {
        let (server, name) = parts(place);
        pg_client(server)
            .await
            .batch_execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '20ms'"))
            .await
            .unwrap();
        let store = place.open().await;
        let (one, two) = (People::new(&store).await, People::new(&store).await);
        let both_hold_one = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicU32::new(0));
        let crossing: Vec<_> = [(one, two), (two, one)]
            .into_iter()
            .map(|(first, second)| {
                let (both_hold_one, runs) = (Arc::clone(&both_hold_one), Arc::clone(&runs));
                let store = store.clone();
                let mut first_run = true;
                tokio::spawn(async move {
                    store
                        .write("crossing", move |tx| {
                            runs.fetch_add(1, Ordering::SeqCst);
                            let mut failures = tx.lock_prescriber(first.prescriber)?;
                            if std::mem::take(&mut first_run) {
                                both_hold_one.wait();
                            }
                            tx.lock_prescriber(second.prescriber)?;
                            failures.in_a_row.count += 1;
                            tx.save_prescriber_failures(first.prescriber, &failures)
                        })
                        .await
                })
            })
            .collect();
        for crossing in crossing {
            crossing.await.unwrap().unwrap();
        }
        assert!(runs.load(Ordering::SeqCst) > 2, "one of them was the victim and ran again");
        for people in [one, two] {
            let failures = store
                .write("count", move |tx| tx.lock_prescriber(people.prescriber))
                .await
                .unwrap();
            let in_a_row = Failures { count: 1, blocked_until: None };
            assert_eq!(failures, PasscodeFailures { in_a_row, ..PasscodeFailures::NONE });
        }
    });
}

#[test]
fn many_closures_share_few_connections() {
    on_postgres(async |place| {
        let (server, name) = parts(place);
        let client = pg_client(server).await;
        let database = Database::Postgres { url: place.url(), connections: 2 };
        let store = Store::open(&database, master_key(1), system_rng, true, NOW).await.unwrap();
        let writes: Vec<_> = (0..50)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.write("w", named(&format!("w {n}"))).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        let sql = format!("SELECT COUNT(*) FROM {}", activity(name, "TRUE"));
        assert!(number(&client, &sql).await <= 2);
        drop(store);
        until(&client, name, "TRUE", 0).await;
    });
}

/// A cluster of the test's own, for settings that the shared one must not have.
struct Cluster {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
}

impl Cluster {
    fn start() -> Option<Self> {
        pg_server()?;
        let Some(binaries) = std::env::var_os("COUNTERSIGN_TEST_PG_BIN") else {
            skipped("COUNTERSIGN_TEST_PG_BIN is not set; scripts/with-postgres.sh sets it");
            return None;
        };
        // The path of a socket is short, and another user must be able to come here.
        let folder = tempfile::Builder::new().prefix("cspg").tempdir_in("/var/tmp").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, binaries: binaries.into(), port };
        if is_root() {
            let chown = Command::new("chown").arg("postgres").arg(cluster.folder.path()).status();
            assert!(chown.unwrap().success());
        }
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "postgres", "--auth=trust", "--no-sync"]);
        cluster.pg_ctl_start();
        Some(cluster)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn pg_ctl_start(&self) {
        let settings = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1",
            self.port,
            self.folder.path().display()
        );
        let log = self.folder.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-o", &settings, "-l", &log, "-w", "start"]);
    }

    /// PostgreSQL refuses to run as root.
    fn run(&self, tool: &str, args: &[&str]) {
        let tool = self.binaries.join(tool);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(tool);
            command
        } else {
            Command::new(tool)
        };
        // A server that keeps our pipe would keep the runner waiting for its end.
        let log = std::fs::File::create(self.folder.path().join("tool.log")).unwrap();
        let status = command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status();
        let said = std::fs::read_to_string(self.folder.path().join("tool.log")).unwrap();
        assert!(status.unwrap().success(), "{said}");
    }

    fn crash(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.crash();
        }
    }
}

/// Root, as the owner of a folder that only root can own.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_commit_that_was_not_replicated_is_unknown() {
    let Some(cluster) = Cluster::start() else { return };
    runtime().block_on(async {
        let place = Place::postgres(&cluster.url()).await;
        let (server, name) = parts(&place);
        let client = pg_client(server).await;
        let store = place.open().await;
        let lane = store.lane("lane", |tx, names: &[String]| {
            names.iter().map(|name| named(name)(tx)).collect()
        });
        lane.submit("before".to_owned()).await.unwrap();
        client
            .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            .await
            .unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let waiting = "wait_event = 'SyncRep'";
        // Until the setting has arrived everywhere a write may still go through.
        let mut rounds = 0;
        for function in ["pg_cancel_backend", "pg_terminate_backend"] {
            loop {
                rounds += 1;
                let write = store.write("alone", named(&format!("alone {rounds}")));
                let mut write = started(write).await;
                let sql = format!("SELECT COUNT(*) FROM {}", activity(name, waiting));
                let mut answer = None;
                while answer.is_none() && number(&client, &sql).await == 0 {
                    answer = tokio::time::timeout(std::time::Duration::ZERO, &mut write).await.ok();
                }
                if let Some(answer) = answer {
                    answer.unwrap();
                    continue;
                }
                assert!(crate::support::is_waiting(&mut write).await);
                assert_eq!(signal(&client, function, name, waiting).await, 1);
                let error = write.await.unwrap_err();
                assert!(matches!(error, Error::OutcomeUnknown(_)), "{function}: {error:?}");
                // It is there all the same: that is why nobody may call it undone.
                assert_eq!(seen(&place, &format!("alone {rounds}")).await, 1);
                break;
            }
        }
        let asked = started(lane.submit("in a lane".to_owned())).await;
        until(&client, name, waiting, 1).await;
        signal(&client, "pg_cancel_backend", name, waiting).await;
        let error = asked.await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
        client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        lane.submit("after".to_owned()).await.unwrap();
        store.write("after", named("after")).await.unwrap();
    });
}

#[test]
fn a_killed_server_keeps_what_was_acknowledged_and_is_found_again() {
    let Some(cluster) = Cluster::start() else { return };
    runtime().block_on(async {
        let place = Place::postgres(&cluster.url()).await;
        let store = place.open().await;
        let mut acknowledged = Vec::new();
        let writes: Vec<_> = (0..200)
            .map(|n| {
                let (store, name) = (store.clone(), format!("write {n}"));
                tokio::spawn(async move { (store.write("w", named(&name)).await, name) })
            })
            .collect();
        for (number, write) in writes.into_iter().enumerate() {
            if number == 60 {
                cluster.crash();
            }
            if let (Ok(()), name) = write.await.unwrap() {
                acknowledged.push(name);
            }
        }
        assert!(acknowledged.len() >= 60);
        let error = store.write("away", named("away")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        cluster.pg_ctl_start();
        // The same store, without a restart of the process.
        let names = store.read("names", |tx| tx.practices()).await.unwrap();
        for name in acknowledged {
            assert!(names.iter().any(|(_, found)| *found == name), "{name} is lost");
        }
        let token = new_token();
        assert!(store.write("token", move |tx| tx.create_token(&token)).await.unwrap());
    });
}

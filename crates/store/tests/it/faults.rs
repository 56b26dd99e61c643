//! Disks that are full, folders that are read-only, servers that are away: one clear line each, and
//! the store works again once the cause is gone.

use std::{path::Path, process::Command};

use countersign_store::{Database, Error, Store};
use tempfile::TempDir;

use crate::support::{
    Gate, NOW, Place, master_key, named, on_postgres, on_sqlite, pg_client, seen, skipped, started,
    system_rng,
};

/// The text of the error that opening this database ends with.
async fn refusal(database: &Database) -> String {
    let opened = Store::open(database, master_key(1), system_rng, true, NOW).await;
    let error = opened.err().expect("it must not open");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    error.to_string()
}

fn sqlite(path: impl AsRef<Path>) -> Database {
    Database::Sqlite { path: path.as_ref().to_owned() }
}

/// Runs a system tool; whether it was allowed to do its work.
fn system(tool: &str, args: &[&str], at: &Path) -> bool {
    Command::new(tool).args(args).arg(at).output().is_ok_and(|out| out.status.success())
}

/// A small file system of its own, gone when the test ends.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn new() -> Option<Self> {
        let disk = Self { folder: TempDir::new().unwrap() };
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        if system("mount", &options, disk.folder.path()) {
            return Some(disk);
        }
        skipped("mounting a small disk is not permitted here");
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn remount(&self, mode: &str) {
        assert!(system("mount", &["-o", &format!("remount,{mode},size=2m")], self.path()));
    }

    /// Fills what is left of the disk.
    fn fill(&self) {
        let mut size = 2 << 20;
        for number in 0.. {
            if size == 0 {
                return;
            }
            let file = self.path().join(format!("ballast-{number}"));
            while size > 0 && std::fs::write(&file, vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn make_room(&self) {
        for file in std::fs::read_dir(self.path()).unwrap() {
            let file = file.unwrap();
            if file.file_name().to_string_lossy().starts_with("ballast") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Only what was mounted is unmounted; a second try takes it away from a straggler.
        if system("mountpoint", &["-q"], self.path()) && !system("umount", &[], self.path()) {
            system("umount", &["--lazy"], self.path());
        }
    }
}

/// A folder that takes no new files, whoever asks: modes do not bind root.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn new(folder: &'a Path) -> Option<Self> {
        if system("chattr", &["+i"], folder) {
            return Some(Self(folder));
        }
        skipped("chattr +i does not work here");
        None
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        system("chattr", &["-i"], self.0);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_missing_folder() {
    on_sqlite(async |place| {
        let text = refusal(&sqlite(place.file().join("not/there.db"))).await;
        assert_eq!(
            text,
            "the database is not available: the file cannot be opened; check path, owner and mode"
        );
    });
}

#[test]
fn a_folder_in_place_of_the_file() {
    on_sqlite(async |place| {
        let text = refusal(&sqlite(place.file().parent().unwrap())).await;
        assert!(text.ends_with("the file cannot be opened; check path, owner and mode"), "{text}");
    });
}

#[test]
fn a_file_that_is_no_database() {
    on_sqlite(async |place| {
        let content = b"[countersign]\n".repeat(100);
        std::fs::write(place.file(), &content).unwrap();
        let text = refusal(&place.database()).await;
        assert_eq!(text, "the database is not available: the file is not a SQLite database");
        assert_eq!(std::fs::read(place.file()).unwrap(), content, "it was left alone");
    });
}

#[test]
fn a_file_of_another_program() {
    on_sqlite(async |place| {
        place.sql("CREATE TABLE token (id INTEGER PRIMARY KEY, title TEXT)").await;
        let opened = place.try_open(1, true).await;
        assert!(opened.is_err());
        assert_eq!(place.count("sqlite_master WHERE sql LIKE '%title%'").await, 1);
    });
}

#[test]
fn no_file_for_a_look_that_makes_none() {
    on_sqlite(async |place| {
        let opened = Store::open_bare(&place.database(), master_key(1), system_rng);
        assert!(matches!(opened, Err(Error::Unavailable(_))));
        assert!(!place.file().exists());
    });
}

#[test]
fn a_folder_that_takes_no_new_file() {
    on_sqlite(async |place| {
        let file = place.file();
        let folder = file.parent().unwrap();
        {
            let Some(_frozen) = Frozen::new(folder) else { return };
            let text = refusal(&place.database()).await;
            assert!(text.contains("check"), "says what to do: {text}");
        }
        // With the database there, and no way to write its log beside it.
        drop(place.open().await);
        {
            let Some(_frozen) = Frozen::new(folder) else { return };
            let text = refusal(&place.database()).await;
            assert!(text.contains("check"), "says what to do: {text}");
        }
        place.open().await.write("after", named("after")).await.unwrap();
        assert_eq!(seen(place, "after").await, 1);
    });
}

#[test]
fn a_disk_that_is_read_only() {
    let Some(disk) = SmallDisk::new() else { return };
    runtime().block_on(async {
        let database = sqlite(disk.path().join("countersign.db"));
        let open = || Store::open(&database, master_key(1), system_rng, true, NOW);
        drop(open().await.unwrap());
        disk.remount("ro");
        let text = refusal(&database).await;
        assert!(text.contains("check"), "says what to do: {text}");
        disk.remount("rw");
        open().await.unwrap().write("after", named("after")).await.unwrap();
    });
}

#[test]
fn a_new_database_on_a_full_disk() {
    let Some(disk) = SmallDisk::new() else { return };
    runtime().block_on(async {
        let database = sqlite(disk.path().join("countersign.db"));
        disk.fill();
        let text = refusal(&database).await;
        assert_eq!(
            text,
            "the database is not available: the disk is full; make room and try again"
        );
        disk.make_room();
        let store = Store::open(&database, master_key(1), system_rng, true, NOW).await.unwrap();
        store.write("after", named("after")).await.unwrap();
    });
}

#[test]
fn a_disk_that_fills_up() {
    let Some(disk) = SmallDisk::new() else { return };
    runtime().block_on(async {
        let path = disk.path().join("countersign.db");
        let store =
            Store::open(&sqlite(&path), master_key(1), system_rng, true, NOW).await.unwrap();
        disk.fill();
        // What is left in the log's last block may take a few more.
        let mut kept = 0;
        let error = loop {
            match store.write("filling", named(&format!("kept {kept}"))).await {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the database is not available: the disk is full; make room and try again"
        );
        // Reading goes on meanwhile, and what was refused is not there.
        let names = store.read("names", |tx| tx.practices()).await.unwrap();
        assert_eq!(names.len(), kept);
        disk.make_room();
        store.write("after", named("after")).await.unwrap();
        drop(store);
        let store =
            Store::open(&sqlite(&path), master_key(1), system_rng, true, NOW).await.unwrap();
        let names = store.read("names", |tx| tx.practices()).await.unwrap();
        assert_eq!(names.len(), kept + 1);
    });
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_group() {
    let Some(disk) = SmallDisk::new() else { return };
    runtime().block_on(async {
        let path = disk.path().join("countersign.db");
        let store =
            Store::open(&sqlite(&path), master_key(1), system_rng, true, NOW).await.unwrap();
        let (gate, work) = Gate::around(named("first"));
        let first = started(store.write("first", work)).await;
        gate.reached.await.unwrap();
        let before = started(store.write("before", named("before"))).await;
        // More than the cache and the disk hold: the disk is full before the commit.
        let big = started(store.write("big", |tx| {
            let filler = "x".repeat(100_000);
            let many =
                (0..80).try_for_each(|_| tx.create_practice(new_id!(PracticeId), &filler, NOW));
            // Whoever goes on after the failure must not make a change that is kept alone.
            let _ = named("stray")(tx);
            many
        }))
        .await;
        let after = started(store.write("after", named("after"))).await;
        gate.go_on.send(()).unwrap();
        let big = big.await.unwrap_err();
        assert_eq!(
            big.to_string(),
            "the database is not available: the disk is full; make room and try again"
        );
        let answers = [first.await, before.await, after.await];
        let names = store.read("names", |tx| tx.practices()).await.unwrap();
        for (name, answer) in ["first", "before", "after"].iter().zip(answers) {
            let there = names.iter().any(|(_, found)| found == name);
            assert_eq!(there, answer.is_ok(), "{name}: {answer:?}");
            if let Err(error) = answer {
                assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
            }
        }
        assert!(names.iter().all(|(_, name)| name != "stray" && !name.starts_with('x')));
        store.write("later", named("later")).await.unwrap();
    });
}

#[test]
fn a_file_that_another_process_holds() {
    on_sqlite(async |place| {
        let store = place.open().await;
        let other = rusqlite::Connection::open(place.file()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.write("held", named("held")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database is not available: another process holds it; close that process"
        );
        other.execute_batch("ROLLBACK").unwrap();
        store.write("free", named("free")).await.unwrap();
        assert_eq!((seen(place, "held").await, seen(place, "free").await), (0, 1));
    });
}

#[test]
fn a_server_that_is_away() {
    runtime().block_on(async {
        // A port that was free a moment ago: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("postgres://countersign:hush-hush@127.0.0.1:{port}/countersign");
        let text = refusal(&Database::Postgres { url, connections: 2 }).await;
        assert!(text.contains("refused"), "{text}");
        assert!(!text.contains("hush"), "a password in a message: {text}");
        assert!(!text.contains('\n'), "one line: {text}");
    });
}

#[test]
fn an_address_that_is_none() {
    runtime().block_on(async {
        let url = "postgres://countersign:hush-hush@127.0.0.1:no-port/x".to_owned();
        let text = refusal(&Database::Postgres { url, connections: 2 }).await;
        assert!(text.contains("database.url cannot be read"), "{text}");
        assert!(!text.contains("hush"), "a password in a message: {text}");
    });
}

#[test]
fn a_server_on_another_machine() {
    runtime().block_on(async {
        for url in [
            "postgres://countersign@192.0.2.1/countersign",
            "postgres://countersign@db.example.org/countersign",
            "host=localhost,db.example.org user=countersign",
            "host=localhost hostaddr=192.0.2.1 user=countersign",
        ] {
            let url = url.to_owned();
            let text = refusal(&Database::Postgres { url: url.clone(), connections: 2 }).await;
            assert!(text.contains("another machine"), "{url}: {text}");
        }
    });
}

#[test]
fn a_server_without_that_database() {
    on_postgres(async |place| {
        let url = place.url().replace("countersign_test", "countersign_none");
        let opened = Store::open(
            &Database::Postgres { url, connections: 1 },
            master_key(1),
            system_rng,
            true,
            NOW,
        )
        .await;
        let text = opened.err().unwrap().to_string();
        assert!(text.contains("countersign_none") && text.contains("does not exist"), "{text}");
    });
}

#[test]
fn a_server_that_only_reads() {
    on_postgres(async |place| {
        let Place::Postgres { server, name } = place else { unreachable!() };
        let client = pg_client(server).await;
        let read_only =
            |on| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        client.batch_execute(&read_only("on")).await.unwrap();
        let text = refusal(&place.database()).await;
        assert!(text.contains("does not allow writes"), "{text}");
        client.batch_execute(&read_only("off")).await.unwrap();
        place.open().await;
    });
}

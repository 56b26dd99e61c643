use std::{
    env,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_store::Database;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in a folder of its own.
    Sqlite,
    /// A database of its own in the cluster of `COUNTERSIGN_TEST_PG_URL`.
    Postgres,
}

const VARIABLE: &str = "COUNTERSIGN_TEST_PG_URL";

/// Whether tests on this database run here. Without a cluster they are skipped with a line; in CI
/// that is a failure.
pub fn wanted(backend: Backend) -> bool {
    if backend == Backend::Sqlite || env::var_os(VARIABLE).is_some() {
        return true;
    }
    assert!(env::var_os("CI").is_none(), "{VARIABLE} is not set: use scripts/with-postgres.sh");
    eprintln!("skipped: {VARIABLE} is not set (scripts/with-postgres.sh sets it)");
    false
}

/// A new and empty database; removed at the end.
#[derive(Debug)]
pub struct TestDatabase(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite { folder: TempDir },
    Postgres { admin: String, name: String, url: String },
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl TestDatabase {
    /// Makes an empty database of this kind; it is removed with this value.
    pub async fn create(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self(Kind::Sqlite { folder: tempfile::tempdir().unwrap() }),
            Backend::Postgres => {
                let admin = env::var(VARIABLE).expect("call wanted() first");
                let number = MADE.fetch_add(1, Ordering::SeqCst);
                let name = format!("test_{}_{number}", std::process::id());
                let (place, query) =
                    admin.split_once('?').map_or((admin.as_str(), ""), |(a, b)| (a, b));
                let (server, _) = place.rsplit_once('/').expect("a URL with a database name");
                let url = format!("{server}/{name}?{query}").trim_end_matches('?').to_owned();
                // One of an older process with the same number may be left.
                run_postgres(&admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                run_postgres(&admin, &format!("CREATE DATABASE {name}")).await;
                Self(Kind::Postgres { admin, name, url })
            }
        }
    }

    /// As the store takes it.
    pub fn database(&self) -> Database {
        match &self.0 {
            Kind::Sqlite { .. } => Database::Sqlite { path: self.file().unwrap() },
            Kind::Postgres { url, .. } => Database::Postgres { url: url.clone(), connections: 4 },
        }
    }

    /// The file, on SQLite.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.0 {
            Kind::Sqlite { folder } => Some(folder.path().join("countersign.db")),
            Kind::Postgres { .. } => None,
        }
    }

    /// The address, on PostgreSQL.
    pub fn url(&self) -> Option<&str> {
        match &self.0 {
            Kind::Sqlite { .. } => None,
            Kind::Postgres { url, .. } => Some(url),
        }
    }

    /// Runs a statement past the store: for faults, and for rows that no use case writes.
    pub async fn execute(&self, sql: &str) {
        match &self.0 {
            Kind::Sqlite { .. } => self.sqlite().execute_batch(sql).unwrap(),
            Kind::Postgres { url, .. } => run_postgres(url, sql).await,
        }
    }

    /// The rows of a query whose columns are all texts, joined with blanks; NULL is `-`.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        match &self.0 {
            Kind::Sqlite { .. } => {
                let conn = self.sqlite();
                let mut statement = conn.prepare(sql).unwrap();
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    let cells = (0..columns).map(|index| row.get::<_, Option<String>>(index));
                    let cells: Result<Vec<_>, _> = cells.collect();
                    Ok(joined(cells?))
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            Kind::Postgres { url, .. } => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
                let driver = tokio::spawn(connection);
                let rows = client.query(sql, &[]).await.unwrap();
                let texts = rows
                    .iter()
                    .map(|row| joined((0..row.len()).map(|index| row.get(index)).collect()))
                    .collect();
                driver.abort();
                texts
            }
        }
    }

    /// A connection of its own, on SQLite.
    pub fn sqlite(&self) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(self.file().expect("SQLite")).unwrap();
        conn.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        conn
    }
}

fn joined(cells: Vec<Option<String>>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|c| c.unwrap_or_else(|| "-".into())).collect();
    cells.join(" ")
}

async fn run_postgres(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect(VARIABLE);
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    driver.abort();
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Kind::Postgres { admin, name, .. } = &self.0 {
            let (admin, sql) =
                (admin.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            // On a thread of its own: a runtime can't be started inside another.
            let dropped = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(run_postgres(&admin, &sql));
            })
            .join();
            if dropped.is_err() && !std::thread::panicking() {
                eprintln!("the database {name} was not removed");
            }
        }
    }
}

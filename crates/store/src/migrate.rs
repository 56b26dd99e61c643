mod both;

use std::borrow::Cow;

use countersign_crypto::{random_array, sha256};
use countersign_domain::Timestamp;
use data_encoding::HEXLOWER;

use crate::{
    Backend, Error, Store, Tx,
    statements::{Sql, sql, statements},
    value::Columns,
};

/// The schema that this version works with.
pub const SCHEMA_VERSION: i64 = 16;

/// How long a migration lock holds if its holder died.
const LOCK_SECONDS: i64 = 600;
/// Range of the random part of its end: a minute.
const LOCK_MARK_MICROS: u32 = 60_000_000;

struct Migration {
    version: i64,
    name: &'static str,
    text: Text,
}

/// Where the text of a migration is.
enum Text {
    /// A file for each database, as it was until 0014.
    Pair { sqlite: &'static str, postgres: &'static str },
    /// One file for both: see [`both`].
    Both(&'static str),
}

impl Migration {
    fn text(&self, postgres: bool) -> Cow<'static, str> {
        match self.text {
            Text::Pair { postgres: text, .. } if postgres => text.into(),
            Text::Pair { sqlite: text, .. } => text.into(),
            Text::Both(text) => both::text_for(text, postgres).into(),
        }
    }
}

macro_rules! pair {
    ($name:literal) => {
        Text::Pair {
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// Append only: a released file never changes (its checksum is in every database).
const MIGRATIONS: [Migration; 16] = [
    Migration { version: 1, name: "first", text: pair!("0001_first") },
    Migration { version: 2, name: "event_chain", text: pair!("0002_event_chain") },
    Migration { version: 3, name: "provisioning", text: pair!("0003_provisioning") },
    Migration { version: 4, name: "hot_path", text: pair!("0004_hot_path") },
    Migration { version: 5, name: "people", text: pair!("0005_people") },
    Migration { version: 6, name: "console", text: pair!("0006_console") },
    Migration { version: 7, name: "prescriptions", text: pair!("0007_prescriptions") },
    Migration { version: 8, name: "transmission", text: pair!("0008_transmission") },
    Migration { version: 9, name: "holds", text: pair!("0009_holds") },
    Migration { version: 10, name: "wrong_passcodes", text: pair!("0010_wrong_passcodes") },
    Migration { version: 11, name: "attempts", text: pair!("0011_attempts") },
    Migration { version: 12, name: "certification", text: pair!("0012_certification") },
    Migration { version: 13, name: "former_marks", text: pair!("0013_former_marks") },
    Migration { version: 14, name: "internal_codes", text: pair!("0014_internal_codes") },
    Migration {
        version: 15,
        name: "audit_only_grows",
        text: Text::Both(include_str!("../migrations/0015_audit_only_grows.sql")),
    },
    Migration {
        version: 16,
        name: "state_words",
        text: Text::Both(include_str!("../migrations/0016_state_words.sql")),
    },
];

const SQLITE_TABLES: &str = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied INTEGER NOT NULL) STRICT; CREATE TABLE IF NOT EXISTS schema_lock (id INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;";
const POSTGRES_TABLES: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL); CREATE TABLE IF NOT EXISTS schema_lock (id BIGINT PRIMARY KEY, until BIGINT NOT NULL);";

fn checksum(text: &str) -> String {
    HEXLOWER.encode(&sha256(text.as_bytes()))
}

/// What the database says of its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    applied: Vec<(i64, String)>,
    ours: Vec<(i64, String)>,
}

impl SchemaState {
    /// The newest migration in the database; zero for an empty one.
    pub fn version(&self) -> i64 {
        self.applied.iter().map(|(version, _)| *version).max().unwrap_or(0)
    }

    /// Whether this version can work with it.
    pub fn check(&self) -> Result<(), Error> {
        let found = self.version();
        if found > SCHEMA_VERSION {
            return Err(Error::Schema(format!(
                "the database has schema {found}, made by a newer version; this one knows {SCHEMA_VERSION}: use the newer program"
            )));
        }
        for (version, sum) in &self.applied {
            if !self.ours.contains(&(*version, sum.clone())) {
                return Err(Error::Schema(format!(
                    "migration {version} in the database is not the one this program has: use the program that made it"
                )));
            }
        }
        if found < SCHEMA_VERSION {
            return Err(Error::Schema(format!(
                "the database has schema {found}, this program needs {SCHEMA_VERSION}: run countersign migrate"
            )));
        }
        Ok(())
    }
}

impl Store {
    /// The state of the schema; an empty database has none.
    pub async fn schema_state(&self) -> Result<SchemaState, Error> {
        let postgres = matches!(self.0.backend, Backend::Postgres(_));
        let ours = MIGRATIONS.iter().map(|m| (m.version, checksum(&m.text(postgres)))).collect();
        let applied = self
            .read("schema_state", |tx| {
                let there = tx.row(HAS_VERSION_TABLE, &[])?;
                if there.is_none_or(|row| row.int(0, "count").unwrap_or(0) == 0) {
                    return Ok(Vec::new());
                }
                tx.rows(APPLIED, &[])?
                    .iter()
                    .map(|row| {
                        Ok((
                            row.int(0, "schema_version.version")?,
                            row.text(1, "schema_version.checksum")?.to_owned(),
                        ))
                    })
                    .collect()
            })
            .await?;
        Ok(SchemaState { applied, ours })
    }

    /// Brings the schema up to this version; says how many steps that took. One process at a time.
    pub async fn migrate(&self, now: Timestamp) -> Result<usize, Error> {
        self.batch(SQLITE_TABLES.into(), POSTGRES_TABLES.into()).await?;
        let state = self.schema_state().await?;
        match state.check() {
            Ok(()) => return Ok(0),
            Err(_) if state.version() < SCHEMA_VERSION => {}
            Err(error) => return Err(error),
        }
        let mut lock = None;
        for _ in 0..300 {
            lock = self.write("migration_lock", move |tx| tx.take_migration_lock(now)).await?;
            if lock.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let Some(lock) = lock else {
            return Err(Error::Schema(
                "another process is migrating this database: wait and start again".into(),
            ));
        };
        let done = self.migrate_locked(now).await;
        self.write("migration_unlock", move |tx| tx.release_migration_lock(lock)).await?;
        done
    }

    async fn migrate_locked(&self, now: Timestamp) -> Result<usize, Error> {
        // The one before us may have done it while we waited.
        let have = self.schema_state().await?.version();
        let mut steps = 0;
        for migration in MIGRATIONS.iter().filter(|m| m.version > have) {
            let postgres = matches!(self.0.backend, Backend::Postgres(_));
            let text = migration.text(postgres);
            let sum = checksum(&text);
            if postgres {
                self.batch(Cow::Borrowed(""), text.clone()).await?;
            }
            self.write("migrate", move |tx| {
                // SQLite has no "if not exists" for a column: the change and its note are one.
                tx.define(&text)?;
                tx.run(
                    NOTE_APPLIED,
                    &[
                        migration.version.into(),
                        migration.name.into(),
                        sum.as_str().into(),
                        now.micros().into(),
                    ],
                )
                .map(drop)
            })
            .await?;
            steps += 1;
        }
        Ok(steps)
    }

    /// Runs several statements that can be repeated: on PostgreSQL outside a transaction, since some
    /// of its relatives do not mix definitions with rows.
    async fn batch(
        &self,
        sqlite: Cow<'static, str>,
        postgres: Cow<'static, str>,
    ) -> Result<(), Error> {
        match &self.0.backend {
            Backend::Sqlite(pool) => {
                let (send, receive) = tokio::sync::oneshot::channel();
                pool.write(Box::new(move |session| {
                    let out = session.undoable(|| session.batch(&sqlite));
                    Box::new(move |commit: Result<(), Error>| {
                        let _ = send.send(out.and(commit));
                    })
                }))?;
                Self::reply("batch", receive).await
            }
            Backend::Postgres(pool) => {
                let (send, receive) = tokio::sync::oneshot::channel();
                pool.run(Box::new(move |session| {
                    // Two processes that make the same table at once can collide in the catalog.
                    let out =
                        session.batch_alone(&postgres).or_else(|_| session.batch_alone(&postgres));
                    let _ = send.send(out);
                }))?;
                Self::reply("batch", receive).await
            }
        }
    }
}

statements! {
    HAS_VERSION_TABLE = Sql::pair(
        "SELECT COUNT(*) AS total FROM sqlite_master WHERE name = 'schema_version'",
        "SELECT COUNT(*) AS total FROM information_schema.tables WHERE table_name = 'schema_version' AND table_schema = current_schema()",
    );
    APPLIED = sql!("SELECT version, checksum FROM schema_version ORDER BY version");
    NOTE_APPLIED = sql!("INSERT INTO schema_version (version, name, checksum, applied) VALUES ($1, $2, $3, $4)");
    DROP_DEAD_LOCK = sql!("DELETE FROM schema_lock WHERE until < $1");
    TAKE_LOCK = sql!("INSERT INTO schema_lock (id, until) VALUES (1, $1) ON CONFLICT (id) DO NOTHING");
    RELEASE_MIGRATION_LOCK = sql!("DELETE FROM schema_lock WHERE id = 1 AND until = $1");
    PRETEND_NEWER_SCHEMA = sql!("INSERT INTO schema_version (version, name, checksum, applied) VALUES (999, 'later', 'x', 0)");
}

impl Tx<'_> {
    /// Takes the lock, unless another holds it. The answer is the owner's mark, for the release.
    ///
    /// The row has no column for an owner, and its table is in every database: so the moment at
    /// which the lock runs out is the mark, moved by a random part of a minute.
    #[doc(hidden)]
    pub fn take_migration_lock(&mut self, now: Timestamp) -> Result<Option<i64>, Error> {
        self.run(DROP_DEAD_LOCK, &[now.micros().into()])?;
        let random = u32::from_le_bytes(random_array(self.rng())?);
        let mark = now.plus_seconds(LOCK_SECONDS).micros() + i64::from(random % LOCK_MARK_MICROS);
        let taken = self.run(TAKE_LOCK, &[mark.into()])?;
        Ok((taken == 1).then_some(mark))
    }

    /// Releases the lock if it is still ours: one that ran out may be another's by now.
    #[doc(hidden)]
    pub fn release_migration_lock(&mut self, mark: i64) -> Result<(), Error> {
        self.run(RELEASE_MIGRATION_LOCK, &[mark.into()]).map(drop)
    }

    /// Pretends that a newer program was here, for tests of the refusal.
    #[doc(hidden)]
    pub fn pretend_newer_schema(&mut self) -> Result<(), Error> {
        self.run(PRETEND_NEWER_SCHEMA, &[]).map(drop)
    }
}

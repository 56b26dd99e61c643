//! The only holder of SQL: one concrete store over `SQLite` and `PostgreSQL`.
//!
//! A use case hands [`Store::write`] a plain closure over a [`Tx`]. The closure runs on a database
//! thread, inside one transaction, and its reply leaves only after the commit is durable. On
//! `SQLite` one writer thread commits many waiting closures together, each under a savepoint of its
//! own; on `PostgreSQL` a closure may run again after a serialization failure, so it touches
//! nothing but its `Tx`.

mod api;
mod api_keys;
mod archive;
mod audit;
mod certification;
mod columns;
mod ehr;
mod enrol;
mod error;
mod fobs;
mod keys;
mod lane;
mod migrate;
mod model;
mod outbox;
mod pairing;
mod people;
mod postgres;
mod practice;
mod prescription;
mod purge;
mod queue;
mod session;
mod smart;
mod sqlite;
mod statements;
mod token;
mod tx;
mod value;

use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use countersign_crypto::{KeyProvider, Rng};
use countersign_domain::Timestamp;
use tokio::sync::oneshot;

pub use api::{Access, ApiClient, SigningRequest};
pub use api_keys::ApiKey;
pub use archive::{Archived, Hold, MonthlyLog, SignedRecord};
pub use audit::{AuditRow, Link};
pub use certification::{NoncomplianceNotice, Report};
pub use ehr::{EhrRow, Identity, Staff};
pub use enrol::{
    CasePurpose, CaseRow, EvidenceRow, InvitationRow, Invited, Profile, ProofingTry, SentCode,
};
pub use error::{Error, RowId};
pub use fobs::Fob;
pub use lane::Lane;
pub use migrate::{SCHEMA_VERSION, SchemaState};
pub use outbox::{Deadline, Message, MessageBody, Nearing};
pub use pairing::{Pairing, PairingState};
pub use people::Person;
pub use practice::{
    AccessChange, Authority, CodeRow, Listed, Member, Paper, PermissionRow, Practice, RequestRow,
    RequestStage, marks_of,
};
pub use prescription::{PrescriptionRow, PublicKey, Transmission};
pub use session::{Patient, Session, Stage};
pub use smart::{SmartEhr, SmartTry};
#[doc(hidden)]
pub use statements::{Statement, all_statements};
pub use token::{OwnedTokens, ReadMark, TokenRow};
pub use tx::Tx;

use crate::{
    keys::Keys,
    postgres::{PgPool, PgSession},
    sqlite::SqlitePool,
};

/// How long a request waits for its transaction before it is told that nobody knows. The
/// transaction itself is never canceled.
const REPLY_DEADLINE: Duration = Duration::from_secs(15);

/// Makes a generator for each transaction.
pub type RngSource = fn() -> Box<dyn Rng>;

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum Database {
    /// One file, in this process.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// `PostgreSQL` 15 or newer.
    Postgres {
        /// Connection string; may name several hosts.
        url: String,
        /// Connections to hold.
        connections: usize,
    },
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Backend,
    shared: Shared,
}

enum Backend {
    Sqlite(SqlitePool),
    Postgres(Box<PgPool>),
}

/// What every transaction needs besides its connection.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) keys: Arc<Keys>,
    pub(crate) rng: RngSource,
}

impl Store {
    /// Connects, migrates where asked, and checks schema and master key.
    pub async fn open(
        database: &Database,
        provider: Arc<dyn KeyProvider>,
        rng: RngSource,
        migrate: bool,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let shared = Shared { keys: Arc::new(Keys::new(provider)), rng };
        let backend = match database {
            Database::Sqlite { path } => Backend::Sqlite(SqlitePool::open(path)?),
            Database::Postgres { url, connections } => {
                Backend::Postgres(Box::new(PgPool::open(url, *connections)?))
            }
        };
        let store = Self(Arc::new(Inner { backend, shared }));
        if migrate {
            store.migrate(now).await?;
        }
        let state = store.schema_state().await?;
        state.check()?;
        store.write("instance", move |tx| tx.unlock_instance(now)).await?;
        Ok(store)
    }

    /// Opens without touching anything, for `doctor`: neither migrates nor needs the schema.
    pub fn open_bare(
        database: &Database,
        provider: Arc<dyn KeyProvider>,
        rng: RngSource,
    ) -> Result<Self, Error> {
        let shared = Shared { keys: Arc::new(Keys::new(provider)), rng };
        let backend = match database {
            Database::Sqlite { path } => Backend::Sqlite(SqlitePool::open_existing(path)?),
            Database::Postgres { url, .. } => Backend::Postgres(Box::new(PgPool::open(url, 1)?)),
        };
        Ok(Self(Arc::new(Inner { backend, shared })))
    }

    /// Runs `work` in one transaction and answers once it is durable.
    pub async fn write<R, F>(&self, name: &'static str, mut work: F) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<R, Error> + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        match &self.0.backend {
            Backend::Sqlite(pool) => {
                let shared = self.0.shared.clone();
                pool.write(Box::new(move |session| {
                    let out =
                        session.undoable(|| decided(&mut Tx::sqlite(session, &shared), &mut work));
                    Box::new(move |commit: Result<(), Error>| {
                        // The receiver may be gone: the client left. The commit stands all the same.
                        let _ = send.send(out.and_then(|value| commit.map(|()| value)));
                    })
                }))?;
            }
            Backend::Postgres(pool) => {
                let shared = self.0.shared.clone();
                pool.run(Box::new(move |session: &mut PgSession| {
                    let _ = send.send(session.transaction(&shared, &mut work));
                }))?;
            }
        }
        Self::reply(name, receive).await
    }

    /// Runs `work` without writing.
    pub async fn read<R, F>(&self, name: &'static str, mut work: F) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<R, Error> + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        let shared = self.0.shared.clone();
        match &self.0.backend {
            Backend::Sqlite(pool) => pool.read(Box::new(move |session| {
                let _ = send
                    .send(session.snapshot(|| guarded(|| work(&mut Tx::sqlite(session, &shared)))));
            }))?,
            Backend::Postgres(pool) => pool.run(Box::new(move |session: &mut PgSession| {
                let _ = send.send(session.snapshot(&shared, &mut work));
            }))?,
        }
        Self::reply(name, receive).await
    }

    /// A lane for a hot path: many waiting requests are decided and written in one transaction.
    ///
    /// `run` gets the requests in the order they came and answers each. On `SQLite` a group runs in
    /// the transaction of all other writes; on `PostgreSQL` in one of its own, with statements on
    /// many rows.
    pub fn lane<Q, A>(
        &self,
        name: &'static str,
        run: fn(&mut Tx<'_>, &[Q]) -> Result<Vec<A>, Error>,
    ) -> Lane<Q, A>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        Lane::open(self.clone(), name, run)
    }

    /// Microseconds that the database's clock is ahead of `now`; `None` where it has none of its own.
    pub async fn clock_offset(&self, now: Timestamp) -> Result<Option<i64>, Error> {
        match &self.0.backend {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(_) => self
                .read("clock", |tx| tx.database_micros())
                .await
                .map(|micros| Some(micros - now.micros())),
        }
    }

    async fn reply<R>(
        name: &'static str,
        receive: oneshot::Receiver<Result<R, Error>>,
    ) -> Result<R, Error> {
        match tokio::time::timeout(REPLY_DEADLINE, receive).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                Err(Error::OutcomeUnknown(format!("the database thread ended in {name}")))
            }
            Err(_) => Err(Error::OutcomeUnknown(format!("no answer in time from {name}"))),
        }
    }
}

/// Runs a closure on its transaction. A statement that failed fails the whole, even where the
/// closure looked away: a change without its audit record must not be committed.
pub(crate) fn decided<R>(
    tx: &mut Tx<'_>,
    work: &mut dyn FnMut(&mut Tx<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    match guarded(|| work(tx)) {
        Ok(_) if tx.failed() => Err(Error::Driver("a statement failed unnoticed".into())),
        out => out,
    }
}

/// Keeps a panic in a closure from ending the database thread with everyone's requests.
pub(crate) fn guarded<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Driver("a transaction panicked".into())))
}

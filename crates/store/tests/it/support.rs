//! A database for each test, and the small things that tests put into it.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::Poll,
};

use countersign_crypto::{
    HmacAlgorithm, KeyProvider, LocalMasterKey, Rng, SecretBytes, SystemRng, random_array,
};
use countersign_domain::{
    Actor, CredentialId, Device, Event, EventKind, ModelCode, Npi, PassphraseHash, PersonId,
    PracticeId, ProvisionedToken, SupportCode, Timestamp, Token, TokenKind, TokenParts,
    luhn_check_digit,
    otp::{OtpParams, TokenSeed},
};
use countersign_store::{Database, Error, Store, TokenRow, Tx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_postgres::NoTls;

/// Writes each test once and runs it on both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident: &Place) $body:block)+) => {
        $($(#[$meta])* async fn $name($place: &crate::support::Place) $body)+

        mod sqlite {
            $(#[test]
            fn $name() {
                crate::support::on_sqlite(async |place| super::$name(place).await);
            })+
        }

        mod postgres {
            $(#[test]
            fn $name() {
                crate::support::on_postgres(async |place| super::$name(place).await);
            })+
        }
    };
}

/// A new id of this kind.
macro_rules! new_id {
    ($kind:ident) => {
        countersign_domain::$kind::new($crate::support::NOW, &mut countersign_crypto::SystemRng)
            .unwrap()
    };
}

/// The time at which tests happen: 2026-05-28, 20:26:40 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

/// Connections of a store on PostgreSQL.
const CONNECTIONS: usize = 6;

const PG_URL: &str = "COUNTERSIGN_TEST_PG_URL";

/// Where the database of one test is.
pub(crate) enum Place {
    Sqlite { folder: TempDir },
    Postgres { server: String, name: String },
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite { folder: TempDir::new().unwrap() }
    }

    /// A new database on the server at this address.
    pub(crate) async fn postgres(server: &str) -> Self {
        let name = format!("countersign_test_{}", hex(&random::<8>()));
        let client = pg_client(server).await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self::Postgres { server: server.to_owned(), name }
    }

    /// Another empty database of the same kind, to be given to [`Place::remove`].
    pub(crate) async fn another(&self) -> Self {
        match self {
            Self::Sqlite { .. } => Self::sqlite(),
            Self::Postgres { server, .. } => Self::postgres(server).await,
        }
    }

    pub(crate) async fn remove(self) {
        if let Self::Postgres { server, name } = self {
            let client = pg_client(&server).await;
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// The file, on SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite { folder } => folder.path().join("countersign.db"),
            Self::Postgres { .. } => panic!("PostgreSQL has no file"),
        }
    }

    /// The address, on PostgreSQL.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite { .. } => panic!("SQLite has no address"),
            Self::Postgres { server, name } => {
                let (base, _) = server.rsplit_once('/').unwrap();
                format!("{base}/{name}")
            }
        }
    }

    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Sqlite { .. } => Database::Sqlite { path: self.file() },
            Self::Postgres { .. } => {
                Database::Postgres { url: self.url(), connections: CONNECTIONS }
            }
        }
    }

    /// A store as a server opens it.
    pub(crate) async fn open(&self) -> Store {
        self.try_open(1, true).await.unwrap()
    }

    /// A store under the master key with this number.
    pub(crate) async fn try_open(&self, key: u8, migrate: bool) -> Result<Store, Error> {
        Store::open(&self.database(), master_key(key), system_rng, migrate, NOW).await
    }

    /// A store that has looked at nothing yet.
    pub(crate) fn bare(&self) -> Store {
        if let Self::Sqlite { .. } = self {
            // `open_bare` makes no file; an empty one is an empty database.
            std::fs::OpenOptions::new().append(true).create(true).open(self.file()).unwrap();
        }
        Store::open_bare(&self.database(), master_key(1), system_rng).unwrap()
    }

    /// Runs statements past the store.
    pub(crate) async fn sql(&self, sql: &str) {
        self.try_sql(sql).await.unwrap();
    }

    /// The same, where the database may refuse.
    pub(crate) async fn try_sql(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite { .. } => {
                let conn = rusqlite::Connection::open(self.file()).unwrap();
                conn.execute_batch(sql).map_err(|error| error.to_string())
            }
            Self::Postgres { .. } => {
                let refused = pg_client(&self.url()).await.batch_execute(sql).await;
                refused.map_err(|error| error.as_db_error().unwrap().message().to_owned())
            }
        }
    }

    /// Asks past the store for one column of text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite { .. } => {
                let conn = rusqlite::Connection::open(self.file()).unwrap();
                let mut statement = conn.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Self::Postgres { .. } => {
                let rows = pg_client(&self.url()).await.query(sql, &[]).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// How many rows the database shows to somebody else.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {from}");
        self.texts(&sql).await[0].parse().unwrap()
    }
}

/// A connection of the test's own; it ends when the client is dropped.
pub(crate) async fn pg_client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test on a SQLite file of its own.
pub(crate) fn on_sqlite(test: impl AsyncFnOnce(&Place)) {
    let place = Place::sqlite();
    runtime().block_on(test(&place));
}

/// Runs a test on a PostgreSQL database of its own, which is dropped however the test ends.
pub(crate) fn on_postgres(test: impl AsyncFnOnce(&Place)) {
    let Some(server) = pg_server() else { return };
    let runtime = runtime();
    let place = runtime.block_on(Place::postgres(&server));
    let out = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(&place))));
    runtime.block_on(place.remove());
    if let Err(panic) = out {
        std::panic::resume_unwind(panic);
    }
}

/// The address of the server, or nothing with a word about it.
pub(crate) fn pg_server() -> Option<String> {
    let server = std::env::var(PG_URL).ok();
    if server.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI must test PostgreSQL: set {PG_URL}");
        skipped(&format!("{PG_URL} is not set; scripts/with-postgres.sh sets it"));
    }
    server
}

/// Says that a test did not run, and why.
#[expect(clippy::print_stderr, reason = "the runner shows it to whoever asks")]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

pub(crate) fn system_rng() -> Box<dyn Rng> {
    Box::new(SystemRng)
}

pub(crate) fn master_key(number: u8) -> Arc<dyn KeyProvider> {
    Arc::new(LocalMasterKey::from_bytes(&SecretBytes::new(vec![number; 32])).unwrap())
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    random_array(&mut SystemRng).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An NPI that no other call gave.
pub(crate) fn npi() -> Npi {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let digits = format!("1{:08}", NEXT.fetch_add(1, Ordering::Relaxed));
    let check = luhn_check_digit(format!("80840{digits}").bytes().map(|b| b - b'0'));
    format!("{digits}{check}").parse().unwrap()
}

/// What a row holds of a passphrase; no passphrase fits it.
pub(crate) fn passphrase_hash() -> PassphraseHash {
    PassphraseHash::decoy(0)
}

pub(crate) fn event(kind: EventKind) -> Event {
    Event::success(kind, Actor::System, SupportCode::new(&mut SystemRng).unwrap())
}

/// Appends events as the hot path does, each to no token.
pub(crate) fn append_many(tx: &mut Tx<'_>, events: &[Event], at: Timestamp) -> Result<(), Error> {
    let links = tx.links(&vec![at; events.len()])?;
    tx.record_checks(&[], &events.iter().cloned().zip(links).collect::<Vec<_>>())
}

/// A provisioned token that nobody has added.
pub(crate) fn new_token() -> Token {
    let rng = &mut SystemRng;
    let mut token = Token::provisioned(ProvisionedToken {
        id: new_id!(TokenId),
        credential: CredentialId::random(TokenKind::OtpSoft, rng).unwrap(),
        params: OtpParams::OWN,
        seed: TokenSeed::generate(HmacAlgorithm::Sha256, rng).unwrap(),
        expires: NOW.plus_seconds(600),
        created: NOW,
        device: Device::default(),
        model: ModelCode::known(ModelCode::AUTHENTICATOR),
    })
    .unwrap();
    token.rename("phone".parse().unwrap());
    token
}

/// A token with other parts, which must be ones that a token has.
pub(crate) fn with_parts(token: &Token, change: impl FnOnce(&mut TokenParts)) -> Token {
    let mut parts = TokenParts::from(token.clone());
    change(&mut parts);
    Token::from_parts(parts).unwrap()
}

/// Everything about a token, in a form that can be compared.
pub(crate) fn facts(token: &Token) -> (String, Vec<u8>) {
    (format!("{token:#?}"), token.seed().expose().to_vec())
}

/// A practice with one prescriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct People {
    pub(crate) practice: PracticeId,
    pub(crate) prescriber: PersonId,
}

impl People {
    pub(crate) async fn new(store: &Store) -> Self {
        let people = Self { practice: new_id!(PracticeId), prescriber: new_id!(PersonId) };
        store
            .write("people", move |tx| {
                tx.create_practice(people.practice, "Lakeside Clinic", NOW)?;
                let hash = passphrase_hash();
                let Self { practice, prescriber } = people;
                assert!(tx.create_prescriber(
                    prescriber,
                    practice,
                    npi(),
                    "Ada Moreno",
                    &hash,
                    NOW
                )?);
                Ok(())
            })
            .await
            .unwrap();
        people
    }

    /// The token as it is once this prescriber has added it.
    pub(crate) fn bound(&self, token: &Token) -> Token {
        with_parts(token, |parts| parts.bind(self.practice, self.prescriber, NOW))
    }

    /// A token of this prescriber, made and active.
    pub(crate) async fn token(&self, store: &Store) -> Token {
        let token = self.bound(&new_token());
        let made = token.clone();
        assert!(store.write("token", move |tx| tx.create_token(&made)).await.unwrap());
        token
    }
}

/// The row of a token that must exist.
pub(crate) fn row_of(tx: &mut Tx<'_>, credential: &CredentialId) -> Result<TokenRow, Error> {
    Ok(tx.token_by_credential(credential)?.expect("the token is there"))
}

/// The token as the database has it now.
pub(crate) async fn stored(store: &Store, credential: &CredentialId) -> TokenRow {
    let credential = credential.clone();
    store.read("token", move |tx| row_of(tx, &credential)).await.unwrap()
}

/// Hands a request in, as far as its first wait.
pub(crate) async fn started<F: Future>(work: F) -> Pin<Box<F>> {
    let mut work = Box::pin(work);
    assert!(is_waiting(&mut work).await, "nothing to wait for");
    work
}

/// Whether a request that was handed in has no answer yet.
pub(crate) async fn is_waiting<F: Future>(work: &mut Pin<Box<F>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending())).await
}

/// Makes a practice with this name, as a write that is easily seen from outside.
pub(crate) fn named(name: &str) -> impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static {
    let (id, name) = (new_id!(PracticeId), name.to_owned());
    move |tx| tx.create_practice(id, &name, NOW)
}

/// How many practices of this name somebody else sees.
pub(crate) async fn seen(place: &Place, name: &str) -> i64 {
    place.count(&format!("practice WHERE name = '{name}'")).await
}

/// A closure that stops in the middle until the test lets it go on.
pub(crate) struct Gate {
    pub(crate) reached: oneshot::Receiver<()>,
    pub(crate) go_on: mpsc::Sender<()>,
}

impl Gate {
    /// Wraps `work` so that it stops after its statements and before its end.
    pub(crate) fn around<R: Send + 'static>(
        mut work: impl FnMut(&mut Tx<'_>) -> Result<R, Error> + Send + 'static,
    ) -> (Self, impl FnMut(&mut Tx<'_>) -> Result<R, Error> + Send + 'static) {
        let (say_reached, reached) = oneshot::channel();
        let (go_on, wait) = mpsc::channel();
        let mut say_reached = Some(say_reached);
        let work = move |tx: &mut Tx<'_>| {
            let out = work(tx);
            if let Some(say) = say_reached.take() {
                let _ = say.send(());
                let _: Result<(), _> = wait.recv();
            }
            out
        };
        (Self { reached, go_on }, work)
    }
}

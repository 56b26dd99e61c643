use std::{
    collections::HashMap,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement, config::Host, types::ToSql};

use crate::{
    Error, Shared, Tx, decided,
    lane::Line,
    queue::Queue,
    sqlite::spawn,
    value::{P, RawRow, Row},
};

/// Two transactions of a lane at a time: one waits for the disk while the other is decided.
pub(crate) const LANE_THREADS: usize = 2;
const TRIES: u32 = 8;

pub(crate) type PgJob = Box<dyn FnOnce(&mut PgSession) + Send>;

pub(crate) struct PgPool {
    jobs: Arc<Queue<PgJob>>,
    config: Config,
    _threads: Vec<thread::JoinHandle<()>>,
}

impl PgPool {
    pub(crate) fn open(url: &str, connections: usize) -> Result<Self, Error> {
        let mut config = Config::from_str(url)
            .map_err(|error| Error::Unavailable(format!("database.url cannot be read: {error}")))?;
        config
            .application_name("countersign")
            .target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite)
            .connect_timeout(Duration::from_secs(5));
        // Where both are given, the address is what is connected to and the name is only a name.
        let addresses = config.get_hostaddrs().iter().filter(|address| !address.is_loopback());
        let named = config.get_hosts().iter().filter_map(elsewhere).map(str::to_owned);
        if let Some(host) = named.chain(addresses.map(ToString::to_string)).next() {
            return Err(Error::Unavailable(format!(
                "database.url names {host}, which is another machine, and this version speaks no TLS to a database: use a Unix socket, or a tunnel that ends on this machine"
            )));
        }
        let jobs: Arc<Queue<PgJob>> = Arc::new(Queue::new());
        let threads = (0..connections.max(1))
            .map(|_| {
                let (queue, mut session) = (Arc::clone(&jobs), PgSession::new(&config)?);
                spawn("postgres", move || {
                    loop {
                        let jobs = queue.take(1);
                        if jobs.is_empty() {
                            return;
                        }
                        jobs.into_iter().for_each(|job| job(&mut session));
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { jobs, config, _threads: threads })
    }

    pub(crate) fn run(&self, job: PgJob) -> Result<(), Error> {
        self.jobs.push(job).map_err(|_| {
            Error::Unavailable("too many requests wait, or the store is closed".into())
        })
    }

    pub(crate) fn lane<Q: Send + 'static, A: Send + 'static>(&self, line: Arc<Line<Q, A>>) {
        let config = self.config.clone();
        let started = spawn("postgres-lane", move || match PgSession::new(&config) {
            Ok(mut session) => while line.turn_alone(&mut session) {},
            Err(error) => {
                tracing::error!(%error, "a database lane could not be opened");
                line.close();
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for a database lane");
        }
    }
}

impl Drop for PgPool {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

/// One connection, driven by the thread that uses it.
pub(crate) struct PgSession {
    runtime: Runtime,
    config: Config,
    client: Option<Client>,
    statements: HashMap<(usize, usize), Statement>,
    /// The server said that a commit was not replicated as it must be (warning 01000).
    warned: Arc<AtomicBool>,
    begin: Begin,
}

/// How far the beginning of a transaction has come. It travels with the first query: a journey less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Waits(&'static str),
    Done,
    Failed,
}

impl PgSession {
    fn new(config: &Config) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Unavailable(format!("no runtime for the database: {error}")))?;
        Ok(Self {
            runtime,
            config: config.clone(),
            client: None,
            statements: HashMap::new(),
            warned: Arc::new(AtomicBool::new(false)),
            begin: Begin::Done,
        })
    }

    fn connect(&mut self) -> Result<(), Error> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.forget();
        let (client, mut connection) =
            self.runtime.block_on(self.config.connect(NoTls)).map_err(Error::from)?;
        let warned = Arc::clone(&self.warned);
        self.runtime.spawn(async move {
            while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        if notice.code().code() == "01000" {
                            warned.store(true, Ordering::SeqCst);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        self.client = Some(client);
        Ok(())
    }

    fn forget(&mut self) {
        self.client = None;
        self.statements.clear();
    }

    /// Runs `work` in a transaction; again where another one was in the way.
    pub(crate) fn transaction<R>(
        &mut self,
        shared: &Shared,
        work: &mut dyn FnMut(&mut Tx<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.between("BEGIN", shared, work)
    }

    /// Runs `work` on one unchanging view of the data.
    pub(crate) fn snapshot<R>(
        &mut self,
        shared: &Shared,
        work: &mut dyn FnMut(&mut Tx<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.between("BEGIN ISOLATION LEVEL REPEATABLE READ", shared, work)
    }

    fn between<R>(
        &mut self,
        begin: &'static str,
        shared: &Shared,
        work: &mut dyn FnMut(&mut Tx<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                let pause = Duration::from_millis(1 << attempt.min(6));
                self.runtime.block_on(async { tokio::time::sleep(pause).await });
            }
            self.connect()?;
            self.warned.store(false, Ordering::SeqCst);
            self.begin = Begin::Waits(begin);
            // After a failed statement the server turns a commit into a rollback without an error.
            let out = decided(&mut Tx::postgres(self, shared), work);
            match (std::mem::replace(&mut self.begin, Begin::Done), &out) {
                // Nothing was asked of the database.
                (Begin::Waits(_), Err(Error::Retry)) => continue,
                (Begin::Waits(_), _) => return out,
                // A connection that died while idle is replaced once without a word.
                (Begin::Failed, _) => {
                    self.forget();
                    if attempt == 0 {
                        continue;
                    }
                    return out.and(Err(away()));
                }
                (Begin::Done, _) => {}
            }
            match out {
                Ok(value) => match self.batch("COMMIT") {
                    Ok(()) if self.warned.load(Ordering::SeqCst) => {
                        self.forget();
                        return Err(Error::OutcomeUnknown("the commit was not replicated".into()));
                    }
                    Ok(()) => return Ok(value),
                    Err(Error::Retry) => {}
                    Err(Error::Conflict) => return Err(Error::Conflict),
                    Err(error) => {
                        self.forget();
                        return Err(Error::OutcomeUnknown(error.to_string()));
                    }
                },
                Err(error) => {
                    if self.batch("ROLLBACK").is_err() {
                        self.forget();
                    }
                    if !matches!(error, Error::Retry) {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::Unavailable("other transactions were in the way too often".into()))
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        let client = self.client.as_ref().ok_or_else(away)?;
        self.runtime.block_on(client.batch_execute(sql)).map_err(Error::from)
    }

    /// Runs statements outside a transaction, for migrations.
    pub(crate) fn batch_alone(&mut self, sql: &str) -> Result<(), Error> {
        self.connect()?;
        self.batch(sql)
    }

    fn statement(&mut self, sql: &'static str) -> Result<Statement, Error> {
        let key = (sql.as_ptr() as usize, sql.len());
        if let Some(statement) = self.statements.get(&key) {
            return Ok(statement.clone());
        }
        let client = self.client.as_ref().ok_or_else(away)?;
        let statement = self.runtime.block_on(client.prepare(sql))?;
        self.statements.insert(key, statement.clone());
        Ok(statement)
    }

    pub(crate) fn run(&mut self, sql: &'static str, params: &[P<'_>]) -> Result<u64, Error> {
        self.begin_now()?;
        let statement = self.statement(sql)?;
        let client = self.client.as_ref().ok_or_else(away)?;
        Ok(self.runtime.block_on(client.execute(&statement, &borrowed(params)))?)
    }

    /// Two statements in one journey. Where the first fails the second fails too, and the first
    /// one's error is what counts.
    pub(crate) fn run_both(
        &mut self,
        first: (&'static str, &[P<'_>]),
        second: (&'static str, &[P<'_>]),
    ) -> Result<(u64, u64), Error> {
        self.begin_now()?;
        let statements = (self.statement(first.0)?, self.statement(second.0)?);
        let client = self.client.as_ref().ok_or_else(away)?;
        let params = (borrowed(first.1), borrowed(second.1));
        let (first, second) = self.runtime.block_on(async {
            tokio::join!(
                client.execute(&statements.0, &params.0),
                client.execute(&statements.1, &params.1)
            )
        });
        Ok((first?, second?))
    }

    /// Begins the transaction by itself, before a statement that changes something: were both sent
    /// together and the beginning refused, the change would stand alone.
    fn begin_now(&mut self) -> Result<(), Error> {
        if let Begin::Waits(begin) = self.begin {
            self.begin = Begin::Failed;
            self.batch(begin)?;
            self.begin = Begin::Done;
        }
        Ok(())
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[P<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let prepared = self.statement(sql);
        if !sql.starts_with("SELECT") && !sql.starts_with("WITH") {
            // It may change something.
            self.begin_now()?;
        }
        let Begin::Waits(begin) = self.begin else {
            let statement = prepared?;
            let client = self.client.as_ref().ok_or_else(away)?;
            return Ok(self.runtime.block_on(client.query(&statement, &borrowed(params)))?);
        };
        self.begin = Begin::Failed;
        let statement = prepared?;
        let client = self.client.as_ref().ok_or_else(away)?;
        let params = borrowed(params);
        let (begun, found) = self.runtime.block_on(async {
            tokio::join!(client.batch_execute(begin), client.query(&statement, &params))
        });
        begun?;
        self.begin = Begin::Done;
        Ok(found?)
    }

    pub(crate) fn rows(&mut self, sql: &'static str, params: &[P<'_>]) -> Result<Vec<Row>, Error> {
        self.query(sql, params)?.iter().map(|row| RawRow::Postgres(row).copy()).collect()
    }

    pub(crate) fn each(
        &mut self,
        sql: &'static str,
        params: &[P<'_>],
        read: &mut dyn FnMut(&RawRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.query(sql, params)?.iter().try_for_each(|row| read(&RawRow::Postgres(row)))
    }
}

fn borrowed<'a>(params: &'a [P<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

/// The name of a host that is not this machine.
fn elsewhere(host: &Host) -> Option<&str> {
    match host {
        Host::Tcp(name) => {
            let loopback = name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            (!loopback).then_some(name)
        }
        Host::Unix(_) => None,
    }
}

fn away() -> Error {
    Error::Unavailable("the connection is gone".into())
}

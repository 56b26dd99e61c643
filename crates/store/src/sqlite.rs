use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{
    Error,
    queue::Queue,
    value::{P, RawRow, Row},
};

/// Most closures under one commit: enough for every connection of a busy server.
const GROUP: usize = 512;
const READERS: usize = 2;
/// How long to wait for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);
/// Commits after which the log is copied into the file.
const COMMITS_A_CHECKPOINT: u32 = 512;
/// Pages in the log (4 KiB each) at which the writer copies them itself.
const WAL_PAGES_MOST: i64 = 49_152;
/// Pages the writer keeps in memory, in KiB.
const WRITER_CACHE_KIB: i64 = 48 * 1_024;
/// What those are told whose transaction the database has ended, as it does on a full disk.
const ENDED: &str = "the disk may be full; make room and try again";

pub(crate) type Finish = Box<dyn FnOnce(Result<(), Error>) + Send>;
pub(crate) type WriteJob = Box<dyn FnOnce(&SqliteSession) -> Finish + Send>;
pub(crate) type ReadJob = Box<dyn FnOnce(&SqliteSession) + Send>;

pub(crate) struct SqlitePool {
    writes: Arc<Queue<WriteJob>>,
    reads: Arc<Queue<ReadJob>>,
    readers: Vec<thread::JoinHandle<()>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl SqlitePool {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::start(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    pub(crate) fn open_existing(path: &Path) -> Result<Self, Error> {
        Self::start(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn start(path: &Path, flags: OpenFlags) -> Result<Self, Error> {
        let writer = SqliteSession::open(path, flags)?;
        // Setting the mode proves at once that the folder takes writes.
        writer.set_log_mode()?;
        // Pages go from the log to the file on a thread of their own, so that no commit waits for
        // them; the writer itself steps in only where that thread can't keep up.
        writer.conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MOST)?;
        writer.conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        let writes = Arc::new(Queue::new());
        let reads = Arc::new(Queue::new());
        let mut readers = Vec::new();
        let checkpoints = Arc::new(Queue::new());
        let copier = SqliteSession::open(path, flags)?;
        let wanted = Arc::clone(&checkpoints);
        let copying = spawn("sqlite-checkpoint", move || {
            while !wanted.take(usize::MAX).is_empty() {
                // Passive: it waits for nobody and nobody waits for it. What it leaves is done next time.
                if let Err(error) = copier.batch("PRAGMA wal_checkpoint(PASSIVE)") {
                    tracing::warn!(%error, "copying the log of the database failed");
                }
            }
        })?;
        let queue = Arc::clone(&writes);
        let writing = spawn("sqlite-writer", move || {
            run_writer(&writer, &queue, &checkpoints);
            // The last connection to close tidies the log away; two that close at once would each
            // leave it to the other.
            checkpoints.close();
            let _ = copying.join();
        })?;
        for _ in 0..READERS {
            let reader = SqliteSession::open(path, flags)?;
            reader.conn.pragma_update(None, "query_only", true)?;
            let queue: Arc<Queue<ReadJob>> = Arc::clone(&reads);
            readers.push(spawn("sqlite-reader", move || {
                loop {
                    let jobs = queue.take(1);
                    if jobs.is_empty() {
                        return;
                    }
                    jobs.into_iter().for_each(|job| job(&reader));
                }
            })?);
        }
        Ok(Self { writes, reads, readers, writer: Some(writing) })
    }

    pub(crate) fn write(&self, job: WriteJob) -> Result<(), Error> {
        self.writes.push(job).map_err(|_| {
            Error::Unavailable("too many requests wait, or the store is closed".into())
        })
    }

    /// The queue of the writer, for a lane that asks for its turns itself.
    pub(crate) fn writer(&self) -> Arc<Queue<WriteJob>> {
        Arc::clone(&self.writes)
    }

    pub(crate) fn read(&self, job: ReadJob) -> Result<(), Error> {
        self.reads.push(job).map_err(|_| {
            Error::Unavailable("too many requests wait, or the store is closed".into())
        })
    }
}

impl Drop for SqlitePool {
    fn drop(&mut self) {
        // Readers first: the last connection to close tidies the log away, and a reader can't.
        self.reads.close();
        join(self.readers.drain(..));
        self.writes.close();
        join(self.writer.take().into_iter());
    }
}

fn join(threads: impl Iterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        // A database thread may hold the last handle of the store; it must not wait for itself.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Error::Unavailable(format!("no thread for the database: {error}")))
}

/// Group commit: whatever waits is run, each under its savepoint, and one commit makes it durable.
fn run_writer(session: &SqliteSession, queue: &Queue<WriteJob>, checkpoints: &Queue<()>) {
    let mut commits = 0u32;
    loop {
        let jobs = queue.take(GROUP);
        if jobs.is_empty() {
            return;
        }
        commits = commits.wrapping_add(1);
        if commits.is_multiple_of(COMMITS_A_CHECKPOINT) {
            let _ = checkpoints.push(());
        }
        let mut finished = Vec::with_capacity(jobs.len());
        let begun = session.begin();
        if begun.is_ok() {
            for job in jobs {
                finished.push(job(session));
                if session.conn.is_autocommit() {
                    // The transaction ended under this closure. What came now would be
                    // committed alone, while the commit of all fails.
                    session.refuse(Some(ENDED));
                }
            }
            let result = session.commit();
            session.alone.set(false);
            session.refuse(None);
            if result.is_err() {
                // A full disk may have ended the transaction already; then there is nothing to undo.
                let _ = session.execute("ROLLBACK");
            }
            for finish in finished {
                finish(result.as_ref().copied().map_err(Error::again));
            }
        } else {
            // Nothing began, so each closure is turned away at its savepoint, before it runs.
            let why = begun.err().map_or_else(String::new, Error::why);
            session.refuse(Some(&why));
            for job in jobs {
                job(session)(Err(Error::Unavailable(why.clone())));
            }
            session.refuse(None);
        }
    }
}

/// One connection with its statements.
pub(crate) struct SqliteSession {
    conn: Connection,
    texts: RefCell<HashMap<(usize, usize), String>>,
    /// Why closures are turned away, while there is no transaction for them.
    refused: RefCell<Option<String>>,
    /// Nothing has run in this transaction: whoever comes first needs no savepoint, since the whole
    /// transaction can be undone.
    alone: Cell<bool>,
}

impl SqliteSession {
    fn open(path: &Path, flags: OpenFlags) -> Result<Self, Error> {
        let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        // REPLACE removes a row too: with this, the triggers that refuse a removal see it.
        conn.pragma_update(None, "recursive_triggers", true)?;
        // Savepoints keep old pages aside: in memory, not in a file made for each transaction.
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.set_prepared_statement_cache_capacity(256);
        Ok(Self {
            conn,
            texts: RefCell::default(),
            refused: RefCell::default(),
            alone: Cell::new(false),
        })
    }

    /// Turns the log on. Where several start on one empty file at once, the database answers "busy"
    /// without waiting, so the waiting is done here.
    fn set_log_mode(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.conn.pragma_update(None, "journal_mode", "WAL") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < BUSY =>
                {
                    thread::park_timeout(Duration::from_millis(20));
                }
                done => return done.map_err(Error::from),
            }
        }
    }

    /// Runs `work` so that its changes are all kept or all undone, whatever becomes of others: under a
    /// savepoint, but for the first of a transaction, for which the whole can be undone.
    pub(crate) fn undoable<R>(&self, work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        if let Some(why) = &*self.refused.borrow() {
            return Err(Error::Unavailable(why.clone()));
        }
        if self.alone.replace(false) {
            let out = work();
            if out.is_err() && !self.conn.is_autocommit() {
                self.execute("ROLLBACK")?;
                if let Err(error) = self.begin() {
                    self.refuse(Some(&error.why()));
                }
            }
            return out;
        }
        self.execute("SAVEPOINT work")?;
        let out = work();
        if out.is_err() {
            if self.conn.is_autocommit() {
                // A full disk has ended the transaction, and with it every savepoint.
                return out;
            }
            self.execute("ROLLBACK TO work")?;
        }
        self.execute("RELEASE work")?;
        out
    }

    fn begin(&self) -> Result<(), Error> {
        self.execute("BEGIN IMMEDIATE")?;
        self.alone.set(true);
        Ok(())
    }

    fn refuse(&self, why: Option<&str>) {
        *self.refused.borrow_mut() = why.map(str::to_owned);
    }

    /// Runs `work` on one unchanging view of the data.
    pub(crate) fn snapshot<R>(&self, work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        self.execute("BEGIN DEFERRED")?;
        let out = work();
        // A failing disk may have ended it already.
        if !self.conn.is_autocommit() {
            self.execute("COMMIT")?;
        }
        out
    }

    pub(crate) fn execute(&self, sql: &'static str) -> Result<(), Error> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Commits. A disk that failed in the middle of it leaves the outcome unknown.
    fn commit(&self) -> Result<(), Error> {
        if self.conn.is_autocommit() {
            return Err(Error::Unavailable(ENDED.into()));
        }
        match self.conn.execute_batch("COMMIT") {
            Ok(()) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
                Err(Error::OutcomeUnknown("writing the disk failed in the commit".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.conn.execute_batch(sql).map_err(Error::from)
    }

    pub(crate) fn run(&self, sql: &'static str, params: &[P<'_>]) -> Result<u64, Error> {
        self.with_text(sql, |text| {
            let mut statement = self.conn.prepare_cached(text)?;
            Ok(statement.execute(rusqlite::params_from_iter(params))? as u64)
        })
    }

    /// Runs one statement with several sets of parameters, each of which must touch one row.
    pub(crate) fn run_each<const N: usize>(
        &self,
        sql: &'static str,
        sets: &[[P<'_>; N]],
    ) -> Result<(), Error> {
        self.with_text(sql, |text| {
            let mut statement = self.conn.prepare_cached(text)?;
            for params in sets {
                if statement.execute(rusqlite::params_from_iter(params))? != 1 {
                    return Err(Error::Retry);
                }
            }
            Ok(())
        })
    }

    pub(crate) fn rows(&self, sql: &'static str, params: &[P<'_>]) -> Result<Vec<Row>, Error> {
        let mut found = Vec::new();
        self.each(sql, params, &mut |row| {
            found.push(row.copy()?);
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn each(
        &self,
        sql: &'static str,
        params: &[P<'_>],
        read: &mut dyn FnMut(&RawRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.each_of(sql, std::iter::once(params), read)
    }

    /// Runs one query with several sets of parameters, one after the other.
    pub(crate) fn each_of<'p>(
        &self,
        sql: &'static str,
        sets: impl Iterator<Item = &'p [P<'p>]>,
        read: &mut dyn FnMut(&RawRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.with_text(sql, |text| {
            let mut statement = self.conn.prepare_cached(text)?;
            let columns = statement.column_count();
            for params in sets {
                let mut rows = statement.query(rusqlite::params_from_iter(params))?;
                while let Some(row) = rows.next()? {
                    read(&RawRow::Sqlite(row, columns))?;
                }
            }
            Ok(())
        })
    }

    fn with_text<R>(
        &self,
        sql: &'static str,
        work: impl FnOnce(&str) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let key = (sql.as_ptr() as usize, sql.len());
        if let Some(text) = self.texts.borrow().get(&key) {
            return work(text);
        }
        let text = numbered(sql);
        let out = work(&text);
        self.texts.borrow_mut().insert(key, text);
        out
    }
}

/// `$1` is a name to this driver, bound by first appearance: only `?1` is a number.
pub(crate) fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without it, REPLACE would get past the triggers of `audit_event`.
    #[test]
    fn connections_run_triggers_for_rows_that_replace_removes() {
        let folder = tempfile::tempdir().unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let session = SqliteSession::open(&folder.path().join("a.db"), flags).unwrap();
        session
            .batch(
                "CREATE TABLE door (id INTEGER PRIMARY KEY) STRICT; INSERT INTO door (id) VALUES (1); \
                 CREATE TRIGGER stays BEFORE DELETE ON door BEGIN SELECT RAISE(ABORT, 'stays'); END;",
            )
            .unwrap();
        assert!(session.batch("REPLACE INTO door (id) VALUES (1)").is_err());
    }
}

use countersign_crypto::Rng;

use crate::{
    Error, Shared,
    keys::Keys,
    postgres::PgSession,
    sqlite::SqliteSession,
    statements::{Sql, statements},
    value::{Columns, P, RawRow, Row},
};

/// A transaction that is open. Dropped with an error it leaves nothing behind.
pub struct Tx<'s> {
    conn: Conn<'s>,
    pub(crate) keys: &'s Keys,
    rng: Box<dyn Rng>,
    failed: bool,
}

enum Conn<'s> {
    Sqlite(&'s SqliteSession),
    Postgres(&'s mut PgSession),
}

statements! {
    CLOCK = Sql::pair(
        "SELECT 0 AS micros",
        "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros",
    );
}

impl<'s> Tx<'s> {
    pub(crate) fn sqlite(session: &'s SqliteSession, shared: &'s Shared) -> Self {
        Self { conn: Conn::Sqlite(session), keys: &shared.keys, rng: (shared.rng)(), failed: false }
    }

    pub(crate) fn postgres(session: &'s mut PgSession, shared: &'s Shared) -> Self {
        Self {
            conn: Conn::Postgres(session),
            keys: &shared.keys,
            rng: (shared.rng)(),
            failed: false,
        }
    }

    /// The error for what can't be, so that nothing of the transaction stays.
    pub fn broken(what: &str) -> Error {
        Error::Driver(what.to_owned())
    }

    /// The generator of this transaction.
    pub fn rng(&mut self) -> &mut dyn Rng {
        self.rng.as_mut()
    }

    pub(crate) const fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.conn, Conn::Postgres(_))
    }

    /// After a failed statement nothing more runs: on a full disk it may have ended the transaction,
    /// and what came next would be kept alone.
    fn unbroken(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Driver("a statement of this transaction has failed".into()));
        }
        Ok(())
    }

    pub(crate) fn run(&mut self, sql: Sql, params: &[P<'_>]) -> Result<u64, Error> {
        self.unbroken()?;
        P::refuse_nul(params)?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => session.run(sql.sqlite, params),
            Conn::Postgres(session) => session.run(sql.postgres, params),
        };
        self.failed |= out.is_err();
        out
    }

    /// Runs definitions on SQLite inside the transaction; on PostgreSQL they ran before it.
    pub(crate) fn define(&mut self, sqlite: &str) -> Result<(), Error> {
        self.unbroken()?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => session.batch(sqlite),
            Conn::Postgres(_) => Ok(()),
        };
        self.failed |= out.is_err();
        out
    }

    /// Gives each row to `read` while it is still the driver's: nothing is copied that is not kept.
    pub(crate) fn each(
        &mut self,
        sql: Sql,
        params: &[P<'_>],
        read: &mut dyn FnMut(&RawRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.unbroken()?;
        P::refuse_nul(params)?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => session.each(sql.sqlite, params, read),
            Conn::Postgres(session) => session.each(sql.postgres, params, read),
        };
        self.failed |= out.is_err();
        out
    }

    /// On PostgreSQL: two statements in one journey.
    pub(crate) fn run_both(
        &mut self,
        first: (Sql, &[P<'_>]),
        second: (Sql, &[P<'_>]),
    ) -> Result<(u64, u64), Error> {
        self.unbroken()?;
        P::refuse_nul(first.1)?;
        P::refuse_nul(second.1)?;
        let out = match &mut self.conn {
            Conn::Postgres(session) => {
                session.run_both((first.0.postgres, first.1), (second.0.postgres, second.1))
            }
            Conn::Sqlite(_) => Err(Error::Driver("a statement for PostgreSQL".into())),
        };
        self.failed |= out.is_err();
        out
    }

    /// On SQLite, where a statement costs no journey: one statement for several sets of parameters.
    /// Each set must touch one row. On PostgreSQL the caller has a statement for many rows.
    pub(crate) fn run_each<const N: usize>(
        &mut self,
        sql: Sql,
        sets: &[[P<'_>; N]],
    ) -> Result<(), Error> {
        self.unbroken()?;
        sets.iter().try_for_each(|set| P::refuse_nul(set))?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => session.run_each(sql.sqlite, sets),
            Conn::Postgres(_) => Err(Error::Driver("a statement for SQLite".into())),
        };
        self.failed |= out.is_err();
        out
    }

    /// The same for a query.
    pub(crate) fn each_of(
        &mut self,
        sql: Sql,
        sets: &[[P<'_>; 1]],
        read: &mut dyn FnMut(&RawRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.unbroken()?;
        sets.iter().try_for_each(|set| P::refuse_nul(set))?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => {
                session.each_of(sql.sqlite, sets.iter().map(<[P<'_>; 1]>::as_slice), read)
            }
            Conn::Postgres(_) => Err(Error::Driver("a statement for SQLite".into())),
        };
        self.failed |= out.is_err();
        out
    }

    pub(crate) fn rows(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<Row>, Error> {
        self.unbroken()?;
        P::refuse_nul(params)?;
        let out = match &mut self.conn {
            Conn::Sqlite(session) => session.rows(sql.sqlite, params),
            Conn::Postgres(session) => session.rows(sql.postgres, params),
        };
        self.failed |= out.is_err();
        out
    }

    pub(crate) fn row(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, params)?.pop())
    }

    /// One row must be touched; none means that what was read has changed meanwhile.
    pub(crate) fn run_one(&mut self, sql: Sql, params: &[P<'_>]) -> Result<(), Error> {
        match self.run(sql, params)? {
            1 => Ok(()),
            _ => Err(Error::Retry),
        }
    }

    pub(crate) fn database_micros(&mut self) -> Result<i64, Error> {
        self.row(CLOCK, &[])?.ok_or(Error::corrupt("clock"))?.int(0, "clock")
    }
}

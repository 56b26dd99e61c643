//! Every statement of the store has a name and stands in one list, so that a test prepares all of them on both
//! databases.
//!
//! A file names its statements in one [`statements!`] block, which also makes the file's list; [`ALL`] joins the
//! lists. A list that is missing from [`ALL`] is dead code, which the compiler reports; SQL outside a block is found
//! by a test that reads the sources (`tests/it/statements.rs`). Only the words that begin and end transactions, the
//! settings of a connection and the migrations are written elsewhere.

use crate::columns::Declared;

/// A statement: one text for both databases, or two where they truly differ.
#[derive(Clone, Copy)]
pub(crate) struct Sql {
    /// Empty where the statement is for `PostgreSQL` alone.
    pub(crate) sqlite: &'static str,
    /// Empty where the statement is for `SQLite` alone.
    pub(crate) postgres: &'static str,
    /// What its reader takes its columns for, where they are declared.
    declared: &'static [Declared],
}

impl Sql {
    /// Two texts for one thing.
    pub(crate) const fn pair(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres, declared: &[] }
    }

    /// One text for both databases.
    pub(crate) const fn both(text: &'static str) -> Self {
        Self::pair(text, text)
    }

    /// For `SQLite` alone.
    pub(crate) const fn on_sqlite(sqlite: &'static str) -> Self {
        Self::pair(sqlite, "")
    }

    /// For `PostgreSQL` alone.
    pub(crate) const fn on_postgres(postgres: &'static str) -> Self {
        Self::pair("", postgres)
    }

    /// With the declared columns that its reader takes.
    pub(crate) const fn reading(self, declared: &'static [Declared]) -> Self {
        Self { declared, ..self }
    }
}

/// One text for both.
macro_rules! sql {
    ($($text:literal)+) => {
        $crate::statements::Sql::both(concat!($($text),+))
    };
}

/// A query whose rows nobody else may change until the commit. `SQLite` has one writer anyway.
macro_rules! locking {
    ($($text:literal)+) => {
        $crate::statements::Sql::pair(concat!($($text),+), concat!($($text),+, " FOR UPDATE"))
    };
}

/// The statements of a file: a constant each, and the list of them.
macro_rules! statements {
    ($($(#[$meta:meta])* $vis:vis $name:ident = $sql:expr;)+) => {
        $($(#[$meta])* $vis const $name: $crate::statements::Sql = $sql;)+

        /// The statements of this file.
        pub(crate) const STATEMENTS: $crate::statements::List = &[$((stringify!($name), $name)),+];
    };
}

pub(crate) use {locking, sql, statements};

/// Statements, each with its name.
pub(crate) type List = &'static [(&'static str, Sql)];

/// The lists of all files, each with the name of its module.
const ALL: &[(&str, List)] = &[
    ("api", crate::api::STATEMENTS),
    ("api_keys", crate::api_keys::STATEMENTS),
    ("archive::holds", crate::archive::holds::STATEMENTS),
    ("archive::monthly_logs", crate::archive::monthly_logs::STATEMENTS),
    ("archive", crate::archive::STATEMENTS),
    ("audit", crate::audit::STATEMENTS),
    ("certification", crate::certification::STATEMENTS),
    ("ehr", crate::ehr::STATEMENTS),
    ("enrol::invitations", crate::enrol::invitations::STATEMENTS),
    ("enrol::profile", crate::enrol::profile::STATEMENTS),
    ("enrol::proofing_cases", crate::enrol::proofing_cases::STATEMENTS),
    ("enrol::proofing_providers", crate::enrol::proofing_providers::STATEMENTS),
    ("enrol::sent_codes", crate::enrol::sent_codes::STATEMENTS),
    ("enrol", crate::enrol::STATEMENTS),
    ("fobs", crate::fobs::STATEMENTS),
    ("keys", crate::keys::STATEMENTS),
    ("migrate", crate::migrate::STATEMENTS),
    ("model", crate::model::STATEMENTS),
    ("outbox", crate::outbox::STATEMENTS),
    ("pairing", crate::pairing::STATEMENTS),
    ("people::failures", crate::people::failures::STATEMENTS),
    ("people::known_browsers", crate::people::known_browsers::STATEMENTS),
    ("people", crate::people::STATEMENTS),
    ("practice::access_requests", crate::practice::access_requests::STATEMENTS),
    ("practice::acting", crate::practice::acting::STATEMENTS),
    ("practice::authorities", crate::practice::authorities::STATEMENTS),
    ("practice::internal_codes", crate::practice::internal_codes::STATEMENTS),
    ("practice::members", crate::practice::members::STATEMENTS),
    ("practice::permissions", crate::practice::permissions::STATEMENTS),
    ("practice::refused_models", crate::practice::refused_models::STATEMENTS),
    ("practice::sign_until", crate::practice::sign_until::STATEMENTS),
    ("practice", crate::practice::STATEMENTS),
    ("prescription::signing_keys", crate::prescription::signing_keys::STATEMENTS),
    ("prescription::transmissions", crate::prescription::transmissions::STATEMENTS),
    ("prescription", crate::prescription::STATEMENTS),
    ("purge", crate::purge::STATEMENTS),
    ("session", crate::session::STATEMENTS),
    ("smart", crate::smart::STATEMENTS),
    ("token::checked", crate::token::checked::STATEMENTS),
    ("token::owned", crate::token::owned::STATEMENTS),
    ("token", crate::token::STATEMENTS),
    ("tx", crate::tx::STATEMENTS),
];

/// A statement as each database gets it, for the test that prepares it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Statement {
    /// Module and name.
    pub name: String,
    /// The text for `SQLite`, if it runs there.
    pub sqlite: Option<String>,
    /// The text for `PostgreSQL`, if it runs there.
    pub postgres: Option<&'static str>,
    /// The declared columns, if they are declared: table and column, name in the result, kind.
    pub declared: &'static [Declared],
}

/// Every statement of the store.
#[doc(hidden)]
pub fn all_statements() -> Vec<Statement> {
    ALL.iter()
        .flat_map(|(module, list)| list.iter().map(move |(name, sql)| (module, name, sql)))
        .map(|(module, name, sql)| Statement {
            name: format!("{module}::{name}"),
            sqlite: (!sql.sqlite.is_empty()).then(|| crate::sqlite::numbered(sql.sqlite)),
            postgres: (!sql.postgres.is_empty()).then_some(sql.postgres),
            declared: sql.declared,
        })
        .collect()
}

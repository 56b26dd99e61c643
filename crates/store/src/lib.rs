//! The only holder of SQL: one concrete store over SQLite and PostgreSQL.

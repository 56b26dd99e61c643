use std::str::FromStr;

use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{IsNull, ToSql, Type};

use countersign_domain::{IdError, Timestamp};

use crate::{
    Error, RowId,
    columns::{Blob, Column, Int, Kind, Opt, Text},
};

/// A value handed to a statement: the common subset of both databases.
#[derive(Debug, Clone, Copy)]
pub(crate) enum P<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// Arrays exist on PostgreSQL only, for statements on many rows.
    Ints(&'a [i64]),
    OptInts(&'a [Option<i64>]),
    Texts(&'a [&'a str]),
    OptTexts(&'a [Option<&'a str>]),
    Blobs(&'a [&'a [u8]]),
    OptBlobs(&'a [Option<&'a [u8]>]),
}

impl P<'_> {
    /// Refuses a text with a NUL character: the one place through which all texts go to a database.
    pub(crate) fn refuse_nul(params: &[Self]) -> Result<(), Error> {
        let has_nul = |text: &&str| text.as_bytes().contains(&0);
        let found = params.iter().any(|param| match param {
            P::Text(text) => has_nul(text),
            P::Texts(texts) => texts.iter().any(has_nul),
            P::OptTexts(texts) => texts.iter().flatten().any(has_nul),
            _ => false,
        });
        if found { Err(Error::NulInText) } else { Ok(()) }
    }
}

impl<'a, T: Into<P<'a>>> From<Option<T>> for P<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(P::Null, Into::into)
    }
}

impl From<i64> for P<'_> {
    fn from(value: i64) -> Self {
        P::Int(value)
    }
}

impl<'a> From<&'a str> for P<'a> {
    fn from(value: &'a str) -> Self {
        P::Text(value)
    }
}

impl<'a> From<&'a [u8]> for P<'a> {
    fn from(value: &'a [u8]) -> Self {
        P::Blob(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for P<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        P::Blob(value)
    }
}

impl rusqlite::ToSql for P<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            P::Null => ValueRef::Null,
            P::Int(value) => ValueRef::Integer(*value),
            P::Text(value) => ValueRef::Text(value.as_bytes()),
            P::Blob(value) => ValueRef::Blob(value),
            _ => return Err(rusqlite::Error::ToSqlConversionFailure("an array on SQLite".into())),
        }))
    }
}

impl ToSql for P<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            P::Null => Ok(IsNull::Yes),
            P::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            P::Text(value) if *ty == Type::TEXT => value.to_sql(ty, out),
            P::Blob(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            P::Ints(values) if *ty == Type::INT8_ARRAY => values.to_sql(ty, out),
            P::OptInts(values) if *ty == Type::INT8_ARRAY => values.to_sql(ty, out),
            P::Texts(values) if *ty == Type::TEXT_ARRAY => values.to_sql(ty, out),
            P::OptTexts(values) if *ty == Type::TEXT_ARRAY => values.to_sql(ty, out),
            P::Blobs(values) if *ty == Type::BYTEA_ARRAY => values.to_sql(ty, out),
            P::OptBlobs(values) if *ty == Type::BYTEA_ARRAY => values.to_sql(ty, out),
            _ => Err(format!("a value of another kind than the column's {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A value of a row, borrowed from the driver or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum V<'r> {
    Null,
    Int(i64),
    Text(&'r str),
    Blob(&'r [u8]),
}

/// Reads the columns of a row by number. A value of another kind than asked for is damage, not a
/// default.
pub(crate) trait Columns {
    /// The value of a column.
    fn value(&self, index: usize, column: &'static str) -> Result<V<'_>, Error>;

    fn int(&self, index: usize, column: &'static str) -> Result<i64, Error> {
        self.opt_int(index, column)?.ok_or(Error::corrupt(column))
    }

    fn opt_int(&self, index: usize, column: &'static str) -> Result<Option<i64>, Error> {
        match self.value(index, column)? {
            V::Int(value) => Ok(Some(value)),
            V::Null => Ok(None),
            _ => Err(Error::corrupt(column)),
        }
    }

    fn text(&self, index: usize, column: &'static str) -> Result<&str, Error> {
        self.opt_text(index, column)?.ok_or(Error::corrupt(column))
    }

    fn opt_text(&self, index: usize, column: &'static str) -> Result<Option<&str>, Error> {
        match self.value(index, column)? {
            V::Text(value) => Ok(Some(value)),
            V::Null => Ok(None),
            _ => Err(Error::corrupt(column)),
        }
    }

    fn blob(&self, index: usize, column: &'static str) -> Result<&[u8], Error> {
        self.opt_blob(index, column)?.ok_or(Error::corrupt(column))
    }

    fn opt_blob(&self, index: usize, column: &'static str) -> Result<Option<&[u8]>, Error> {
        match self.value(index, column)? {
            V::Blob(value) => Ok(Some(value)),
            V::Null => Ok(None),
            _ => Err(Error::corrupt(column)),
        }
    }

    /// An id column.
    fn id<T>(
        &self,
        index: usize,
        column: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, countersign_domain::IdError>,
    ) -> Result<T, Error> {
        read(self.blob(index, column)?).map_err(|_| Error::corrupt(column))
    }

    /// An id column that may be empty.
    fn opt_id<T>(
        &self,
        index: usize,
        column: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, countersign_domain::IdError>,
    ) -> Result<Option<T>, Error> {
        self.opt_blob(index, column)?.map(read).transpose().map_err(|_| Error::corrupt(column))
    }
}

/// Reads declared columns.
pub(crate) trait Declared: Columns {
    /// The value of a column.
    fn get<K: Kind>(&self, column: Column<K>) -> Result<K::Value<'_>, Error> {
        let value = self.value(column.at, column.label).map_err(|error| match error {
            Error::Corrupt { .. } => self.corrupt(column),
            other => other,
        })?;
        K::of(value).ok_or_else(|| self.corrupt(column))
    }

    /// The error for a value that can't have been written, with the ID of the row.
    fn corrupt<K: Kind>(&self, column: Column<K>) -> Error {
        let key = column.key.and_then(|at| self.value(at, column.label).ok());
        let row = if let Some(V::Blob(id)) = key { RowId::of(id) } else { None };
        Error::Corrupt { column: column.label, row }
    }

    /// A time.
    fn time(&self, column: Column<Int>) -> Result<Timestamp, Error> {
        self.get(column).map(Timestamp::from_micros)
    }

    /// A time that may be missing.
    fn opt_time(&self, column: Column<Opt<Int>>) -> Result<Option<Timestamp>, Error> {
        Ok(self.get(column)?.map(Timestamp::from_micros))
    }

    /// Something that is 0 for no.
    fn flag(&self, column: Column<Int>) -> Result<bool, Error> {
        Ok(self.get(column)? != 0)
    }

    /// A text, to be kept.
    fn string(&self, column: Column<Text>) -> Result<String, Error> {
        self.get(column).map(str::to_owned)
    }

    /// A text that stands for something.
    fn parsed<T: FromStr>(&self, column: Column<Text>) -> Result<T, Error> {
        self.get(column)?.parse().map_err(|_| self.corrupt(column))
    }

    /// An ID.
    fn get_id<T>(
        &self,
        column: Column<Blob>,
        read: impl FnOnce(&[u8]) -> Result<T, IdError>,
    ) -> Result<T, Error> {
        read(self.get(column)?).map_err(|_| self.corrupt(column))
    }

    /// An ID that may be missing.
    fn get_opt_id<T>(
        &self,
        column: Column<Opt<Blob>>,
        read: impl FnOnce(&[u8]) -> Result<T, IdError>,
    ) -> Result<Option<T>, Error> {
        self.get(column)?.map(read).transpose().map_err(|_| self.corrupt(column))
    }
}

impl Declared for RawRow<'_> {}
impl Declared for Row {}

/// A row while the driver holds it.
pub(crate) enum RawRow<'r> {
    /// With its number of columns.
    Sqlite(&'r rusqlite::Row<'r>, usize),
    Postgres(&'r tokio_postgres::Row),
}

impl RawRow<'_> {
    /// The row, to be kept.
    pub(crate) fn copy(&self) -> Result<Row, Error> {
        let columns = match self {
            Self::Sqlite(_, columns) => *columns,
            Self::Postgres(row) => row.len(),
        };
        (0..columns)
            .map(|index| {
                Ok(match self.value(index, "a value of an unknown kind")? {
                    V::Null => Kept::Null,
                    V::Int(value) => Kept::Int(value),
                    V::Text(value) => Kept::Text(value.to_owned()),
                    V::Blob(value) => Kept::Blob(value.to_vec()),
                })
            })
            .collect::<Result<_, _>>()
            .map(Row)
    }
}

impl Columns for RawRow<'_> {
    fn value(&self, index: usize, column: &'static str) -> Result<V<'_>, Error> {
        match self {
            Self::Sqlite(row, _) => Ok(match row.get_ref(index)? {
                ValueRef::Null => V::Null,
                ValueRef::Integer(value) => V::Int(value),
                ValueRef::Text(value) => {
                    V::Text(std::str::from_utf8(value).map_err(|_| Error::corrupt(column))?)
                }
                ValueRef::Blob(value) => V::Blob(value),
                ValueRef::Real(_) => return Err(Error::corrupt(column)),
            }),
            Self::Postgres(row) => {
                let kind = row.columns().get(index).map(tokio_postgres::Column::type_);
                Ok(match kind {
                    Some(&Type::INT8) => {
                        row.try_get::<_, Option<i64>>(index)?.map_or(V::Null, V::Int)
                    }
                    Some(&Type::TEXT) => {
                        row.try_get::<_, Option<&str>>(index)?.map_or(V::Null, V::Text)
                    }
                    Some(&Type::BYTEA) => {
                        row.try_get::<_, Option<&[u8]>>(index)?.map_or(V::Null, V::Blob)
                    }
                    _ => return Err(Error::corrupt(column)),
                })
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A row that was kept, whichever database it came from.
#[derive(Debug)]
pub(crate) struct Row(Vec<Kept>);

impl Columns for Row {
    fn value(&self, index: usize, column: &'static str) -> Result<V<'_>, Error> {
        Ok(match self.0.get(index).ok_or(Error::corrupt(column))? {
            Kept::Null => V::Null,
            Kept::Int(value) => V::Int(*value),
            Kept::Text(value) => V::Text(value),
            Kept::Blob(value) => V::Blob(value),
        })
    }
}

//! Columns that are declared once: the declaration gives the SELECT list and what reads a row of it.
//!
//! A query names its declaration (`select!(MessageColumns, "WHERE id = $1")`), a reader asks for a column of it
//! (`row.get(MESSAGE.kind)`): there is no number to count. A column that nothing reads is dead code; one that is not
//! declared does not compile; and a test compares names, types and nullability with both databases.

use std::marker::PhantomData;

use crate::value::V;

/// What a column holds, as a declaration says it.
pub(crate) trait Kind: Copy {
    /// What is read.
    type Value<'r>;
    /// For the test that compares declarations with the schema.
    const NAME: &'static str;
    /// The value, if it is of this kind.
    fn of(value: V<'_>) -> Option<Self::Value<'_>>;
}

/// A number: a time in microseconds since 1970 UTC, a count, 0 or 1.
#[derive(Clone, Copy)]
pub(crate) struct Int;

/// A text.
#[derive(Clone, Copy)]
pub(crate) struct Text;

/// Bytes: an ID, a hash, something sealed.
#[derive(Clone, Copy)]
pub(crate) struct Blob;

/// Such a value, or none.
#[derive(Clone, Copy)]
pub(crate) struct Opt<K>(PhantomData<K>);

impl Kind for Int {
    type Value<'r> = i64;
    const NAME: &'static str = "bigint";
    fn of(value: V<'_>) -> Option<i64> {
        if let V::Int(value) = value { Some(value) } else { None }
    }
}

impl Kind for Text {
    type Value<'r> = &'r str;
    const NAME: &'static str = "text";
    fn of(value: V<'_>) -> Option<&str> {
        if let V::Text(value) = value { Some(value) } else { None }
    }
}

impl Kind for Blob {
    type Value<'r> = &'r [u8];
    const NAME: &'static str = "bytea";
    fn of(value: V<'_>) -> Option<&[u8]> {
        if let V::Blob(value) = value { Some(value) } else { None }
    }
}

/// A kind of which a column may be empty.
pub(crate) trait OptKind: Kind {
    /// For the test, as [`Kind::NAME`].
    const OPT_NAME: &'static str;
}

impl OptKind for Int {
    const OPT_NAME: &'static str = "bigint, or none";
}

impl OptKind for Text {
    const OPT_NAME: &'static str = "text, or none";
}

impl OptKind for Blob {
    const OPT_NAME: &'static str = "bytea, or none";
}

impl<K: OptKind> Kind for Opt<K> {
    type Value<'r> = Option<K::Value<'r>>;
    const NAME: &'static str = K::OPT_NAME;
    fn of(value: V<'_>) -> Option<Option<K::Value<'_>>> {
        if value == V::Null { Some(None) } else { K::of(value).map(Some) }
    }
}

/// A column of a declaration.
#[derive(Clone, Copy)]
pub(crate) struct Column<K> {
    /// Its place in the SELECT list, from 0.
    pub(crate) at: usize,
    /// Table and column, for errors.
    pub(crate) label: &'static str,
    /// The place of the ID of the row.
    pub(crate) key: Option<usize>,
    kind: PhantomData<K>,
}

impl<K> Column<K> {
    pub(crate) const fn new(at: usize, label: &'static str, key: Option<usize>) -> Self {
        Self { at, label, key, kind: PhantomData }
    }
}

/// A column as a test compares it: table and column as errors name them, its name in the result, and its kind.
pub(crate) type Declared = (&'static str, &'static str, &'static str);

/// How many bytes some texts have together.
pub(crate) const fn length(mut parts: &[&str]) -> usize {
    let mut length = 0;
    while let [part, more @ ..] = parts {
        length += part.len();
        parts = more;
    }
    length
}

/// Some texts after one another; another length than theirs does not compile.
pub(crate) const fn joined<const N: usize>(mut parts: &[&str]) -> [u8; N] {
    let mut all = [0; N];
    let mut rest: &mut [u8] = &mut all;
    while let [part, more @ ..] = parts {
        let (here, after) = rest.split_at_mut(part.len());
        here.copy_from_slice(part.as_bytes());
        rest = after;
        parts = more;
    }
    all
}

/// A text of constants, as `concat!` makes one of literals.
macro_rules! join {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&str] = &[$($part),+];
        const BYTES: [u8; $crate::columns::length(PARTS)] = $crate::columns::joined(PARTS);
        match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            // Texts that were joined are a text.
            Err(_) => "",
        }
    }};
}

/// Declares columns: `NAME: Type from "table" by key { column: Kind, .. }`, where `by key` names the column with the ID
/// of the row and may be left out. In a query of several tables a column says what it is there and of which table:
/// `at: Int = "d.at" of "disowned"`, and the table is followed by the rest of FROM: `from "signed_record" "r JOIN .."`.
macro_rules! columns {
    ($(#[$meta:meta])* $name:ident: $type:ident from $table:literal $($join:literal)? $(by $key:ident)? {
        $($column:ident: $kind:ty $(= $sql:literal $(of $other:literal)?)?),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub(crate) struct $type {
            $(pub(crate) $column: $crate::columns::Column<$kind>),+
        }

        impl $type {
            /// What a query selects.
            pub(crate) const LIST: &'static str = $crate::columns::without_separator(concat!(
                $($crate::columns::columns!(@sql $column $(, $sql)?), ", "),+
            ));
            /// SELECT and FROM.
            pub(crate) const SELECT: &'static str = $crate::columns::join!(
                "SELECT ",
                $type::LIST,
                concat!(" FROM ", $table $(, " ", $join)?),
            );
            /// What a test compares with the databases.
            pub(crate) const DECLARED: &'static [$crate::columns::Declared] = &[$((
                $crate::columns::columns!(@label $column, $table $(, $sql $(, $other)?)?),
                stringify!($column),
                <$kind as $crate::columns::Kind>::NAME,
            )),+];
        }

        $(#[$meta])*
        pub(crate) const $name: $type = {
            #[allow(non_camel_case_types, reason = "called like the columns, whose places they are")]
            enum Place {
                $($column),+
            }
            let key: Option<usize> = $crate::columns::columns!(@key $(Place::$key)?);
            $type {
                $($column: $crate::columns::Column::new(
                    Place::$column as usize,
                    $crate::columns::columns!(@label $column, $table $(, $sql $(, $other)?)?),
                    key,
                )),+
            }
        };
    };
    (@sql $column:ident) => { stringify!($column) };
    (@sql $column:ident, $sql:literal) => { concat!($sql, " AS ", stringify!($column)) };
    (@label $column:ident, $table:literal) => { concat!($table, ".", stringify!($column)) };
    (@label $column:ident, $table:literal, $sql:literal) => { concat!($table, ".", stringify!($column)) };
    (@label $column:ident, $table:literal, $sql:literal, $other:literal) => {
        concat!($other, ".", stringify!($column))
    };
    (@key) => { None };
    (@key $place:path) => { Some($place as usize) };
}

/// A query of declared columns; with `locking`, nobody else may change its rows until the commit.
macro_rules! select {
    ($type:ident, locking $($tail:literal)+) => {
        $crate::statements::Sql::pair(
            $crate::columns::join!($type::SELECT, concat!(" ", $($tail),+)),
            $crate::columns::join!($type::SELECT, concat!(" ", $($tail),+, " FOR UPDATE")),
        )
        .reading($type::DECLARED)
    };
    ($type:ident, $($tail:literal)+) => {
        $crate::statements::Sql::both($crate::columns::join!($type::SELECT, concat!(" ", $($tail),+)))
            .reading($type::DECLARED)
    };
}

pub(crate) use {columns, join, select};

/// A list without the separator after its last part.
pub(crate) const fn without_separator(list: &str) -> &str {
    list.split_at(list.len() - ", ".len()).0
}

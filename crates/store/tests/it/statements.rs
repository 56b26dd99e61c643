//! Every statement of the store is prepared on both databases, on a schema that was just migrated; and no SQL stands
//! outside the list that these tests walk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use countersign_store::{Statement, all_statements};
use tokio_postgres::types::Type;

use crate::support::{Place, on_postgres, on_sqlite, pg_client};

/// What SQLite says of a statement: how many parameters it takes, and the names of its columns.
fn prepared_on_sqlite(
    conn: &rusqlite::Connection,
    sql: &str,
) -> Result<(usize, Vec<String>), String> {
    let statement = conn.prepare(sql).map_err(|error| error.to_string())?;
    let names = statement.column_names().map(str::to_owned).collect();
    Ok((statement.parameter_count(), names))
}

/// The same on PostgreSQL. Parameters and columns of other types than the store hands over and reads are an error.
async fn prepared_on_postgres(
    client: &tokio_postgres::Client,
    sql: &str,
) -> Result<(usize, Vec<String>), String> {
    const ONE: [Type; 3] = [Type::INT8, Type::TEXT, Type::BYTEA];
    const MANY: [Type; 3] = [Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::BYTEA_ARRAY];
    let statement = client
        .prepare(sql)
        .await
        .map_err(|e| e.as_db_error().map_or_else(|| e.to_string(), |e| e.message().to_owned()))?;
    let strange: Vec<_> = statement
        .params()
        .iter()
        .filter(|ty| !ONE.contains(ty) && !MANY.contains(ty))
        .chain(statement.columns().iter().map(|c| c.type_()).filter(|ty| !ONE.contains(ty)))
        .collect();
    if !strange.is_empty() {
        return Err(format!("a parameter or column of type {strange:?}"));
    }
    let names = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    Ok((statement.params().len(), names))
}

async fn migrated(place: &Place) {
    drop(place.open().await);
}

#[test]
fn every_statement_has_a_name_of_its_own_and_a_text() {
    let all = all_statements();
    assert!(all.len() > 200, "only {} statements are listed", all.len());
    let names: BTreeSet<_> = all.iter().map(|statement| &statement.name).collect();
    assert_eq!(names.len(), all.len());
    let empty = |it: &&Statement| it.sqlite.is_none() && it.postgres.is_none();
    assert!(all.iter().find(empty).is_none());
}

#[test]
fn every_statement_prepares_on_sqlite() {
    on_sqlite(async |place| {
        migrated(place).await;
        let conn = rusqlite::Connection::open(place.file()).unwrap();
        let refused: Vec<_> = all_statements()
            .iter()
            .filter_map(|it| {
                Some((&it.name, it.sqlite.as_deref()?)).map(|(n, s)| (n.clone(), s.to_owned()))
            })
            .filter_map(|(name, sql)| Some((name, prepared_on_sqlite(&conn, &sql).err()?)))
            .collect();
        assert!(refused.is_empty(), "{refused:#?}");
    });
}

#[test]
fn every_statement_prepares_on_both_and_names_its_columns_alike() {
    on_postgres(async |place| {
        migrated(place).await;
        let client = pg_client(&place.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let other = Place::Sqlite { folder };
        migrated(&other).await;
        let conn = rusqlite::Connection::open(other.file()).unwrap();
        let mut wrong = Vec::new();
        for Statement { name, sqlite, postgres, .. } in all_statements() {
            let lite = sqlite.as_deref().map(|sql| prepared_on_sqlite(&conn, sql));
            let pg = match postgres {
                Some(sql) => Some(prepared_on_postgres(&client, sql).await),
                None => None,
            };
            match (lite, pg) {
                (Some(Err(error)), _) => wrong.push(format!("{name}, SQLite: {error}")),
                (_, Some(Err(error))) => wrong.push(format!("{name}, PostgreSQL: {error}")),
                (Some(Ok(lite)), Some(Ok(pg))) if lite != pg => {
                    wrong.push(format!("{name}: {lite:?} on SQLite, {pg:?} on PostgreSQL"));
                }
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// What a declaration takes a column for is what the database has: its name in the result, its type, and whether it may
/// be empty. A column that is never empty may be declared as one that may, where an outer join can leave it out.
#[test]
fn declared_columns_are_those_of_the_schema() {
    on_postgres(async |place| {
        migrated(place).await;
        let client = pg_client(&place.url()).await;
        let is_never_empty: BTreeMap<(u32, i16), bool> = client
            .query("SELECT attrelid, attnum, attnotnull FROM pg_attribute WHERE attnum > 0", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect();
        let (mut wrong, mut compared) = (Vec::new(), 0);
        for Statement { name, postgres, declared, .. } in all_statements() {
            let (Some(sql), false) = (postgres, declared.is_empty()) else { continue };
            let statement = client.prepare(sql).await.unwrap();
            let columns = statement.columns();
            assert!(columns.len() >= declared.len(), "{name}");
            for ((label, in_result, kind), column) in declared.iter().zip(columns) {
                compared += 1;
                let ty = match *column.type_() {
                    Type::INT8 => "bigint",
                    Type::TEXT => "text",
                    Type::BYTEA => "bytea",
                    ref other => panic!("{name}: {label} is {other}"),
                };
                let origin = column.table_oid().zip(column.column_id());
                let never_empty = origin.map(|origin| is_never_empty[&origin]);
                let fits = match never_empty {
                    _ if *in_result != column.name() => false,
                    Some(true) if *kind != ty => {
                        sql.contains("LEFT JOIN") && *kind == format!("{ty}, or none")
                    }
                    Some(true) => true,
                    Some(false) | None => *kind == format!("{ty}, or none"),
                };
                if !fits {
                    let found = column.name();
                    wrong.push(format!("{name}: {label} is {kind}; found {found}, {ty}, never empty: {never_empty:?}"));
                }
            }
        }
        assert!(compared > 100, "only {compared} columns are declared");
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// A column of the schema: its type, whether it may be empty, and its place in the primary key (0 for none).
type ColumnFacts = (String, bool, i64);

/// The columns of all tables by table and name, and the names of all indexes.
type Schema = (BTreeMap<(String, String), ColumnFacts>, BTreeSet<String>);

fn schema_on_sqlite(file: &Path) -> Schema {
    let conn = rusqlite::Connection::open(file).unwrap();
    let mut statement = conn
        .prepare(
            "SELECT m.name, c.name, c.type, c.\"notnull\" = 1 OR c.pk > 0, c.pk FROM sqlite_master m \
             JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'",
        )
        .unwrap();
    let columns = statement
        .query_map([], |row| {
            let ty = match row.get::<_, String>(2)?.as_str() {
                "INTEGER" => "bigint",
                "TEXT" => "text",
                "BLOB" => "bytea",
                other => panic!("a column of type {other}"),
            };
            Ok(((row.get(0)?, row.get(1)?), (ty.to_owned(), !row.get::<_, bool>(3)?, row.get(4)?)))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut statement = conn
        .prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        .unwrap();
    let indexes = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    (columns, indexes)
}

async fn schema_on_postgres(url: &str) -> Schema {
    let client = pg_client(url).await;
    let columns = client
        .query(
            "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable = 'YES', \
             COALESCE((SELECT k.ordinal_position::int8 FROM information_schema.key_column_usage k \
             JOIN information_schema.table_constraints t ON t.constraint_name = k.constraint_name \
             AND t.table_schema = k.table_schema WHERE t.constraint_type = 'PRIMARY KEY' \
             AND k.table_schema = c.table_schema AND k.table_name = c.table_name \
             AND k.column_name = c.column_name), 0) \
             FROM information_schema.columns c WHERE c.table_schema = current_schema()",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3), row.get(4))))
        .collect();
    let indexes = client
        .query(
            "SELECT i.indexname::text FROM pg_indexes i WHERE i.schemaname = current_schema() AND NOT EXISTS \
             (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    (columns, indexes)
}

/// Names, types, nullability, keys and indexes; a key column counts as never empty on both.
#[test]
fn both_schemas_are_alike() {
    on_postgres(async |place| {
        migrated(place).await;
        let folder = tempfile::tempdir().unwrap();
        let other = Place::Sqlite { folder };
        migrated(&other).await;
        let (lite, lite_indexes) = schema_on_sqlite(&other.file());
        let (pg, pg_indexes) = schema_on_postgres(&place.url()).await;
        assert!(lite.len() > 200);
        let wrong: Vec<_> = lite
            .keys()
            .chain(pg.keys())
            .filter(|column| lite.get(*column) != pg.get(*column))
            .map(|column| (column, lite.get(column), pg.get(column)))
            .collect();
        assert!(wrong.is_empty(), "column, SQLite, PostgreSQL: {wrong:#?}");
        // What these are for, PostgreSQL does without them (see 0004_hot_path.sql).
        let on_sqlite_alone = ["decoy_at", "prescriber_counter"].map(str::to_owned).into();
        assert_eq!(lite_indexes, &pg_indexes | &on_sqlite_alone);
    });
}

/// `docs/schema.md` has every column with its type, and no other.
#[test]
fn the_schema_is_documented() {
    on_sqlite(async |place| {
        migrated(place).await;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.md");
        let text = fs::read_to_string(path).unwrap();
        let mut documented = BTreeMap::new();
        let mut table = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("## ") {
                table = name;
            }
            let Some(rest) = line.strip_prefix("| `") else { continue };
            let (column, rest) = rest.split_once("` | ").unwrap();
            let (ty, meaning) = rest.split_once(" | ").unwrap();
            assert!(meaning.len() > 3, "{table}.{column} has no meaning");
            documented.insert((table.to_owned(), column.to_owned()), ty.to_owned());
        }
        let (columns, _) = schema_on_sqlite(&place.file());
        let there: BTreeMap<_, _> = columns
            .into_iter()
            .filter(|((table, _), _)| !table.starts_with("schema_"))
            .map(|(column, (ty, may_be_empty, _))| {
                let ty = match ty.as_str() {
                    "bigint" => "integer",
                    "bytea" => "bytes",
                    other => other,
                };
                (column, format!("{ty}{}", if may_be_empty { ", may be empty" } else { "" }))
            })
            .collect();
        let differs: Vec<_> = there
            .keys()
            .chain(documented.keys())
            .filter(|column| there.get(*column) != documented.get(*column))
            .collect();
        assert!(differs.is_empty(), "{differs:#?}");
    });
}

/// SQL that is in no list, by file: what begins and ends transactions, settings of a connection, and the tables that
/// the migrations themselves need.
const ELSEWHERE: [(&str, &[&str]); 4] = [
    // What a declaration of columns begins with.
    ("columns.rs", &["SELECT "]),
    (
        "sqlite.rs",
        // The last two belong to a test.
        &[
            "BEGIN DEFERRED",
            "BEGIN IMMEDIATE",
            "COMMIT",
            "PRAGMA wal_checkpoint(PASSIVE)",
            "RELEASE work",
            "ROLLBACK",
            "ROLLBACK TO work",
            "SAVEPOINT work",
            "CREATE TABLE door (id INTEGER PRIMARY KEY) STRICT; INSERT INTO door (id) VALUES (1); \\\n                 CREATE TRIGGER stays BEFORE DELETE ON door BEGIN SELECT RAISE(ABORT, 'stays'); END;",
            "REPLACE INTO door (id) VALUES (1)",
        ],
    ),
    (
        "postgres.rs",
        // The last two are what a query begins with.
        &["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT", "ROLLBACK", "SELECT", "WITH"],
    ),
    (
        "migrate.rs",
        &[
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied INTEGER NOT NULL) STRICT; CREATE TABLE IF NOT EXISTS schema_lock (id INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;",
            "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL); CREATE TABLE IF NOT EXISTS schema_lock (id BIGINT PRIMARY KEY, until BIGINT NOT NULL);",
        ],
    ),
];

/// Words with which SQL begins, or a part of it that was cut off.
const BEGINNINGS: [&str; 21] = [
    "ALTER",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DROP",
    "FROM",
    "INSERT",
    "LOCK",
    "MERGE",
    "PRAGMA",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "TRUNCATE",
    "UPDATE",
    "VALUES",
    "WHERE",
    "WITH",
];

/// The string literals of a source that begin like SQL and stand outside the blocks of lists.
fn unlisted(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = Vec::new();
    let mut rest = code.as_str();
    let mut listed_until = None;
    let mut depth = 0usize;
    while let Some(at) = rest.find(['"', '{', '}', '\'']) {
        if listed_until.is_none()
            && ["statements! ", "columns! ", "_query "].iter().any(|it| rest[..at].ends_with(it))
        {
            listed_until = Some(depth);
        }
        let token = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match token {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if listed_until == Some(depth) {
                    listed_until = None;
                }
            }
            b'\'' => {
                // A character, or a lifetime.
                if let Some(end) = rest.strip_prefix('\\').and_then(|it| it.get(1..)?.find('\'')) {
                    rest = &rest[end + 3..];
                } else if rest.chars().nth(1) == Some('\'') {
                    rest = &rest[rest.chars().next().unwrap().len_utf8() + 1..];
                }
            }
            _ => {
                let mut end = 0;
                while !rest[end..].starts_with('"') {
                    let escaped = rest[end..].starts_with('\\');
                    end += if escaped { 2 } else { rest[end..].chars().next().unwrap().len_utf8() };
                }
                let text = &rest[..end];
                let first = text.split([' ', '\n', '(']).next().unwrap();
                if listed_until.is_none() && BEGINNINGS.contains(&first) {
                    found.push(text.to_owned());
                }
                rest = &rest[end + 1..];
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(sources(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn no_sql_stands_outside_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if name == "migrate/both.rs" {
            // It writes migrations.
            continue;
        }
        let allowed = ELSEWHERE.iter().find(|(file, _)| *file == name).map_or(&[][..], |it| it.1);
        let found = unlisted(&fs::read_to_string(&path).unwrap());
        let strange = found.into_iter().filter(|text| !allowed.contains(&text.as_str()));
        wrong.extend(strange.map(|text| format!("{name}: {text}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sql_outside_the_list_is_found() {
    let listed = "columns! { A: B from \"FROM\" { a: Int = \"SELECT 1\" } }\nstatements! {\n    A = sql!(\"SELECT 1\");\n}\n";
    assert!(unlisted(listed).is_empty());
    for bad in [
        "let a = sql!(\"SELECT a FROM b\");",
        "fn f() { let c = '\"'; run(\"DELETE FROM token\") }",
        "fn f<'a>(it: &'a str) { run(\"UPDATE token SET a = 1\") }",
        "const A: &str = \"WITH a AS (SELECT 1)\";",
        "const A: &str = concat!(\"SELECT \", B);",
    ] {
        assert_eq!(unlisted(&format!("{listed}{bad}\n{listed}")).len(), 1, "{bad}");
    }
}

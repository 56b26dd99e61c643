//! Reads the SQL in the sources, for tables of which rows are kept as they were written.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A place that names a table in another way than the listed ones: to read it, to add a row to it, to refer to it and
/// to widen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    /// The words before it in its statement, at most twelve, in capital letters.
    pub(crate) before: String,
    /// The table and the words after it in its statement.
    pub(crate) rest: String,
}

impl Use {
    /// Whether it stands in SQL: functions and fields may be called like the table.
    pub(crate) fn is_sql(&self) -> bool {
        const VERBS: [&str; 9] = [
            "ALTER", "CREATE", "DELETE", "DROP", "INSERT", "MERGE", "REPLACE", "TRUNCATE", "UPDATE",
        ];
        const LINKS: [&str; 7] = ["FROM", "INTO", "JOIN", "ONLY", "REFERENCES", "TABLE", "USING"];
        let words: Vec<&str> = self.before.split(' ').collect();
        words.last().is_some_and(|word| LINKS.contains(word))
            || words.iter().any(|word| VERBS.contains(word))
    }
}

/// What was found in the sources.
pub(crate) struct Scan {
    /// How many files were read.
    pub(crate) read: usize,
    /// In which of them the table is named.
    pub(crate) named: Vec<PathBuf>,
    /// Where it is named in another way than the listed ones.
    pub(crate) found: Vec<(PathBuf, Use)>,
}

/// Reads whatever can change a database of ours, the migrations of both databases included.
pub(crate) fn scan_sources(table: &str) -> Scan {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let places = [
        "store/src",
        "store/migrations",
        "app/src",
        "protocol/src",
        "server/src",
        "standins/src",
        "cli/src",
        "domain/src",
    ];
    scan(&places.map(|place| crates.join(place)), table)
}

/// Reads all files below these folders.
pub(crate) fn scan(folders: &[PathBuf], table: &str) -> Scan {
    let mut scan = Scan { read: 0, named: Vec::new(), found: Vec::new() };
    for path in folders.iter().flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&path).unwrap();
        let uses = unlisted_uses(&text, table);
        scan.found.extend(uses.into_iter().map(|it| (path.clone(), it)));
        if text.to_lowercase().contains(table) {
            scan.named.push(path);
        }
        scan.read += 1;
    }
    scan
}

/// The places of a text that name a table in another way than the listed ones. `table` is written in small letters.
pub(crate) fn unlisted_uses(text: &str, table: &str) -> Vec<Use> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code: Vec<&str> = code.iter().map(|line| line.split("--").next().unwrap()).collect();
    // Statements are broken over lines and over strings; names may be quoted.
    let code = code.join(" ").replace(['"', '\\', '`', '(', ')', ','], " ").replace(';', " ; ");
    let words: Vec<String> = code.split_whitespace().map(str::to_uppercase).collect();
    let (table, ends) = (table.to_uppercase(), [";", "{", "}"]);
    let in_a_schema = format!(".{table}");
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if *word != table && !word.ends_with(&in_a_schema) {
            continue;
        }
        let before = &words[at.saturating_sub(12)..at];
        let begin = before.iter().rposition(|word| ends.contains(&word.as_str()));
        let before = before[begin.map_or(0, |end| end + 1)..].join(" ");
        let after = words[at + 1..].iter().take(200).map(String::as_str);
        let after: Vec<&str> = after.take_while(|word| !ends.contains(word)).collect();
        let says = |word: &str| after.contains(&word);
        // What is referred to, or refers, may be removed or changed along with a row of another table.
        let moves_along = says("CASCADE") || says("SET");
        let listed = (before.ends_with("FROM") && !before.ends_with("DELETE FROM"))
            || before.ends_with("JOIN")
            || (before.ends_with("INSERT INTO") && !says("UPDATE"))
            || (before.ends_with("CREATE TABLE IF NOT EXISTS") && !moves_along)
            || (before.ends_with("REFERENCES") && !moves_along)
            || (before.ends_with("ALTER TABLE")
                && after.first() == Some(&"ADD")
                && !says("DROP")
                && !says("RENAME"))
            || (before.ends_with(" ON") && before.contains("INDEX "))
            || (before.starts_with("CREATE ") && is_refusal(&before, &after));
        if !listed {
            let rest: Vec<&str> = std::iter::once(word.as_str()).chain(after).collect();
            found.push(Use { before, rest: rest.join(" ") });
        }
    }
    found
}

/// Whether a trigger does nothing but refuse what it is called for.
fn is_refusal(before: &str, after: &[&str]) -> bool {
    let called = [
        "TRIGGER IF NOT EXISTS AUDIT_EVENT_NOT_CHANGED BEFORE UPDATE ON",
        "TRIGGER IF NOT EXISTS AUDIT_EVENT_NOT_REMOVED BEFORE DELETE ON",
        "TRIGGER AUDIT_EVENT_NOT_CHANGED BEFORE UPDATE OR DELETE OR TRUNCATE ON",
    ];
    let refuses = after.starts_with(&["BEGIN", "SELECT", "RAISE", "ABORT"])
        || after == ["FOR", "EACH", "STATEMENT", "EXECUTE", "FUNCTION", "REFUSE_AUDIT_CHANGE"];
    refuses && called.iter().any(|trigger| before.ends_with(trigger))
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Statements that change or remove rows of a table, or the table.
const BAD: [&str; 31] = [
    "DROP TABLE {table};",
    "DROP TABLE IF EXISTS {table};",
    "drop table \"{table}\"",
    "Drop Table\n  main.{table};",
    "UPDATE {table} SET kind = ''",
    "UPDATE OR IGNORE {table} SET kind = ''",
    "update main.{table} set kind = ''",
    "UPDATE ONLY {table} SET kind = ''",
    "update only {table} set kind = ''",
    "\"UPDATE \\\n  {table} SET\"",
    "DELETE FROM {table}",
    "delete from {table} where true",
    "DELETE FROM ONLY public.{table} WHERE true",
    "DELETE FROM token USING {table}",
    "TRUNCATE {table}",
    "truncate table {table} cascade",
    "TRUNCATE TABLE token, {table}",
    "REPLACE INTO {table} VALUES (1)",
    "INSERT OR REPLACE INTO {table} VALUES (1)",
    "INSERT INTO {table} VALUES (1) ON CONFLICT (id) DO UPDATE SET kind = ''",
    "MERGE INTO {table} USING token",
    "ALTER TABLE {table} RENAME TO old",
    "alter table {table} rename column a to b",
    "ALTER TABLE {table} DROP COLUMN kind",
    "ALTER TABLE {table} ADD COLUMN a INT, DROP COLUMN kind",
    "ALTER TABLE {table} ALTER COLUMN kind TYPE TEXT USING ''",
    "CREATE TABLE IF NOT EXISTS {table}_2 AS SELECT 1; DROP TABLE {table}",
    "CREATE TABLE IF NOT EXISTS {table} (a BLOB REFERENCES token (id) ON DELETE CASCADE);",
    "CREATE TRIGGER t AFTER INSERT ON token BEGIN DELETE FROM {table}; END;",
    "CREATE TRIGGER IF NOT EXISTS audit_event_not_changed BEFORE UPDATE ON {table} BEGIN SELECT 1; END;",
    "CREATE TRIGGER t BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END; DROP TABLE {table};",
];

/// Statements that leave every row as it is.
const GOOD: [&str; 8] = [
    "SELECT a FROM {table} WHERE b",
    "FROM chain c JOIN {table} e ON e.id = c.id",
    "\"INSERT INTO {table} (id) \\\n VALUES ($1)\"",
    "CREATE UNIQUE INDEX a ON {table} (prescriber)",
    "CREATE TABLE IF NOT EXISTS other (a BLOB PRIMARY KEY REFERENCES {table} (id));",
    "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS previous BYTEA;",
    "row.int(1, \"{table}.at\")?",
    "DELETE FROM session; SELECT 1 FROM {table}",
];

/// The tables of which tests read the statements.
const TABLES: [&str; 4] = ["audit_event", "signed_record", "monthly_log", "disowned"];

#[test]
fn statements_that_would_change_or_remove_a_row_are_found() {
    for table in TABLES {
        for bad in BAD.map(|text| text.replace("{table}", table)) {
            let uses = unlisted_uses(&bad, table);
            assert!(uses.iter().any(Use::is_sql), "{bad}: {uses:?}");
        }
        for good in GOOD.map(|text| text.replace("{table}", table)) {
            let uses = unlisted_uses(&good, table);
            assert!(uses.is_empty(), "{good}: {uses:?}");
        }
    }
    // A function and a label of the same name are no SQL; audit records have neither.
    for other in [
        "let found = tx.signed_record(practice, id)?;",
        "self.seal_json(practice, \"signed_record\", &id, &text)",
    ] {
        let uses = unlisted_uses(other, "signed_record");
        assert!(uses.len() == 1 && !uses[0].is_sql(), "{other}: {uses:?}");
    }
}

#[test]
fn statements_are_found_in_migrations_and_in_code() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("migrations/sqlite/0099_tidy.sql", "-- Tidies.\ndrop table if exists signed_record;\n"),
        ("migrations/postgres/0099_tidy.sql", "TRUNCATE signed_record;\n"),
        (
            "src/tidy.rs",
            "fn tidy() {\n    tx.run(sql!(\"update only \" \"signed_record set a = 1\"));\n}\n",
        ),
        ("src/read.rs", "fn read() { tx.row(sql!(\"SELECT a FROM signed_record\")); }\n"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let scan =
        scan(&[folder.path().join("migrations"), folder.path().join("src")], "signed_record");
    assert_eq!((scan.read, scan.named.len()), (4, 4));
    let mut found: Vec<&str> =
        scan.found.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["0099_tidy.sql", "0099_tidy.sql", "tidy.rs"]);
    assert!(scan.found.iter().all(|(_, it)| it.is_sql()));
    // The true folders are read: the migrations of both databases among them.
    let scan = scan_sources("signed_record");
    for part in ["migrations/sqlite", "migrations/postgres", "store/src"] {
        assert!(scan.named.iter().any(|path| path.to_str().unwrap().contains(part)), "{part}");
    }
}

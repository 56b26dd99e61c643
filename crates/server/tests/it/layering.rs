//! House rules that a compiler can't hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_domain::EventKind;

#[test]
fn use_cases_know_nothing_of_http() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in ["axum", "http::", "hyper", "StatusCode", "askama", "tower"] {
                assert!(
                    !code.contains(word),
                    "{}:{}: a use case mentions {word}",
                    path.display(),
                    number + 1
                );
            }
        }
        read += 1;
    }
    assert!(read >= 8, "src/app has moved");
}

/// Rows of `audit_event` are only ever added: whatever names the table is one of the forms that read it, add to it or
/// widen it.
/// Shows: R-1311.120-b26
#[test]
fn no_statement_changes_or_removes_an_audit_record() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut read, mut named) = (0, 0);
    for place in ["store/src", "store/migrations", "server/src", "cli/src", "domain/src"] {
        for path in files(&crates.join(place)) {
            let text = fs::read_to_string(&path).unwrap();
            let bad = unlisted_uses(&text);
            assert!(bad.is_empty(), "{}: {bad:?}", path.display());
            named += text.matches("audit_event").count();
            read += 1;
        }
    }
    assert!(read >= 100 && named >= 20, "files have moved: {read} files, named {named} times");
}

#[test]
fn statements_that_would_change_or_remove_an_audit_record_are_found() {
    for bad in [
        "DROP TABLE audit_event;",
        "DROP TABLE IF EXISTS audit_event;",
        "drop table \"audit_event\"",
        "UPDATE audit_event SET kind = ''",
        "UPDATE OR IGNORE audit_event SET kind = ''",
        "update main.audit_event set kind = ''",
        "UPDATE ONLY audit_event SET kind = ''",
        "\"UPDATE \\\n  audit_event SET\"",
        "DELETE FROM audit_event",
        "DELETE FROM ONLY public.audit_event WHERE true",
        "DELETE FROM token USING audit_event",
        "TRUNCATE audit_event",
        "TRUNCATE TABLE token, audit_event",
        "REPLACE INTO audit_event VALUES (1)",
        "INSERT OR REPLACE INTO audit_event VALUES (1)",
        "INSERT INTO audit_event VALUES (1) ON CONFLICT (id) DO UPDATE SET kind = ''",
        "MERGE INTO audit_event USING token",
        "ALTER TABLE audit_event RENAME TO old",
        "ALTER TABLE audit_event DROP COLUMN kind",
        "ALTER TABLE audit_event ADD COLUMN a INT, DROP COLUMN kind",
        "CREATE TABLE IF NOT EXISTS audit_event_2 AS SELECT 1; DROP TABLE audit_event",
    ] {
        assert!(!unlisted_uses(bad).is_empty(), "{bad}");
    }
    for good in [
        "SELECT a FROM audit_event WHERE b",
        "FROM chain c JOIN audit_event e ON e.id = c.id",
        "\"INSERT INTO audit_event (id) \\\n VALUES ($1)\"",
        "CREATE UNIQUE INDEX a ON audit_event (prescriber)",
        "ALTER TABLE audit_event ADD COLUMN IF NOT EXISTS previous BYTEA;",
        "row.int(1, \"audit_event.at\")?",
        "DELETE FROM session; SELECT 1 FROM audit_event",
    ] {
        assert_eq!(unlisted_uses(good), Vec::<String>::new(), "{good}");
    }
}

/// The places of a text that name the table in another way than the listed ones.
fn unlisted_uses(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code: Vec<&str> = code.iter().map(|line| line.split("--").next().unwrap()).collect();
    // Statements are broken over lines and over strings; names may be quoted.
    let code = code.join(" ").replace(['"', '\\', '`', '(', ')', ','], " ").replace(';', " ; ");
    let words: Vec<String> = code.split_whitespace().map(str::to_uppercase).collect();
    let is_table = |word: &str| word == "AUDIT_EVENT" || word.ends_with(".AUDIT_EVENT");
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| is_table(word)) {
        let before = words[at.saturating_sub(8)..at].join(" ");
        let after: Vec<&str> = words[at + 1..].iter().take(60).map(String::as_str).collect();
        let after = after.split(|word| *word == ";").next().unwrap();
        let says = |word: &str| after.contains(&word);
        let listed = (before.ends_with("FROM") && !before.ends_with("DELETE FROM"))
            || before.ends_with("JOIN")
            || (before.ends_with("INSERT INTO") && !says("UPDATE"))
            || before.ends_with("CREATE TABLE IF NOT EXISTS")
            || (before.ends_with("ALTER TABLE")
                && after.first() == Some(&"ADD")
                && !says("DROP")
                && !says("RENAME"))
            || (before.ends_with(" ON") && before.contains("INDEX "));
        if !listed {
            found.push(format!("{before} {}", words[at]));
        }
    }
    found
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Every kind of event stands in the documentation, and no other does.
/// Shows: R-1311.150-a
#[test]
fn every_kind_of_event_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/logging.md");
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("| `kind` |")).unwrap();
    let mut documented: Vec<&str> = line.split('`').skip(3).step_by(2).collect();
    let mut kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
    documented.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(documented, kinds);
}

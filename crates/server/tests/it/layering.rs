//! House rules that a compiler can't hold.

use std::{fs, path::Path};

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

/// Rows of `audit_event` are only ever added.
/// Shows: R-1311.120-b26
#[test]
fn no_statement_changes_or_removes_an_audit_record() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store");
    let (mut read, mut named) = (0, 0);
    for folder in ["src", "migrations/sqlite", "migrations/postgres"] {
        for entry in fs::read_dir(store.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // Statements are broken over lines, and over strings.
            let text = fs::read_to_string(&path).unwrap().replace(['"', '\\', '\n'], " ");
            let words: Vec<&str> = text.split_whitespace().collect();
            for (at, _) in words.iter().enumerate().filter(|(_, word)| **word == "audit_event") {
                let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at]);
                let changes = before(1) == "UPDATE"
                    || (before(1) == "FROM" && before(2) == "DELETE")
                    || (before(1) == "TABLE" && before(2) != "ALTER")
                    || before(1) == "TRUNCATE";
                assert!(!changes, "{}: {} {}", path.display(), before(2), before(1));
                named += 1;
            }
            read += 1;
        }
    }
    assert!(read >= 20 && named >= 4, "the store has moved: {read} files, named {named} times");
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

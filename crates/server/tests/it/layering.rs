//! House rules that a compiler can't hold.

use std::{fs, path::Path};

use countersign_domain::EventKind;

use crate::statements::scan_sources;

/// The use cases and what they say to others can't name what their manifests do not.
#[test]
fn use_cases_know_nothing_of_http() {
    for (name, kept_out) in [
        (
            "app",
            &[
                "askama",
                "axum",
                "http",
                "hyper",
                "tower",
                "rusqlite",
                "tokio-postgres",
                "countersign-server",
            ][..],
        ),
        (
            "protocol",
            &["axum", "http", "hyper", "tokio", "tower", "countersign-app", "countersign-store"][..],
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("Cargo.toml");
        let text = fs::read_to_string(path).unwrap();
        let (_, uses) = text.split_once("[dependencies]").unwrap();
        let names: Vec<&str> =
            uses.lines().map(|line| line.split([' ', '.', '=']).next().unwrap()).collect();
        assert!(names.contains(&"countersign-domain"), "{name}: {names:?}");
        for word in kept_out {
            assert!(!names.contains(word), "{name} uses {word}");
        }
    }
}

/// Rows of `audit_event` are only ever added: whatever names the table is one of the forms that read it, add to it or
/// widen it.
/// Shows: R-1311.120-b26
#[test]
fn no_statement_changes_or_removes_an_audit_record() {
    let scan = scan_sources("audit_event");
    assert!(scan.found.is_empty(), "{:?}", scan.found);
    let named = scan.named.len();
    assert!(
        scan.read >= 100 && named >= 5,
        "files have moved: {} read, {named} name it",
        scan.read
    );
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

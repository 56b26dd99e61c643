//! House rules that a compiler can't hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_domain::EventKind;

use crate::statements::scan_sources;

/// The crates of ours that each crate may use (ARCHITECTURE.md).
const ARROWS: [(&str, &[&str]); 9] = [
    ("crypto", &[]),
    ("domain", &["crypto"]),
    ("provision", &["crypto", "domain"]),
    ("store", &["crypto", "domain"]),
    ("protocol", &["crypto", "domain"]),
    ("app", &["crypto", "domain", "protocol", "provision", "store"]),
    ("standins", &["crypto", "domain", "protocol"]),
    ("server", &["app", "crypto", "domain", "protocol", "provision", "store"]),
    ("cli", &["app", "crypto", "domain", "protocol", "provision", "server", "standins", "store"]),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// The names in a section of the manifest of a crate.
fn section(name: &str, section: &str) -> Vec<String> {
    let text = fs::read_to_string(folder(name).join("Cargo.toml")).unwrap();
    let (_, rest) = text.split_once(&format!("[{section}]\n")).unwrap_or_default();
    let own = rest.split("\n[").next().unwrap();
    own.lines()
        .map(|line| line.split([' ', '.', '=']).next().unwrap().to_owned())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

/// No crate uses another one of ours than the drawing of the architecture shows.
#[test]
fn crates_use_only_what_the_architecture_shows() {
    for (name, may) in ARROWS {
        let mut found = section(name, "dependencies");
        assert!(!found.is_empty(), "{name}: the manifest was not read");
        found.retain(|it| it.starts_with("countersign-"));
        for it in found {
            assert!(may.contains(&&it["countersign-".len()..]), "{name} uses {it}");
        }
    }
}

/// Within the server, what speaks HTTP knows neither pages nor API, these do not know one another, and what templates
/// show knows none of them and no rows of the database.
#[test]
fn floors_of_the_server_know_only_those_below() {
    let src = folder("server").join("src");
    for (floor, kept_out) in [
        ("web", &["crate::api", "crate::portal", "countersign_store"][..]),
        ("api", &["crate::portal", "crate::views"][..]),
        ("portal", &["crate::api"][..]),
        ("views", &["crate::api", "crate::portal", "crate::web", "countersign_store"][..]),
    ] {
        let text = sources(&src.join(floor));
        assert!(text.len() > 10_000, "{floor}: the sources were not read");
        // `use crate::{...}` is read as a whole.
        let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in kept_out {
            let (root, name) = word.split_once("::").unwrap_or((word, ""));
            let grouped = plain.split("use crate::{").skip(1).any(|rest| {
                let list = rest.split(';').next().unwrap();
                root == "crate" && names_at_the_top(list).iter().any(|it| it == name)
            });
            let named = plain.contains(&format!("{word}::")) || grouped;
            assert!(!named, "{floor} names {word}");
        }
    }
}

/// The first segments of a `use` list without its first brace.
fn names_at_the_top(list: &str) -> Vec<String> {
    let (mut depth, mut names) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            c if depth == 0 => names.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    let first = |it: &String| it.trim().split("::").next().unwrap().trim().to_owned();
    names.iter().map(first).collect()
}

/// The use cases and what they say to others can't name what their manifests do not.
#[test]
fn use_cases_know_nothing_of_http() {
    for (name, kept_out) in [
        ("app", &["askama", "axum", "http", "hyper", "tower", "rusqlite", "tokio-postgres"][..]),
        ("protocol", &["axum", "http", "hyper", "tokio", "tower"][..]),
        ("domain", &["axum", "http", "hyper", "tokio", "tower", "rusqlite", "tokio-postgres"][..]),
        ("store", &["askama", "axum", "http", "hyper", "tower"][..]),
    ] {
        let names = section(name, "dependencies");
        assert!(!names.is_empty(), "{name}");
        for word in kept_out {
            assert!(!names.iter().any(|it| it == word), "{name} uses {word}");
        }
    }
}

/// All Rust sources under a folder, one after the other.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    all
}

/// No manifest names a dependency that its crate does not use.
#[test]
fn no_manifest_names_what_nobody_uses() {
    let mut seen = 0;
    for entry in fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (src, tests) =
            (sources(&folder(&name).join("src")), sources(&folder(&name).join("tests")));
        let build = fs::read_to_string(folder(&name).join("build.rs")).unwrap_or_default();
        let both = [src.as_str(), tests.as_str()].concat();
        for (kind, text) in
            [("dependencies", &src), ("dev-dependencies", &both), ("build-dependencies", &build)]
        {
            for it in section(&name, kind) {
                let word = it.replace('-', "_");
                let used =
                    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|it| it == word);
                assert!(used, "{name}: {it} stands in [{kind}] and is not used");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "manifests have moved: {seen} dependencies read");
}

/// Most lines of a source file: what is longer holds more than one thing, and nobody finds the second one by its name.
const MOST_LINES: usize = 500;

fn longer_ones(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut read = 0;
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read += longer_ones(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > MOST_LINES {
                found.push(format!("{} has {lines} lines", path.display()));
            }
            read += 1;
        }
    }
    read
}

#[test]
fn no_source_file_is_too_long() {
    let (mut found, mut read) = (Vec::new(), 0);
    for entry in fs::read_dir(folder("")).unwrap() {
        read += longer_ones(&entry.unwrap().path().join("src"), &mut found);
    }
    assert!(read > 300, "sources have moved: {read} read");
    assert!(found.is_empty(), "{found:#?}");
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

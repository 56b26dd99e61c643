//! Makes `docs/compliance.md` of the table of requirements and of the tests that name its rows, and
//! holds the three together. `UPDATE_DOCS=1 cargo test -p countersign-testkit --test compliance`
//! writes it anew.
//!
//! A test names what it shows in a line of its own, in the comment above it: `Shows: ` and the rows,
//! with commas between; in Rust after three slashes, above a browser test after two.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// States that no test belongs to.
const WITHOUT_TESTS: [&str; 3] = ["organizational", "not covered", "out of scope"];

struct Row {
    id: String,
    citation: String,
    checked: String,
    demand: String,
    state: String,
}

enum Line {
    Heading(String),
    Row(Row),
}

/// A test that names a row.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    file: String,
    test: String,
}

type AllShown = BTreeMap<String, BTreeSet<Shown>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table(text: &str) -> Vec<Line> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines
        .map(|line| {
            if let Some(heading) = line.strip_prefix("## ") {
                return Line::Heading(heading.to_owned());
            }
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [id, citation, checked, demand, state] = cells[..] else {
                panic!("not five cells: {line}");
            };
            assert!(!id.is_empty() && !citation.is_empty() && !demand.is_empty(), "{line}");
            assert!(["read", "second-hand", "from memory"].contains(&checked), "{line}");
            Line::Row(Row {
                id: id.to_owned(),
                citation: citation.to_owned(),
                checked: checked.to_owned(),
                demand: demand.to_owned(),
                state: state.to_owned(),
            })
        })
        .collect()
}

/// All files below a folder with this ending, but for what is built or installed.
fn sources(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "static"].contains(&name.as_str()) {
                sources(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The name of the test that follows a marker; attributes and further comments may stand between.
fn test_after(lines: &[&str]) -> Option<String> {
    for line in lines.iter().take(6).map(|line| line.trim_start()) {
        if let Some((_, rest)) = line.split_once("fn ") {
            return rest.split(['(', '<']).next().map(str::to_owned);
        }
        if let Some(rest) = line.strip_prefix("test(\"") {
            return rest.split('"').next().map(str::to_owned);
        }
    }
    None
}

/// The words of a test that compare something with what is wanted.
const ASSERTIONS: [&str; 6] =
    ["assert", ".says(", ".leads_to(", ".is_problem(", "leaves!(", ".waitFor("];

/// The lines of the test that follows a marker, up to the end of its body.
fn body_after<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let begins = |line: &&&str| line.contains("fn ") || line.trim_start().starts_with("test(\"");
    let Some(first) = lines.iter().take(6).find(begins) else { return Vec::new() };
    let indent = &first[..first.len() - first.trim_start().len()];
    let ends = [format!("{indent}}}"), format!("{indent}}});")];
    let body = lines.iter().skip_while(|line| *line != first);
    body.take_while(|line| !ends.contains(&(**line).to_owned())).copied().collect()
}

/// Which tests name which rows.
fn all_shown() -> AllShown {
    let mut files = Vec::new();
    sources(&root().join("crates"), ".rs", &mut files);
    sources(&root().join("web"), ".mjs", &mut files);
    let mut found = AllShown::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        for (at, line) in lines.iter().enumerate() {
            let comment = line.trim_start();
            let markers = ["/// Shows: ", "// Shows: "];
            let Some(ids) = markers.iter().find_map(|marker| comment.strip_prefix(marker)) else {
                continue;
            };
            let Some(test) = test_after(&lines[at + 1..]) else {
                panic!("{file}:{}: no test follows", at + 1);
            };
            let body = body_after(&lines[at + 1..]);
            let asserts = |line: &&str| ASSERTIONS.iter().any(|word| line.contains(word));
            assert!(body.iter().any(asserts), "{file}: {test} asserts nothing of {ids}");
            for id in ids.split(',').map(str::trim) {
                let shown = Shown { file: file.clone(), test: test.clone() };
                found.entry(id.to_owned()).or_default().insert(shown);
            }
        }
    }
    found
}

fn state(row: &Row, tests: Option<&BTreeSet<Shown>>) -> String {
    let names = tests.map_or_else(String::new, |tests| {
        let names: Vec<String> = tests.iter().map(|it| format!("`{}`", it.test)).collect();
        format!("tested by {}", names.join(", "))
    });
    match (names.is_empty(), row.state.as_str()) {
        (false, "") => names,
        (false, state) => format!("**{state}**; {names}"),
        (true, state) => format!("**{state}**"),
    }
}

fn document(lines: &[Line], shown: &AllShown) -> String {
    let mut text = String::from(
        "# Requirements and what shows them\n\n\
         Made by `UPDATE_DOCS=1 cargo test -p countersign-testkit --test compliance` from\n\
         [requirements.txt](requirements.txt) and from the tests that name a row. Not legal advice, and no claim of\n\
         compliance: the controlling text is the current CFR. *Checked* says how far the text of a row was read:\n\
         in a public copy, at second hand, or from memory. Read the original before you certify.\n",
    );
    let mut rows = Vec::new();
    for line in lines {
        match line {
            Line::Heading(heading) => {
                let head = "| Row | Citation | Checked | Demand | State |\n|---|---|---|---|---|";
                writeln!(text, "\n## {heading}\n\n{head}").unwrap();
            }
            Line::Row(row) => {
                let Row { id, citation, checked, demand, .. } = row;
                let said = state(row, shown.get(id));
                writeln!(text, "| {id} | {citation} | {checked} | {demand} | {said} |").unwrap();
                rows.push(row);
            }
        }
    }
    let count = |word: &str| rows.iter().filter(|row| row.state.starts_with(word)).count();
    let tested = rows.iter().filter(|row| row.state.is_empty()).count();
    writeln!(
        text,
        "\n## Count\n\n{} rows: {tested} tested, {} partly, {} organizational, {} out of scope, {} not covered.",
        rows.len(),
        count("partly"),
        count("organizational"),
        count("out of scope"),
        count("not covered"),
    )
    .unwrap();
    text
}

#[test]
fn requirements_tests_and_document_agree() {
    let lines = table(&fs::read_to_string(root().join("docs/requirements.txt")).unwrap());
    let shown = all_shown();
    let mut known = BTreeSet::new();
    for line in &lines {
        let Line::Row(row) = line else { continue };
        assert!(known.insert(row.id.clone()), "{} stands there twice", row.id);
        let (word, why) = row.state.split_once(": ").unwrap_or((&row.state, ""));
        let tested = shown.contains_key(&row.id);
        if word.is_empty() || word == "partly" {
            assert!(tested, "{}: no test names it, and no other state is given", row.id);
        } else {
            assert!(WITHOUT_TESTS.contains(&word), "{}: unknown state {word:?}", row.id);
            assert!(!tested, "{}: {word}, and yet a test names it", row.id);
        }
        assert!(word.is_empty() || why.len() > 5, "{}: {word}, but why?", row.id);
    }
    for (id, tests) in &shown {
        let first = tests.first().unwrap();
        assert!(known.contains(id), "{}: {} names {id}, which is no row", first.file, first.test);
    }
    let wanted = document(&lines, &shown);
    let path = root().join("docs/compliance.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == wanted, "docs/compliance.md is old: make it with UPDATE_DOCS=1");
}

#[test]
fn markers_are_read() {
    assert_eq!(test_after(&["    #[test]", "    fn one() {"]), Some("one".to_owned()));
    assert_eq!(test_after(&["    async fn two(app: TestApp) {"]), Some("two".to_owned()));
    assert_eq!(test_after(&["test(\"a page\", async () => {"]), Some("a page".to_owned()));
    assert_eq!(test_after(&["", "let x = 1;"]), None);
    let lines =
        ["    #[test]", "    fn one() {", "        work();", "    }", "    assert!(other);"];
    assert_eq!(body_after(&lines), ["    fn one() {", "        work();"]);
}

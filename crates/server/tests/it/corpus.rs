//! Replays the corpus of the fuzz target here, and counts the targets of all crates.

use std::{collections::BTreeSet, fs, path::Path};

use countersign_protocol::fuzzing::TARGETS as PROTOCOL;
use countersign_provision::fuzzing::TARGETS as PROVISION;
use countersign_server::fuzzing::TARGETS as SERVER;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_signing_request_of_the_corpus_passes() {
    for (name, files) in replay::replay(&SERVER) {
        assert!(files >= 3, "{name} has a few seeds");
    }
}

/// Each target has a corpus, a program for the fuzzer and a place in its manifest, and there is nothing else.
#[test]
fn every_fuzz_target_is_run() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        entries.map(|entry| name(&entry.unwrap().path())).collect()
    };
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let listed = manifest.lines().filter_map(|line| line.strip_prefix("name = \""));
    let listed: BTreeSet<String> = listed.map(|it| it.trim_end_matches('"').to_owned()).collect();
    let all = PROTOCOL.iter().chain(&PROVISION).chain(&SERVER).map(|(name, _)| name);
    let all: BTreeSet<String> = all.map(|name| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), all);
    assert_eq!(names("fuzz_targets"), all);
    let package = BTreeSet::from(["countersign-fuzz".to_owned()]);
    assert_eq!(listed, all.union(&package).cloned().collect());
}

//! Replays the corpus of the fuzz targets: what once broke something must never break it again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "these are tests")]

use countersign_provision::fuzzing::TARGETS;

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_file_of_the_corpus_passes() {
    for (name, files) in replay::replay(&TARGETS) {
        assert!(files >= 3, "{name} has a few seeds");
    }
}

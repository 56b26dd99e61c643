//! Runs the fuzz targets of a crate without a fuzzer: over the corpus, and over inputs made from it. Included by the
//! `corpus` tests of the crates that have targets.
//!
//! Not a replacement for `make fuzz`: nothing here learns from what was reached. The inputs are the same in every run.

use std::{fs, path::Path};

/// Inputs that are made from each file of the corpus.
const ROUNDS: usize = 300;
/// What formats care about; put in wherever it falls.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b".",
    b"=",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"null",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"\xe2\x80\xae",
    b"\xcc\x81",
    b"\"crit\":[]",
    b"\"alg\":\"none\"",
    b"AAAA",
    b"[[[[[[[[[[[[[[[[",
];

type Target = fn(&[u8]);

/// Runs each target over its corpus and over what is made from it; how many files each one has.
pub(crate) fn replay(targets: &[(&'static str, Target)]) -> Vec<(&'static str, usize)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut counts = Vec::new();
    for (name, run) in targets {
        let mut paths: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        let mut random = Random(0x5eed);
        for (path, seed) in paths.iter().zip(&seeds) {
            run(seed);
            for round in 0..ROUNDS {
                let input = mutated(seed, &seeds, &mut random);
                let outcome = std::panic::catch_unwind(|| run(&input));
                assert!(
                    outcome.is_ok(),
                    "{} round {round}: {:?}",
                    path.display(),
                    String::from_utf8_lossy(&input)
                );
            }
        }
        counts.push((*name, seeds.len()));
    }
    counts
}

/// An input made from a seed by one to four changes.
fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let to = (at + random.below(16)).min(input.len());
        match random.below(7) {
            0 => drop(input.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            1 => drop(input.splice(at..to, PIECES[random.below(PIECES.len())].iter().copied())),
            2 => drop(input.drain(at..to)),
            3 => input.truncate(at),
            4 if at < input.len() => input[at] ^= 1 << random.below(8),
            5 => {
                let again = input[at..to].to_vec();
                drop(input.splice(at..at, again));
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                drop(input.splice(at..to, other[from..].iter().copied().take(64)));
            }
        }
    }
    input
}

/// Numbers that are the same in every run (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}

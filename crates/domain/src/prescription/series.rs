//! A series of schedule II prescriptions: its numbering and its rules as a whole.

use super::{Content, Lack, SERIES_DAYS};
use crate::{Date, PrescriptionId};

/// One of several prescriptions of schedule II that are issued together (21 CFR 1306.12(b)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// What names the series: the prescription with which it was begun.
    pub id: PrescriptionId,
    /// Which it is, from 1, in the order in which they may be filled; 0 until that is known.
    pub number: u8,
    /// How many there are; 0 until that is known.
    pub of: u8,
}

/// Puts the prescriptions of one series in the order in which they may be filled, and numbers them. One alone is none.
pub fn number_series(all: &mut [&mut Content]) {
    all.sort_by_key(|it| it.earliest_fill);
    let of = u8::try_from(all.len()).unwrap_or(u8::MAX);
    for (at, it) in all.iter_mut().enumerate() {
        let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
        it.series = it.series.filter(|_| of > 1).map(|series| Series { number, of, ..series });
    }
}

/// What a series lacks as a whole (21 CFR 1306.12(b)(1)): the same drug, at most 90 days' supply in all, and on each but
/// the first a day before which it may not be filled. Each of its own is looked at by [`Content::lacking`].
pub fn series_lacking(all: &[&Content]) -> Vec<Lack> {
    let mut found = Vec::new();
    let [first, others @ ..] = all else { return found };
    if others.is_empty() {
        return found;
    }
    let mut lack = |on: bool, field, text: &'static str| {
        if on {
            found.push(Lack { field, text: text.into() });
        }
    };
    let drug = |it: &Content| it.drug.trim().to_lowercase();
    lack(
        others.iter().any(|it| drug(it) != drug(first)),
        "drug",
        "All prescriptions in a series must be for the same drug.",
    );
    let days: u32 = all.iter().filter_map(|it| it.days_supply).map(u32::from).sum();
    lack(
        days > u32::from(SERIES_DAYS),
        "days_supply",
        "A series covers at most 90 days' supply in all (21 CFR 1306.12).",
    );
    lack(
        others.iter().filter(|it| it.earliest_fill.is_none()).count()
            + usize::from(first.earliest_fill.is_none())
            > 1,
        "earliest_fill",
        "In a series, every prescription after the first needs an earliest fill date (21 CFR 1306.12).",
    );
    let mut dates: Vec<Date> = all.iter().filter_map(|it| it.earliest_fill).collect();
    let before = dates.len();
    dates.sort_unstable();
    dates.dedup();
    lack(
        dates.len() < before,
        "earliest_fill",
        "In a series, each prescription needs a different earliest fill date.",
    );
    found
}

//! How long signed records are kept, and what holds them longer.

use std::{collections::BTreeMap, str::FromStr};

use thiserror::Error;

use crate::{Date, UsState};

/// Fewest years that the federal rule allows (21 CFR 1311.305(b)).
pub const FEWEST_YEARS: u8 = 2;
/// Years where nothing else is set: what HIPAA asks for its documents (45 CFR 164.316(b)(2)), which most
/// states stay below.
pub const STANDARD_YEARS: u8 = 6;
/// Most years that can be set.
pub const MOST_YEARS: u8 = 100;

/// Why a rule about the keeping of records is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RetentionError {
    /// Less than the law allows, or out of any reason.
    #[error("records are kept from {FEWEST_YEARS} to {MOST_YEARS} years (21 CFR 1311.305(b))")]
    Years,
    /// A state can only ask for more.
    #[error("a state can require more years than the general retention period, not fewer")]
    Fewer,
    /// The text is not a state and a number.
    #[error("write the two letters of the state and a number of years, such as NE 7")]
    State,
}

/// A state's own number of years, as `NE 7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateYears {
    /// The state whose law asks for it.
    pub state: UsState,
    /// Number of years after the day of the signature; [`Retention`] checks the range.
    pub years: u8,
}

impl FromStr for StateYears {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let (state, years) = text.trim().split_once(' ').ok_or(RetentionError::State)?;
        Ok(Self {
            state: state.parse().map_err(|_| RetentionError::State)?,
            years: years.trim().parse().map_err(|_| RetentionError::State)?,
        })
    }
}

/// For how many years a signed record is kept: the longer law wins (21 CFR 1311.305(b)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    years: u8,
    states: BTreeMap<UsState, u8>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { years: STANDARD_YEARS, states: BTreeMap::new() }
    }
}

impl Retention {
    /// Checks and puts together what an operator wants.
    pub fn new(years: u8, states: &[StateYears]) -> Result<Self, RetentionError> {
        let sane = |years: u8| (FEWEST_YEARS..=MOST_YEARS).contains(&years);
        if !sane(years) || !states.iter().all(|it| sane(it.years)) {
            return Err(RetentionError::Years);
        }
        if states.iter().any(|it| it.years < years) {
            return Err(RetentionError::Fewer);
        }
        let mut longest = BTreeMap::new();
        for it in states {
            let known: &mut u8 = longest.entry(it.state).or_insert(it.years);
            *known = it.years.max(*known);
        }
        Ok(Self { years, states: longest })
    }

    /// The years of a state that asks for no more.
    pub fn years_everywhere(&self) -> u8 {
        self.years
    }

    /// The years of a state's records. A record whose state nobody knows is kept the longest.
    pub fn years(&self, state: Option<UsState>) -> u8 {
        match state {
            Some(state) => self.states.get(&state).copied().unwrap_or(self.years),
            None => self.states.values().copied().max().unwrap_or(self.years),
        }
    }

    /// The last day on which a record must be there.
    pub fn until(&self, signed: Date, state: Option<UsState>) -> Date {
        signed.plus_years(i16::from(self.years(state)))
    }

    /// Whatever the state, all that was signed on this day or later is kept.
    pub fn kept_from(&self, today: Date) -> Date {
        today.plus_years(0 - i16::from(self.years))
    }

    /// No state wants anything of a month before this one, such as `2027-05`.
    pub fn months_from(&self, today: Date) -> String {
        today.plus_years(0 - i16::from(self.years(None))).month()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn rule(years: u8, states: &[&str]) -> Result<Retention, RetentionError> {
        let states = states.iter().map(|it| it.parse()).collect::<Result<Vec<_>, _>>()?;
        Retention::new(years, &states)
    }

    /// Shows: R-1311.305-b, A19
    #[test]
    fn six_years_or_what_a_state_asks_for_and_never_fewer_than_two() {
        let standard = Retention::default();
        let ne = "NE".parse().ok();
        assert_eq!(standard.until(day("2026-05-25"), ne), day("2032-05-25"));
        let own = rule(6, &["NE 7", "ct 6", "NE 10"]).unwrap();
        assert_eq!(own.years(ne), 10, "of two lines the longer one");
        assert_eq!(own.years("IL".parse().ok()), 6);
        assert_eq!(own.years(None), 10, "whose state is unknown is kept the longest");
        assert_eq!(rule(1, &[]), Err(RetentionError::Years));
        assert_eq!(rule(101, &[]), Err(RetentionError::Years));
        assert_eq!(rule(6, &["NE 5"]), Err(RetentionError::Fewer));
        assert_eq!(rule(2, &["NE 1"]), Err(RetentionError::Years));
        for bad in ["", "NE", "NE seven", "XX 7", "NE 300", "7 NE"] {
            assert_eq!(rule(6, &[bad]), Err(RetentionError::State), "{bad}");
        }
    }

    #[test]
    fn a_day_that_the_later_year_lacks_is_the_next_one() {
        let two = rule(2, &["TX 3"]).unwrap();
        assert_eq!(two.until(day("2028-02-29"), "IL".parse().ok()), day("2030-03-01"));
        assert_eq!(two.months_from(day("2030-02-28")), "2027-02");
        // What lies behind the first bound is kept, and nothing is overlooked for good.
        for days in 0..800 {
            let signed = day("2026-12-01").plus_days(days);
            let last = two.until(signed, "IL".parse().ok());
            for after in -3..3 {
                let today = last.plus_days(after);
                let looked_at = signed < two.kept_from(today);
                assert!(!looked_at || today > last || after == 0, "{signed} {today}");
                assert!(looked_at || after < 2, "{signed} {today}");
            }
        }
    }
}

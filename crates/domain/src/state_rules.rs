//! What a state asks of prescriptions beyond the federal rules, as the operator configures it. The state that counts is
//! the one in which the DEA number of the prescription is registered.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use thiserror::Error;

use crate::UsState;

/// Most refills that a prescription can carry at all. The federal rule (21 CFR 1306.22) limits schedules III and IV,
/// and leaves schedule V to what the practitioner authorizes.
pub const MOST_REFILLS_OF_V: u8 = 99;
/// Most days that can be configured.
const MOST_DAYS: u16 = 3_660;

/// Why a limit of a state is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StateRuleError {
    /// The text does not have the form of a limit.
    #[error(
        "write the two letters of the state, the most refills (0 to 99) and the most days after the day of issue (1 to 3660, or - for no limit), such as KY 5 180"
    )]
    Shape,
    /// The state has one already.
    #[error("this state has a limit already: write one for each state")]
    Twice,
}

/// How a state limits refills of schedule V.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitOfV {
    /// The state that sets the limit.
    pub state: UsState,
    /// Most refills of schedule V in that state.
    pub refills: u8,
    /// Most days after the day of issue on which it may still be filled or refilled; none where the state has no such
    /// limit.
    pub days: Option<u16>,
}

impl FromStr for LimitOfV {
    type Err = StateRuleError;

    /// As an operator writes it: `KY 5 180`, or `KY 5 -`.
    fn from_str(text: &str) -> Result<Self, StateRuleError> {
        let mut parts = text.split_whitespace();
        let (Some(state), Some(refills), Some(days), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StateRuleError::Shape);
        };
        let refills = refills.parse().ok().filter(|it| *it <= MOST_REFILLS_OF_V);
        let days = match days {
            "-" => None,
            days => {
                let days = days.parse().ok().filter(|it| (1..=MOST_DAYS).contains(it));
                Some(days.ok_or(StateRuleError::Shape)?)
            }
        };
        Ok(Self {
            state: state.parse().map_err(|_| StateRuleError::Shape)?,
            refills: refills.ok_or(StateRuleError::Shape)?,
            days,
        })
    }
}

/// What all states ask for beyond the federal rules; by default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateRules {
    limits: BTreeMap<UsState, LimitOfV>,
    no_series: BTreeSet<UsState>,
    supervised: BTreeSet<UsState>,
}

impl StateRules {
    /// Puts together what an operator wants: limits of schedule V, states that forbid a series of schedule II (21 CFR
    /// 1306.12(b)(1)(iv)), and states in which a mid-level practitioner names a supervisor (21 CFR 1311.135(c)).
    pub fn new(
        limits: &[LimitOfV],
        no_series: &[UsState],
        supervised: &[UsState],
    ) -> Result<Self, StateRuleError> {
        let mut by_state = BTreeMap::new();
        for limit in limits {
            if by_state.insert(limit.state, *limit).is_some() {
                return Err(StateRuleError::Twice);
            }
        }
        Ok(Self {
            limits: by_state,
            no_series: no_series.iter().copied().collect(),
            supervised: supervised.iter().copied().collect(),
        })
    }

    /// The limit of schedule V in a state, where it has one.
    pub fn limit_of_v(&self, state: Option<UsState>) -> Option<LimitOfV> {
        state.and_then(|state| self.limits.get(&state).copied())
    }

    /// Whether a state forbids several prescriptions of schedule II issued together.
    pub fn forbids_series(&self, state: Option<UsState>) -> bool {
        state.is_some_and(|state| self.no_series.contains(&state))
    }

    /// Whether a mid-level practitioner names a supervisor in a state.
    pub fn wants_supervisor(&self, state: Option<UsState>) -> bool {
        state.is_some_and(|state| self.supervised.contains(&state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_or_refused() {
        let limit: LimitOfV = " ky 5  180 ".parse().unwrap();
        assert_eq!(
            (limit.state.as_text().as_str(), limit.refills, limit.days),
            ("KY", 5, Some(180))
        );
        assert_eq!("NY 0 -".parse::<LimitOfV>().unwrap().days, None);
        for bad in [
            "",
            "KY",
            "KY 5",
            "KY 100 180",
            "KY 5 0",
            "KY 5 3661",
            "XX 5 180",
            "KY 5 180 x",
            "KY -1 -",
        ] {
            assert_eq!(bad.parse::<LimitOfV>(), Err(StateRuleError::Shape), "{bad}");
        }
        assert_eq!(StateRules::new(&[limit, limit], &[], &[]), Err(StateRuleError::Twice));
        let rules = StateRules::new(&[limit], &[limit.state], &[limit.state]).unwrap();
        let (there, elsewhere) = (Some(limit.state), "NE".parse().ok());
        assert_eq!(rules.limit_of_v(there), Some(limit));
        assert!(rules.forbids_series(there) && rules.wants_supervisor(there));
        for state in [elsewhere, None] {
            assert_eq!(rules.limit_of_v(state), None);
            assert!(!rules.forbids_series(state) && !rules.wants_supervisor(state));
        }
    }
}

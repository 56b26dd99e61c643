//! How far a signed prescription is on its way to its pharmacy.

use crate::Timestamp;

/// The first pause after a failed try, in seconds; it doubles from try to try.
const FIRST_PAUSE_SECONDS: i64 = 4;
/// The longest pause, in seconds.
const LONGEST_PAUSE_SECONDS: i64 = 60;

/// How far the transmission of a signed prescription is. Whether it arrived is the state of the prescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransmissionState {
    /// It is tried, or waits for the next try.
    Waiting {
        /// When it is tried next.
        next_try: Timestamp,
        /// Why the last try failed; empty before the first has.
        failure: String,
    },
    /// It is not tried any more.
    Ended {
        /// When that ended.
        at: Timestamp,
        /// What the gateway has said, or why it was given up.
        outcome: String,
    },
}

impl TransmissionState {
    /// Whether it is still tried.
    pub const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    /// How it ended, or why the last try failed; empty before the first try has ended.
    pub fn outcome(&self) -> &str {
        match self {
            Self::Waiting { failure, .. } => failure,
            Self::Ended { outcome, .. } => outcome,
        }
    }

    /// The gateway was not reached in the try with this number, from 1: it is tried again after a pause. What
    /// has ended stays so.
    pub fn not_reached(&mut self, tries: i64, why: &str, now: Timestamp) {
        if let Self::Waiting { next_try, failure } = self {
            let pause = FIRST_PAUSE_SECONDS << (tries - 1).clamp(0, 5);
            *next_try = now.plus_seconds(pause.min(LONGEST_PAUSE_SECONDS));
            why.clone_into(failure);
        }
    }

    /// Ends it, once.
    pub fn end(&mut self, outcome: String, now: Timestamp) {
        if self.is_waiting() {
            *self = Self::Ended { at: now, outcome };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn the_pauses_double_up_to_a_minute() {
        for (tries, pause) in
            [(0, 4), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60), (i64::MAX, 60)]
        {
            let mut state = TransmissionState::Waiting { next_try: at(0), failure: String::new() };
            state.not_reached(tries, "timed out", at(100));
            let failure = "timed out".to_owned();
            let expected = TransmissionState::Waiting { next_try: at(100 + pause), failure };
            assert_eq!(state, expected, "try {tries}");
        }
    }

    #[test]
    fn what_has_ended_stays_as_it_ended() {
        let mut state = TransmissionState::Waiting { next_try: at(0), failure: String::new() };
        state.end("accepted".to_owned(), at(1));
        let ended = state.clone();
        state.not_reached(1, "timed out", at(2));
        state.end("given up".to_owned(), at(3));
        assert_eq!(state, ended);
        assert_eq!((state.is_waiting(), state.outcome()), (false, "accepted"));
    }
}

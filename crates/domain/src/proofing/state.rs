//! How far a case of proofing has come, with the times that belong to it.

use crate::Timestamp;

/// How long a complete case lets a token be added, or a passphrase be chosen, in seconds: 15 minutes.
pub const WINDOW_SECONDS: i64 = 900;

/// How far a case has come. The times of a state live in it, so that none can be there without its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// Something is missing.
    Open,
    /// All is there.
    Complete {
        /// Since when.
        since: Timestamp,
        /// Until when (exclusive) a token, or a passphrase, can be set on it; none once that was done.
        window_until: Option<Timestamp>,
    },
    /// It was given up, used up, or replaced by another.
    Closed {
        /// When it was complete; none where it never was.
        completed: Option<Timestamp>,
    },
}

impl CaseState {
    /// The state of these columns; none where word and times don't go together. A closed case opens nothing,
    /// whatever its row says of a window.
    pub fn from_parts(
        code: &str,
        completed: Option<Timestamp>,
        window_until: Option<Timestamp>,
    ) -> Option<Self> {
        match (code, completed, window_until) {
            ("open", None, None) => Some(Self::Open),
            ("complete", Some(since), window_until) => Some(Self::Complete { since, window_until }),
            ("closed", completed, _) => Some(Self::Closed { completed }),
            _ => None,
        }
    }

    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete { .. } => "complete",
            Self::Closed { .. } => "closed",
        }
    }

    /// When it was complete.
    pub const fn completed(self) -> Option<Timestamp> {
        match self {
            Self::Open => None,
            Self::Complete { since, .. } => Some(since),
            Self::Closed { completed } => completed,
        }
    }

    /// Until when (exclusive) a token, or a passphrase, can be set, whether or not that is over.
    pub const fn window_until(self) -> Option<Timestamp> {
        match self {
            Self::Complete { window_until, .. } => window_until,
            Self::Open | Self::Closed { .. } => None,
        }
    }

    /// Until when (exclusive) a token, or a passphrase, can be set, where that is still possible.
    pub fn window(self, now: Timestamp) -> Option<Timestamp> {
        self.window_until().filter(|until| now < *until)
    }

    /// Whether something is missing.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether all is there, and it is not used up.
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// Whether nothing more comes of it.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Completes an open case, and opens its window. Any other stays as it is.
    pub const fn complete(&mut self, now: Timestamp) {
        if self.is_open() {
            let window_until = Some(now.plus_seconds(WINDOW_SECONDS));
            *self = Self::Complete { since: now, window_until };
        }
    }

    /// Opens the window of a complete case again. Any other stays as it is.
    pub const fn open_window(&mut self, now: Timestamp) {
        if let Self::Complete { window_until, .. } = self {
            *window_until = Some(now.plus_seconds(WINDOW_SECONDS));
        }
    }

    /// Ends the window: what it was open for is done.
    pub const fn end_window(&mut self) {
        if let Self::Complete { window_until, .. } = self {
            *window_until = None;
        }
    }

    /// Closes it, for good.
    pub const fn close(&mut self) {
        *self = Self::Closed { completed: self.completed() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn word_and_times_go_together_or_there_is_no_state() {
        let (then, until) = (Some(at(0)), Some(at(900)));
        let complete = |window_until| Some(CaseState::Complete { since: at(0), window_until });
        let closed = |completed| Some(CaseState::Closed { completed });
        for (code, completed, window, expected) in [
            ("open", None, None, Some(CaseState::Open)),
            ("open", then, None, None),
            ("open", None, until, None),
            ("open", then, until, None),
            ("complete", None, None, None),
            ("complete", None, until, None),
            ("complete", then, None, complete(None)),
            ("complete", then, until, complete(until)),
            ("closed", None, None, closed(None)),
            ("closed", None, until, closed(None)),
            ("closed", then, None, closed(then)),
            ("closed", then, until, closed(then)),
            ("other", None, None, None),
        ] {
            let state = CaseState::from_parts(code, completed, window);
            assert_eq!(state, expected, "{code} {completed:?} {window:?}");
            if let Some(state) = state {
                let again =
                    CaseState::from_parts(state.code(), state.completed(), state.window_until());
                assert_eq!(again, Some(state));
            }
        }
    }

    #[test]
    fn only_a_complete_case_has_a_window() {
        let mut state = CaseState::Open;
        state.open_window(at(0));
        state.end_window();
        assert_eq!((state, state.window(at(0))), (CaseState::Open, None));
        state.complete(at(0));
        assert_eq!(state.window(at(899)), Some(at(900)));
        assert_eq!(state.window(at(900)), None);
        let before = state;
        state.complete(at(50));
        assert_eq!(state, before, "it is complete once");
        state.open_window(at(1_000));
        assert_eq!(state.window(at(1_000)), Some(at(1_900)));
        assert_eq!(state.completed(), Some(at(0)));
        state.end_window();
        assert!(state.is_complete() && state.window(at(1_000)).is_none());
        state.open_window(at(2_000));
        state.close();
        assert_eq!(state, CaseState::Closed { completed: Some(at(0)) });
        state.open_window(at(2_000));
        state.complete(at(2_000));
        assert_eq!((state.is_closed(), state.window(at(2_000))), (true, None));
    }
}

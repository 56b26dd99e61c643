//! How far a prescription has come, and why a step is refused.

use thiserror::Error;

use crate::Timestamp;

/// The state of a prescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being written, by the practitioner or by staff.
    Draft,
    /// The practitioner has looked at it and says that it is right (1311.120(b)(10)).
    Ready {
        /// The time of marking it ready.
        at: Timestamp,
    },
    /// The practitioner has signed it, and it is on its way.
    Signed {
        /// The time of the signature.
        at: Timestamp,
    },
    /// The pharmacy's side has taken it.
    Transmitted {
        /// The time at which the gateway accepted it.
        at: Timestamp,
    },
    /// It did not get there, and is not tried any more.
    Failed {
        /// The time at which the transmission failed.
        at: Timestamp,
    },
    /// After the failure it was printed, to be signed by hand (21 CFR 1311.170(b)).
    Printed {
        /// The time of the printing.
        at: Timestamp,
    },
    /// It was cancelled before it was transmitted.
    Cancelled {
        /// The time of the cancellation.
        at: Timestamp,
    },
}

impl State {
    /// The state of this word, as a row has it; nothing where word and time do not go together.
    pub fn from_code(code: &str, at: Option<Timestamp>) -> Option<Self> {
        Some(match (code, at) {
            ("draft", None) => Self::Draft,
            ("ready", Some(at)) => Self::Ready { at },
            ("signed", Some(at)) => Self::Signed { at },
            ("transmitted", Some(at)) => Self::Transmitted { at },
            ("failed", Some(at)) => Self::Failed { at },
            ("printed", Some(at)) => Self::Printed { at },
            ("cancelled", Some(at)) => Self::Cancelled { at },
            _ => return None,
        })
    }

    /// Since when it is so; a draft has no such time.
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Draft => None,
            Self::Ready { at }
            | Self::Signed { at }
            | Self::Transmitted { at }
            | Self::Failed { at }
            | Self::Printed { at }
            | Self::Cancelled { at } => Some(at),
        }
    }

    /// Whether it can still be written on.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Ready { .. })
    }

    /// Stable word of the state, for rows and the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready { .. } => "ready",
            Self::Signed { .. } => "signed",
            Self::Transmitted { .. } => "transmitted",
            Self::Failed { .. } => "failed",
            Self::Printed { .. } => "printed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Ready { .. } => "Ready to sign",
            Self::Signed { .. } => "Signed, being sent",
            Self::Transmitted { .. } => "Sent to the pharmacy",
            Self::Failed { .. } => "Not accepted by the pharmacy",
            Self::Printed { .. } => "Printed",
            Self::Cancelled { .. } => "Canceled",
        }
    }
}

/// Why something is not done with a prescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StateRefusal {
    /// It is too far for that: what is signed stays as it is (1311.120(b)(19)).
    #[error("A signed or canceled prescription can't be changed. Write a new one.")]
    Closed,
    /// It has not been marked ready (1311.120(b)(10)).
    #[error("Mark it ready to sign first.")]
    NotReady,
    /// Another practitioner's (1311.120(b)(12)).
    #[error("Only the prescriber named on it can do this.")]
    NotYours,
    /// A field is missing, or breaks a rule.
    #[error("Some information is missing. Check the marked fields.")]
    Lacking,
    /// The content has changed since it was shown.
    #[error("It has changed since you opened it. Review it again.")]
    Changed,
    /// It is not on its way (1311.120(b)(18)).
    #[error("Only signed prescriptions are sent.")]
    NotSigned,
    /// They are for several people (1311.120(b)(13)).
    #[error("You can sign prescriptions for only one patient at a time.")]
    TwoPatients,
    /// It has not failed (1311.120(b)(20), (22), 1311.170(b)).
    #[error(
        "Only a prescription that could not be delivered can be sent again or printed for manual signature."
    )]
    NotFailed,
}

impl StateRefusal {
    /// Stable code for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "prescription_closed",
            Self::NotReady => "prescription_not_ready",
            Self::NotYours => "prescription_of_another",
            Self::Lacking => "prescription_lacking",
            Self::Changed => "prescription_changed",
            Self::NotSigned => "prescription_not_signed",
            Self::TwoPatients => "prescriptions_of_two_patients",
            Self::NotFailed => "prescription_not_failed",
        }
    }
}

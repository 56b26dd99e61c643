//! Audit events: what happened, who did it, and how it ended.

mod kind;
#[cfg(test)]
mod tests;

pub use kind::EventKind;

use std::fmt;

use countersign_crypto::{Rng, RngError, random_array};

use crate::{ApiKeyId, EhrId, PersonId, PracticeId, Refusal, StaffId, TokenId, shown_line};

/// Whether it went through (21 CFR 1311.120(b)(24) wants the outcome of each event).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The action was done.
    Success,
    /// It was refused, and nothing but counters changed.
    Refused,
}

impl Outcome {
    /// Stable word for the row.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Nobody whose identity is known.
    Unknown,
    /// A person with an account.
    Person(PersonId),
    /// A member of staff.
    Staff(StaffId),
    /// The operator, through the command line.
    Operator,
    /// A system that calls the API, by its key.
    ApiKey(ApiKeyId),
    /// An EHR, by its registration.
    Ehr(EhrId),
    /// The server itself, such as a scheduled task.
    System,
}

impl Actor {
    /// Stable word for the row.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Person(_) => "person",
            Self::Staff(_) => "staff",
            Self::Operator => "operator",
            Self::ApiKey(_) => "api_key",
            Self::Ehr(_) => "ehr",
            Self::System => "system",
        }
    }

    /// The 16 bytes that name them, where they have a row.
    pub fn id_bytes(&self) -> Option<&[u8; 16]> {
        match self {
            Self::Unknown | Self::Operator | Self::System => None,
            Self::Person(id) => Some(id.as_bytes()),
            Self::Staff(id) => Some(id.as_bytes()),
            Self::ApiKey(id) => Some(id.as_bytes()),
            Self::Ehr(id) => Some(id.as_bytes()),
        }
    }
}

/// What a passcode is given for. One given for one purpose is spent for all (question A15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To sign in to Token Management.
    Login,
    /// To confirm a change of tokens.
    ManageTokens,
    /// To show that a new token is at hand.
    AddToken,
    /// To enable a token again.
    EnableToken,
    /// To sign a prescription.
    Sign,
    /// To execute what another person has entered.
    Approve,
}

impl Purpose {
    /// All purposes, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::Login,
        Self::ManageTokens,
        Self::AddToken,
        Self::EnableToken,
        Self::Sign,
        Self::Approve,
    ];

    /// Stable word for the row and the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::ManageTokens => "manage_tokens",
            Self::AddToken => "add_token",
            Self::EnableToken => "enable_token",
            Self::Sign => "sign",
            Self::Approve => "approve",
        }
    }

    /// The purpose with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

/// Eight letters and digits that stand on the page and in the log, for a call to the help desk.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SupportCode([u8; 9]);

impl SupportCode {
    /// How many random bytes a new one takes.
    pub const RANDOM_BYTES: usize = 9;

    /// A new code of 40 random bits, without letters that are read wrongly.
    pub fn new(rng: &mut dyn Rng) -> Result<Self, RngError> {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut code: [u8; 9] = random_array(rng)?;
        for byte in &mut code {
            *byte = ALPHABET.get(usize::from(*byte & 31)).copied().unwrap_or(b'0');
        }
        code[4] = b'-';
        Ok(Self(code))
    }
}

impl SupportCode {
    /// The code as it is shown: two groups of four with a dash between them.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for SupportCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SupportCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One audit event: date and time are added by the transaction that writes it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The kind of action.
    pub kind: EventKind,
    /// Whether it went through.
    pub outcome: Outcome,
    /// Who caused the event.
    pub actor: Actor,
    /// The practice concerned, where there is one.
    pub practice: Option<PracticeId>,
    /// The account concerned, where there is one.
    pub prescriber: Option<PersonId>,
    /// The token concerned, where there is one.
    pub token: Option<TokenId>,
    /// The purpose of the passcode, where one was given.
    pub purpose: Option<Purpose>,
    /// The code of the refusal, or of the reason given.
    pub reason: Option<&'static str>,
    /// More for the reader: no secret, no patient data, at most 200 characters.
    pub detail: Option<String>,
    /// The code on the page and in the log.
    pub support: SupportCode,
}

impl Event {
    /// An event that went through.
    pub const fn success(kind: EventKind, actor: Actor, support: SupportCode) -> Self {
        Self {
            kind,
            outcome: Outcome::Success,
            actor,
            practice: None,
            prescriber: None,
            token: None,
            purpose: None,
            reason: None,
            detail: None,
            support,
        }
    }

    /// An event that was refused.
    pub const fn refused(
        kind: EventKind,
        actor: Actor,
        refusal: &Refusal,
        support: SupportCode,
    ) -> Self {
        let mut event = Self::success(kind, actor, support);
        event.outcome = Outcome::Refused;
        event.reason = Some(refusal.code());
        event
    }

    /// Success or refusal, as `result` says.
    pub fn of<T>(
        kind: EventKind,
        actor: Actor,
        result: &Result<T, Refusal>,
        support: SupportCode,
    ) -> Self {
        match result {
            Ok(_) => Self::success(kind, actor, support),
            Err(refusal) => Self::refused(kind, actor, refusal, support),
        }
    }

    /// The second event that follows where a passcode was older than one that was accepted: whoever
    /// watches over the practice looks for this kind alone.
    pub fn twin(&self) -> Option<Self> {
        let of_a_passcode = matches!(
            self.kind,
            EventKind::PasscodeTried | EventKind::TokenTested | EventKind::TokenEnabled
        );
        (of_a_passcode && self.reason == Some(Refusal::PASSCODE_BEHIND)).then(|| Self {
            kind: EventKind::TwinSuspected,
            outcome: Outcome::Success,
            actor: Actor::System,
            purpose: None,
            detail: None,
            ..self.clone()
        })
    }

    /// Names practice and prescriber.
    #[must_use]
    pub const fn about(mut self, practice: PracticeId, prescriber: PersonId) -> Self {
        self.practice = Some(practice);
        self.prescriber = Some(prescriber);
        self
    }

    /// The event with this token; `None` removes it.
    #[must_use]
    pub fn token(mut self, token: impl Into<Option<TokenId>>) -> Self {
        self.token = token.into();
        self
    }

    /// The event with the purpose of the passcode.
    #[must_use]
    pub const fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// The event with the code of the refusal, or of the reason given.
    #[must_use]
    pub const fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds words for the reader: one line of at most 200 characters, with an ellipsis where more was said and U+FFFD
    /// for what can't be shown. No input keeps an event from being written, or makes a record look like another.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(shown_line(detail, 200));
        self
    }
}

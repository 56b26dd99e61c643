//! A token from its parts: one that was just made, and one that was stored.

use thiserror::Error;

use super::{DisableReason, Token, TokenName, TokenState};
use crate::{
    CredentialId, Device, Failures, ModelCode, PersonId, PracticeId, Timestamp, TokenId,
    otp::{Drift, OtpParams, Step, TokenSeed},
};

/// Parts that no token has together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenPartsError {
    /// The credential ID is one of a counter and the parameters are those of a clock, or the other way round.
    #[error("the credential ID and the period of a token don't fit")]
    Period,
    /// Of practice, prescriber and time of binding some are there and some are not.
    #[error("practice, prescriber and time of binding of a token don't fit")]
    Owner,
    /// The state is one of a bound token and nobody has it, or the other way round.
    #[error("the state of a token and its owner don't fit")]
    State,
    /// It is activated though nobody has it, or signs though it is not activated.
    #[error("activation and permission of a token don't fit")]
    Signing,
}

/// Everything about a token, unchecked. [`Token::from_parts`] says whether there is such a token.
///
/// For the store, which reads rows, and for tests. A use case changes a token by its methods.
#[derive(Debug, Clone)]
pub struct TokenParts {
    /// See [`Token::id`].
    pub id: TokenId,
    /// See [`Token::practice`].
    pub practice: Option<PracticeId>,
    /// See [`Token::prescriber`].
    pub prescriber: Option<PersonId>,
    /// See [`Token::credential`].
    pub credential: CredentialId,
    /// See [`Token::name`].
    pub name: TokenName,
    /// See [`Token::params`].
    pub params: OtpParams,
    /// See [`Token::seed`].
    pub seed: TokenSeed,
    /// See [`Token::state`].
    pub state: TokenState,
    /// See [`Token::last_step`].
    pub last_step: Option<Step>,
    /// See [`Token::drift`].
    pub drift: Drift,
    /// See [`Token::failures`].
    pub failures: Failures,
    /// See [`Token::created`].
    pub created: Timestamp,
    /// See [`Token::added`].
    pub added: Option<Timestamp>,
    /// See [`Token::last_used`].
    pub last_used: Option<Timestamp>,
    /// See [`Token::device`].
    pub device: Device,
    /// See [`Token::model`].
    pub model: ModelCode,
    /// See [`Token::seed_left`].
    pub seed_left: Option<Timestamp>,
    /// See [`Token::activated`].
    pub activated: Option<Timestamp>,
    /// See [`Token::sign_until`].
    pub sign_until: Option<Timestamp>,
}

impl TokenParts {
    /// Changes the owner to this one, since `added`. For tests.
    pub fn bind(&mut self, practice: PracticeId, prescriber: PersonId, added: Timestamp) {
        self.practice = Some(practice);
        self.prescriber = Some(prescriber);
        self.added = Some(added);
        self.state = TokenState::Active { since: added };
    }

    fn check(&self) -> Result<(), TokenPartsError> {
        // A period that was lost must not make a counter of the time.
        if self.params.is_event_based() != self.credential.is_event_based() {
            return Err(TokenPartsError::Period);
        }
        let bound = self.prescriber.is_some();
        if self.practice.is_some() != bound || self.added.is_some() != bound {
            return Err(TokenPartsError::Owner);
        }
        let fits = match self.state {
            TokenState::Unassociated { .. } => !bound,
            TokenState::Active { .. } => bound,
            // Wrong codes while it was being added, or the operator, end one that nobody has.
            TokenState::Disabled { reason, .. } => {
                bound || matches!(reason, DisableReason::TooManyFailures | DisableReason::Emergency)
            }
        };
        if !fits {
            return Err(TokenPartsError::State);
        }
        let activated = self.activated.is_some();
        if (activated && !bound) || (self.sign_until.is_some() && !activated) {
            return Err(TokenPartsError::Signing);
        }
        Ok(())
    }
}

impl From<Token> for TokenParts {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            practice: token.practice,
            prescriber: token.prescriber,
            credential: token.credential,
            name: token.name,
            params: token.params,
            seed: token.seed,
            state: token.state,
            last_step: token.last_step,
            drift: token.drift,
            failures: token.failures,
            created: token.created,
            added: token.added,
            last_used: token.last_used,
            device: token.device,
            model: token.model,
            seed_left: token.seed_left,
            activated: token.activated,
            sign_until: token.sign_until,
        }
    }
}

/// What there is of a token when it is made: nobody has it, and no code of it was accepted.
#[derive(Debug, Clone)]
pub struct ProvisionedToken {
    /// Our own identifier.
    pub id: TokenId,
    /// What is printed on it or shown by it.
    pub credential: CredentialId,
    /// Hash, digits and period.
    pub params: OtpParams,
    /// The shared secret.
    pub seed: TokenSeed,
    /// When it is discarded unless somebody adds it (exclusive).
    pub expires: Timestamp,
    /// When it is made.
    pub created: Timestamp,
    /// Where it lives.
    pub device: Device,
    /// Which model it is of.
    pub model: ModelCode,
}

impl Token {
    /// The token of these parts, as they were stored.
    ///
    /// # Errors
    ///
    /// Which of the parts no token has together.
    pub fn from_parts(parts: TokenParts) -> Result<Self, TokenPartsError> {
        parts.check()?;
        Ok(Self {
            id: parts.id,
            practice: parts.practice,
            prescriber: parts.prescriber,
            credential: parts.credential,
            name: parts.name,
            params: parts.params,
            seed: parts.seed,
            state: parts.state,
            last_step: parts.last_step,
            drift: parts.drift,
            failures: parts.failures,
            created: parts.created,
            added: parts.added,
            last_used: parts.last_used,
            device: parts.device,
            model: parts.model,
            seed_left: parts.seed_left,
            activated: parts.activated,
            sign_until: parts.sign_until,
        })
    }

    /// A token that is made now and that nobody has added.
    ///
    /// # Errors
    ///
    /// [`TokenPartsError::Period`].
    pub fn provisioned(new: ProvisionedToken) -> Result<Self, TokenPartsError> {
        Self::from_parts(TokenParts {
            id: new.id,
            practice: None,
            prescriber: None,
            credential: new.credential,
            name: TokenName::unnamed(),
            params: new.params,
            seed: new.seed,
            state: TokenState::Unassociated { expires: new.expires },
            last_step: None,
            drift: Drift::default(),
            failures: Failures::NONE,
            created: new.created,
            added: None,
            last_used: None,
            device: new.device,
            model: new.model,
            seed_left: None,
            activated: None,
            sign_until: None,
        })
    }
}

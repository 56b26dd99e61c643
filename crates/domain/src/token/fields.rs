//! What can be read of a token, and the changes that need no passcode.

use super::{Token, TokenName, TokenState};
use crate::{
    CredentialId, Device, Failures, ModelCode, PersonId, PracticeId, Refusal, Timestamp, TokenId,
    otp::{Drift, OtpParams, Step, TokenSeed},
};

impl Token {
    /// Identifier of the row; never shown as the credential ID.
    pub const fn id(&self) -> TokenId {
        self.id
    }

    /// The practice in which it was added; none before.
    pub const fn practice(&self) -> Option<PracticeId> {
        self.practice
    }

    /// Its prescriber, once added. Never changes afterwards (21 CFR 1311.102(a): sole possession).
    pub const fn prescriber(&self) -> Option<PersonId> {
        self.prescriber
    }

    /// What is printed on it or shown by it.
    pub const fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// The name that its owner gave it.
    pub const fn name(&self) -> &TokenName {
        &self.name
    }

    /// Hash, digits and period.
    pub const fn params(&self) -> OtpParams {
        self.params
    }

    /// The secret of HOTP or TOTP, shared with the token.
    pub const fn seed(&self) -> &TokenSeed {
        &self.seed
    }

    /// Whether its passcodes are accepted.
    pub const fn state(&self) -> TokenState {
        self.state
    }

    /// The last step accepted, for whatever purpose.
    pub const fn last_step(&self) -> Option<Step> {
        self.last_step
    }

    /// The offset of its clock from ours, in steps.
    pub const fn drift(&self) -> Drift {
        self.drift
    }

    /// Wrong passcodes in a row.
    pub const fn failures(&self) -> Failures {
        self.failures
    }

    /// The time of provisioning or import.
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The time of adding; none before.
    pub const fn added(&self) -> Option<Timestamp> {
        self.added
    }

    /// When a passcode of it was last accepted.
    pub const fn last_used(&self) -> Option<Timestamp> {
        self.last_used
    }

    /// The device that holds the token, as far as it is known.
    pub const fn device(&self) -> Device {
        self.device
    }

    /// The code of its model.
    pub const fn model(&self) -> &ModelCode {
        &self.model
    }

    /// When its seed was handed to another app. From then on nobody knows how many copies there are.
    pub const fn seed_left(&self) -> Option<Timestamp> {
        self.seed_left
    }

    /// When both pieces of its activation had come, over two channels (21 CFR 1311.105(c)). Before, it
    /// logs in and does not sign.
    pub const fn activated(&self) -> Option<Timestamp> {
        self.activated
    }

    /// Until when (exclusive) its owner may sign with it in the practice of the token, as permissions,
    /// registrations and licenses stand; none where it may not sign. Follows from other rows.
    pub const fn sign_until(&self) -> Option<Timestamp> {
        self.sign_until
    }

    /// Binds a token that waits to its owner, under a name: once, and before it is discarded.
    ///
    /// # Errors
    ///
    /// Whose it is already, or [`Refusal::UnknownCredential`] for one that does not wait any more.
    pub fn bind(
        &mut self,
        practice: PracticeId,
        prescriber: PersonId,
        name: TokenName,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.may_be_bound(prescriber, now)?;
        self.practice = Some(practice);
        self.prescriber = Some(prescriber);
        self.name = name;
        self.state = TokenState::Active { since: now };
        self.added = Some(now);
        // To show that it is at hand is no use of it.
        self.last_used = None;
        Ok(())
    }

    pub(super) fn may_be_bound(&self, to: PersonId, now: Timestamp) -> Result<(), Refusal> {
        match self.prescriber {
            Some(id) if id == to => return Err(Refusal::AlreadyYours),
            Some(_) => return Err(Refusal::BoundToAnother),
            None => {}
        }
        match self.state {
            TokenState::Unassociated { expires } if now < expires => Ok(()),
            _ => Err(Refusal::UnknownCredential),
        }
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: TokenName) {
        self.name = name;
    }

    /// Notes that both pieces of its activation have come: once, and only where somebody has it.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoChange`] for one that nobody has or that is activated.
    pub fn activate(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.prescriber.is_none() || self.activated.is_some() {
            return Err(Refusal::NoChange);
        }
        self.activated = Some(now);
        Ok(())
    }

    /// Counts a step, and all before it, as accepted. The last step never goes back.
    pub fn consume(&mut self, step: Step) {
        self.last_step = self.last_step.max(Some(step));
    }

    /// Notes that its seed went to another app.
    pub const fn seed_handed_over(&mut self, now: Timestamp) {
        self.seed_left = Some(now);
    }

    /// A copy that says until when its owner may sign in another practice than that of the token.
    #[must_use]
    pub fn in_other_practice(&self, sign_until: Option<Timestamp>) -> Self {
        let sign_until = sign_until.filter(|_| self.activated.is_some());
        Self { sign_until, ..self.clone() }
    }
}

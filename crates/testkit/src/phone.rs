use countersign_crypto::HmacKey;
use countersign_domain::{
    CredentialId, Timestamp,
    ocra::{Binding, Challenge},
    otp::{OtpParams, Step, TokenSeed, passcode},
};

/// A soft token in somebody's hand. Its clock may be off.
#[derive(Debug, Clone)]
pub struct Phone {
    /// The credential ID that the token shows.
    pub credential: CredentialId,
    /// The secret that the token shares with the server.
    pub seed: TokenSeed,
    /// Hash, digits and period.
    pub params: OtpParams,
    /// Seconds that its clock is ahead of the true time.
    pub ahead: i64,
}

impl Phone {
    /// A phone with a right clock.
    pub const fn new(credential: CredentialId, seed: TokenSeed, params: OtpParams) -> Self {
        Self { credential, seed, params, ahead: 0 }
    }

    /// The passcode of the token at a time.
    pub fn code(&self, at: Timestamp) -> String {
        self.code_of(self.step(at))
    }

    /// What it shows so many steps after a time; before it, where they are negative.
    pub fn code_after(&self, at: Timestamp, steps: i64) -> String {
        self.code_of(Step::new(self.step(at).number() + steps))
    }

    /// The step that it takes a time for.
    pub const fn step(&self, at: Timestamp) -> Step {
        self.params.step_at(at.plus_seconds(self.ahead))
    }

    /// The code of 8 digits that it shows at a time for what somebody signs.
    pub fn bound_code(&self, text: &str, binding: Binding, at: Timestamp) -> String {
        let key = HmacKey::new(self.params.algorithm(), self.seed.expose());
        let code = Challenge::of(text).code(&key, &self.params, self.step(at), binding).unwrap();
        code.iter().map(|byte| char::from(*byte)).collect()
    }

    /// The code of a step.
    pub fn code_of(&self, step: Step) -> String {
        passcode(&self.seed, &self.params, step)
    }
}

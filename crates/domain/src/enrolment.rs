//! From an invitation to a prescriber who may sign: one step at a time, none skipped.

use countersign_crypto::{Rng, RngError, random_array, sha256};
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::Timestamp;

/// How long an invitation can be accepted, in days.
pub const INVITATION_DAYS: i64 = 30;

/// The secret of an invitation's link: 256 random bits, shown once and kept as its SHA-256.
pub struct LinkSecret([u8; 32]);

impl LinkSecret {
    /// Draws a new secret; an error if `rng` fails.
    pub fn new(rng: &mut dyn Rng) -> Result<Self, RngError> {
        Ok(Self(random_array(rng)?))
    }

    /// The secret as it is written in the link: 43 characters of base64url.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// SHA-256 of the secret, which the row holds.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    /// The digest of what came with a link; a text of another shape has none.
    pub fn digest_of(text: &str) -> Option<[u8; 32]> {
        let bytes: [u8; 32] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
        Some(sha256(&bytes))
    }
}

/// The state of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationState {
    /// Nobody has followed the link yet.
    Open,
    /// Somebody has followed the link and begun.
    Accepted,
    /// The practice has revoked it.
    Revoked,
}

/// An invitation as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The digest of the link that works; a resent one has another.
    pub link: [u8; 32],
    /// The first moment at which the link no longer works.
    pub expires: Timestamp,
    /// The state of the invitation.
    pub state: InvitationState,
}

/// Why an invitation can't be used. Each has words of its own: no link may end in a wrong box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvitationRefusal {
    /// Not the link that works now.
    #[error(
        "This link was replaced by a newer one. Use the newest message, or ask your practice to resend it."
    )]
    Replaced,
    /// The invitation has expired.
    #[error(
        "This invitation has expired. Ask your practice to resend it. What you entered is saved."
    )]
    RunOut,
    /// The practice has revoked the invitation.
    #[error("This invitation was canceled. Your practice can tell you why.")]
    TakenBack,
    /// The link was followed before.
    #[error("This link was already used. Each link works once.")]
    Used,
}

impl Invitation {
    /// A new one with its link.
    pub const fn new(link: &[u8; 32], now: Timestamp) -> Self {
        Self {
            link: *link,
            expires: now.plus_seconds(INVITATION_DAYS * 86_400),
            state: InvitationState::Open,
        }
    }

    /// Follows the link: once.
    pub fn accept(&mut self, link: &[u8; 32], now: Timestamp) -> Result<(), InvitationRefusal> {
        if self.link != *link {
            return Err(InvitationRefusal::Replaced);
        }
        match self.state {
            InvitationState::Revoked => Err(InvitationRefusal::TakenBack),
            InvitationState::Accepted => Err(InvitationRefusal::Used),
            InvitationState::Open if now >= self.expires => Err(InvitationRefusal::RunOut),
            InvitationState::Open => {
                self.state = InvitationState::Accepted;
                Ok(())
            }
        }
    }

    /// Sends it again: another link, a new time; the old link is void. One that was followed can be sent
    /// again too, by which somebody goes on where they stopped, on whatever device; that the enrolment is
    /// not finished is for the caller to know. What was taken back stays so.
    pub fn resend(&mut self, link: &[u8; 32], now: Timestamp) -> Result<(), InvitationRefusal> {
        match self.state {
            InvitationState::Revoked => Err(InvitationRefusal::TakenBack),
            InvitationState::Open | InvitationState::Accepted => {
                *self = Self::new(link, now);
                Ok(())
            }
        }
    }

    /// Takes it back, also after it was accepted: what was begun ends there.
    pub const fn revoke(&mut self) {
        self.state = InvitationState::Revoked;
    }
}

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The terms are read and accepted.
    Terms,
    /// Name, addresses, registrations, licence.
    PersonalData,
    /// The identity is proved by an outside provider or in person.
    Proofing,
    /// At least one token is added; two are recommended.
    Tokens,
    /// The passphrase is chosen.
    Passphrase,
    /// Two persons grant the permission.
    Access,
    /// All steps are done, and the person may sign.
    Done,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 7] = [
        Self::Terms,
        Self::PersonalData,
        Self::Proofing,
        Self::Tokens,
        Self::Passphrase,
        Self::Access,
        Self::Done,
    ];

    /// Stable word for rows and addresses.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::PersonalData => "personal-data",
            Self::Proofing => "proofing",
            Self::Tokens => "tokens",
            Self::Passphrase => "passphrase",
            Self::Access => "access",
            Self::Done => "done",
        }
    }

    /// The stage with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.code() == code)
    }
}

/// What has been done, from the rows that say so: there is no stored stage that could disagree.
#[expect(clippy::struct_excessive_bools, reason = "each is a row that is there or is not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The terms of this version were accepted.
    pub terms: bool,
    /// All personal data is there and checked.
    pub personal_data: bool,
    /// A completed proofing whose identity matches.
    pub proofed: bool,
    /// How many active tokens there are.
    pub tokens: u32,
    /// A passphrase of their own choice.
    pub passphrase: bool,
    /// A permission in force.
    pub granted: bool,
}

/// The step that is due: the first that is not done, whatever later ones say.
pub const fn stage(facts: &Facts) -> Stage {
    if !facts.terms {
        Stage::Terms
    } else if !facts.personal_data {
        Stage::PersonalData
    } else if !facts.proofed {
        Stage::Proofing
    } else if facts.tokens == 0 {
        Stage::Tokens
    } else if !facts.passphrase {
        Stage::Passphrase
    } else if !facts.granted {
        Stage::Access
    } else {
        Stage::Done
    }
}

/// Whether the page of a step may be shown: those that are done, to look at, and the one that is due.
/// No address leads further.
pub fn may_open(wanted: Stage, facts: &Facts) -> bool {
    wanted <= stage(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + days * 86_400)
    }

    fn link() -> LinkSecret {
        LinkSecret::new(&mut SystemRng).unwrap()
    }

    #[test]
    fn a_link_works_once_and_not_for_ever() {
        let secret = link();
        let digest = LinkSecret::digest_of(&secret.text()).unwrap();
        assert_eq!((secret.text().len(), digest), (43, secret.digest()));
        for text in ["", "x", &"A".repeat(44), &format!("{}=", secret.text())] {
            assert_eq!(LinkSecret::digest_of(text), None);
        }
        let mut it = Invitation::new(&digest, at(0));
        assert_eq!(it.clone().accept(&digest, at(30)), Err(InvitationRefusal::RunOut));
        assert_eq!(it.accept(&link().digest(), at(1)), Err(InvitationRefusal::Replaced));
        it.accept(&digest, at(29)).unwrap();
        assert_eq!(it.accept(&digest, at(29)), Err(InvitationRefusal::Used));
        // Who has begun goes on elsewhere by a new link; the old one stays dead.
        let next = link().digest();
        it.resend(&next, at(29)).unwrap();
        assert_eq!(it.accept(&digest, at(29)), Err(InvitationRefusal::Replaced));
        it.accept(&next, at(58)).unwrap();
    }

    #[test]
    fn a_resent_link_voids_the_old_one_and_a_revoked_one_is_dead() {
        let (old, new) = (link().digest(), link().digest());
        let mut it = Invitation::new(&old, at(0));
        it.resend(&new, at(40)).unwrap();
        assert_eq!(it.accept(&old, at(41)), Err(InvitationRefusal::Replaced));
        it.clone().accept(&new, at(69)).unwrap();
        it.revoke();
        assert_eq!(it.accept(&new, at(41)), Err(InvitationRefusal::TakenBack));
        assert_eq!(it.resend(&old, at(41)), Err(InvitationRefusal::TakenBack));
    }

    #[test]
    fn stages_read_back_and_are_in_order() {
        for pair in Stage::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for stage in Stage::ALL {
            assert_eq!(Stage::from_code(stage.code()), Some(stage));
        }
        assert_eq!(Stage::from_code("skip"), None);
    }

    proptest! {
        /// Whatever is there already, the first step that is missing is the one that is due, and no
        /// page beyond it opens.
        #[test]
        fn no_step_is_skipped(
            terms: bool, personal_data: bool, proofed: bool, passphrase: bool, tokens in 0u32..3, granted: bool,
        ) {
            let facts = Facts { terms, personal_data, proofed, tokens, passphrase, granted };
            let done = [terms, personal_data, proofed, tokens > 0, passphrase, granted];
            let due = done.iter().position(|done| !done).unwrap_or(6);
            prop_assert_eq!(stage(&facts), Stage::ALL[due]);
            for (index, wanted) in Stage::ALL.into_iter().enumerate() {
                prop_assert_eq!(may_open(wanted, &facts), index <= due);
            }
        }
    }
}

//! Identity proofing: what a case needs before a credential may be issued, and who may say so.
//!
//! Two modes, chosen at installation. For individual practitioners an outside credential service
//! provider says who somebody is (21 CFR 1311.105); this product never appoints itself. An institution
//! with its own registration proofs its practitioners in person, and a separate unit issues (1311.110).

mod state;

use std::collections::BTreeSet;

use thiserror::Error;

use crate::{
    Date, PersonId, Standing, Timestamp,
    access::Acting,
    identity::{Difference, Match},
};

pub use state::{CaseState, WINDOW_SECONDS};

/// How strongly a provider vouches for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// Below what the rule asks.
    Lower,
    /// IAL2 (SP 800-63A), or level 3 of SP 800-63-1, which the rule names (question A5).
    Ial2,
    /// IAL3 (SP 800-63A).
    Ial3,
}

/// A provider on the list of those that are accepted. Changed by two persons only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// `OpenID` Connect issuer URL of the provider.
    pub issuer: String,
    /// The values of `acr` or `ial` that stand for IAL2 or more.
    pub accepted: BTreeSet<String>,
}

impl Provider {
    /// What a value of this provider means here.
    pub fn assurance(&self, value: &str) -> Assurance {
        if self.accepted.contains(value) { Assurance::Ial2 } else { Assurance::Lower }
    }
}

/// A government photo ID, of which the number is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoId {
    /// Kind of document, such as a passport or a driver's license.
    pub kind: String,
    /// The last four characters of its number.
    pub last_four: String,
    /// The last day on which it is valid.
    pub expires: Date,
}

/// What the credentialing office of an institution has looked at (1311.110(a)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPerson {
    /// Who compared the ID with the person present.
    pub by: Acting,
    /// The unit that person works in.
    pub unit: String,
    /// The photo ID that was compared with the person.
    pub photo_id: PhotoId,
    /// State authority to practise and prescribe.
    pub licence: Standing,
    /// The own DEA registration; none for an exempt practitioner.
    pub registration: Option<Standing>,
    /// Privileges under the institution's registration with an internal code (1301.22(c)).
    pub privileges: bool,
    /// For Veterans Affairs: appointment or eligibility was confirmed; none elsewhere.
    pub va_confirmed: Option<bool>,
}

/// How the person was proofed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// An outside provider has proofed the person (21 CFR 1311.105).
    Provider {
        /// How strongly it vouches.
        assurance: Assurance,
        /// Whether its issuer is on the list.
        listed: bool,
        /// How what it says compares with the invitation.
        identity: Match,
    },
    /// The institution itself has proofed the person (21 CFR 1311.110).
    InPerson(InPerson),
}

/// A case of proofing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The person whose identity is proved.
    pub subject: Acting,
    /// They prescribe: only then the rule asks who they are (21 CFR 1311.105, 1311.110). Everybody else
    /// is known to the practice, and confirms an address.
    pub prescribes: bool,
    /// How the person was proofed; none while nobody has done it.
    pub evidence: Option<Evidence>,
    /// Who decided that a near match is this person, and when.
    pub near_match_accepted: Option<(PersonId, Timestamp)>,
    /// The code that went to an address on record came back (SP 800-63A, 4.4.1).
    pub address_confirmed: bool,
    /// Who authorized the issue, and of which unit.
    pub issue: Option<(Acting, String)>,
}

/// What a case still needs; in the order in which it is done. The page says for each who can act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nobody has proofed the person.
    Evidence,
    /// The provider is not on the list of those accepted.
    ListedProvider,
    /// The assurance of the provider is below IAL2.
    Assurance,
    /// It speaks of another person. Only another proofing helps.
    Identity,
    /// A person must decide whether these differences matter.
    NearMatch(Vec<Difference>),
    /// The ID is described incompletely, or has expired.
    PhotoId,
    /// State authority is not in force.
    Licence,
    /// Neither a registration in force, nor privileges under the institution's.
    Registration,
    /// The appointment with Veterans Affairs is not confirmed.
    VaConfirmation,
    /// The code sent to an address on record has not come back.
    AddressCode,
    /// A separate unit has not authorized the issue (1311.110(b)).
    Issue,
}

/// What is missing before a credential may be issued; nothing where it may.
pub fn missing(case: &Case, today: Date) -> Vec<Missing> {
    let mut found = Vec::new();
    match &case.evidence {
        _ if !case.prescribes => {}
        None => found.push(Missing::Evidence),
        Some(Evidence::Provider { assurance, listed, identity }) => {
            if !listed {
                found.push(Missing::ListedProvider);
            }
            if *assurance < Assurance::Ial2 {
                found.push(Missing::Assurance);
            }
            match identity {
                Match::Other => found.push(Missing::Identity),
                Match::Near(differences) if case.near_match_accepted.is_none() => {
                    found.push(Missing::NearMatch(differences.clone()));
                }
                Match::Same | Match::Near(_) => {}
            }
        }
        Some(Evidence::InPerson(seen)) => {
            let id = &seen.photo_id;
            let described = !id.kind.trim().is_empty() && id.last_four.chars().count() == 4;
            if !described || today.days_until(id.expires) < 0 {
                found.push(Missing::PhotoId);
            }
            if !seen.licence.holds() {
                found.push(Missing::Licence);
            }
            if !seen.registration.is_some_and(Standing::holds) && !seen.privileges {
                found.push(Missing::Registration);
            }
            if seen.va_confirmed == Some(false) {
                found.push(Missing::VaConfirmation);
            }
        }
    }
    if !case.address_confirmed {
        found.push(Missing::AddressCode);
    }
    // An outside provider issues by its own rules; within an institution another unit must say so.
    let outside = matches!(case.evidence, Some(Evidence::Provider { .. }));
    if case.prescribes && !outside && case.issue.is_none() {
        found.push(Missing::Issue);
    }
    found
}

/// Why somebody may not act in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaseRefusal {
    /// The person who decides is the subject of the case.
    #[error("You can't verify your own identity.")]
    OwnCase,
    /// The same person or unit proofed and would issue (1311.110(b)).
    #[error("A different person in a different department must do this.")]
    SameHand,
    /// Another step must be done before this one.
    #[error("Identity proofing is not complete yet.")]
    NotComplete,
    /// There is nothing to decide.
    #[error("There is nothing to decide here.")]
    NothingToDecide,
}

impl Case {
    /// Records what the credentialing office has seen.
    pub fn proof_in_person(&mut self, seen: InPerson) -> Result<(), CaseRefusal> {
        if seen.by.is(&self.subject) {
            return Err(CaseRefusal::OwnCase);
        }
        self.evidence = Some(Evidence::InPerson(seen));
        // What was authorized was authorized on other evidence.
        self.issue = None;
        Ok(())
    }

    /// A person has looked at a near match and says that it is the one who was invited. Another
    /// person's reply can't be made to match.
    pub fn accept_near_match(&mut self, by: &Acting, now: Timestamp) -> Result<(), CaseRefusal> {
        if by.is(&self.subject) {
            return Err(CaseRefusal::OwnCase);
        }
        match &self.evidence {
            Some(Evidence::Provider { identity: Match::Near(_), .. }) => {
                self.near_match_accepted = Some((by.person, now));
                Ok(())
            }
            _ => Err(CaseRefusal::NothingToDecide),
        }
    }

    /// Authorizes the issue: when all else is there, and by another hand than the one that proofed.
    pub fn authorize_issue(
        &mut self,
        by: &Acting,
        unit: &str,
        today: Date,
    ) -> Result<(), CaseRefusal> {
        if by.is(&self.subject) {
            return Err(CaseRefusal::OwnCase);
        }
        if let Some(Evidence::InPerson(seen)) = &self.evidence
            && (by.is(&seen.by) || unit.trim().eq_ignore_ascii_case(seen.unit.trim()))
        {
            return Err(CaseRefusal::SameHand);
        }
        if missing(self, today).iter().any(|it| *it != Missing::Issue) {
            return Err(CaseRefusal::NotComplete);
        }
        self.issue = Some((by.clone(), unit.trim().to_owned()));
        Ok(())
    }
}

/// A way on which a code reaches somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A letter to a postal address.
    Post,
    /// A text message, or a call that speaks the code.
    Phone,
    /// E-mail: for notices, and never the only way of a code.
    Email,
    /// The screen of the portal, within the session.
    Portal,
}

impl Channel {
    /// All channels, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Post, Self::Phone, Self::Email, Self::Portal];

    /// Stable word for rows and forms.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Portal => "portal",
        }
    }

    /// The way with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.code() == code)
    }

    /// Whether an activation code or a code to an address on record may go this way.
    pub const fn carries_codes(self) -> bool {
        matches!(self, Self::Post | Self::Phone)
    }

    /// How long a code sent this way is good (SP 800-63A, 4.4.1): post ten days, phone ten minutes,
    /// e-mail a day, the portal's own screen ten minutes.
    pub const fn validity_seconds(self) -> i64 {
        match self {
            Self::Post => 10 * 86_400,
            Self::Phone | Self::Portal => 600,
            Self::Email => 86_400,
        }
    }
}

/// Why a token is not activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ActivationRefusal {
    /// There are not exactly two codes.
    #[error("Two codes are required, each sent a different way.")]
    OnePiece,
    /// Both came the same way.
    #[error("Both codes were sent the same way. The second must be sent a different way.")]
    OneChannel,
    /// E-mail is no way for an activation code.
    #[error("Activation codes can't be sent by email.")]
    ByEmail,
    /// The time of one of the codes is over.
    #[error("A code has expired. Request a new one.")]
    RunOut,
}

/// One piece of what activates a token: the way it came, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The channel by which the code was sent.
    pub channel: Channel,
    /// The time of sending.
    pub sent: Timestamp,
    /// The time at which the code was typed.
    pub used: Timestamp,
}

/// Whether these pieces activate a token for signing: two, over two channels, none by e-mail, each back
/// within its time (21 CFR 1311.105(c)). That each is right has been checked before.
pub fn may_activate(pieces: &[Piece]) -> Result<(), ActivationRefusal> {
    let [first, second] = pieces else { return Err(ActivationRefusal::OnePiece) };
    for piece in [first, second] {
        if piece.channel == Channel::Email {
            return Err(ActivationRefusal::ByEmail);
        }
        let end = piece.sent.plus_seconds(piece.channel.validity_seconds());
        if piece.used >= end {
            return Err(ActivationRefusal::RunOut);
        }
    }
    if first.channel == second.channel { Err(ActivationRefusal::OneChannel) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

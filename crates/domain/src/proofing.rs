//! Identity proofing: what a case needs before a credential may be issued, and who may say so.
//!
//! Two modes, chosen at installation. For individual practitioners an outside credential service
//! provider says who somebody is (21 CFR 1311.105); this product never appoints itself. An institution
//! with its own registration proofs its practitioners in person, and a separate unit issues (1311.110).

use std::collections::BTreeSet;

use thiserror::Error;

use crate::{
    Date, PersonId, Standing, Timestamp,
    access::Acting,
    identity::{Difference, Match},
};

/// How strongly a provider vouches for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// Below what the rule asks.
    Lower,
    /// IAL2 (SP 800-63A), or level 3 of SP 800-63-1, which the rule names (question A5).
    Ial2,
    /// IAL3.
    Ial3,
}

/// A provider on the list of those that are accepted. Changed by two persons only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its issuer address.
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
    /// What kind: passport, driving licence.
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
    /// The ID.
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
    /// By an outside provider.
    Provider {
        /// How strongly it vouches.
        assurance: Assurance,
        /// Whether its issuer is on the list.
        listed: bool,
        /// How what it says compares with the invitation.
        identity: Match,
    },
    /// By the institution itself.
    InPerson(InPerson),
}

/// A case of proofing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Who is to be proofed.
    pub subject: Acting,
    /// They prescribe: only then the rule asks who they are (21 CFR 1311.105, 1311.110). Everybody else
    /// is known to the practice, and confirms an address.
    pub prescribes: bool,
    /// What there is.
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
    /// It vouches too weakly.
    Assurance,
    /// It speaks of another person. Only another proofing helps.
    Identity,
    /// Somebody must look at these differences.
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
    /// It is about themselves.
    #[error("Nobody proofs themselves.")]
    OwnCase,
    /// The same person or unit proofed and would issue (1311.110(b)).
    #[error("Another person of another unit must do this.")]
    SameHand,
    /// Something else comes first.
    #[error("The proofing is not complete yet.")]
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
    /// A letter.
    Post,
    /// A text message, or a call that speaks the code.
    Phone,
    /// E-mail: for notices, and never the only way of a code.
    Email,
    /// The screen of the portal, within the session.
    Portal,
}

impl Channel {
    /// All.
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
    /// One piece only.
    #[error("Two codes are needed, each over its own way.")]
    OnePiece,
    /// Both came the same way.
    #[error("Both codes came the same way. The second must come over another one.")]
    OneChannel,
    /// E-mail is no way for an activation code.
    #[error("E-mail can't carry an activation code.")]
    ByEmail,
    /// One is too old.
    #[error("A code has run out. Ask for a new one.")]
    RunOut,
}

/// One piece of what activates a token: the way it came, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The way.
    pub channel: Channel,
    /// When it was sent.
    pub sent: Timestamp,
    /// When it came back.
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
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn today() -> Date {
        "2027-01-15".parse().unwrap()
    }

    type Spoil = fn(&mut InPerson);

    fn somebody() -> Acting {
        Acting {
            person: PersonId::new(at(0), &mut SystemRng).unwrap(),
            marks: crate::marks::Marks::default(),
            confirmed: true,
            registrant: false,
            designated: false,
        }
    }

    fn case(evidence: Option<Evidence>) -> Case {
        Case {
            subject: somebody(),
            prescribes: true,
            evidence,
            near_match_accepted: None,
            address_confirmed: true,
            issue: None,
        }
    }

    fn provider(identity: Match) -> Evidence {
        Evidence::Provider { assurance: Assurance::Ial2, listed: true, identity }
    }

    fn seen(by: &Acting) -> InPerson {
        InPerson {
            by: by.clone(),
            unit: "Credentialing".to_owned(),
            photo_id: PhotoId {
                kind: "Passport".to_owned(),
                last_four: "4821".to_owned(),
                expires: "2030-01-01".parse().unwrap(),
            },
            licence: Standing::Good,
            registration: Some(Standing::ExpiresIn(20)),
            privileges: false,
            va_confirmed: None,
        }
    }

    /// Shows: R-1311.105-a1, R-1311.105-b, A4, A5
    #[test]
    fn an_individual_needs_a_listed_provider_that_vouches_enough() {
        let mut it = case(None);
        assert_eq!(missing(&it, today()), [Missing::Evidence, Missing::Issue]);
        let officer = somebody();
        let refused = it.authorize_issue(&officer, "Office", today());
        assert_eq!(refused, Err(CaseRefusal::NotComplete), "pending is not proofed");
        it.evidence = Some(Evidence::Provider {
            assurance: Assurance::Lower,
            listed: false,
            identity: Match::Same,
        });
        let wants = [Missing::ListedProvider, Missing::Assurance];
        assert_eq!(missing(&it, today()), wants);
        it.evidence = Some(provider(Match::Same));
        assert_eq!(missing(&it, today()), []);
        let list = Provider {
            issuer: "https://csp.example".to_owned(),
            accepted: ["ial2".to_owned()].into(),
        };
        assert_eq!(list.assurance("ial2"), Assurance::Ial2);
        assert_eq!(list.assurance("ial1"), Assurance::Lower);
        assert!(Assurance::Ial3 > Assurance::Ial2);
    }

    #[test]
    fn a_near_match_goes_to_a_person_and_another_person_never_matches() {
        let mut it = case(Some(provider(Match::Near(vec![Difference::Middle]))));
        let (officer, subject) = (somebody(), it.subject.clone());
        assert_eq!(missing(&it, today()), [Missing::NearMatch(vec![Difference::Middle])]);
        assert_eq!(it.accept_near_match(&subject, at(0)), Err(CaseRefusal::OwnCase));
        it.accept_near_match(&officer, at(0)).unwrap();
        assert_eq!(missing(&it, today()), []);
        let mut it = case(Some(provider(Match::Other)));
        let refused = it.accept_near_match(&officer, at(0));
        assert_eq!(refused, Err(CaseRefusal::NothingToDecide));
        assert_eq!(missing(&it, today()), [Missing::Identity]);
        assert!(it.authorize_issue(&officer, "Office", today()).is_err());
    }

    /// Shows: R-1311.110-a1, R-1311.110-a2, R-1311.110-a3, R-1311.110-a45
    #[test]
    fn in_person_every_point_is_looked_at() {
        let office = somebody();
        let changes: [(Spoil, Missing); 7] = [
            (|s| s.photo_id.kind.clear(), Missing::PhotoId),
            (|s| s.photo_id.last_four = "21".to_owned(), Missing::PhotoId),
            (|s| s.photo_id.expires = "2027-01-14".parse().unwrap(), Missing::PhotoId),
            (|s| s.licence = Standing::Expired, Missing::Licence),
            (|s| s.registration = None, Missing::Registration),
            (|s| s.registration = Some(Standing::Withdrawn), Missing::Registration),
            (|s| s.va_confirmed = Some(false), Missing::VaConfirmation),
        ];
        for (change, wants) in changes {
            let (mut it, mut what) = (case(None), seen(&office));
            change(&mut what);
            it.proof_in_person(what).unwrap();
            assert_eq!(missing(&it, today()), [wants, Missing::Issue]);
            let refused = it.authorize_issue(&somebody(), "Security", today());
            assert_eq!(refused, Err(CaseRefusal::NotComplete));
        }
        // An exempt practitioner has privileges instead of a registration.
        let mut exempt = seen(&office);
        (exempt.registration, exempt.privileges) = (None, true);
        exempt.va_confirmed = Some(true);
        let mut it = case(None);
        it.proof_in_person(exempt).unwrap();
        assert_eq!(missing(&it, today()), [Missing::Issue]);
    }

    /// Shows: R-1311.110-b
    #[test]
    fn another_hand_issues_than_the_one_that_proofed() {
        let office = somebody();
        let mut it = case(None);
        let subject = it.subject.clone();
        assert_eq!(it.proof_in_person(seen(&subject)), Err(CaseRefusal::OwnCase));
        it.proof_in_person(seen(&office)).unwrap();
        let issue = |it: &mut Case, by: &Acting, unit| it.authorize_issue(by, unit, today());
        assert_eq!(issue(&mut it, &office, "Security"), Err(CaseRefusal::SameHand));
        assert_eq!(issue(&mut it, &somebody(), " credentialing "), Err(CaseRefusal::SameHand));
        assert_eq!(issue(&mut it, &subject, "Security"), Err(CaseRefusal::OwnCase));
        issue(&mut it, &somebody(), "Security").unwrap();
        assert_eq!(missing(&it, today()), []);
        // New evidence needs a new authorization.
        it.proof_in_person(seen(&office)).unwrap();
        assert_eq!(missing(&it, today()), [Missing::Issue]);
    }

    /// Shows: R-1311.105-c
    #[test]
    fn two_pieces_over_two_channels() {
        let piece = |channel, used| Piece { channel, sent: at(0), used: at(used) };
        let portal = piece(Channel::Portal, 1);
        assert_eq!(may_activate(&[portal]), Err(ActivationRefusal::OnePiece));
        assert_eq!(may_activate(&[portal, portal]), Err(ActivationRefusal::OneChannel));
        let mail = piece(Channel::Email, 1);
        assert_eq!(may_activate(&[portal, mail]), Err(ActivationRefusal::ByEmail));
        for (channel, seconds) in [(Channel::Phone, 600), (Channel::Post, 10 * 86_400)] {
            assert_eq!(may_activate(&[portal, piece(channel, seconds - 1)]), Ok(()));
            let late = may_activate(&[portal, piece(channel, seconds)]);
            assert_eq!(late, Err(ActivationRefusal::RunOut));
        }
        let late = piece(Channel::Portal, 600);
        let refused = may_activate(&[piece(Channel::Post, 1), late]);
        assert_eq!(refused, Err(ActivationRefusal::RunOut));
    }

    /// Shows: N-28
    #[test]
    fn a_code_is_good_as_long_as_its_way_allows() {
        let minutes = |channel: Channel| channel.validity_seconds() / 60;
        assert_eq!(minutes(Channel::Phone), 10);
        assert_eq!(minutes(Channel::Post), 10 * 24 * 60);
        assert_eq!(minutes(Channel::Email), 24 * 60);
        let mut it = case(Some(provider(Match::Same)));
        it.address_confirmed = false;
        assert_eq!(missing(&it, today()), [Missing::AddressCode]);
        // Who does not prescribe is asked for an address alone.
        let mut it = case(None);
        (it.prescribes, it.address_confirmed) = (false, false);
        assert_eq!(missing(&it, today()), [Missing::AddressCode]);
    }
}

//! Logical access control: who may sign, set by two people (21 CFR 1311.125, 1311.130).
//!
//! One person enters a grant or a revocation with a reason, in their own time; another executes it with
//! passphrase and passcode, bound to what was shown. What takes a permission away works at once, and the
//! second person confirms the record afterwards; what gives one always takes two first.

use std::fmt;

use countersign_crypto::sha256;
use thiserror::Error;

use crate::{
    AuthorityId, Date, DeaNumber, PersonId, PracticeId, RequestId, Role, Timestamp, marks::Marks,
};

/// How long a request that nobody executed stands, in days. What works already waits for its confirmation without
/// end.
pub const REQUEST_DAYS: i64 = 14;

/// Who a practice is, by which the rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Practitioners with registrations of their own (21 CFR 1311.125).
    Practitioners,
    /// An institution with its own registration (21 CFR 1311.130).
    Institution,
}

/// Somebody who acts, as the rules know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    /// The account.
    pub person: PersonId,
    /// What tells their accounts: all addresses and numbers that are theirs, or were within
    /// [`crate::marks::FORMER_DAYS`].
    pub marks: Marks,
    /// A code came back from a telephone or postal address of theirs. Without that nobody knows who it is, and they
    /// are no second person.
    pub confirmed: bool,
    /// Has a DEA registration that is in force today.
    pub registrant: bool,
    /// Is one of those who set access control at this location.
    pub designated: bool,
}

impl Acting {
    /// Whether two accounts are one person: the same account, or one address or number in common.
    pub fn is(&self, other: &Self) -> bool {
        self.person == other.person || self.marks.meet(&other.marks)
    }
}

/// What a permission is for: one person, one DEA number, one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Whose permission it is.
    pub person: Acting,
    /// Under which DEA number (question A12).
    pub dea: DeaNumber,
    /// What the registration says: state, schedules, last day, and whether it is withdrawn.
    pub registration: String,
    /// The registration is in force.
    pub in_force: bool,
    /// At which registered location.
    pub location: PracticeId,
}

/// Why a permission is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A token or another factor was lost, stolen or compromised (1311.125(d)(1)).
    FactorLost,
    /// The registration or licence has expired (d)(2).
    Expired,
    /// The registration was terminated, revoked or suspended (d)(3).
    Withdrawn,
    /// The person no longer uses the application here (d)(4).
    Left,
    /// The application, or the person's use of it, does not comply (1311.102(g), (h)).
    NonCompliant,
}

impl Cause {
    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FactorLost => "Token or passphrase lost, stolen or compromised",
            Self::Expired => "Registration or licence expired",
            Self::Withdrawn => "Registration or licence withdrawn",
            Self::Left => "Left the practice",
            Self::NonCompliant => "Not compliant",
        }
    }

    /// The cause with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// All causes.
    pub const ALL: [Self; 5] =
        [Self::FactorLost, Self::Expired, Self::Withdrawn, Self::Left, Self::NonCompliant];

    /// Stable word for rows and records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::FactorLost => "factor_lost",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Left => "left",
            Self::NonCompliant => "non_compliant",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The first grant, or one after a suspension: there is no shorter way back.
    Grant {
        /// The day on which whoever enters it looked at registration and licence (1311.125(b)).
        verified: Option<Date>,
    },
    /// It is taken away.
    Revoke(Cause),
}

/// What two people decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// A permission to sign.
    Permission {
        /// Whose.
        subject: Subject,
        /// What becomes of it.
        change: Change,
    },
    /// A role that decides over who signs ([`Role::takes_two`]).
    Role {
        /// Whose.
        person: Acting,
        /// In which practice.
        practice: PracticeId,
        /// Which.
        role: Role,
        /// The unit they work in, for proofing and issuing.
        unit: String,
        /// Given, or taken.
        give: bool,
    },
    /// A provider on the list of those whose identity proofing is accepted (question A5).
    Provider {
        /// By which practice.
        practice: PracticeId,
        /// Its issuer address.
        issuer: String,
        /// The values of `acr` or `ial` that stand for IAL2, with spaces between.
        accepted: String,
        /// Put on the list, or taken off.
        give: bool,
    },
    /// A registration or licence that holds longer, or for more schedules, than it did.
    Paper {
        /// Whose; none for the institution's own.
        person: Option<Acting>,
        /// In which practice.
        practice: PracticeId,
        /// Which; none for a new one.
        authority: Option<AuthorityId>,
        /// What it is, with its number, and what it says until now.
        before: String,
        /// What it is to say.
        after: String,
    },
}

impl Matter {
    /// Whom it is about, where it is about somebody.
    pub const fn person(&self) -> Option<&Acting> {
        match self {
            Self::Permission { subject, .. } => Some(&subject.person),
            Self::Role { person, .. } => Some(person),
            Self::Paper { person, .. } => person.as_ref(),
            Self::Provider { .. } => None,
        }
    }

    /// Whether it works from the moment in which it was entered, and a second person confirms the record.
    pub const fn works_at_once(&self) -> bool {
        matches!(self, Self::Permission { change: Change::Revoke(_), .. })
    }

    /// Whether it lets somebody do more than before.
    pub const fn gives(&self) -> bool {
        match self {
            Self::Permission { change, .. } => matches!(change, Change::Grant { .. }),
            Self::Role { give, .. } | Self::Provider { give, .. } => *give,
            Self::Paper { .. } => true,
        }
    }

    /// Its parts, for the digest.
    fn parts(&self) -> Vec<String> {
        match self {
            Self::Permission { subject, change } => {
                let change = match change {
                    Change::Grant { verified: Some(day) } => format!("grant, verified {day}"),
                    Change::Grant { verified: None } => "grant".to_owned(),
                    Change::Revoke(cause) => format!("revoke, {}", cause.code()),
                };
                vec![
                    "permission".to_owned(),
                    subject.person.person.to_string(),
                    subject.dea.as_text(),
                    subject.registration.clone(),
                    subject.location.to_string(),
                    change,
                ]
            }
            Self::Role { person, practice, role, unit, give } => vec![
                "role".to_owned(),
                person.person.to_string(),
                practice.to_string(),
                role.code().to_owned(),
                unit.clone(),
                give.to_string(),
            ],
            Self::Provider { practice, issuer, accepted, give } => vec![
                "provider".to_owned(),
                practice.to_string(),
                issuer.clone(),
                accepted.clone(),
                give.to_string(),
            ],
            Self::Paper { person, practice, authority, before, after } => vec![
                "paper".to_owned(),
                person.as_ref().map(|it| it.person.to_string()).unwrap_or_default(),
                practice.to_string(),
                authority.map(|it| it.to_string()).unwrap_or_default(),
                before.clone(),
                after.clone(),
            ],
        }
    }
}

/// What a second person has said of a permission that was taken away at once (question A8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// Nothing yet.
    Waiting,
    /// The record is right.
    Confirmed,
    /// The report was a mistake. That gives nothing back: a new grant takes two.
    Mistaken,
}

/// A permission to mark ready and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Never granted.
    None,
    /// In force.
    Granted {
        /// Since when.
        since: Timestamp,
        /// The holder executed it: a solo practice (question A9). The daily report says so.
        self_executed: bool,
    },
    /// Taken away.
    Revoked {
        /// Why.
        cause: Cause,
        /// Since when.
        since: Timestamp,
        /// What a second person has said of it.
        review: Review,
    },
}

impl Permission {
    /// Whether its holder may sign, as far as access control goes.
    pub const fn allows(self) -> bool {
        matches!(self, Self::Granted { .. })
    }
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// Somebody has entered it.
    Entered,
    /// Somebody else has executed it.
    Executed {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// Somebody has turned it down.
    Rejected {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// Whoever entered it has withdrawn it.
    Withdrawn {
        /// When.
        at: Timestamp,
    },
    /// Something newer was decided.
    Overtaken,
}

/// A change that two people make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its ID.
    pub id: RequestId,
    /// What it is about.
    pub matter: Matter,
    /// Why, in words.
    pub reason: String,
    /// Who entered it.
    pub entered_by: Acting,
    /// When.
    pub entered: Timestamp,
    /// How far it is.
    pub state: RequestState,
    /// What it is about was changed since it was entered: a newer decision is not undone by an older one.
    pub overtaken: bool,
}

/// What somebody has just confirmed with passphrase and passcode: the digest of what was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Confirmed(pub [u8; 32]);

impl fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmed")
    }
}

/// Why access control says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessRefusal {
    /// Not one of those who set access control here.
    #[error("You are not one of the people who set access control here.")]
    NotDesignated,
    /// A grant without the day on which registration and licence were looked at.
    #[error("Say on which day you looked at the DEA registration and the licence.")]
    NotVerified,
    /// No reason.
    #[error("Say why, in a few words.")]
    NoReason,
    /// The person who entered it, by this or another account.
    #[error(
        "Another person must do this: you entered it, or share an address, telephone, NPI or DEA number with who did."
    )]
    SamePerson,
    /// Nobody knows who they are: no address of theirs is confirmed.
    #[error(
        "First confirm your telephone or postal address by a code: see Addresses. Both people need that."
    )]
    Unconfirmed,
    /// The holder of the permission, by this or another account.
    #[error("Nobody grants a permission to themselves.")]
    OwnPermission,
    /// The holder of the registration or licence, by this or another account.
    #[error("Nobody approves a change of their own registration or licence.")]
    OwnPaper,
    /// The person whose permission was taken away.
    #[error("Nobody decides on a report about themselves.")]
    OwnReport,
    /// The registration is expired or withdrawn.
    #[error("The DEA registration is not in force.")]
    NotInForce,
    /// A newer decision stands against it.
    #[error("Something newer was decided since this was entered. Enter it again.")]
    Overtaken,
    /// A DEA number that stands here for another state, and on which something rests.
    #[error("This number is registered here for another state, and permissions rest on that.")]
    OtherState,
    /// Somebody else entered it.
    #[error("Only the person who entered it withdraws it.")]
    NotYours,
    /// A permission that is taken away is not given back by withdrawing.
    #[error("This works already. Another person confirms it, or says that it was a mistake.")]
    WorksAlready,
    /// Nobody would have the role any more.
    #[error("Nobody else would have this role. Give it to somebody else first.")]
    LastOne,
    /// Outside institutions a DEA registrant executes (1311.125(c)).
    #[error("Only a practitioner with a DEA registration in force can do this.")]
    NotRegistrant,
    /// It was executed, rejected, or is too old.
    #[error("This request is no longer open.")]
    NotOpen,
    /// What was confirmed is not what the request says now.
    #[error("The request has changed since it was shown to you. Look at it again.")]
    Changed,
    /// An institution's number, and no internal code of the person (21 CFR 1301.22(c), 1311.120(b)(1)(ii)).
    #[error(
        "Enter the internal code of this person first: the institution's DEA number can't be used without one."
    )]
    NoInternalCode,
    /// The same change was entered before, and nobody has decided on it.
    #[error(
        "The same change already waits for a second person. It is listed on the first page of the console."
    )]
    WaitsAlready,
    /// There is nothing to take away, or to confirm.
    #[error("Nothing to change: the permission is already in that state.")]
    NoChange,
}

impl AccessRefusal {
    /// Stable code for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotDesignated => "not_designated",
            Self::NotVerified => "not_verified",
            Self::NoReason => "no_reason",
            Self::SamePerson => "same_person",
            Self::Unconfirmed => "addresses_unconfirmed",
            Self::OwnPermission => "own_permission",
            Self::OwnPaper => "own_paper",
            Self::OwnReport => "own_report",
            Self::NotInForce => "not_in_force",
            Self::Overtaken => "request_overtaken",
            Self::OtherState => "other_state",
            Self::NotYours => "not_yours",
            Self::WorksAlready => "works_already",
            Self::LastOne => "last_one",
            Self::NotRegistrant => "not_registrant",
            Self::NotOpen => "request_not_open",
            Self::Changed => "request_changed",
            Self::NoInternalCode => "internal_code_missing",
            Self::WaitsAlready => "waits_already",
            Self::NoChange => "no_change",
        }
    }
}

/// Enters a request. Who enters must be designated here, and never gives anything to themselves.
pub fn enter(
    id: RequestId,
    matter: Matter,
    reason: &str,
    by: Acting,
    now: Timestamp,
) -> Result<Request, AccessRefusal> {
    if !by.designated {
        return Err(AccessRefusal::NotDesignated);
    }
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(AccessRefusal::NoReason);
    }
    // Of their own registration somebody may say that it was renewed; another approves it.
    let paper = matches!(matter, Matter::Paper { .. });
    if matter.gives() && !paper && matter.person().is_some_and(|person| by.is(person)) {
        return Err(AccessRefusal::OwnPermission);
    }
    if matter.gives() && !by.confirmed {
        return Err(AccessRefusal::Unconfirmed);
    }
    if let Matter::Permission { subject, change: Change::Grant { verified } } = &matter {
        if verified.is_none() {
            return Err(AccessRefusal::NotVerified);
        }
        if !subject.in_force {
            return Err(AccessRefusal::NotInForce);
        }
    }
    Ok(Request {
        id,
        matter,
        reason: reason.chars().take(200).collect(),
        entered_by: by,
        entered: now,
        state: RequestState::Entered,
        overtaken: false,
    })
}

impl Request {
    /// Whether it can still be executed.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let runs_out = self.entered.plus_seconds(REQUEST_DAYS * 86_400);
        self.state == RequestState::Entered && (self.matter.works_at_once() || now < runs_out)
    }

    /// The digest of all that it says: what the passcode of whoever executes it is bound to
    /// (1311.120(b)(5)). Every part has its length before it, so that no two requests read alike.
    pub fn digest(&self) -> [u8; 32] {
        let mut parts = vec!["countersign access request".to_owned(), self.id.to_string()];
        parts.extend(self.matter.parts());
        parts.extend([
            self.reason.clone(),
            self.entered_by.person.to_string(),
            self.entered.micros().to_string(),
        ]);
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        sha256(&bytes)
    }

    fn another(&self, by: &Acting, now: Timestamp) -> Result<(), AccessRefusal> {
        if !self.is_open(now) {
            return Err(AccessRefusal::NotOpen);
        }
        if !by.designated {
            return Err(AccessRefusal::NotDesignated);
        }
        if by.is(&self.entered_by) {
            return Err(AccessRefusal::SamePerson);
        }
        Ok(())
    }

    /// Turns it down, for a reason. Of a permission that was taken away this says that the report was a mistake:
    /// the permission stays away, and a new grant takes two. A newer decision is left as it is. Of anything else
    /// `permission` is none, and stays so.
    pub fn reject(
        &mut self,
        permission: &mut Permission,
        by: &Acting,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        self.another(by, now)?;
        if reason.trim().is_empty() {
            return Err(AccessRefusal::NoReason);
        }
        if self.matter.works_at_once() {
            if self.matter.person().is_some_and(|person| by.is(person)) {
                return Err(AccessRefusal::OwnReport);
            }
            if let Permission::Revoked { since, review, .. } = permission
                && *review == Review::Waiting
                && *since <= self.entered
            {
                *review = Review::Mistaken;
            }
        }
        self.state = RequestState::Rejected { by: by.person, at: now };
        Ok(())
    }

    /// Whoever entered it withdraws it, as long as it has done nothing.
    pub fn withdraw(&mut self, by: &Acting, now: Timestamp) -> Result<(), AccessRefusal> {
        if !self.is_open(now) {
            return Err(AccessRefusal::NotOpen);
        }
        if by.person != self.entered_by.person {
            return Err(AccessRefusal::NotYours);
        }
        if self.matter.works_at_once() {
            return Err(AccessRefusal::WorksAlready);
        }
        self.state = RequestState::Withdrawn { at: now };
        Ok(())
    }

    /// Whether this person may execute it: another designated person, with two factors bound to its
    /// digest; outside institutions a DEA registrant. Says whether they give something to themselves.
    ///
    /// `solo` is whether the practice has one registrant only, who then may execute the own grant that
    /// another person has entered and verified (question A9).
    fn judge(
        &self,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        solo: bool,
        now: Timestamp,
    ) -> Result<bool, AccessRefusal> {
        self.another(by, now)?;
        if !by.confirmed || self.matter.gives() && !self.entered_by.confirmed {
            return Err(AccessRefusal::Unconfirmed);
        }
        // A renewal grants nothing by itself, and in a solo practice the one registrant is its holder.
        let paper = matches!(self.matter, Matter::Paper { .. });
        if setting == Setting::Practitioners && !by.registrant && !paper {
            return Err(AccessRefusal::NotRegistrant);
        }
        let own = self.matter.person().is_some_and(|person| by.is(person));
        let grant = matches!(self.matter, Matter::Permission { change: Change::Grant { .. }, .. });
        if own && paper {
            return Err(AccessRefusal::OwnPaper);
        }
        if own && self.matter.gives() && !(solo && grant) {
            return Err(AccessRefusal::OwnPermission);
        }
        if self.overtaken {
            return Err(AccessRefusal::Overtaken);
        }
        if let Matter::Permission { subject, change: Change::Grant { .. } } = &self.matter
            && !subject.in_force
        {
            return Err(AccessRefusal::NotInForce);
        }
        if confirmed != Confirmed(self.digest()) {
            return Err(AccessRefusal::Changed);
        }
        Ok(own)
    }

    /// Executes a request about a permission, which changes accordingly.
    pub fn execute(
        &mut self,
        permission: &mut Permission,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        solo: bool,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        let own = self.judge(by, confirmed, setting, solo, now)?;
        let Matter::Permission { change, .. } = &self.matter else {
            return Err(AccessRefusal::NoChange);
        };
        *permission = match (*change, *permission) {
            // It was taken away after this was entered: the newer decision stands.
            (Change::Grant { .. }, Permission::Revoked { since, .. }) if since > self.entered => {
                return Err(AccessRefusal::Overtaken);
            }
            (Change::Grant { .. }, Permission::None | Permission::Revoked { .. }) => {
                Permission::Granted { since: now, self_executed: own }
            }
            // It was taken away at once; this is the second person's confirmation.
            (Change::Revoke(_), Permission::Revoked { cause, since, review })
                if since <= self.entered && review != Review::Confirmed =>
            {
                Permission::Revoked { cause, since, review: Review::Confirmed }
            }
            (Change::Revoke(cause), Permission::Granted { since, .. }) if since < self.entered => {
                Permission::Revoked { cause, since: now, review: Review::Confirmed }
            }
            // Somebody has decided anew since: the record is confirmed, and the newer decision stands.
            (
                Change::Revoke(_),
                newer @ (Permission::Revoked { .. } | Permission::Granted { .. }),
            ) => newer,
            _ => return Err(AccessRefusal::NoChange),
        };
        self.state = RequestState::Executed { by: by.person, at: now };
        Ok(())
    }

    /// Executes a request about a role, a provider, a registration or a licence: what it says is then to be done.
    pub fn carry_out(
        &mut self,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        self.judge(by, confirmed, setting, false, now)?;
        if matches!(self.matter, Matter::Permission { .. }) {
            return Err(AccessRefusal::NoChange);
        }
        self.state = RequestState::Executed { by: by.person, at: now };
        Ok(())
    }
}

/// Takes a permission away at once: on one report, or because a cause was found (1311.125(d); question
/// A8). A second person confirms the record afterwards. What was taken away before keeps its cause.
pub fn revoke_now(permission: &mut Permission, cause: Cause, now: Timestamp) {
    if permission.allows() {
        *permission = Permission::Revoked { cause, since: now, review: Review::Waiting };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn somebody(registrant: bool) -> Acting {
        Acting {
            person: PersonId::new(at(0), &mut SystemRng).unwrap(),
            marks: Marks::default(),
            confirmed: true,
            registrant,
            designated: true,
        }
    }

    fn subject(person: &Acting) -> Subject {
        Subject {
            person: person.clone(),
            dea: "AB1234563".parse().unwrap(),
            registration: "NE, schedules 2 3, last day 2028-05-31".to_owned(),
            in_force: true,
            location: PracticeId::new(at(0), &mut SystemRng).unwrap(),
        }
    }

    fn matter(person: &Acting, change: Change) -> Matter {
        Matter::Permission { subject: subject(person), change }
    }

    const VERIFIED: fn() -> Change = || Change::Grant { verified: "2027-01-10".parse().ok() };

    fn entered(by: &Acting, about: &Acting, change: Change) -> Request {
        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
        enter(id, matter(about, change), "joined us", by.clone(), at(0)).unwrap()
    }

    fn change_to(request: &mut Request, to: Change) {
        if let Matter::Permission { change, .. } = &mut request.matter {
            *change = to;
        }
    }

    fn granted() -> Permission {
        Permission::Granted { since: at(0), self_executed: false }
    }

    /// Executes with what was shown.
    fn execute(
        request: &mut Request,
        permission: &mut Permission,
        by: &Acting,
    ) -> Result<(), AccessRefusal> {
        let confirmed = Confirmed(request.digest());
        request.execute(permission, by, confirmed, Setting::Practitioners, false, at(60))
    }

    /// Shows: R-1311.125-c1, R-1311.125-c2, R-1311.120-b4
    #[test]
    fn one_enters_and_a_registrant_executes() {
        let (office, doctor, new) = (somebody(false), somebody(true), somebody(true));
        let mut permission = Permission::None;
        let mut request = entered(&office, &new, VERIFIED());
        assert!(!permission.allows(), "entered is not granted");
        let clerk = somebody(false);
        let refused = execute(&mut request, &mut permission, &clerk);
        assert_eq!(refused, Err(AccessRefusal::NotRegistrant));
        assert!(!permission.allows());
        execute(&mut request, &mut permission, &doctor).unwrap();
        assert_eq!(permission, Permission::Granted { since: at(60), self_executed: false });
        // It is executed once.
        let again = execute(&mut request, &mut permission, &doctor);
        assert_eq!(again, Err(AccessRefusal::NotOpen));
    }

    /// Shows: R-1311.125-c1, R-1311.120-b4
    #[test]
    fn nobody_approves_what_they_entered_not_even_by_another_account() {
        let new = somebody(true);
        let mut office = somebody(true);
        office.marks.npi("1234567893".parse().unwrap());
        office.marks.email("ruth@clinic.example");
        office.marks.email("ruth.okafor@home.example");
        office.marks.phone("+14025550101");
        let mut by_npi = somebody(true);
        by_npi.marks.npi("1234567893".parse().unwrap());
        // The second address of one is the first of the other.
        let mut by_email = somebody(true);
        by_email.marks.email(" RuthOkafor+2@HOME.example");
        by_email.marks.email("other@clinic.example");
        let mut by_phone = somebody(true);
        by_phone.marks.phone("+1 402 555 0101");
        for other in [office.clone(), by_npi, by_email, by_phone] {
            let (mut permission, mut request) =
                (Permission::None, entered(&office, &new, VERIFIED()));
            let refused = execute(&mut request, &mut permission, &other);
            assert_eq!(refused, Err(AccessRefusal::SamePerson));
            let rejected = request.reject(&mut permission, &other, "no", at(60));
            assert_eq!(rejected, Err(AccessRefusal::SamePerson));
            assert!(!permission.allows());
        }
        // Two without any address or number are not the same for that.
        assert!(!somebody(false).is(&somebody(false)));
    }

    /// Shows: A9
    #[test]
    fn the_own_grant_is_for_a_solo_practice_and_marked() {
        let (office, doctor) = (somebody(false), somebody(true));
        let refused = enter(
            RequestId::new(at(0), &mut SystemRng).unwrap(),
            matter(&doctor, VERIFIED()),
            "myself",
            doctor.clone(),
            at(0),
        );
        assert_eq!(refused.unwrap_err(), AccessRefusal::OwnPermission);
        let (mut permission, mut request) =
            (Permission::None, entered(&office, &doctor, VERIFIED()));
        let refused = execute(&mut request, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::OwnPermission));
        let confirmed = Confirmed(request.digest());
        let setting = Setting::Practitioners;
        request.execute(&mut permission, &doctor, confirmed, setting, true, at(60)).unwrap();
        assert_eq!(permission, Permission::Granted { since: at(60), self_executed: true });
    }

    /// Shows: R-1311.130-b2
    #[test]
    fn in_an_institution_the_second_person_needs_no_registration() {
        let (office, other, new) = (somebody(false), somebody(false), somebody(false));
        let (mut permission, mut request) = (Permission::None, entered(&office, &new, VERIFIED()));
        let confirmed = Confirmed(request.digest());
        let setting = Setting::Institution;
        request.execute(&mut permission, &other, confirmed, setting, false, at(1)).unwrap();
        assert!(permission.allows());
    }

    /// Shows: R-1311.125-a, R-1311.125-b, R-1311.120-b2ii
    #[test]
    fn entering_takes_a_designated_person_a_reason_and_a_verification() {
        let (office, doctor) = (somebody(false), somebody(true));
        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
        let enter = |change, reason: &str, by: &Acting| {
            enter(id, matter(&doctor, change), reason, by.clone(), at(0)).map(drop)
        };
        let outsider = Acting { designated: false, ..somebody(true) };
        assert_eq!(enter(VERIFIED(), "x", &outsider), Err(AccessRefusal::NotDesignated));
        assert_eq!(enter(VERIFIED(), "  ", &office), Err(AccessRefusal::NoReason));
        let unverified = Change::Grant { verified: None };
        assert_eq!(enter(unverified, "x", &office), Err(AccessRefusal::NotVerified));
        assert_eq!(enter(Change::Revoke(Cause::Left), "x", &doctor), Ok(()), "oneself may leave");
        let (mut permission, mut request) =
            (Permission::None, entered(&office, &doctor, VERIFIED()));
        let refused = execute(&mut request, &mut permission, &outsider);
        assert_eq!(refused, Err(AccessRefusal::NotDesignated));
    }

    /// Shows: R-1311.125-d, R-1311.125-d1, R-1311.125-d2, R-1311.125-d3, A7, A8
    #[test]
    fn taking_away_works_at_once_and_giving_back_takes_two() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        for cause in Cause::ALL {
            let mut permission = granted();
            revoke_now(&mut permission, cause, at(10));
            assert!(!permission.allows(), "one report is enough");
            let first = Permission::Revoked { cause, since: at(10), review: Review::Waiting };
            assert_eq!(permission, first);
            // A second cause does not hide the first.
            revoke_now(&mut permission, Cause::Left, at(20));
            assert_eq!(permission, first);
            // Who reported it can't give it back; another confirms the record.
            let mut request = entered(&office, &holder, Change::Revoke(cause));
            request.entered = at(10);
            execute(&mut request, &mut permission, &doctor).unwrap();
            let review = Review::Confirmed;
            assert_eq!(permission, Permission::Revoked { cause, since: at(10), review });
            let mut grant = entered(&office, &holder, VERIFIED());
            grant.entered = at(11);
            assert!(!permission.allows());
            execute(&mut grant, &mut permission, &doctor).unwrap();
            assert!(permission.allows());
        }
    }

    #[test]
    fn what_is_confirmed_is_what_was_shown() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        let (mut permission, mut request) =
            (Permission::None, entered(&office, &holder, VERIFIED()));
        let shown = Confirmed(request.digest());
        let mut other = subject(&holder);
        other.dea = "FB1234563".parse().unwrap();
        request.matter = Matter::Permission { subject: other, change: VERIFIED() };
        let refused =
            request.execute(&mut permission, &doctor, shown, Setting::Practitioners, false, at(1));
        assert_eq!(refused, Err(AccessRefusal::Changed));
        assert!(!permission.allows() && request.is_open(at(1)));
        // Every part counts.
        let base = entered(&office, &holder, VERIFIED());
        let changes: [fn(&mut Request); 6] = [
            |r| {
                if let Matter::Permission { subject, .. } = &mut r.matter {
                    subject.registration.push('N');
                }
            },
            |r| r.reason.push('.'),
            |r| change_to(r, Change::Grant { verified: "2027-01-11".parse().ok() }),
            |r| change_to(r, Change::Revoke(Cause::Left)),
            |r| r.entered = r.entered.plus_seconds(1),
            |r| r.entered_by = somebody(false),
        ];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(other.digest(), base.digest());
        }
    }

    #[test]
    fn requests_end() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        let mut request = entered(&office, &holder, VERIFIED());
        let end = REQUEST_DAYS * 86_400;
        assert!(request.is_open(at(end - 1)) && !request.is_open(at(end)));
        let confirmed = Confirmed(request.digest());
        let mut permission = Permission::None;
        let setting = Setting::Practitioners;
        let late = request.execute(&mut permission, &doctor, confirmed, setting, false, at(end));
        assert_eq!(late, Err(AccessRefusal::NotOpen));
        let unsaid = request.reject(&mut permission, &doctor, " ", at(60));
        assert_eq!(unsaid, Err(AccessRefusal::NoReason));
        request.reject(&mut permission, &doctor, "not now", at(60)).unwrap();
        let refused = execute(&mut request, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::NotOpen));
        // Nothing to give or to take.
        let mut grant = entered(&office, &holder, VERIFIED());
        let refused = execute(&mut grant, &mut granted(), &doctor);
        assert_eq!(refused, Err(AccessRefusal::NoChange));
        let mut revoke = entered(&office, &holder, Change::Revoke(Cause::Left));
        let refused = execute(&mut revoke, &mut Permission::None, &doctor);
        assert_eq!(refused, Err(AccessRefusal::NoChange));
    }

    /// Shows: A5
    #[test]
    fn roles_and_providers_take_two_as_well() {
        let (office, clerk, doctor) = (somebody(false), somebody(false), somebody(true));
        let practice = PracticeId::new(at(0), &mut SystemRng).unwrap();
        let role = |person: &Acting, give| Matter::Role {
            person: person.clone(),
            practice,
            role: Role::Designated,
            unit: String::new(),
            give,
        };
        let provider = Matter::Provider {
            practice,
            issuer: "https://csp.example".to_owned(),
            accepted: "ial2".to_owned(),
            give: true,
        };
        let ask = |matter: Matter| {
            let id = RequestId::new(at(0), &mut SystemRng).unwrap();
            enter(id, matter, "as agreed", office.clone(), at(0))
        };
        assert_eq!(ask(role(&office, true)).unwrap_err(), AccessRefusal::OwnPermission);
        for matter in [role(&clerk, true), role(&clerk, false), provider] {
            let mut request = ask(matter).unwrap();
            let shown = Confirmed(request.digest());
            let by = |request: &mut Request, by: &Acting, shown| {
                request.carry_out(by, shown, Setting::Practitioners, at(1))
            };
            assert_eq!(by(&mut request, &office, shown), Err(AccessRefusal::SamePerson));
            let stranger = Acting { designated: false, ..somebody(true) };
            assert_eq!(by(&mut request, &stranger, shown), Err(AccessRefusal::NotDesignated));
            let colleague = somebody(false);
            assert_eq!(by(&mut request, &colleague, shown), Err(AccessRefusal::NotRegistrant));
            let stale = Confirmed([0; 32]);
            assert_eq!(by(&mut request, &doctor, stale), Err(AccessRefusal::Changed));
            by(&mut request, &doctor, shown).unwrap();
            assert_eq!(by(&mut request, &doctor, shown), Err(AccessRefusal::NotOpen));
        }
        // A permission is executed with its permission at hand, and nothing else is.
        let mut request = entered(&office, &clerk, VERIFIED());
        let shown = Confirmed(request.digest());
        let refused = request.carry_out(&doctor, shown, Setting::Practitioners, at(1));
        assert_eq!(refused, Err(AccessRefusal::NoChange));
        let mut request = ask(role(&doctor, true)).unwrap();
        let shown = Confirmed(request.digest());
        let own = request.carry_out(&doctor, shown, Setting::Practitioners, at(1));
        assert_eq!(own, Err(AccessRefusal::OwnPermission), "nor by the second person");
    }

    /// Shows: R-1311.125-d1
    #[test]
    fn a_newer_decision_is_not_undone_by_an_older_one() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        let entered_at = |change, when| {
            let mut request = entered(&office, &holder, change);
            request.entered = at(when);
            request
        };
        let cause = Cause::FactorLost;
        // A loss, a new grant, and only then the confirmation of the loss: the record alone.
        let mut permission = granted();
        revoke_now(&mut permission, cause, at(10));
        let mut loss = entered_at(Change::Revoke(cause), 10);
        execute(&mut entered_at(VERIFIED(), 20), &mut permission, &doctor).unwrap();
        let newer = permission;
        execute(&mut loss, &mut permission, &doctor).unwrap();
        assert_eq!(permission, newer);
        assert!(permission.allows() && matches!(loss.state, RequestState::Executed { .. }));
        // A second loss is not confirmed by what was entered for the first.
        let mut first = entered_at(Change::Revoke(cause), 10);
        revoke_now(&mut permission, Cause::Left, at(70));
        execute(&mut first, &mut permission, &doctor).unwrap();
        let (cause, since, review) = (Cause::Left, at(70), Review::Waiting);
        assert_eq!(permission, Permission::Revoked { cause, since, review });
        // A grant from before the loss gives nothing back.
        let mut old = entered_at(VERIFIED(), 30);
        let refused = execute(&mut old, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::Overtaken));
        assert!(!permission.allows());
        // Nor does anything whose matter was changed meanwhile, or a registration that is not in force.
        let mut changed = entered_at(VERIFIED(), 80);
        changed.overtaken = true;
        let refused = execute(&mut changed, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::Overtaken));
        let mut expired = entered_at(VERIFIED(), 80);
        if let Matter::Permission { subject, .. } = &mut expired.matter {
            subject.in_force = false;
        }
        let refused = execute(&mut expired, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::NotInForce));
        // Two reports of one loss: each record is confirmed, and nothing hangs.
        let mut again = entered_at(Change::Revoke(Cause::Left), 75);
        let mut twice = entered_at(Change::Revoke(Cause::Left), 76);
        execute(&mut again, &mut permission, &doctor).unwrap();
        execute(&mut twice, &mut permission, &doctor).unwrap();
        assert_eq!(permission, Permission::Revoked { cause, since, review: Review::Confirmed });
    }

    /// Shows: A8
    #[test]
    fn a_report_that_was_a_mistake_gives_nothing_back() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        let cause = Cause::FactorLost;
        let mut permission = granted();
        revoke_now(&mut permission, cause, at(10));
        let mut request = entered(&office, &holder, Change::Revoke(cause));
        request.entered = at(10);
        // It waits as long as it takes, and whoever it is about does not decide on it.
        assert!(request.is_open(at(400 * 86_400)));
        let own = request.reject(&mut permission, &holder, "found it", at(20));
        assert_eq!(own, Err(AccessRefusal::OwnReport));
        assert_eq!(request.withdraw(&office, at(20)), Err(AccessRefusal::WorksAlready));
        request.reject(&mut permission, &doctor, "it was in the other coat", at(20)).unwrap();
        let review = Review::Mistaken;
        assert_eq!(permission, Permission::Revoked { cause, since: at(10), review });
        // What was entered and does nothing yet is withdrawn by who entered it, and by nobody else.
        let mut grant = entered(&office, &holder, VERIFIED());
        assert_eq!(grant.withdraw(&doctor, at(30)), Err(AccessRefusal::NotYours));
        grant.withdraw(&office, at(30)).unwrap();
        assert_eq!(grant.withdraw(&office, at(31)), Err(AccessRefusal::NotOpen));
        let refused = execute(&mut grant, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::NotOpen));
    }

    /// Shows: R-1311.120-b4
    #[test]
    fn nobody_unknown_is_a_second_person() {
        let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
        let unknown = Acting { confirmed: false, ..doctor.clone() };
        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
        let enter = |by: &Acting, change| {
            enter(id, matter(&holder, change), "x", by.clone(), at(0)).map(drop)
        };
        assert_eq!(enter(&unknown, VERIFIED()), Err(AccessRefusal::Unconfirmed));
        assert_eq!(
            enter(&unknown, Change::Revoke(Cause::Left)),
            Ok(()),
            "what protects does not wait"
        );
        let (mut permission, mut request) =
            (Permission::None, entered(&office, &holder, VERIFIED()));
        let refused = execute(&mut request, &mut permission, &unknown);
        assert_eq!(refused, Err(AccessRefusal::Unconfirmed));
        request.entered_by.confirmed = false;
        let refused = execute(&mut request, &mut permission, &doctor);
        assert_eq!(refused, Err(AccessRefusal::Unconfirmed));
        assert!(!permission.allows());
    }

    /// Shows: R-1311.125-d2
    #[test]
    fn nobody_approves_their_own_registration() {
        let (office, doctor) = (somebody(false), somebody(true));
        let practice = PracticeId::new(at(0), &mut SystemRng).unwrap();
        let renewal = |person: Option<&Acting>| Matter::Paper {
            person: person.cloned(),
            practice,
            authority: None,
            before: "NE, last day 2027-05-31".to_owned(),
            after: "NE, last day 2030-05-31".to_owned(),
        };
        let ask = |matter: Matter, by: &Acting| {
            let id = RequestId::new(at(0), &mut SystemRng).unwrap();
            enter(id, matter, "renewed", by.clone(), at(0)).unwrap()
        };
        let run = |request: &mut Request, by: &Acting| {
            let shown = Confirmed(request.digest());
            request.carry_out(by, shown, Setting::Practitioners, at(1))
        };
        // The holder says that it was renewed, and somebody else approves, also without a registration.
        let mut own = ask(renewal(Some(&doctor)), &doctor);
        assert_eq!(run(&mut own, &doctor), Err(AccessRefusal::SamePerson));
        run(&mut own, &office).unwrap();
        let mut other = ask(renewal(Some(&doctor)), &office);
        assert_eq!(run(&mut other, &doctor), Err(AccessRefusal::OwnPaper));
        run(&mut ask(renewal(None), &office), &doctor).unwrap();
        let mut changed = ask(renewal(None), &office);
        let shown = Confirmed(changed.digest());
        if let Matter::Paper { after, .. } = &mut changed.matter {
            "NE, last day 2099-05-31".clone_into(after);
        }
        let refused = changed.carry_out(&doctor, shown, Setting::Practitioners, at(1));
        assert_eq!(refused, Err(AccessRefusal::Changed));
    }

    proptest! {
        /// Whatever a group of people tries, nobody gets a permission without two different people, a
        /// registrant among them who is not the holder.
        #[test]
        fn no_sequence_grants_without_two(acts in prop::collection::vec((0usize..4, 0u8..4, any::<bool>()), 1..40)) {
            let mut people = [somebody(false), somebody(true), somebody(false), somebody(true)];
            // The last two accounts are one person.
            people[2].marks.npi("1234567893".parse().unwrap());
            people[3].marks.npi("1234567893".parse().unwrap());
            let holder = people[1].clone();
            let (mut permission, mut request) = (Permission::None, None::<Request>);
            for (who, act, stale) in acts {
                let by = &people[who];
                match act {
                    0 => {
                        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
                        if let Ok(made) = enter(id, matter(&holder, VERIFIED()), "x", by.clone(), at(0)) {
                            request = Some(made);
                        }
                    }
                    1 => revoke_now(&mut permission, Cause::FactorLost, at(5)),
                    2 => if let Some(request) = &mut request {
                        let _ = request.reject(&mut permission, by, "x", at(5));
                    },
                    _ => if let Some(request) = &mut request {
                        let before = permission;
                        let digest = if stale { [0; 32] } else { request.digest() };
                        let done = request.execute(
                            &mut permission, by, Confirmed(digest), Setting::Practitioners, false, at(5),
                        );
                        if done.is_ok() && !before.allows() {
                            prop_assert!(!by.is(&request.entered_by) && !by.is(&holder));
                            prop_assert!(by.registrant && !stale);
                        } else if done.is_err() {
                            prop_assert_eq!(permission, before);
                        }
                    },
                }
            }
        }
    }
}

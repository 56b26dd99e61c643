//! Logical access control: who may sign, set by two people (21 CFR 1311.125, 1311.130).
//!
//! One person enters a grant or a revocation with a reason, in their own time; another executes it with
//! passphrase and passcode, bound to what was shown. What takes a permission away works at once, and the
//! second person confirms the record afterwards; what gives one always takes two first.

use std::fmt;

use countersign_crypto::sha256;
use thiserror::Error;

use crate::{Date, DeaNumber, Npi, PersonId, PracticeId, RequestId, Role, Timestamp};

/// How long a request that nobody executed stands, in days.
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
    /// Their NPI, where they have one.
    pub npi: Option<Npi>,
    /// The e-mail address of the account.
    pub email: Option<String>,
    /// Has a DEA registration that is in force today.
    pub registrant: bool,
    /// Is one of those who set access control at this location.
    pub designated: bool,
}

impl Acting {
    /// Whether two accounts are one person: the same account, NPI or e-mail address.
    pub fn is(&self, other: &Self) -> bool {
        let same_email = || match (&self.email, &other.email) {
            (Some(mine), Some(theirs)) => mine.trim().eq_ignore_ascii_case(theirs.trim()),
            _ => false,
        };
        self.person == other.person || (self.npi.is_some() && self.npi == other.npi) || same_email()
    }
}

/// What a permission is for: one person, one DEA number, one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Whose permission it is.
    pub person: Acting,
    /// Under which DEA number (question A12).
    pub dea: DeaNumber,
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
}

impl Matter {
    /// Whom it is about, where it is about somebody.
    pub const fn person(&self) -> Option<&Acting> {
        match self {
            Self::Permission { subject, .. } => Some(&subject.person),
            Self::Role { person, .. } => Some(person),
            Self::Provider { .. } => None,
        }
    }

    /// Whether it lets somebody do more than before.
    pub const fn gives(&self) -> bool {
        match self {
            Self::Permission { change, .. } => matches!(change, Change::Grant { .. }),
            Self::Role { give, .. } | Self::Provider { give, .. } => *give,
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
        }
    }
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
        /// A second person has confirmed the record (question A8).
        confirmed: bool,
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
        "Another person must do this: you entered it, or share an NPI or e-mail address with who did."
    )]
    SamePerson,
    /// The holder of the permission, by this or another account.
    #[error("Nobody grants a permission to themselves.")]
    OwnPermission,
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
            Self::OwnPermission => "own_permission",
            Self::NotRegistrant => "not_registrant",
            Self::NotOpen => "request_not_open",
            Self::Changed => "request_changed",
            Self::NoInternalCode => "internal_code_missing",
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
    if matter.gives() && matter.person().is_some_and(|person| by.is(person)) {
        return Err(AccessRefusal::OwnPermission);
    }
    if matches!(matter, Matter::Permission { change: Change::Grant { verified: None }, .. }) {
        return Err(AccessRefusal::NotVerified);
    }
    Ok(Request {
        id,
        matter,
        reason: reason.chars().take(200).collect(),
        entered_by: by,
        entered: now,
        state: RequestState::Entered,
    })
}

impl Request {
    /// Whether it can still be executed.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == RequestState::Entered
            && now < self.entered.plus_seconds(REQUEST_DAYS * 86_400)
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

    /// Turns it down. One factor is enough, as for all that takes nothing into force.
    pub fn reject(&mut self, by: &Acting, now: Timestamp) -> Result<(), AccessRefusal> {
        self.another(by, now)?;
        self.state = RequestState::Rejected { by: by.person, at: now };
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
        if setting == Setting::Practitioners && !by.registrant {
            return Err(AccessRefusal::NotRegistrant);
        }
        let own = self.matter.person().is_some_and(|person| by.is(person));
        let grant = matches!(self.matter, Matter::Permission { change: Change::Grant { .. }, .. });
        if own && self.matter.gives() && !(solo && grant) {
            return Err(AccessRefusal::OwnPermission);
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
            (Change::Grant { .. }, Permission::None | Permission::Revoked { .. }) => {
                Permission::Granted { since: now, self_executed: own }
            }
            // It was taken away at once; this is the second person's confirmation.
            (Change::Revoke(_), Permission::Revoked { cause, since, confirmed: false }) => {
                Permission::Revoked { cause, since, confirmed: true }
            }
            (Change::Revoke(cause), Permission::Granted { .. }) => {
                Permission::Revoked { cause, since: now, confirmed: true }
            }
            _ => return Err(AccessRefusal::NoChange),
        };
        self.state = RequestState::Executed { by: by.person, at: now };
        Ok(())
    }

    /// Executes a request about a role or a provider: what it says is then to be done.
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
        *permission = Permission::Revoked { cause, since: now, confirmed: false };
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
            npi: None,
            email: None,
            registrant,
            designated: true,
        }
    }

    fn subject(person: &Acting) -> Subject {
        Subject {
            person: person.clone(),
            dea: "AB1234563".parse().unwrap(),
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
        let npi: Npi = "1234567893".parse().unwrap();
        let mut office = somebody(true);
        office.npi = Some(npi);
        office.email = Some("Ruth@clinic.example".to_owned());
        let mut by_npi = somebody(true);
        by_npi.npi = Some(npi);
        let mut by_email = somebody(true);
        by_email.email = Some(" ruth@CLINIC.example".to_owned());
        for other in [office.clone(), by_npi, by_email] {
            let (mut permission, mut request) =
                (Permission::None, entered(&office, &new, VERIFIED()));
            let refused = execute(&mut request, &mut permission, &other);
            assert_eq!(refused, Err(AccessRefusal::SamePerson));
            assert_eq!(request.reject(&other, at(60)), Err(AccessRefusal::SamePerson));
            assert!(!permission.allows());
        }
        // Two without NPI and address are not the same for that.
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
            let first = Permission::Revoked { cause, since: at(10), confirmed: false };
            assert_eq!(permission, first);
            // A second cause does not hide the first.
            revoke_now(&mut permission, Cause::Left, at(20));
            assert_eq!(permission, first);
            // Who reported it can't give it back; another confirms the record.
            let mut request = entered(&office, &holder, Change::Revoke(cause));
            execute(&mut request, &mut permission, &doctor).unwrap();
            assert_eq!(permission, Permission::Revoked { cause, since: at(10), confirmed: true });
            let mut grant = entered(&office, &holder, VERIFIED());
            assert!(!permission.allows());
            execute(&mut grant, &mut permission, &doctor).unwrap();
            assert!(permission.allows());
        }
    }

    /// Shows: R-1311.120-b5
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
        let changes: [fn(&mut Request); 5] = [
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
        request.reject(&doctor, at(60)).unwrap();
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

    proptest! {
        /// Whatever a group of people tries, nobody gets a permission without two different people, a
        /// registrant among them who is not the holder.
        #[test]
        fn no_sequence_grants_without_two(acts in prop::collection::vec((0usize..4, 0u8..4, any::<bool>()), 1..40)) {
            let npi: Npi = "1234567893".parse().unwrap();
            let mut people = [somebody(false), somebody(true), somebody(false), somebody(true)];
            // The last two accounts are one person.
            people[2].npi = Some(npi);
            people[3].npi = Some(npi);
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
                        let _ = request.reject(by, at(5));
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

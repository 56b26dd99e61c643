//! Invitations, what people say of themselves, proofing cases, and codes on their way.

use countersign_domain::{
    CaseId, DeaRegistration, InvitationId, PersonId, PracticeId, SessionRowId, StateLicence,
    Timestamp,
    enrolment::{Invitation, InvitationState},
    proofing::Channel,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, Paper, Person, Tx,
    tx::{Sql, locking, sql},
    value::{Columns, P, Row},
};

/// What is known of somebody; sealed in its row.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Given name.
    pub given: String,
    /// Middle names or initials.
    pub middle: String,
    /// Family name.
    pub family: String,
    /// Such as Jr.
    pub suffix: String,
    /// Date of birth as `YYYY-MM-DD`; empty where it is not known.
    pub born: String,
    /// Postal address in one line.
    pub address: String,
    /// Telephone number (E.164); empty where there is none.
    pub phone: String,
    /// Addresses for notices, the first of which is the account's own.
    pub emails: Vec<String>,
    /// When a code that went to the telephone came back.
    pub phone_confirmed: Option<i64>,
    /// When a code that went to the postal address came back.
    pub address_confirmed: Option<i64>,
}

impl std::fmt::Debug for Profile {
    /// Personal data: never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile")
    }
}

/// What an administrator wrote into an invitation; sealed in its row.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Invited {
    /// The person as the practice knows them.
    pub profile: Profile,
    /// Roles that the invitation gives, as codes.
    pub roles: Vec<String>,
    /// The unit they work in.
    pub unit: String,
    /// Registrations: number, state, schedules, last day.
    pub registrations: Vec<[String; 4]>,
    /// Licences: state, number, last day.
    pub licences: Vec<[String; 3]>,
    /// No first enrolment: somebody with an account proves their identity again.
    #[serde(default)]
    pub again: bool,
}

impl Invited {
    /// Registrations and licences, as far as they can be read.
    pub fn papers(&self) -> Vec<Paper> {
        let dea = self.registrations.iter().filter_map(|[number, state, schedules, expires]| {
            Some(Paper::Dea(DeaRegistration {
                number: number.parse().ok()?,
                state: state.parse().ok()?,
                schedules: schedules.parse().ok()?,
                expires: expires.parse().ok()?,
                withdrawn: None,
            }))
        });
        let licences = self.licences.iter().filter_map(|[state, number, expires]| {
            Some(Paper::Licence(StateLicence {
                state: state.parse().ok()?,
                number: number.clone(),
                expires: expires.parse().ok()?,
                withdrawn: None,
            }))
        });
        dea.chain(licences).collect()
    }
}

/// An invitation as its row has it.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// Our identifier.
    pub id: InvitationId,
    /// To which practice.
    pub practice: PracticeId,
    /// Who.
    pub person: PersonId,
    /// By whom; none where the operator named the first people.
    pub invited_by: Option<PersonId>,
    /// Link, time and state, as the rules see them.
    pub invitation: Invitation,
    /// When it was made, or sent again.
    pub created: Timestamp,
    /// What it says.
    pub invited: Invited,
}

/// How far a case has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// Something is missing.
    Open,
    /// All is there.
    Complete,
    /// It was given up, or replaced by another.
    Closed,
}

impl CaseState {
    const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Closed => "closed",
        }
    }
}

/// Why a case was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CasePurpose {
    /// A first credential.
    Enrolment,
    /// A new token where none is left.
    Recovery,
    /// A new passphrase where it is forgotten.
    Passphrase,
}

impl CasePurpose {
    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Recovery => "recovery",
            Self::Passphrase => "passphrase",
        }
    }
}

/// The evidence in a case; sealed in its row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EvidenceRow {
    /// By an outside provider.
    Provider {
        /// Its address.
        issuer: String,
        /// Its name for the person.
        subject: String,
        /// The value of `acr` or `ial`.
        assurance: String,
        /// What it says of the person.
        proofed: Profile,
        /// The NPI that it says.
        npi: String,
        /// When.
        at: i64,
    },
    /// In person.
    InPerson {
        /// By whom, as an identifier.
        by: String,
        /// Of which unit.
        unit: String,
        /// What kind of photo ID.
        id_kind: String,
        /// The last four characters of its number.
        id_last_four: String,
        /// Its last day.
        id_expires: String,
        /// State authority was looked at and is in force.
        licence: bool,
        /// The registration was looked at and is in force.
        registration: bool,
        /// Privileges under the institution's registration.
        privileges: bool,
        /// Appointment with Veterans Affairs confirmed; none elsewhere.
        va_confirmed: Option<bool>,
        /// When.
        at: i64,
    },
}

/// A proofing case as its row has it.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// Our identifier.
    pub id: CaseId,
    /// In which practice.
    pub practice: PracticeId,
    /// Whose.
    pub person: PersonId,
    /// Why.
    pub purpose: CasePurpose,
    /// When.
    pub opened: Timestamp,
    /// How far it is.
    pub state: CaseState,
    /// What there is.
    pub evidence: Option<EvidenceRow>,
    /// Who accepted a near match, and when.
    pub near: Option<(PersonId, Timestamp)>,
    /// When a code to an address on record came back.
    pub address_confirmed: Option<Timestamp>,
    /// Who authorized the issue, and of which unit.
    pub issue: Option<(PersonId, String)>,
    /// When it was complete.
    pub complete_at: Option<Timestamp>,
    /// Until when a token, or a passphrase, can be set on it; once.
    pub window_until: Option<Timestamp>,
}

/// What must be remembered while somebody is at a provider; sealed in its row.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProofingTry {
    /// At which provider.
    pub issuer: String,
    /// In the ID token that comes back.
    pub nonce: String,
    /// What the challenge was made of (RFC 7636).
    pub verifier: String,
}

/// A code on its way to somebody.
#[derive(Clone)]
pub struct SentCode {
    /// What it is about: a case or a token.
    pub subject: [u8; 16],
    /// To whom.
    pub person: PersonId,
    /// In which practice.
    pub practice: PracticeId,
    /// `address` or `activation`.
    pub kind: String,
    /// The code.
    pub code: String,
    /// On which way.
    pub channel: Channel,
    /// When it was sent.
    pub sent: Timestamp,
    /// Wrong tries.
    pub tries: i64,
    /// When it came back.
    pub used: Option<Timestamp>,
}

fn place(table: &str, id: &[u8]) -> Vec<u8> {
    [table.as_bytes(), b"|", id, b"|sealed"].concat()
}

macro_rules! case_query {
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT id, practice, person, purpose, opened, state, sealed, near_by, near_at, address_confirmed, "
            "issue_by, issue_unit, complete_at, window_until FROM proofing_case " $tail)
    };
}

macro_rules! invitation_query {
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT id, practice, person, invited_by, link_hash, state, created, expires, sealed FROM invitation " $tail)
    };
}

impl Tx<'_> {
    /// Seals a value for its row under the key of a practice.
    pub(crate) fn seal_json<T: Serialize>(
        &mut self,
        practice: PracticeId,
        table: &'static str,
        id: &[u8],
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let plain = serde_json::to_vec(value).map_err(|_| Error::Corrupt { column: table })?;
        let key = self.data_key(Some(practice))?;
        key.seal(&place(table, id), &plain).map_err(|_| Error::Crypto)
    }

    /// Opens what [`Tx::seal_json`] has sealed.
    pub(crate) fn open_json<T: DeserializeOwned>(
        &mut self,
        practice: PracticeId,
        table: &'static str,
        id: &[u8],
        sealed: &[u8],
    ) -> Result<T, Error> {
        let corrupt = Error::Corrupt { column: table };
        let key = self.data_key(Some(practice))?;
        let Ok(plain) = key.open(&place(table, id), sealed) else { return Err(corrupt) };
        serde_json::from_slice(plain.expose()).map_err(|_| corrupt)
    }

    /// What is known of somebody.
    pub fn profile(&mut self, person: &Person) -> Result<Option<Profile>, Error> {
        let row = self.row(
            sql!("SELECT sealed FROM person_profile WHERE person = $1"),
            &[person.id.as_bytes().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.blob(0, "person_profile.sealed")?;
        self.open_json(person.practice, "person_profile", person.id.as_bytes(), sealed).map(Some)
    }

    /// Writes what is known of somebody.
    pub fn save_profile(
        &mut self,
        person: &Person,
        to: &Profile,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Some(old) = self.profile(person)? {
            self.keep_former_marks(person, &old, to, now)?;
        }
        let sealed = self.seal_json(person.practice, "person_profile", person.id.as_bytes(), to)?;
        self.run_one(
            sql!("INSERT INTO person_profile (person, sealed, changed) VALUES ($1, $2, $3) "
                "ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed"),
            &[person.id.as_bytes().into(), sealed.as_slice().into(), now.micros().into()],
        )
    }

    /// Notes that somebody accepted the terms of a version.
    pub fn accept_terms(
        &mut self,
        person: PersonId,
        version: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            sql!("INSERT INTO terms_accepted (person, version, at) VALUES ($1, $2, $3) "
                "ON CONFLICT (person, version) DO NOTHING"),
            &[person.as_bytes().into(), version.into(), now.micros().into()],
        )
        .map(drop)
    }

    /// Whether somebody accepted the terms of a version.
    pub fn terms_accepted(&mut self, person: PersonId, version: &str) -> Result<bool, Error> {
        let found = self.row(
            sql!("SELECT at FROM terms_accepted WHERE person = $1 AND version = $2"),
            &[person.as_bytes().into(), version.into()],
        )?;
        Ok(found.is_some())
    }

    /// Makes an invitation.
    pub fn create_invitation(&mut self, it: &InvitationRow) -> Result<(), Error> {
        let sealed = self.seal_json(it.practice, "invitation", it.id.as_bytes(), &it.invited)?;
        self.run(
            sql!("INSERT INTO invitation (id, practice, person, invited_by, link_hash, state, created, expires, sealed) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_bytes().into(),
                it.invited_by.as_ref().map(|id| id.as_bytes()).into(),
                (&it.invitation.link).into(),
                invitation_code(it.invitation.state).into(),
                it.created.micros().into(),
                it.invitation.expires.micros().into(),
                sealed.as_slice().into(),
            ],
        )
        .map(drop)
    }

    /// Writes link, time and state of an invitation.
    pub fn save_invitation(&mut self, it: &InvitationRow, now: Timestamp) -> Result<(), Error> {
        let accepted = (it.invitation.state == InvitationState::Accepted).then(|| now.micros());
        self.run_one(
            sql!("UPDATE invitation SET link_hash = $2, state = $3, created = $4, expires = $5, accepted = $6 WHERE id = $1"),
            &[
                it.id.as_bytes().into(),
                (&it.invitation.link).into(),
                invitation_code(it.invitation.state).into(),
                it.created.micros().into(),
                it.invitation.expires.micros().into(),
                accepted.into(),
            ],
        )
    }

    fn invitations(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<InvitationRow>, Error> {
        let rows = self.rows(sql, params)?;
        rows.iter().map(|row| self.invitation_row(row)).collect()
    }

    fn invitation_row(&mut self, row: &Row) -> Result<InvitationRow, Error> {
        let column = "invitation.state";
        let state = match row.text(5, column)? {
            "open" => InvitationState::Open,
            "accepted" => InvitationState::Accepted,
            "revoked" => InvitationState::Revoked,
            _ => return Err(Error::Corrupt { column }),
        };
        let link = row.blob(4, "invitation.link_hash")?;
        let id = row.id(0, "invitation.id", InvitationId::from_slice)?;
        let practice = row.id(1, "invitation.practice", PracticeId::from_slice)?;
        let sealed = row.blob(8, "invitation.sealed")?;
        Ok(InvitationRow {
            id,
            practice,
            person: row.id(2, "invitation.person", PersonId::from_slice)?,
            invited_by: row.opt_id(3, "invitation.invited_by", PersonId::from_slice)?,
            invitation: Invitation {
                link: link
                    .try_into()
                    .map_err(|_| Error::Corrupt { column: "invitation.link_hash" })?,
                expires: Timestamp::from_micros(row.int(7, "invitation.expires")?),
                state,
            },
            created: Timestamp::from_micros(row.int(6, "invitation.created")?),
            invited: self.open_json(practice, "invitation", id.as_bytes(), sealed)?,
        })
    }

    /// The invitation with this link; nobody else may change it until the commit.
    pub fn invitation_by_link(&mut self, link: &[u8; 32]) -> Result<Option<InvitationRow>, Error> {
        let sql = invitation_query!(locking, "WHERE link_hash = $1");
        Ok(self.invitations(sql, &[link.into()])?.pop())
    }

    /// One invitation of a practice; nobody else may change it until the commit.
    pub fn invitation(
        &mut self,
        practice: PracticeId,
        id: InvitationId,
    ) -> Result<Option<InvitationRow>, Error> {
        let sql = invitation_query!(locking, "WHERE id = $1 AND practice = $2");
        Ok(self.invitations(sql, &[id.as_bytes().into(), practice.as_bytes().into()])?.pop())
    }

    /// The newest invitations of a practice.
    pub fn invitations_of(
        &mut self,
        practice: PracticeId,
        most: i64,
    ) -> Result<Vec<InvitationRow>, Error> {
        let sql = invitation_query!(sql, "WHERE practice = $1 ORDER BY created DESC, id LIMIT $2");
        self.invitations(sql, &[practice.as_bytes().into(), most.into()])
    }

    /// The invitations of somebody, newest first.
    pub fn invitations_for(&mut self, person: PersonId) -> Result<Vec<InvitationRow>, Error> {
        let sql = invitation_query!(sql, "WHERE person = $1 ORDER BY created DESC, id");
        self.invitations(sql, &[person.as_bytes().into()])
    }

    /// Opens a case.
    pub fn create_case(&mut self, it: &CaseRow) -> Result<(), Error> {
        self.run(
            sql!("INSERT INTO proofing_case (id, practice, person, purpose, opened, state) VALUES ($1, $2, $3, $4, $5, $6)"),
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_bytes().into(),
                it.purpose.code().into(),
                it.opened.micros().into(),
                it.state.code().into(),
            ],
        )
        .map(drop)
    }

    /// Writes all that a case can change.
    pub fn save_case(&mut self, it: &CaseRow) -> Result<(), Error> {
        let sealed = match &it.evidence {
            Some(evidence) => {
                Some(self.seal_json(it.practice, "proofing_case", it.id.as_bytes(), evidence)?)
            }
            None => None,
        };
        self.run_one(
            sql!("UPDATE proofing_case SET state = $2, sealed = $3, near_by = $4, near_at = $5, "
                "address_confirmed = $6, issue_by = $7, issue_unit = $8, complete_at = $9, window_until = $10 "
                "WHERE id = $1"),
            &[
                it.id.as_bytes().into(),
                it.state.code().into(),
                sealed.as_deref().into(),
                it.near.as_ref().map(|(by, _)| by.as_bytes()).into(),
                it.near.map(|(_, at)| at.micros()).into(),
                it.address_confirmed.map(Timestamp::micros).into(),
                it.issue.as_ref().map(|(by, _)| by.as_bytes()).into(),
                it.issue.as_ref().map(|(_, unit)| unit.as_str()).into(),
                it.complete_at.map(Timestamp::micros).into(),
                it.window_until.map(Timestamp::micros).into(),
            ],
        )
    }

    fn cases(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<CaseRow>, Error> {
        let rows = self.rows(sql, params)?;
        rows.iter().map(|row| self.case_row(row)).collect()
    }

    fn case_row(&mut self, row: &Row) -> Result<CaseRow, Error> {
        let column = "proofing_case.state";
        let state = match row.text(5, column)? {
            "open" => CaseState::Open,
            "complete" => CaseState::Complete,
            "closed" => CaseState::Closed,
            _ => return Err(Error::Corrupt { column }),
        };
        let column = "proofing_case.purpose";
        let purpose = match row.text(3, column)? {
            "enrolment" => CasePurpose::Enrolment,
            "recovery" => CasePurpose::Recovery,
            "passphrase" => CasePurpose::Passphrase,
            _ => return Err(Error::Corrupt { column }),
        };
        let id = row.id(0, "proofing_case.id", CaseId::from_slice)?;
        let practice = row.id(1, "proofing_case.practice", PracticeId::from_slice)?;
        let time = |index, column| -> Result<_, Error> {
            Ok(row.opt_int(index, column)?.map(Timestamp::from_micros))
        };
        let near_at = time(8, "proofing_case.near_at")?;
        let near_by = row.opt_id(7, "proofing_case.near_by", PersonId::from_slice)?;
        let issue_by = row.opt_id(10, "proofing_case.issue_by", PersonId::from_slice)?;
        let unit = row.opt_text(11, "proofing_case.issue_unit")?.map(str::to_owned);
        let evidence = match row.opt_blob(6, "proofing_case.sealed")? {
            Some(sealed) => {
                Some(self.open_json(practice, "proofing_case", id.as_bytes(), sealed)?)
            }
            None => None,
        };
        Ok(CaseRow {
            id,
            practice,
            person: row.id(2, "proofing_case.person", PersonId::from_slice)?,
            purpose,
            opened: Timestamp::from_micros(row.int(4, "proofing_case.opened")?),
            state,
            evidence,
            near: near_by.zip(near_at),
            address_confirmed: time(9, "proofing_case.address_confirmed")?,
            issue: issue_by.zip(unit),
            complete_at: time(12, "proofing_case.complete_at")?,
            window_until: time(13, "proofing_case.window_until")?,
        })
    }

    /// One case of a practice; nobody else may change it until the commit.
    pub fn case(&mut self, practice: PracticeId, id: CaseId) -> Result<Option<CaseRow>, Error> {
        let sql = case_query!(locking, "WHERE id = $1 AND practice = $2");
        Ok(self.cases(sql, &[id.as_bytes().into(), practice.as_bytes().into()])?.pop())
    }

    /// The cases of somebody, newest first; nobody else may change them until the commit.
    pub fn cases_for(&mut self, person: PersonId) -> Result<Vec<CaseRow>, Error> {
        let sql = case_query!(locking, "WHERE person = $1 ORDER BY opened DESC, id DESC");
        self.cases(sql, &[person.as_bytes().into()])
    }

    /// The newest cases of a practice.
    pub fn cases_of(&mut self, practice: PracticeId, most: i64) -> Result<Vec<CaseRow>, Error> {
        let sql = case_query!(sql, "WHERE practice = $1 ORDER BY opened DESC, id DESC LIMIT $2");
        self.cases(sql, &[practice.as_bytes().into(), most.into()])
    }

    /// Remembers that somebody was sent to a provider.
    pub fn begin_proofing_try(
        &mut self,
        state_hash: &[u8; 32],
        case: &CaseRow,
        session: SessionRowId,
        it: &ProofingTry,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let sealed = self.seal_json(case.practice, "proofing_try", state_hash, it)?;
        self.run(
            sql!("DELETE FROM proofing_try WHERE proofing_case = $1 OR expires < $2"),
            &[case.id.as_bytes().into(), expires.plus_seconds(-86_400).micros().into()],
        )?;
        self.run(
            sql!("INSERT INTO proofing_try (state_hash, proofing_case, practice, session, sealed, expires) "
                "VALUES ($1, $2, $3, $4, $5, $6)"),
            &[
                state_hash.into(),
                case.id.as_bytes().into(),
                case.practice.as_bytes().into(),
                session.as_bytes().into(),
                sealed.as_slice().into(),
                expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Takes back what was remembered, once: for the session that began it.
    pub fn end_proofing_try(
        &mut self,
        state_hash: &[u8; 32],
        session: SessionRowId,
        now: Timestamp,
    ) -> Result<Option<(CaseId, PracticeId, ProofingTry)>, Error> {
        let row = self.row(
            sql!("DELETE FROM proofing_try WHERE state_hash = $1 AND session = $2 AND expires > $3 "
                "RETURNING proofing_case, practice, sealed"),
            &[state_hash.into(), session.as_bytes().into(), now.micros().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let practice = row.id(1, "proofing_try.practice", PracticeId::from_slice)?;
        let it = self.open_json(
            practice,
            "proofing_try",
            state_hash,
            row.blob(2, "proofing_try.sealed")?,
        )?;
        Ok(Some((row.id(0, "proofing_try.proofing_case", CaseId::from_slice)?, practice, it)))
    }

    /// The providers that a practice accepts now: issuer, and the values that stand for IAL2.
    pub fn providers(&mut self, practice: PracticeId) -> Result<Vec<(String, String)>, Error> {
        self.rows(
            sql!("SELECT issuer, accepted FROM proofing_provider WHERE practice = $1 AND ended IS NULL ORDER BY issuer"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok((
                row.text(0, "proofing_provider.issuer")?.to_owned(),
                row.text(1, "proofing_provider.accepted")?.to_owned(),
            ))
        })
        .collect()
    }

    /// Puts a provider on the list of a practice, or another set of values in place of the old one.
    pub fn accept_provider(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        accepted: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.drop_provider(practice, issuer, now)?;
        self.run(
            sql!("INSERT INTO proofing_provider (practice, issuer, accepted, since) VALUES ($1, $2, $3, $4)"),
            &[practice.as_bytes().into(), issuer.into(), accepted.into(), now.micros().into()],
        )
        .map(drop)
    }

    /// Takes a provider off the list. `false` when it was not on it.
    pub fn drop_provider(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let ended = self.run(
            sql!("UPDATE proofing_provider SET ended = $3 WHERE practice = $1 AND issuer = $2 AND ended IS NULL"),
            &[practice.as_bytes().into(), issuer.into(), now.micros().into()],
        )?;
        Ok(ended == 1)
    }

    /// Puts a code on its way, in place of an earlier one about the same.
    pub fn send_code(&mut self, it: &SentCode) -> Result<(), Error> {
        let sealed = self.seal_json(it.practice, "sent_code", &it.subject, &it.code)?;
        self.run_one(
            sql!("INSERT INTO sent_code (subject, person, practice, kind, code_sealed, channel, sent, tries) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (subject) DO UPDATE SET "
                "person = excluded.person, practice = excluded.practice, kind = excluded.kind, "
                "code_sealed = excluded.code_sealed, channel = excluded.channel, sent = excluded.sent, "
                "tries = 0, used = NULL"),
            &[
                (&it.subject).into(),
                it.person.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.kind.as_str().into(),
                sealed.as_slice().into(),
                it.channel.code().into(),
                it.sent.micros().into(),
            ],
        )
    }

    /// The code about a case or token of somebody; nobody else may try it until the commit.
    pub fn sent_code(
        &mut self,
        subject: &[u8; 16],
        person: PersonId,
    ) -> Result<Option<SentCode>, Error> {
        let row = self.row(
            locking!("SELECT practice, kind, code_sealed, channel, sent, tries, used FROM sent_code "
                "WHERE subject = $1 AND person = $2"),
            &[subject.into(), person.as_bytes().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let practice = row.id(0, "sent_code.practice", PracticeId::from_slice)?;
        let column = "sent_code.channel";
        Ok(Some(SentCode {
            subject: *subject,
            person,
            practice,
            kind: row.text(1, "sent_code.kind")?.to_owned(),
            code: self.open_json(
                practice,
                "sent_code",
                subject,
                row.blob(2, "sent_code.code_sealed")?,
            )?,
            channel: Channel::from_code(row.text(3, column)?).ok_or(Error::Corrupt { column })?,
            sent: Timestamp::from_micros(row.int(4, "sent_code.sent")?),
            tries: row.int(5, "sent_code.tries")?,
            used: row.opt_int(6, "sent_code.used")?.map(Timestamp::from_micros),
        }))
    }

    /// Writes the tries of a code, and that it came back.
    pub fn save_sent_code(&mut self, it: &SentCode) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE sent_code SET tries = $2, used = $3 WHERE subject = $1"),
            &[(&it.subject).into(), it.tries.into(), it.used.map(Timestamp::micros).into()],
        )
    }

    /// Notes that a token is activated for signing.
    pub fn activate_token(
        &mut self,
        token: countersign_domain::TokenId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE token SET activated = $3 WHERE id = $1 AND prescriber = $2 AND activated IS NULL"),
            &[token.as_bytes().into(), person.as_bytes().into(), now.micros().into()],
        )?;
        self.refresh_signing(person)
    }
}

const fn invitation_code(state: InvitationState) -> &'static str {
    match state {
        InvitationState::Open => "open",
        InvitationState::Accepted => "accepted",
        InvitationState::Revoked => "revoked",
    }
}

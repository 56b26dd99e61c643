//! Proofing cases: how far somebody's identity proofing has come, and its evidence.

use countersign_domain::{CaseId, PersonId, PracticeId, Timestamp, proofing::CaseState};
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{
    Error, Tx,
    statements::{Sql, locking, sql, statements},
    value::{Columns, P, Row},
};

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
    /// How far it is, and since when.
    pub state: CaseState,
    /// What there is.
    pub evidence: Option<EvidenceRow>,
    /// Who accepted a near match, and when.
    pub near: Option<(PersonId, Timestamp)>,
    /// When a code to an address on record came back.
    pub address_confirmed: Option<Timestamp>,
    /// Who authorized the issue, and of which unit.
    pub issue: Option<(PersonId, String)>,
}

macro_rules! case_query {
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT id, practice, person, purpose, opened, state, sealed, near_by, near_at, address_confirmed, "
            "issue_by, issue_unit, complete_at, window_until FROM proofing_case " $tail)
    };
}

statements! {
    CREATE_CASE = sql!(
        "INSERT INTO proofing_case (id, practice, person, purpose, opened, state) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    SAVE_CASE = sql!(
        "UPDATE proofing_case SET state = $2, sealed = $3, near_by = $4, near_at = $5, "
        "address_confirmed = $6, issue_by = $7, issue_unit = $8, complete_at = $9, window_until = $10 "
        "WHERE id = $1"
    );
    CASE = case_query!(locking, "WHERE id = $1 AND practice = $2");
    CASES_FOR = case_query!(locking, "WHERE person = $1 ORDER BY opened DESC, id DESC");
    CASES_OF = case_query!(sql, "WHERE practice = $1 ORDER BY opened DESC, id DESC LIMIT $2");
}

/// Two columns that are both there or both empty.
fn pair<A, B>(a: Option<A>, b: Option<B>, column: &'static str) -> Result<Option<(A, B)>, Error> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        _ => Err(Error::corrupt(column)),
    }
}

impl Tx<'_> {
    /// Opens a case.
    pub fn create_case(&mut self, it: &CaseRow) -> Result<(), Error> {
        self.run(
            CREATE_CASE,
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
            Some(evidence) => Some(self.seal_json(
                it.practice,
                "proofing_case.sealed",
                it.id.as_bytes(),
                evidence,
            )?),
            None => None,
        };
        self.run_one(
            SAVE_CASE,
            &[
                it.id.as_bytes().into(),
                it.state.code().into(),
                sealed.as_deref().into(),
                it.near.as_ref().map(|(by, _)| by.as_bytes()).into(),
                it.near.map(|(_, at)| at.micros()).into(),
                it.address_confirmed.map(Timestamp::micros).into(),
                it.issue.as_ref().map(|(by, _)| by.as_bytes()).into(),
                it.issue.as_ref().map(|(_, unit)| unit.as_str()).into(),
                it.state.completed().map(Timestamp::micros).into(),
                it.state.window_until().map(Timestamp::micros).into(),
            ],
        )
    }

    fn cases(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<CaseRow>, Error> {
        let rows = self.rows(sql, params)?;
        rows.iter().map(|row| self.case_row(row)).collect()
    }

    fn case_row(&mut self, row: &Row) -> Result<CaseRow, Error> {
        let column = "proofing_case.purpose";
        let purpose = match row.text(3, column)? {
            "enrolment" => CasePurpose::Enrolment,
            "recovery" => CasePurpose::Recovery,
            "passphrase" => CasePurpose::Passphrase,
            _ => return Err(Error::corrupt(column)),
        };
        let id = row.id(0, "proofing_case.id", CaseId::from_slice)?;
        let practice = row.id(1, "proofing_case.practice", PracticeId::from_slice)?;
        let time = |index, column| -> Result<_, Error> {
            Ok(row.opt_int(index, column)?.map(Timestamp::from_micros))
        };
        let column = "proofing_case.state";
        let completed = time(12, "proofing_case.complete_at")?;
        let window = time(13, "proofing_case.window_until")?;
        let state = CaseState::from_parts(row.text(5, column)?, completed, window)
            .ok_or(Error::corrupt(column))?;
        let near_at = time(8, "proofing_case.near_at")?;
        let near_by = row.opt_id(7, "proofing_case.near_by", PersonId::from_slice)?;
        let issue_by = row.opt_id(10, "proofing_case.issue_by", PersonId::from_slice)?;
        let unit = row.opt_text(11, "proofing_case.issue_unit")?.map(str::to_owned);
        let evidence = match row.opt_blob(6, "proofing_case.sealed")? {
            Some(sealed) => {
                Some(self.open_json(practice, "proofing_case.sealed", id.as_bytes(), sealed)?)
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
            near: pair(near_by, near_at, "proofing_case.near_at")?,
            address_confirmed: time(9, "proofing_case.address_confirmed")?,
            issue: pair(issue_by, unit, "proofing_case.issue_unit")?,
        })
    }

    /// One case of a practice; nobody else may change it until the commit.
    pub fn case(&mut self, practice: PracticeId, id: CaseId) -> Result<Option<CaseRow>, Error> {
        Ok(self.cases(CASE, &[id.as_bytes().into(), practice.as_bytes().into()])?.pop())
    }

    /// The cases of somebody, newest first; nobody else may change them until the commit.
    pub fn cases_for(&mut self, person: PersonId) -> Result<Vec<CaseRow>, Error> {
        self.cases(CASES_FOR, &[person.as_bytes().into()])
    }

    /// The newest cases of a practice.
    pub fn cases_of(&mut self, practice: PracticeId, most: i64) -> Result<Vec<CaseRow>, Error> {
        self.cases(CASES_OF, &[practice.as_bytes().into(), most.into()])
    }
}

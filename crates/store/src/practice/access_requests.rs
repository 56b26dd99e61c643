//! Changes that two people make: what one person has entered and another one decides on.

use countersign_domain::{AuthorityId, PersonId, PracticeId, RequestId, Timestamp};

use super::access_change::AccessChange;
use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{Sql, sql, statements},
    value::{Declared, Row},
};

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStage {
    /// Somebody has entered it.
    Entered,
    /// It was executed.
    Executed,
    /// It was turned down.
    Rejected,
    /// Whoever entered it has withdrawn it.
    Withdrawn,
    /// Something newer was decided.
    Overtaken,
}

impl RequestStage {
    const fn code(self) -> &'static str {
        match self {
            Self::Entered => "entered",
            Self::Executed => "executed",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Overtaken => "overtaken",
        }
    }
}

/// A request as its row has it. The rules read it with the people as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Our identifier.
    pub id: RequestId,
    /// In which practice.
    pub practice: PracticeId,
    /// Whom it is about.
    pub person: Option<PersonId>,
    /// Which registration.
    pub authority: Option<AuthorityId>,
    /// What is asked for.
    pub change: AccessChange,
    /// Why.
    pub reason: String,
    /// By whom.
    pub entered_by: PersonId,
    /// When.
    pub entered: Timestamp,
    /// How far it is.
    pub stage: RequestStage,
    /// Who decided, and when.
    pub decided: Option<(PersonId, Timestamp)>,
}

fn request(row: &Row) -> Result<RequestRow, Error> {
    let stage = match row.get(REQUEST_ROW.state)? {
        "entered" => RequestStage::Entered,
        "executed" => RequestStage::Executed,
        "rejected" => RequestStage::Rejected,
        "withdrawn" => RequestStage::Withdrawn,
        "overtaken" => RequestStage::Overtaken,
        _ => return Err(row.corrupt(REQUEST_ROW.state)),
    };
    let change = AccessChange::from_json(row.get(REQUEST_ROW.body)?)
        .ok_or_else(|| row.corrupt(REQUEST_ROW.body))?;
    Ok(RequestRow {
        id: row.get_id(REQUEST_ROW.id, RequestId::from_slice)?,
        practice: row.get_id(REQUEST_ROW.practice, PracticeId::from_slice)?,
        person: row.get_opt_id(REQUEST_ROW.person, PersonId::from_slice)?,
        authority: row.get_opt_id(REQUEST_ROW.authority, AuthorityId::from_slice)?,
        change,
        reason: row.string(REQUEST_ROW.reason)?,
        entered_by: row.get_id(REQUEST_ROW.entered_by, PersonId::from_slice)?,
        entered: row.time(REQUEST_ROW.entered)?,
        stage,
        decided: row
            .get_opt_id(REQUEST_ROW.decided_by, PersonId::from_slice)?
            .zip(row.opt_time(REQUEST_ROW.decided)?),
    })
}

columns! {
    /// What is read of a change that two people make.
    REQUEST_ROW: RequestColumns from "access_request" by id {
        id: Blob,
        practice: Blob,
        person: Opt<Blob>,
        authority: Opt<Blob>,
        body: Text,
        reason: Text,
        entered_by: Blob,
        entered: Int,
        state: Text,
        decided_by: Opt<Blob>,
        decided: Opt<Int>,
    }
}

statements! {
    CREATE_REQUEST = sql!(
        "INSERT INTO access_request (id, practice, kind, person, authority, body, reason, entered_by, "
        "entered, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'entered')"
    );
    REQUEST = select!(RequestColumns, locking "WHERE id = $1 AND practice = $2");
    REQUESTS = select!(RequestColumns, "WHERE practice = $1 ORDER BY entered DESC, id DESC LIMIT $2");
    OPEN_REQUESTS_ABOUT = select!(RequestColumns, "WHERE person = $1 AND state = 'entered' ORDER BY entered, id");
    // Rows that refer to the practice are written meanwhile all the same.
    TURN = Sql::pair(
        "SELECT id FROM practice WHERE id = $1",
        "SELECT id FROM practice WHERE id = $1 FOR NO KEY UPDATE",
    );
    OPEN_REQUESTS = select!(RequestColumns, "WHERE practice = $1 AND state = 'entered' ORDER BY entered, id");
    DECIDE_REQUEST = sql!(
        "UPDATE access_request SET state = $2, decided_by = $3, decided = $4 WHERE id = $1 AND state = 'entered'"
    );
}

impl Tx<'_> {
    /// Enters a change that two people make.
    pub fn create_request(&mut self, it: &RequestRow) -> Result<(), Error> {
        let body = it.change.to_json().ok_or(Error::corrupt("access_request.body"))?;
        self.run(
            CREATE_REQUEST,
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.change.kind().into(),
                it.person.as_ref().map(|id| id.as_bytes()).into(),
                it.authority.as_ref().map(|id| id.as_bytes()).into(),
                body.as_str().into(),
                it.reason.as_str().into(),
                it.entered_by.as_bytes().into(),
                it.entered.micros().into(),
            ],
        )
        .map(drop)
    }

    /// One change of a practice; nobody else may decide on it until the commit.
    pub fn request(
        &mut self,
        practice: PracticeId,
        id: RequestId,
    ) -> Result<Option<RequestRow>, Error> {
        self.row(REQUEST, &[id.as_bytes().into(), practice.as_bytes().into()])?
            .as_ref()
            .map(request)
            .transpose()
    }

    /// The newest changes of a practice, at most `most`.
    pub fn requests(&mut self, practice: PracticeId, most: i64) -> Result<Vec<RequestRow>, Error> {
        self.rows(REQUESTS, &[practice.as_bytes().into(), most.into()])?
            .iter()
            .map(request)
            .collect()
    }

    /// The changes about somebody, in all practices, on which nobody has decided.
    pub fn open_requests_about(&mut self, person: PersonId) -> Result<Vec<RequestRow>, Error> {
        self.rows(OPEN_REQUESTS_ABOUT, &[person.as_bytes().into()])?.iter().map(request).collect()
    }

    /// The changes of a practice on which nobody has decided, the oldest first. Whoever else asks for them waits until the
    /// commit, so that two people who enter one change at the same moment take turns.
    pub fn open_requests(&mut self, practice: PracticeId) -> Result<Vec<RequestRow>, Error> {
        self.row(TURN, &[practice.as_bytes().into()])?;
        self.rows(OPEN_REQUESTS, &[practice.as_bytes().into()])?.iter().map(request).collect()
    }

    /// Decides on a change: once. Nobody does where something newer has closed it.
    pub fn decide_request(
        &mut self,
        id: RequestId,
        stage: RequestStage,
        by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if stage == RequestStage::Entered {
            return Err(Self::broken("a decision is none"));
        }
        let state = stage.code();
        self.run_one(
            DECIDE_REQUEST,
            &[
                id.as_bytes().into(),
                state.into(),
                by.as_ref().map(|id| id.as_bytes()).into(),
                now.micros().into(),
            ],
        )
    }
}

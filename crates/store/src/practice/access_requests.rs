//! Changes that two people make: what one person has entered and another one decides on.

use countersign_domain::{AuthorityId, PersonId, PracticeId, RequestId, Timestamp};

use super::{opt_time, time};
use crate::{
    Error, Tx,
    statements::{Sql, locking, sql, statements},
    value::{Columns, Row},
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
    pub body: RequestBody,
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

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RequestBody {
    /// A permission is given.
    Grant {
        /// The day on which registration and licence were looked at.
        verified: String,
        /// What the registration said then; empty in requests of before.
        #[serde(default)]
        registration: String,
    },
    /// A permission is taken, or its taking is confirmed.
    Revoke {
        /// Why, as a code.
        cause: String,
    },
    /// A role is given or taken.
    Role {
        /// Which, as a code.
        role: String,
        /// The unit.
        unit: String,
        /// Given.
        give: bool,
    },
    /// A proofing provider is put on the list, or taken off.
    Provider {
        /// Its address.
        issuer: String,
        /// The values that stand for IAL2, with spaces between.
        accepted: String,
        /// Put on.
        give: bool,
    },
    /// A registration or licence holds longer, or for more.
    Paper {
        /// What it is to be, as [`Paper::parts`](crate::Paper::parts) has it.
        paper: [String; 5],
        /// What it said when this was entered; empty where there was none.
        before: String,
    },
}

impl RequestBody {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::Role { .. } => "role",
            Self::Provider { .. } => "provider",
            Self::Paper { .. } => "paper",
        }
    }
}

fn request(row: &Row) -> Result<RequestRow, Error> {
    let column = "access_request.state";
    let stage = match row.text(8, column)? {
        "entered" => RequestStage::Entered,
        "executed" => RequestStage::Executed,
        "rejected" => RequestStage::Rejected,
        "withdrawn" => RequestStage::Withdrawn,
        "overtaken" => RequestStage::Overtaken,
        _ => return Err(Error::Corrupt { column }),
    };
    let body = serde_json::from_str(row.text(4, "access_request.body")?)
        .map_err(|_| Error::Corrupt { column: "access_request.body" })?;
    Ok(RequestRow {
        id: row.id(0, "access_request.id", RequestId::from_slice)?,
        practice: row.id(1, "access_request.practice", PracticeId::from_slice)?,
        person: row.opt_id(2, "access_request.person", PersonId::from_slice)?,
        authority: row.opt_id(3, "access_request.authority", AuthorityId::from_slice)?,
        body,
        reason: row.text(5, "access_request.reason")?.to_owned(),
        entered_by: row.id(6, "access_request.entered_by", PersonId::from_slice)?,
        entered: time(row, 7, "access_request.entered")?,
        stage,
        decided: row.opt_id(9, "access_request.decided_by", PersonId::from_slice)?.zip(opt_time(
            row,
            10,
            "access_request.decided",
        )?),
    })
}

statements! {
    CREATE_REQUEST = sql!(
        "INSERT INTO access_request (id, practice, kind, person, authority, body, reason, entered_by, "
        "entered, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'entered')"
    );
    REQUEST = locking!(
        "SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
        "decided_by, decided FROM access_request WHERE id = $1 AND practice = $2"
    );
    REQUESTS = sql!(
        "SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
        "decided_by, decided FROM access_request WHERE practice = $1 ORDER BY entered DESC, id DESC LIMIT $2"
    );
    OPEN_REQUESTS_ABOUT = sql!(
        "SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
        "decided_by, decided FROM access_request WHERE person = $1 AND state = 'entered' ORDER BY entered, id"
    );
    // Rows that refer to the practice are written meanwhile all the same.
    TURN = Sql::pair(
        "SELECT id FROM practice WHERE id = $1",
        "SELECT id FROM practice WHERE id = $1 FOR NO KEY UPDATE",
    );
    OPEN_REQUESTS = sql!(
        "SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
        "decided_by, decided FROM access_request WHERE practice = $1 AND state = 'entered' ORDER BY entered, id"
    );
    DECIDE_REQUEST = sql!(
        "UPDATE access_request SET state = $2, decided_by = $3, decided = $4 WHERE id = $1 AND state = 'entered'"
    );
}

impl Tx<'_> {
    /// Enters a change that two people make.
    pub fn create_request(&mut self, it: &RequestRow) -> Result<(), Error> {
        let body = serde_json::to_string(&it.body)
            .map_err(|_| Error::Corrupt { column: "access_request.body" })?;
        self.run(
            CREATE_REQUEST,
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.body.kind().into(),
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

//! Invitations to a practice.

use countersign_domain::{
    DeaRegistration, InvitationId, PersonId, PracticeId, StateLicence, Timestamp,
    enrolment::{Invitation, InvitationState},
};
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{
    Error, Paper, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{Sql, sql, statements},
    value::{Declared, P, Row},
};

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

columns! {
    /// What is read of an invitation.
    INVITATION_ROW: InvitationColumns from "invitation" by id {
        id: Blob,
        practice: Blob,
        person: Blob,
        invited_by: Opt<Blob>,
        link_hash: Blob,
        state: Text,
        created: Int,
        expires: Int,
        sealed: Blob,
    }
}

statements! {
    CREATE_INVITATION = sql!(
        "INSERT INTO invitation (id, practice, person, invited_by, link_hash, state, created, expires, sealed) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    );
    SAVE_INVITATION = sql!(
        "UPDATE invitation SET link_hash = $2, state = $3, created = $4, expires = $5, accepted = $6 WHERE id = $1"
    );
    INVITATION_BY_LINK = select!(InvitationColumns, locking "WHERE link_hash = $1");
    INVITATION = select!(InvitationColumns, locking "WHERE id = $1 AND practice = $2");
    INVITATIONS_OF = select!(InvitationColumns, "WHERE practice = $1 ORDER BY created DESC, id LIMIT $2");
    INVITATIONS_FOR = select!(InvitationColumns, "WHERE person = $1 ORDER BY created DESC, id");
}

impl Tx<'_> {
    /// Makes an invitation.
    pub fn create_invitation(&mut self, it: &InvitationRow) -> Result<(), Error> {
        let sealed =
            self.seal_json(it.practice, "invitation.sealed", it.id.as_bytes(), &it.invited)?;
        self.run(
            CREATE_INVITATION,
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
            SAVE_INVITATION,
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
        let state = match row.get(INVITATION_ROW.state)? {
            "open" => InvitationState::Open,
            "accepted" => InvitationState::Accepted,
            "revoked" => InvitationState::Revoked,
            _ => return Err(row.corrupt(INVITATION_ROW.state)),
        };
        let link = row.get(INVITATION_ROW.link_hash)?;
        let id = row.get_id(INVITATION_ROW.id, InvitationId::from_slice)?;
        let practice = row.get_id(INVITATION_ROW.practice, PracticeId::from_slice)?;
        let sealed = row.get(INVITATION_ROW.sealed)?;
        Ok(InvitationRow {
            id,
            practice,
            person: row.get_id(INVITATION_ROW.person, PersonId::from_slice)?,
            invited_by: row.get_opt_id(INVITATION_ROW.invited_by, PersonId::from_slice)?,
            invitation: Invitation {
                link: link.try_into().map_err(|_| row.corrupt(INVITATION_ROW.link_hash))?,
                expires: row.time(INVITATION_ROW.expires)?,
                state,
            },
            created: row.time(INVITATION_ROW.created)?,
            invited: self.open_json(practice, "invitation.sealed", id.as_bytes(), sealed)?,
        })
    }

    /// The invitation with this link; nobody else may change it until the commit.
    pub fn invitation_by_link(&mut self, link: &[u8; 32]) -> Result<Option<InvitationRow>, Error> {
        Ok(self.invitations(INVITATION_BY_LINK, &[link.into()])?.pop())
    }

    /// One invitation of a practice; nobody else may change it until the commit.
    pub fn invitation(
        &mut self,
        practice: PracticeId,
        id: InvitationId,
    ) -> Result<Option<InvitationRow>, Error> {
        Ok(self.invitations(INVITATION, &[id.as_bytes().into(), practice.as_bytes().into()])?.pop())
    }

    /// The newest invitations of a practice.
    pub fn invitations_of(
        &mut self,
        practice: PracticeId,
        most: i64,
    ) -> Result<Vec<InvitationRow>, Error> {
        self.invitations(INVITATIONS_OF, &[practice.as_bytes().into(), most.into()])
    }

    /// The invitations of somebody, newest first.
    pub fn invitations_for(&mut self, person: PersonId) -> Result<Vec<InvitationRow>, Error> {
        self.invitations(INVITATIONS_FOR, &[person.as_bytes().into()])
    }
}

const fn invitation_code(state: InvitationState) -> &'static str {
    match state {
        InvitationState::Open => "open",
        InvitationState::Accepted => "accepted",
        InvitationState::Revoked => "revoked",
    }
}

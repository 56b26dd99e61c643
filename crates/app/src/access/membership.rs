//! Who acts in the console of a practice, with which roles, and what the console shows them.

use countersign_domain::{PersonId, PracticeId, Role, command::commands};
use countersign_store::{
    Authority, CodeRow, Deadline, Listed, Member, PermissionRow, Practice, RequestRow, Tx,
};

use super::matter::still_waits;
use crate::{
    Act, App, At, Error,
    command::{Caller, Decision},
};

/// Those who search the signed records of a practice, hold them, and hear of them.
pub(crate) const RECORD_ROLES: [Role; 2] = [Role::Designated, Role::Administrator];

/// Where somebody acts, and as what.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The practice.
    pub practice: Practice,
    /// Who acts.
    pub person: PersonId,
    /// The roles that they have there.
    pub roles: Vec<Role>,
}

impl Membership {
    /// Whether the signed records of the practice are theirs to search: they hold health data.
    pub fn sees_records(&self) -> bool {
        self.roles.iter().any(|role| RECORD_ROLES.contains(role))
    }
}

/// All that the console of a practice shows.
#[derive(Debug, Clone)]
pub struct PracticeOverview {
    /// The practice.
    pub practice: Practice,
    /// Its people, by name.
    pub people: Vec<Listed>,
    /// All roles that there were.
    pub roles: Vec<Member>,
    /// Registrations and licences of everybody, and the institution's own.
    pub authorities: Vec<Authority>,
    /// Codes with which people prescribe under the institution's registration, those that ended too.
    pub codes: Vec<CodeRow>,
    /// Permissions.
    pub permissions: Vec<PermissionRow>,
    /// Changes that two people make, the newest first.
    pub requests: Vec<RequestRow>,
    /// What is due, the open ones first.
    pub deadlines: Vec<Deadline>,
}

impl App {
    /// The practices in which somebody has a role that opens the console, with their names and how many
    /// changes wait there for a second person.
    pub async fn memberships(
        &self,
        person: PersonId,
    ) -> Result<Vec<(PracticeId, String, usize)>, Error> {
        let now = self.clock.now();
        let found = self
            .store
            .read("memberships", move |tx| {
                let mut found: Vec<(PracticeId, String, usize)> = Vec::new();
                for (practice, member) in tx.roles_of(person)? {
                    if !member.role.opens_console() || found.iter().any(|(id, ..)| *id == practice)
                    {
                        continue;
                    }
                    let name = tx.practice_name(practice)?.unwrap_or_default();
                    let waiting = tx.requests(practice, 200)?;
                    let waiting = waiting.iter().filter(|row| still_waits(row, now));
                    found.push((practice, name, waiting.count()));
                }
                Ok(found)
            })
            .await?;
        Ok(found)
    }

    /// Where somebody acts. A practice in which they have no such role is not found.
    pub async fn membership(
        &self,
        person: PersonId,
        practice: PracticeId,
    ) -> Result<Membership, Error> {
        let found =
            self.store.read("membership", move |tx| membership(tx, person, practice)).await?;
        found.ok_or(Error::NotFound)
    }

    /// All that the console of a practice shows.
    pub async fn practice_overview(
        &self,
        membership: &Membership,
    ) -> Result<PracticeOverview, Error> {
        let practice = membership.practice.clone();
        let practice_overview = self
            .store
            .read("practice_overview", move |tx| {
                let id = practice.id;
                Ok(PracticeOverview {
                    people: tx.people_of(id)?,
                    roles: tx.roles_in(id)?,
                    authorities: tx.all_authorities(id)?,
                    codes: tx.internal_codes(id)?,
                    permissions: tx.permissions(id)?,
                    requests: tx.requests(id, 200)?,
                    deadlines: tx.deadlines(id, 200)?,
                    practice: practice.clone(),
                })
            })
            .await?;
        Ok(practice_overview)
    }

    /// Puts on record that NPI and DEA numbers of somebody were shown in full, to whom.
    pub async fn note_shown(
        &self,
        act: Act,
        whose: Option<PersonId>,
        what: String,
        at: At,
    ) -> Result<(), Error> {
        let caller = Caller::Member(Box::new(act));
        self.run(commands::NOTE_IDENTIFIERS_SHOWN, caller, at, move |cx| {
            cx.about(whose);
            cx.detail(&what);
            Ok(Decision::Done(()))
        })
        .await?
        .certain()
    }
}

pub(crate) fn membership(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
) -> Result<Option<Membership>, countersign_store::Error> {
    let roles: Vec<Role> = tx
        .roles_of(person)?
        .into_iter()
        .filter(|(place, _)| *place == practice)
        .map(|(_, member)| member.role)
        .collect();
    if !roles.iter().any(|role| role.opens_console()) {
        return Ok(None);
    }
    Ok(tx.practice(practice)?.map(|practice| Membership { practice, person, roles }))
}

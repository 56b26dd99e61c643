//! DEA registrations and state licences as rows: of people, and of institutions.

use countersign_domain::{
    AuthorityId, Date, DeaRegistration, PersonId, PracticeId, Standing, StateLicence, Timestamp,
    UsState,
};

use super::{Paper, parsed};
use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Declared, Row},
};

/// A registration or a licence as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Our identifier.
    pub id: AuthorityId,
    /// As which practice knows it.
    pub practice: PracticeId,
    /// Whose; none for the institution's own.
    pub person: Option<PersonId>,
    /// What it is.
    pub paper: Paper,
    /// The moment at which it no longer holds: the end of its last day there.
    pub stops_at: Timestamp,
    /// When it was found to be withdrawn.
    pub withdrawn: Option<Timestamp>,
    /// When people were last warned of its end.
    pub warned: Option<Timestamp>,
}

impl Authority {
    /// What it says, and whether it is withdrawn.
    pub fn says(&self) -> String {
        let withdrawn = if self.withdrawn.is_some() { ", withdrawn" } else { "" };
        format!("{}{withdrawn}", self.paper.says())
    }

    /// How it stands at a moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::at(self.stops_at, self.withdrawn, now)
    }

    /// Whether it holds at a moment.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.standing(now).holds()
    }
}

fn authority(row: &Row) -> Result<Authority, Error> {
    let expires: Date = row.parsed(AUTHORITY_ROW.expires)?;
    let state: UsState = row.parsed(AUTHORITY_ROW.state)?;
    let number = row.get(AUTHORITY_ROW.number)?;
    let withdrawn = row.opt_time(AUTHORITY_ROW.withdrawn)?;
    let paper = match row.get(AUTHORITY_ROW.kind)? {
        "dea" => Paper::Dea(DeaRegistration {
            number: parsed(number, "authority.number")?,
            state,
            schedules: row.parsed(AUTHORITY_ROW.schedules)?,
            expires,
            withdrawn: None,
        }),
        "licence" => Paper::Licence(StateLicence {
            state,
            number: number.to_owned(),
            expires,
            withdrawn: None,
        }),
        _ => return Err(row.corrupt(AUTHORITY_ROW.kind)),
    };
    Ok(Authority {
        id: row.get_id(AUTHORITY_ROW.id, AuthorityId::from_slice)?,
        practice: row.get_id(AUTHORITY_ROW.practice, PracticeId::from_slice)?,
        person: row.get_opt_id(AUTHORITY_ROW.person, PersonId::from_slice)?,
        paper,
        stops_at: row.time(AUTHORITY_ROW.stops_at)?,
        withdrawn,
        warned: row.opt_time(AUTHORITY_ROW.warned)?,
    })
}

columns! {
    /// What is read of a registration or license.
    AUTHORITY_ROW: AuthorityColumns from "authority" by id {
        id: Blob,
        practice: Blob,
        person: Opt<Blob>,
        kind: Text,
        number: Text,
        state: Text,
        schedules: Text,
        expires: Text,
        stops_at: Int,
        withdrawn: Opt<Int>,
        warned: Opt<Int>,
    }
}

statements! {
    CREATE_AUTHORITY = sql!(
        "INSERT INTO authority (id, practice, person, kind, number, state, schedules, expires, "
        "stops_at, withdrawn, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    SAVE_AUTHORITY = sql!(
        "UPDATE authority SET expires = $2, stops_at = $3, withdrawn = $4, warned = $5, state = $6, schedules = $7 WHERE id = $1"
    );
    IS_VOUCHED = sql!(
        "SELECT id FROM authority WHERE id = $1 AND (vouched IS NOT NULL OR EXISTS "
        "(SELECT p.authority FROM permission p WHERE p.authority = authority.id))"
    );
    IS_RELIED_ON = sql!(
        "SELECT p.authority FROM permission p JOIN authority a ON a.id = p.authority "
        "WHERE p.person = $1 AND p.practice = $2 AND a.state = $3 LIMIT 1"
    );
    ALL_AUTHORITIES = select!(AuthorityColumns, "WHERE practice = $1 ORDER BY kind, created, id");
    AUTHORITY = select!(AuthorityColumns, locking "WHERE id = $1 AND practice = $2");
    AUTHORITIES_ENDING = select!(AuthorityColumns, "WHERE stops_at < $1 AND withdrawn IS NULL AND (warned IS NULL OR warned < stops_at) ORDER BY stops_at, id LIMIT 1000");
    VOUCH = sql!("UPDATE authority SET vouched = $3 WHERE person = $1 AND practice = $2 AND vouched IS NULL");
}

impl Tx<'_> {
    /// Enters a registration or a licence.
    pub fn create_authority(&mut self, it: &Authority, now: Timestamp) -> Result<(), Error> {
        let (kind, number, schedules) = match &it.paper {
            Paper::Dea(dea) => ("dea", dea.number.as_text(), dea.schedules.to_string()),
            Paper::Licence(licence) => ("licence", licence.number.clone(), String::new()),
        };
        self.run(
            CREATE_AUTHORITY,
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_ref().map(|id| id.as_bytes()).into(),
                kind.into(),
                number.as_str().into(),
                it.paper.state().as_text().as_str().into(),
                schedules.as_str().into(),
                it.paper.expires().to_string().as_str().into(),
                it.stops_at.micros().into(),
                it.withdrawn.map(Timestamp::micros).into(),
                now.micros().into(),
            ],
        )?;
        self.signing_changed(it.person, it.practice)
    }

    /// Writes what a registration or licence says now, or that it is withdrawn.
    pub fn save_authority(&mut self, it: &Authority) -> Result<(), Error> {
        let [_, _, state, schedules, _] = it.paper.parts();
        self.run_one(
            SAVE_AUTHORITY,
            &[
                it.id.as_bytes().into(),
                it.paper.expires().to_string().as_str().into(),
                it.stops_at.micros().into(),
                it.withdrawn.map(Timestamp::micros).into(),
                it.warned.map(Timestamp::micros).into(),
                state.as_str().into(),
                schedules.as_str().into(),
            ],
        )?;
        self.signing_changed(it.person, it.practice)
    }

    /// Whether something rests on a registration or a licence: a permission that was ever decided on, or that the
    /// operator vouched for it. For a licence that is not there yet, whether a permission rests on its state.
    pub fn is_relied_on(
        &mut self,
        practice: PracticeId,
        person: Option<PersonId>,
        known: Option<AuthorityId>,
        paper: &Paper,
    ) -> Result<bool, Error> {
        if let Some(id) = known {
            let found = self.row(IS_VOUCHED, &[id.as_bytes().into()])?;
            if found.is_some() {
                return Ok(true);
            }
        }
        let (Paper::Licence(licence), Some(person)) = (paper, person) else { return Ok(false) };
        let found = self.row(
            IS_RELIED_ON,
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                licence.state.as_text().as_str().into(),
            ],
        )?;
        Ok(found.is_some())
    }

    /// Everybody's registrations and licences in a practice, and the institution's own.
    pub fn all_authorities(&mut self, practice: PracticeId) -> Result<Vec<Authority>, Error> {
        self.rows(ALL_AUTHORITIES, &[practice.as_bytes().into()])?.iter().map(authority).collect()
    }

    /// What somebody has in a practice, or, for nobody, what the institution has.
    pub fn authorities(
        &mut self,
        practice: PracticeId,
        person: Option<PersonId>,
    ) -> Result<Vec<Authority>, Error> {
        let all = self.all_authorities(practice)?;
        Ok(all.into_iter().filter(|it| it.person == person).collect())
    }

    /// One registration or licence of a practice; nobody else may change it until the commit.
    pub fn authority(
        &mut self,
        practice: PracticeId,
        id: AuthorityId,
    ) -> Result<Option<Authority>, Error> {
        self.row(AUTHORITY, &[id.as_bytes().into(), practice.as_bytes().into()])?
            .as_ref()
            .map(authority)
            .transpose()
    }

    /// The registrations and licences that end before a moment, are not withdrawn, and of whose end
    /// nobody was told yet: for the daily watch.
    pub fn authorities_ending(&mut self, before: Timestamp) -> Result<Vec<Authority>, Error> {
        self.rows(AUTHORITIES_ENDING, &[before.micros().into()])?.iter().map(authority).collect()
    }

    /// Notes that the operator vouches for all registrations of somebody in a practice (question A10).
    pub fn vouch(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            VOUCH,
            &[person.as_bytes().into(), practice.as_bytes().into(), now.micros().into()],
        )
        .map(drop)
    }
}

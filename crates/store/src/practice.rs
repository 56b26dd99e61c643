//! Practices, roles in them, registrations, permissions, and the changes that two people make.

use countersign_crypto::random_array;
use countersign_domain::{
    AuthorityId, Date, DeaNumber, DeaRegistration, InternalCode, ModelCode, PersonId, PracticeId,
    RequestId, Role, SignInName, Standing, StateLicence, TimeZone, Timestamp, UsState,
    access::{Acting, Cause, Permission, Review, Setting},
    marks::{FORMER_DAYS, Marks},
};

use crate::{
    Error, Person, Profile, Tx,
    tx::{Sql, locking, sql},
    value::{Columns, Row},
};

/// A practice with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practice {
    /// Our identifier.
    pub id: PracticeId,
    /// Its name.
    pub name: String,
    /// By which of the two rules access is controlled and identities are proofed.
    pub setting: Setting,
    /// Where its deadlines and expiries are counted.
    pub zone: TimeZone,
    /// When its first people were named; done once.
    pub founded: Option<Timestamp>,
}

/// A role that somebody has in a practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: PersonId,
    /// Which role.
    pub role: Role,
    /// The unit they work in; may be empty.
    pub unit: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none while it lasts.
    pub ended: Option<Timestamp>,
}

/// Somebody in the list of a practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub id: PersonId,
    /// Name for pages.
    pub name: String,
    /// What they sign in with.
    pub sign_in: SignInName,
    /// Whether a passphrase was chosen.
    pub has_passphrase: bool,
    /// The account is closed.
    pub closed: bool,
}

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

/// What an [`Authority`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paper {
    /// A registration with the DEA.
    Dea(DeaRegistration),
    /// A licence of a state.
    Licence(StateLicence),
}

impl Paper {
    /// Its last day.
    pub const fn expires(&self) -> Date {
        match self {
            Self::Dea(it) => it.expires,
            Self::Licence(it) => it.expires,
        }
    }

    /// Its state.
    pub const fn state(&self) -> UsState {
        match self {
            Self::Dea(it) => it.state,
            Self::Licence(it) => it.state,
        }
    }

    /// What it is, for pages and records; the DEA number masked.
    pub fn label(&self) -> String {
        match self {
            Self::Dea(dea) => format!("DEA registration {}", dea.number.masked()),
            Self::Licence(licence) => format!("licence of {}", licence.state.as_text()),
        }
    }

    /// The same with its number in full, for the two people who check it.
    pub fn full_label(&self) -> String {
        match self {
            Self::Dea(dea) => format!("DEA registration {}", dea.number.as_text()),
            Self::Licence(it) => format!("licence {} of {}", it.number, it.state.as_text()),
        }
    }

    /// What it says: state, schedules, last day.
    pub fn says(&self) -> String {
        match self {
            Self::Dea(it) => {
                let state = it.state.as_text();
                format!("{state}, schedules {}, last day {}", it.schedules, it.expires)
            }
            Self::Licence(it) => format!("{}, last day {}", it.state.as_text(), it.expires),
        }
    }

    /// As a request keeps it: kind, number, state, schedules, last day.
    pub fn parts(&self) -> [String; 5] {
        let (kind, number, schedules) = match self {
            Self::Dea(it) => ("dea", it.number.as_text(), it.schedules.to_string()),
            Self::Licence(it) => ("licence", it.number.clone(), String::new()),
        };
        let (state, expires) = (self.state().as_text(), self.expires().to_string());
        [kind.to_owned(), number, state, schedules, expires]
    }

    /// What a request kept; nothing where it can't be read.
    pub fn of_parts([kind, number, state, schedules, expires]: &[String; 5]) -> Option<Self> {
        let (state, expires) = (state.parse().ok()?, expires.parse().ok()?);
        let withdrawn = None;
        Some(match kind.as_str() {
            "dea" => {
                let (number, schedules) = (number.parse().ok()?, schedules.parse().ok()?);
                Self::Dea(DeaRegistration { number, state, schedules, expires, withdrawn })
            }
            "licence" => {
                let number = number.clone();
                Self::Licence(StateLicence { state, number, expires, withdrawn })
            }
            _ => return None,
        })
    }

    /// Whether it holds longer, or for more, than another: a later last day, a schedule more, another state.
    pub fn is_wider(&self, than: &Self) -> bool {
        let more = match (self, than) {
            (Self::Dea(one), Self::Dea(two)) => !one.schedules.within(two.schedules),
            _ => false,
        };
        more || self.state() != than.state() || self.expires() > than.expires()
    }

    /// What holds by this one and by another, which is the same one: the earlier last day, the schedules of both.
    /// Nothing where no schedule is left.
    pub fn narrowed(&self, by: &Self) -> Option<Self> {
        let expires = self.expires().min(by.expires());
        match (self, by) {
            (Self::Dea(one), Self::Dea(two)) => {
                let schedules = one.schedules.common(two.schedules)?;
                Some(Self::Dea(DeaRegistration { schedules, expires, ..one.clone() }))
            }
            (Self::Licence(one), _) => Some(Self::Licence(StateLicence { expires, ..one.clone() })),
            (Self::Dea(_), Self::Licence(_)) => None,
        }
    }

    /// Whether it is the same one, though its last day may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dea(one), Self::Dea(two)) => one.number == two.number,
            (Self::Licence(one), Self::Licence(two)) => {
                one.state == two.state && one.number == two.number
            }
            _ => false,
        }
    }

    /// The DEA number, where it is one.
    pub const fn dea(&self) -> Option<DeaNumber> {
        match self {
            Self::Dea(it) => Some(it.number),
            Self::Licence(_) => None,
        }
    }
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

/// The code of somebody who prescribes under an institution's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// The code.
    pub code: InternalCode,
    /// Whose.
    pub person: PersonId,
    /// When it was entered, or entered again.
    pub entered: Timestamp,
    /// By whom.
    pub entered_by: PersonId,
    /// Since when it is no longer theirs to use; none while it is.
    pub ended: Option<Timestamp>,
}

/// A permission with what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionRow {
    /// Whose.
    pub person: PersonId,
    /// For which registration.
    pub authority: AuthorityId,
    /// How it stands.
    pub permission: Permission,
}

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
        /// What it is to be, as [`Paper::parts`] has it.
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

const fn setting_code(setting: Setting) -> &'static str {
    match setting {
        Setting::Practitioners => "practitioners",
        Setting::Institution => "institution",
    }
}

fn parsed<T: std::str::FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Corrupt { column })
}

fn time(row: &Row, index: usize, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.int(index, column)?))
}

fn opt_time(row: &Row, index: usize, column: &'static str) -> Result<Option<Timestamp>, Error> {
    Ok(row.opt_int(index, column)?.map(Timestamp::from_micros))
}

fn practice(row: &Row) -> Result<Practice, Error> {
    let column = "practice.setting";
    Ok(Practice {
        id: row.id(0, "practice.id", PracticeId::from_slice)?,
        name: row.text(1, "practice.name")?.to_owned(),
        setting: match row.text(2, column)? {
            "practitioners" => Setting::Practitioners,
            "institution" => Setting::Institution,
            _ => return Err(Error::Corrupt { column }),
        },
        zone: parsed(row.text(3, "practice.time_zone")?, "practice.time_zone")?,
        founded: opt_time(row, 4, "practice.founded")?,
    })
}

fn member(row: &Row) -> Result<Member, Error> {
    let column = "practice_role.role";
    Ok(Member {
        person: row.id(0, "practice_role.person", PersonId::from_slice)?,
        role: Role::from_code(row.text(1, column)?).ok_or(Error::Corrupt { column })?,
        unit: row.text(2, "practice_role.unit")?.to_owned(),
        since: time(row, 3, "practice_role.since")?,
        ended: opt_time(row, 4, "practice_role.ended")?,
    })
}

fn authority(row: &Row) -> Result<Authority, Error> {
    let expires: Date = parsed(row.text(7, "authority.expires")?, "authority.expires")?;
    let state: UsState = parsed(row.text(5, "authority.state")?, "authority.state")?;
    let number = row.text(4, "authority.number")?;
    let withdrawn = opt_time(row, 9, "authority.withdrawn")?;
    let paper = match row.text(3, "authority.kind")? {
        "dea" => Paper::Dea(DeaRegistration {
            number: parsed(number, "authority.number")?,
            state,
            schedules: parsed(row.text(6, "authority.schedules")?, "authority.schedules")?,
            expires,
            withdrawn: None,
        }),
        "licence" => Paper::Licence(StateLicence {
            state,
            number: number.to_owned(),
            expires,
            withdrawn: None,
        }),
        _ => return Err(Error::Corrupt { column: "authority.kind" }),
    };
    Ok(Authority {
        id: row.id(0, "authority.id", AuthorityId::from_slice)?,
        practice: row.id(1, "authority.practice", PracticeId::from_slice)?,
        person: row.opt_id(2, "authority.person", PersonId::from_slice)?,
        paper,
        stops_at: time(row, 8, "authority.stops_at")?,
        withdrawn,
        warned: opt_time(row, 10, "authority.warned")?,
    })
}

fn permission(row: &Row, at: usize) -> Result<Permission, Error> {
    let column = "permission.state";
    let since = time(row, at + 2, "permission.since")?;
    let flag = |index, column| -> Result<bool, Error> { Ok(row.int(index, column)? != 0) };
    Ok(match row.text(at, column)? {
        "granted" => {
            Permission::Granted { since, self_executed: flag(at + 3, "permission.self_executed")? }
        }
        "revoked" => Permission::Revoked {
            cause: row
                .opt_text(at + 1, "permission.cause")?
                .and_then(Cause::from_code)
                .ok_or(Error::Corrupt { column: "permission.cause" })?,
            since,
            review: match row.int(at + 4, "permission.confirmed")? {
                0 => Review::Waiting,
                1 => Review::Confirmed,
                2 => Review::Mistaken,
                _ => return Err(Error::Corrupt { column: "permission.confirmed" }),
            },
        },
        _ => return Err(Error::Corrupt { column }),
    })
}

fn code(row: &Row) -> Result<CodeRow, Error> {
    Ok(CodeRow {
        code: parsed(row.text(0, "internal_code.code")?, "internal_code.code")?,
        person: row.id(1, "internal_code.person", PersonId::from_slice)?,
        entered: time(row, 2, "internal_code.entered")?,
        entered_by: row.id(3, "internal_code.entered_by", PersonId::from_slice)?,
        ended: opt_time(row, 4, "internal_code.ended")?,
    })
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

/// What of a profile tells that two accounts are one person's.
pub fn marks_of(profile: &Profile) -> Marks {
    let mut marks = Marks::default();
    profile.emails.iter().for_each(|address| marks.email(address));
    marks.phone(&profile.phone);
    if let Ok(born) = profile.born.parse() {
        marks.born(&profile.given, &profile.family, born);
    }
    marks
}

impl Tx<'_> {
    /// A practice with its rules.
    pub fn practice(&mut self, id: PracticeId) -> Result<Option<Practice>, Error> {
        self.row(
            sql!("SELECT id, name, setting, time_zone, founded FROM practice WHERE id = $1"),
            &[id.as_bytes().into()],
        )?
        .as_ref()
        .map(practice)
        .transpose()
    }

    /// Writes by which rules a practice works, and where.
    pub fn save_practice_rules(
        &mut self,
        id: PracticeId,
        setting: Setting,
        zone: &TimeZone,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE practice SET setting = $2, time_zone = $3 WHERE id = $1"),
            &[id.as_bytes().into(), setting_code(setting).into(), zone.name().into()],
        )
    }

    /// Notes that the first people of a practice are named. `false` when that was done before.
    pub fn found_practice(&mut self, id: PracticeId, now: Timestamp) -> Result<bool, Error> {
        let done = self.run(
            sql!("UPDATE practice SET founded = $2 WHERE id = $1 AND founded IS NULL"),
            &[id.as_bytes().into(), now.micros().into()],
        )?;
        Ok(done == 1)
    }

    /// Gives somebody a role. `false` when they have it.
    pub fn give_role(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        role: Role,
        unit: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let had = self.row(
            sql!("SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND role = $3 AND ended IS NULL"),
            &[person.as_bytes().into(), practice.as_bytes().into(), role.code().into()],
        )?;
        if had.is_some() {
            return Ok(false);
        }
        self.run(
            sql!("INSERT INTO practice_role (person, practice, role, unit, since) VALUES ($1, $2, $3, $4, $5)"),
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                role.code().into(),
                unit.into(),
                now.micros().into(),
            ],
        )?;
        Ok(true)
    }

    /// Takes a role from somebody. `false` when they don't have it.
    pub fn end_role(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        role: Role,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let ended = self.run(
            sql!("UPDATE practice_role SET ended = $4 WHERE person = $1 AND practice = $2 AND role = $3 "
                "AND ended IS NULL"),
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                role.code().into(),
                now.micros().into(),
            ],
        )?;
        Ok(ended == 1)
    }

    /// The roles that somebody has now, in all practices.
    pub fn roles_of(&mut self, person: PersonId) -> Result<Vec<(PracticeId, Member)>, Error> {
        self.rows(
            sql!("SELECT person, role, unit, since, ended, practice FROM practice_role "
                "WHERE person = $1 AND ended IS NULL ORDER BY practice, role"),
            &[person.as_bytes().into()],
        )?
        .iter()
        .map(|row| Ok((row.id(5, "practice_role.practice", PracticeId::from_slice)?, member(row)?)))
        .collect()
    }

    /// All roles that there ever were in a practice, oldest first (21 CFR 1311.130(c): who could do
    /// what at a past date).
    pub fn roles_in(&mut self, practice: PracticeId) -> Result<Vec<Member>, Error> {
        self.rows(
            sql!("SELECT person, role, unit, since, ended FROM practice_role WHERE practice = $1 "
                "ORDER BY since, role, person"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(member)
        .collect()
    }

    /// Whether somebody has any role in a practice.
    pub fn is_member(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(
            sql!("SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND ended IS NULL LIMIT 1"),
            &[person.as_bytes().into(), practice.as_bytes().into()],
        );
        Ok(found?.is_some())
    }

    /// Whether somebody has any role in a practice, or is invited to it.
    pub fn belongs(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(
            sql!("SELECT id FROM invitation WHERE person = $1 AND practice = $2 AND state <> 'revoked' LIMIT 1"),
            &[person.as_bytes().into(), practice.as_bytes().into()],
        )?;
        Ok(found.is_some() || self.is_member(person, practice)?)
    }

    /// Whether somebody prescribes in a practice.
    pub fn prescribes(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(
            sql!("SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND role = 'prescriber' AND ended IS NULL LIMIT 1"),
            &[person.as_bytes().into(), practice.as_bytes().into()],
        );
        Ok(found?.is_some())
    }

    /// Everybody who has or had a role in a practice, or is invited, by name.
    pub fn people_of(&mut self, practice: PracticeId) -> Result<Vec<Listed>, Error> {
        self.rows(
            sql!("SELECT id, name, sign_in, passphrase, closed FROM prescriber WHERE id IN "
                "(SELECT person FROM practice_role WHERE practice = $1) OR id IN "
                "(SELECT person FROM invitation WHERE practice = $1) ORDER BY name, id"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok(Listed {
                id: row.id(0, "prescriber.id", PersonId::from_slice)?,
                name: row.text(1, "prescriber.name")?.to_owned(),
                sign_in: parsed(row.text(2, "prescriber.sign_in")?, "prescriber.sign_in")?,
                has_passphrase: !row.text(3, "prescriber.passphrase")?.is_empty(),
                closed: row.int(4, "prescriber.closed")? != 0,
            })
        })
        .collect()
    }

    /// Enters a registration or a licence.
    pub fn create_authority(&mut self, it: &Authority, now: Timestamp) -> Result<(), Error> {
        let (kind, number, schedules) = match &it.paper {
            Paper::Dea(dea) => ("dea", dea.number.as_text(), dea.schedules.to_string()),
            Paper::Licence(licence) => ("licence", licence.number.clone(), String::new()),
        };
        self.run(
            sql!("INSERT INTO authority (id, practice, person, kind, number, state, schedules, expires, "
                "stops_at, withdrawn, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"),
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
            sql!("UPDATE authority SET expires = $2, stops_at = $3, withdrawn = $4, warned = $5, state = $6, schedules = $7 WHERE id = $1"),
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
            let found = self.row(
                sql!("SELECT id FROM authority WHERE id = $1 AND (vouched IS NOT NULL OR EXISTS "
                    "(SELECT p.authority FROM permission p WHERE p.authority = authority.id))"),
                &[id.as_bytes().into()],
            )?;
            if found.is_some() {
                return Ok(true);
            }
        }
        let (Paper::Licence(licence), Some(person)) = (paper, person) else { return Ok(false) };
        let found = self.row(
            sql!("SELECT p.authority FROM permission p JOIN authority a ON a.id = p.authority "
                "WHERE p.person = $1 AND p.practice = $2 AND a.state = $3 LIMIT 1"),
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
        self.rows(
            sql!("SELECT id, practice, person, kind, number, state, schedules, expires, stops_at, withdrawn, warned "
                "FROM authority WHERE practice = $1 ORDER BY kind, created, id"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(authority)
        .collect()
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
        self.row(
            locking!("SELECT id, practice, person, kind, number, state, schedules, expires, stops_at, withdrawn, warned "
                "FROM authority WHERE id = $1 AND practice = $2"),
            &[id.as_bytes().into(), practice.as_bytes().into()],
        )?
        .as_ref()
        .map(authority)
        .transpose()
    }

    /// The registrations and licences that end before a moment, are not withdrawn, and of whose end
    /// nobody was told yet: for the daily watch.
    pub fn authorities_ending(&mut self, before: Timestamp) -> Result<Vec<Authority>, Error> {
        self.rows(
            sql!("SELECT id, practice, person, kind, number, state, schedules, expires, stops_at, withdrawn, warned "
                "FROM authority WHERE stops_at < $1 AND withdrawn IS NULL AND (warned IS NULL OR warned < stops_at) ORDER BY stops_at, id LIMIT 1000"),
            &[before.micros().into()],
        )?
        .iter()
        .map(authority)
        .collect()
    }

    /// The codes of those who prescribe under the registration of an institution, those that ended too.
    pub fn internal_codes(&mut self, practice: PracticeId) -> Result<Vec<CodeRow>, Error> {
        self.rows(
            sql!("SELECT code, person, entered, entered_by, ended FROM internal_code WHERE practice = $1 ORDER BY code"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(code)
        .collect()
    }

    /// The code with which somebody prescribes under the registration of an institution.
    pub fn internal_code(
        &mut self,
        practice: PracticeId,
        person: PersonId,
    ) -> Result<Option<InternalCode>, Error> {
        self.row(
            sql!("SELECT code, person, entered, entered_by, ended FROM internal_code "
                "WHERE practice = $1 AND person = $2 AND ended IS NULL"),
            &[practice.as_bytes().into(), person.as_bytes().into()],
        )?
        .map_or(Ok(None), |row| code(&row).map(|row| Some(row.code)))
    }

    /// Gives somebody a code in place of the one that they have, or takes it; their tokens follow. `false` where the code
    /// is or was somebody else's: then nothing is written.
    pub fn set_internal_code(
        &mut self,
        practice: PracticeId,
        person: PersonId,
        to: Option<&InternalCode>,
        by: PersonId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if let Some(to) = to {
            let known = self.row(
                locking!("SELECT code, person, entered, entered_by, ended FROM internal_code WHERE practice = $1 AND code = $2"),
                &[practice.as_bytes().into(), to.as_str().into()],
            )?;
            if known.as_ref().map(code).transpose()?.is_some_and(|known| known.person != person) {
                return Ok(false);
            }
        }
        self.run(
            sql!("UPDATE internal_code SET ended = $3, ended_by = $4 WHERE practice = $1 AND person = $2 AND ended IS NULL"),
            &[
                practice.as_bytes().into(),
                person.as_bytes().into(),
                now.micros().into(),
                by.as_bytes().into(),
            ],
        )?;
        if let Some(to) = to {
            let given = self.run(
                sql!("INSERT INTO internal_code (practice, code, person, entered, entered_by) VALUES ($1, $2, $3, $4, $5) "
                    "ON CONFLICT (practice, code) DO UPDATE SET entered = excluded.entered, entered_by = excluded.entered_by, "
                    "ended = NULL, ended_by = NULL WHERE internal_code.person = excluded.person"),
                &[
                    practice.as_bytes().into(),
                    to.as_str().into(),
                    person.as_bytes().into(),
                    now.micros().into(),
                    by.as_bytes().into(),
                ],
            )?;
            if given != 1 {
                // Somebody else got it meanwhile: looked at again, that is found.
                return Err(Error::Retry);
            }
        }
        self.refresh_signing(person)?;
        Ok(true)
    }

    /// The permissions of a practice.
    pub fn permissions(&mut self, practice: PracticeId) -> Result<Vec<PermissionRow>, Error> {
        self.rows(
            sql!("SELECT person, authority, state, cause, since, self_executed, confirmed FROM permission "
                "WHERE practice = $1 ORDER BY since, person"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok(PermissionRow {
                person: row.id(0, "permission.person", PersonId::from_slice)?,
                authority: row.id(1, "permission.authority", AuthorityId::from_slice)?,
                permission: permission(row, 2)?,
            })
        })
        .collect()
    }

    /// Every permission of somebody, in all practices; nobody else may change them until the commit.
    pub fn permissions_of(
        &mut self,
        person: PersonId,
    ) -> Result<Vec<(PracticeId, PermissionRow)>, Error> {
        self.rows(
            locking!("SELECT person, authority, state, cause, since, self_executed, confirmed, practice "
                "FROM permission WHERE person = $1"),
            &[person.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            let it = PermissionRow {
                person,
                authority: row.id(1, "permission.authority", AuthorityId::from_slice)?,
                permission: permission(row, 2)?,
            };
            Ok((row.id(7, "permission.practice", PracticeId::from_slice)?, it))
        })
        .collect()
    }

    /// A permission; nobody else may change it until the commit.
    pub fn permission(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        authority: AuthorityId,
    ) -> Result<Permission, Error> {
        self.row(
            locking!("SELECT state, cause, since, self_executed, confirmed FROM permission "
                "WHERE person = $1 AND practice = $2 AND authority = $3"),
            &[person.as_bytes().into(), practice.as_bytes().into(), authority.as_bytes().into()],
        )?
        .map_or(Ok(Permission::None), |row| permission(&row, 0))
    }

    /// Writes a permission; the tokens of its holder follow.
    pub fn save_permission(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        authority: AuthorityId,
        to: &Permission,
    ) -> Result<(), Error> {
        let (state, cause, since, own, confirmed) = match to {
            Permission::None => return Err(Self::broken("a permission can't be forgotten")),
            Permission::Granted { since, self_executed } => {
                ("granted", None, *since, *self_executed, 1)
            }
            Permission::Revoked { cause, since, review } => {
                let review = match review {
                    Review::Waiting => 0,
                    Review::Confirmed => 1,
                    Review::Mistaken => 2,
                };
                ("revoked", Some(cause.code()), *since, false, review)
            }
        };
        self.run_one(
            sql!("INSERT INTO permission (person, practice, authority, state, cause, since, self_executed, confirmed) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (person, practice, authority) DO UPDATE SET "
                "state = excluded.state, cause = excluded.cause, since = excluded.since, "
                "self_executed = excluded.self_executed, confirmed = excluded.confirmed"),
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                authority.as_bytes().into(),
                state.into(),
                cause.into(),
                since.micros().into(),
                i64::from(own).into(),
                i64::from(confirmed).into(),
            ],
        )?;
        self.refresh_signing(person)
    }

    /// Notes that the operator vouches for all registrations of somebody in a practice (question A10).
    pub fn vouch(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            sql!("UPDATE authority SET vouched = $3 WHERE person = $1 AND practice = $2 AND vouched IS NULL"),
            &[person.as_bytes().into(), practice.as_bytes().into(), now.micros().into()],
        )
        .map(drop)
    }

    /// Until when somebody may sign in a practice, as permissions, registrations and licences stand; never while
    /// a notice of non-compliance is open.
    pub fn may_sign_until(
        &mut self,
        person: PersonId,
        practice: PracticeId,
    ) -> Result<Option<Timestamp>, Error> {
        let row = self.row(
            sql!("SELECT MAX(CASE WHEN l.stops_at < a.stops_at THEN l.stops_at ELSE a.stops_at END) "
                "FROM permission p JOIN authority a ON a.id = p.authority AND a.withdrawn IS NULL "
                "JOIN authority l ON l.person = p.person AND l.practice = p.practice AND l.kind = 'licence' "
                "AND l.state = a.state AND l.withdrawn IS NULL "
                "WHERE p.person = $1 AND p.practice = $2 AND p.state = 'granted' AND ((a.person IS NOT NULL AND NOT EXISTS "
                "(SELECT i.id FROM authority i WHERE i.practice = a.practice AND i.person IS NULL AND i.number = a.number)) OR EXISTS "
                "(SELECT k.code FROM internal_code k WHERE k.practice = p.practice AND k.person = p.person AND k.ended IS NULL)) "
                "AND NOT EXISTS (SELECT n.id FROM noncompliance_notice n WHERE n.ended IS NULL)"),
            &[person.as_bytes().into(), practice.as_bytes().into()],
        )?;
        row.map_or(Ok(None), |row| opt_time(&row, 0, "authority.stops_at"))
    }

    /// Writes `sign_until` of all tokens of somebody anew. Whatever it follows from calls this.
    ///
    /// Two transactions that change what it follows from take turns here: the later one reads what the earlier one has
    /// committed. A notice of non-compliance excludes them all.
    pub fn refresh_signing(&mut self, person: PersonId) -> Result<(), Error> {
        self.share_instance()?;
        self.row(locking!("SELECT id FROM prescriber WHERE id = $1"), &[person.as_bytes().into()])?;
        let practices = self.rows(
            sql!(
                "SELECT DISTINCT practice FROM token WHERE prescriber = $1 AND practice IS NOT NULL"
            ),
            &[person.as_bytes().into()],
        )?;
        for row in &practices {
            let practice = row.id(0, "token.practice", PracticeId::from_slice)?;
            let until = self.may_sign_until(person, practice)?.map(Timestamp::micros);
            self.run(
                sql!("UPDATE token SET sign_until = CASE WHEN activated IS NULL OR model IN "
                    "(SELECT model FROM practice_model WHERE practice = $2) THEN CAST(NULL AS BIGINT) "
                    "WHEN (SELECT f.ends FROM fob f WHERE f.token = token.id) < CAST($3 AS BIGINT) "
                    "THEN (SELECT f.ends FROM fob f WHERE f.token = token.id) "
                    "ELSE CAST($3 AS BIGINT) END WHERE prescriber = $1 AND practice = $2"),
                &[person.as_bytes().into(), practice.as_bytes().into(), until.into()],
            )?;
        }
        Ok(())
    }

    fn signing_changed(
        &mut self,
        person: Option<PersonId>,
        practice: PracticeId,
    ) -> Result<(), Error> {
        if let Some(person) = person {
            return self.refresh_signing(person);
        }
        // The institution's own: whoever signs under it.
        let holders = self.rows(
            sql!("SELECT DISTINCT person FROM permission WHERE practice = $1"),
            &[practice.as_bytes().into()],
        )?;
        holders.iter().try_for_each(|row| {
            self.refresh_signing(row.id(0, "permission.person", PersonId::from_slice)?)
        })
    }

    /// Models that a practice does not let sign: model, why, since when, who said so.
    pub fn refused_models(
        &mut self,
        practice: PracticeId,
    ) -> Result<Vec<(ModelCode, String, Timestamp, PersonId)>, Error> {
        self.rows(
            sql!("SELECT model, reason, changed, changed_by FROM practice_model WHERE practice = $1 ORDER BY model"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok((
                parsed(row.text(0, "practice_model.model")?, "practice_model.model")?,
                row.text(1, "practice_model.reason")?.to_owned(),
                Timestamp::from_micros(row.int(2, "practice_model.changed")?),
                row.id(3, "practice_model.changed_by", PersonId::from_slice)?,
            ))
        })
        .collect()
    }

    /// Lets a model sign in a practice no more, for a reason, or again; its tokens follow. `false` where
    /// nothing changes.
    pub fn refuse_model(
        &mut self,
        practice: PracticeId,
        model: &ModelCode,
        refused: Option<&str>,
        by: PersonId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let changed = match refused {
            Some(reason) => self.run(
                sql!("INSERT INTO practice_model (practice, model, reason, changed, changed_by) "
                    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (practice, model) DO NOTHING"),
                &[
                    practice.as_bytes().into(),
                    model.as_str().into(),
                    reason.into(),
                    now.micros().into(),
                    by.as_bytes().into(),
                ],
            ),
            None => self.run(
                sql!("DELETE FROM practice_model WHERE practice = $1 AND model = $2"),
                &[practice.as_bytes().into(), model.as_str().into()],
            ),
        }?;
        if changed == 1 {
            let owners = self.rows(
                sql!("SELECT DISTINCT prescriber FROM token WHERE practice = $1 AND model = $2 AND prescriber IS NOT NULL"),
                &[practice.as_bytes().into(), model.as_str().into()],
            )?;
            for row in &owners {
                self.refresh_signing(row.id(0, "token.prescriber", PersonId::from_slice)?)?;
            }
        }
        Ok(changed == 1)
    }

    /// Enters a change that two people make.
    pub fn create_request(&mut self, it: &RequestRow) -> Result<(), Error> {
        let body = serde_json::to_string(&it.body)
            .map_err(|_| Error::Corrupt { column: "access_request.body" })?;
        self.run(
            sql!("INSERT INTO access_request (id, practice, kind, person, authority, body, reason, entered_by, "
                "entered, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'entered')"),
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
        self.row(
            locking!("SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
                "decided_by, decided FROM access_request WHERE id = $1 AND practice = $2"),
            &[id.as_bytes().into(), practice.as_bytes().into()],
        )?
        .as_ref()
        .map(request)
        .transpose()
    }

    /// The newest changes of a practice, at most `most`.
    pub fn requests(&mut self, practice: PracticeId, most: i64) -> Result<Vec<RequestRow>, Error> {
        self.rows(
            sql!("SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
                "decided_by, decided FROM access_request WHERE practice = $1 ORDER BY entered DESC, id DESC LIMIT $2"),
            &[practice.as_bytes().into(), most.into()],
        )?
        .iter()
        .map(request)
        .collect()
    }

    /// The changes about somebody, in all practices, on which nobody has decided.
    pub fn open_requests_about(&mut self, person: PersonId) -> Result<Vec<RequestRow>, Error> {
        self.rows(
            sql!("SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
                "decided_by, decided FROM access_request WHERE person = $1 AND state = 'entered' ORDER BY entered, id"),
            &[person.as_bytes().into()],
        )?
        .iter()
        .map(request)
        .collect()
    }

    /// The changes of a practice on which nobody has decided, the oldest first. Whoever else asks for them waits until the
    /// commit, so that two people who enter one change at the same moment take turns.
    pub fn open_requests(&mut self, practice: PracticeId) -> Result<Vec<RequestRow>, Error> {
        // Rows that refer to the practice are written meanwhile all the same.
        const TURN: Sql = Sql {
            sqlite: "SELECT id FROM practice WHERE id = $1",
            postgres: "SELECT id FROM practice WHERE id = $1 FOR NO KEY UPDATE",
        };
        self.row(TURN, &[practice.as_bytes().into()])?;
        self.rows(
            sql!("SELECT id, practice, person, authority, body, reason, entered_by, entered, state, "
                "decided_by, decided FROM access_request WHERE practice = $1 AND state = 'entered' ORDER BY entered, id"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(request)
        .collect()
    }

    /// Whether the list of proofing providers was changed for an issuer after a moment.
    pub fn provider_changed_after(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        moment: Timestamp,
    ) -> Result<bool, Error> {
        let found = self.row(
            sql!("SELECT issuer FROM proofing_provider WHERE practice = $1 AND issuer = $2 AND (since > $3 OR ended > $3) LIMIT 1"),
            &[practice.as_bytes().into(), issuer.into(), moment.micros().into()],
        )?;
        Ok(found.is_some())
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
            sql!("UPDATE access_request SET state = $2, decided_by = $3, decided = $4 WHERE id = $1 AND state = 'entered'"),
            &[
                id.as_bytes().into(),
                state.into(),
                by.as_ref().map(|id| id.as_bytes()).into(),
                now.micros().into(),
            ],
        )
    }

    /// Keeps what no longer tells an account: it still counts for a while.
    pub(crate) fn keep_former_marks(
        &mut self,
        person: &Person,
        old: &Profile,
        new: &Profile,
        now: Timestamp,
    ) -> Result<(), Error> {
        let gone = marks_of(old).without(&marks_of(new));
        if gone.is_empty() {
            return Ok(());
        }
        let id: [u8; 16] = random_array(self.rng()).map_err(|_| Error::Crypto)?;
        let sealed = self.seal_json(person.practice, "former_marks", &id, &gone)?;
        self.run(
            sql!("INSERT INTO former_marks (id, person, sealed, ended) VALUES ($1, $2, $3, $4)"),
            &[
                id.as_slice().into(),
                person.id.as_bytes().into(),
                sealed.as_slice().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Everything that tells the accounts of somebody, now or until a while ago.
    fn marks(
        &mut self,
        person: &Person,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Marks, Error> {
        let mut marks = marks_of(profile);
        match &person.sign_in {
            SignInName::Npi(npi) => marks.npi(*npi),
            SignInName::Email(email) => marks.email(email.as_str()),
        }
        let numbers = self.rows(
            sql!("SELECT number FROM authority WHERE person = $1 AND kind = 'dea'"),
            &[person.id.as_bytes().into()],
        )?;
        for row in &numbers {
            marks.dea(parsed(row.text(0, "authority.number")?, "authority.number")?);
        }
        let since = now.plus_seconds(-FORMER_DAYS * 86_400);
        let former = self.rows(
            sql!("SELECT id, sealed FROM former_marks WHERE person = $1 AND ended > $2"),
            &[person.id.as_bytes().into(), since.micros().into()],
        )?;
        for row in &former {
            let (id, sealed) = (row.blob(0, "former_marks.id")?, row.blob(1, "former_marks")?);
            marks.kept(self.open_json(person.practice, "former_marks", id, sealed)?);
        }
        Ok(marks)
    }

    /// Somebody as the rules of access control know them in a practice.
    ///
    /// A registrant has a registration in force there and a credential of their own: an active token that
    /// was activated, which takes a proofed identity (21 CFR 1311.125(a)).
    pub fn acting(
        &mut self,
        id: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<Acting, Error> {
        let person = self.person(id)?.ok_or(Error::Corrupt { column: "prescriber.id" })?;
        let roles = self.roles_of(id)?;
        let designated = roles
            .iter()
            .any(|(place, member)| *place == practice && member.role == Role::Designated);
        // A number that somebody typed makes nobody a registrant: the operator has vouched for it at the
        // founding, or two people have granted a permission under it. One that a loss took keeps counting,
        // or a practice with one registrant could never grant it again.
        let registered = self
            .row(
                sql!("SELECT a.id FROM authority a WHERE a.person = $1 AND a.practice = $2 AND a.kind = 'dea' "
                    "AND a.withdrawn IS NULL AND a.stops_at > $3 AND (a.vouched IS NOT NULL OR EXISTS "
                    "(SELECT p.authority FROM permission p WHERE p.authority = a.id AND p.person = a.person "
                    "AND (p.state = 'granted' OR p.cause = 'factor_lost'))) LIMIT 1"),
                &[id.as_bytes().into(), practice.as_bytes().into(), now.micros().into()],
            )?
            .is_some();
        let credential = self.row(
            sql!("SELECT id FROM token WHERE prescriber = $1 AND state = 'active' AND activated IS NOT NULL LIMIT 1"),
            &[id.as_bytes().into()],
        )?;
        let profile = self.profile(&person)?.unwrap_or_default();
        let confirmed = profile.phone_confirmed.is_some() || profile.address_confirmed.is_some();
        Ok(Acting {
            person: id,
            marks: self.marks(&person, &profile, now)?,
            confirmed,
            registrant: registered && credential.is_some() && !person.closed,
            designated: designated && !person.closed,
        })
    }
}

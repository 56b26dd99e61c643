//! Practices and their rules. The submodules hold roles, registrations, permissions, and the changes that two people make.

mod access_change;
pub(crate) mod access_requests;
pub(crate) mod acting;
pub(crate) mod authorities;
pub(crate) mod internal_codes;
pub(crate) mod members;
mod paper;
pub(crate) mod permissions;
pub(crate) mod refused_models;
pub(crate) mod sign_until;

use countersign_domain::{PracticeId, TimeZone, Timestamp, access::Setting};

pub use access_change::AccessChange;
pub use access_requests::{RequestRow, RequestStage};
pub use acting::marks_of;
pub use authorities::Authority;
pub use internal_codes::CodeRow;
pub use members::{Listed, Member};
pub use paper::Paper;
pub use permissions::PermissionRow;

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Columns, Declared, Row},
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

const fn setting_code(setting: Setting) -> &'static str {
    match setting {
        Setting::Practitioners => "practitioners",
        Setting::Institution => "institution",
    }
}

fn parsed<T: std::str::FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::corrupt(column))
}

fn time(row: &Row, index: usize, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.int(index, column)?))
}

fn opt_time(row: &Row, index: usize, column: &'static str) -> Result<Option<Timestamp>, Error> {
    Ok(row.opt_int(index, column)?.map(Timestamp::from_micros))
}

fn practice(row: &Row) -> Result<Practice, Error> {
    Ok(Practice {
        id: row.get_id(PRACTICE_ROW.id, PracticeId::from_slice)?,
        name: row.string(PRACTICE_ROW.name)?,
        setting: match row.get(PRACTICE_ROW.setting)? {
            "practitioners" => Setting::Practitioners,
            "institution" => Setting::Institution,
            _ => return Err(row.corrupt(PRACTICE_ROW.setting)),
        },
        zone: row.parsed(PRACTICE_ROW.time_zone)?,
        founded: row.opt_time(PRACTICE_ROW.founded)?,
    })
}

columns! {
    /// What is read of a practice.
    PRACTICE_ROW: PracticeColumns from "practice" by id {
        id: Blob,
        name: Text,
        setting: Text,
        time_zone: Text,
        founded: Opt<Int>,
    }
}

statements! {
    PRACTICE = select!(PracticeColumns, "WHERE id = $1");
    SAVE_PRACTICE_RULES = sql!("UPDATE practice SET setting = $2, time_zone = $3 WHERE id = $1");
    FOUND_PRACTICE = sql!("UPDATE practice SET founded = $2 WHERE id = $1 AND founded IS NULL");
    CREATE_PRACTICE = sql!("INSERT INTO practice (id, name, data_key_sealed, created) VALUES ($1, $2, $3, $4)");
    PRACTICE_NAME = sql!("SELECT name FROM practice WHERE id = $1");
    PRACTICES = sql!("SELECT id, name FROM practice ORDER BY name, id");
}

impl Tx<'_> {
    /// A practice with its rules.
    pub fn practice(&mut self, id: PracticeId) -> Result<Option<Practice>, Error> {
        self.row(PRACTICE, &[id.as_bytes().into()])?.as_ref().map(practice).transpose()
    }

    /// Writes by which rules a practice works, and where.
    pub fn save_practice_rules(
        &mut self,
        id: PracticeId,
        setting: Setting,
        zone: &TimeZone,
    ) -> Result<(), Error> {
        self.run_one(
            SAVE_PRACTICE_RULES,
            &[id.as_bytes().into(), setting_code(setting).into(), zone.name().into()],
        )
    }

    /// Notes that the first people of a practice are named. `false` when that was done before.
    pub fn found_practice(&mut self, id: PracticeId, now: Timestamp) -> Result<bool, Error> {
        let done = self.run(FOUND_PRACTICE, &[id.as_bytes().into(), now.micros().into()])?;
        Ok(done == 1)
    }

    /// Makes a practice with a data key of its own.
    pub fn create_practice(
        &mut self,
        id: PracticeId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let key = self.new_practice_key(id)?;
        self.run(
            CREATE_PRACTICE,
            &[id.as_bytes().into(), name.into(), key.as_slice().into(), now.micros().into()],
        )
        .map(drop)
    }

    /// The name of a practice.
    pub fn practice_name(&mut self, id: PracticeId) -> Result<Option<String>, Error> {
        self.row(PRACTICE_NAME, &[id.as_bytes().into()])?
            .map(|row| row.text(0, "practice.name").map(str::to_owned))
            .transpose()
    }

    /// All practices, by name.
    pub fn practices(&mut self) -> Result<Vec<(PracticeId, String)>, Error> {
        self.rows(PRACTICES, &[])?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "practice.id", PracticeId::from_slice)?,
                    row.text(1, "practice.name")?.to_owned(),
                ))
            })
            .collect()
    }
}

//! EHRs that may launch us, who their users are here, and launches that were used.

use countersign_domain::{EhrId, PersonId, PracticeId, StaffId, Timestamp};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// Our identifier.
    pub id: StaffId,
    /// The practice.
    pub practice: PracticeId,
    /// Name for pages.
    pub name: String,
}

/// An EHR that may launch us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhrRow {
    /// Our identifier.
    pub id: EhrId,
    /// The practice.
    pub practice: PracticeId,
    /// Its ECDSA P-256 public key: 65 bytes, uncompressed point.
    pub public_key: Vec<u8>,
}

/// Who an EHR's user is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A prescriber.
    Prescriber(PersonId),
    /// A member of staff.
    Staff(StaffId),
}

statements! {
    CREATE_STAFF = sql!(
        "INSERT INTO staff (id, practice, name, ehr_user, created) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (practice, ehr_user) DO NOTHING"
    );
    STAFF = sql!("SELECT id, practice, name FROM staff WHERE id = $1");
    CREATE_EHR = sql!("INSERT INTO ehr (id, practice, name, public_key, created) VALUES ($1, $2, $3, $4, $5)");
    EHR = sql!("SELECT id, practice, public_key FROM ehr WHERE id = $1");
    LINK_EHR_USER = sql!("INSERT INTO ehr_user (ehr, ehr_user, prescriber, staff) VALUES ($1, $2, $3, $4)");
    EHR_USER = sql!("SELECT prescriber, staff FROM ehr_user WHERE ehr = $1 AND ehr_user = $2");
    USE_LAUNCH = sql!(
        "INSERT INTO launch_used (jti_hash, expires) VALUES ($1, $2) ON CONFLICT (jti_hash) DO NOTHING"
    );
}

impl Tx<'_> {
    /// Makes a member of staff.
    pub fn create_staff(
        &mut self,
        staff: &Staff,
        ehr_user: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let made = self.run(
            CREATE_STAFF,
            &[
                staff.id.as_bytes().into(),
                staff.practice.as_bytes().into(),
                staff.name.as_str().into(),
                ehr_user.into(),
                now.micros().into(),
            ],
        )?;
        Ok(made == 1)
    }

    /// The member of staff with this id.
    pub fn staff(&mut self, id: StaffId) -> Result<Option<Staff>, Error> {
        self.row(STAFF, &[id.as_bytes().into()])?
            .map(|row| {
                Ok(Staff {
                    id: row.id(0, "staff.id", StaffId::from_slice)?,
                    practice: row.id(1, "staff.practice", PracticeId::from_slice)?,
                    name: row.text(2, "staff.name")?.to_owned(),
                })
            })
            .transpose()
    }

    /// Registers an EHR.
    pub fn create_ehr(&mut self, ehr: &EhrRow, name: &str, now: Timestamp) -> Result<(), Error> {
        self.run(
            CREATE_EHR,
            &[
                ehr.id.as_bytes().into(),
                ehr.practice.as_bytes().into(),
                name.into(),
                ehr.public_key.as_slice().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The EHR with this id.
    pub fn ehr(&mut self, id: EhrId) -> Result<Option<EhrRow>, Error> {
        self.row(EHR, &[id.as_bytes().into()])?
            .map(|row| {
                Ok(EhrRow {
                    id: row.id(0, "ehr.id", EhrId::from_slice)?,
                    practice: row.id(1, "ehr.practice", PracticeId::from_slice)?,
                    public_key: row.blob(2, "ehr.public_key")?.to_vec(),
                })
            })
            .transpose()
    }

    /// Says who a user of an EHR is here.
    pub fn link_ehr_user(
        &mut self,
        ehr: EhrId,
        user: &str,
        identity: Identity,
    ) -> Result<(), Error> {
        let (prescriber, staff) = match &identity {
            Identity::Prescriber(id) => (Some(id.as_bytes()), None),
            Identity::Staff(id) => (None, Some(id.as_bytes())),
        };
        self.run(
            LINK_EHR_USER,
            &[ehr.as_bytes().into(), user.into(), prescriber.into(), staff.into()],
        )
        .map(drop)
    }

    /// Who a user of an EHR is here.
    pub fn ehr_user(&mut self, ehr: EhrId, user: &str) -> Result<Option<Identity>, Error> {
        let row = self.row(EHR_USER, &[ehr.as_bytes().into(), user.into()])?;
        let Some(row) = row else { return Ok(None) };
        match (
            row.opt_id(0, "ehr_user.prescriber", PersonId::from_slice)?,
            row.opt_id(1, "ehr_user.staff", StaffId::from_slice)?,
        ) {
            (Some(id), None) => Ok(Some(Identity::Prescriber(id))),
            (None, Some(id)) => Ok(Some(Identity::Staff(id))),
            _ => Err(Error::corrupt("ehr_user.prescriber")),
        }
    }

    /// Uses a launch up; `false` when it was used before.
    pub fn use_launch(&mut self, jti_hash: &[u8; 32], expires: Timestamp) -> Result<bool, Error> {
        let used = self.run(USE_LAUNCH, &[jti_hash.into(), expires.micros().into()])?;
        Ok(used == 1)
    }
}

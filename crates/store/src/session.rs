use std::fmt;

use countersign_domain::{PersonId, PracticeId, SessionRowId, StaffId, Timestamp};

use crate::{
    Error, Identity, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{locking, sql, statements},
    value::{Columns, Declared},
};

/// How far somebody has come in proving who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Came by a launch from the EHR; has proved nothing to us.
    Launched,
    /// Proved the passphrase.
    Passphrase {
        /// Who.
        prescriber: PersonId,
    },
    /// Came by the link of an invitation and has not finished; has proved nothing else.
    Enrolling {
        /// Who.
        prescriber: PersonId,
    },
    /// Has proved two tokens and forgotten the passphrase (SP 800-63B, 6.1.2.3): waits for a code.
    Resetting {
        /// Who.
        prescriber: PersonId,
    },
    /// Proved passphrase and passcode.
    Full {
        /// Who.
        prescriber: PersonId,
        /// When the last passcode of an active token was proved.
        passcode_at: Timestamp,
    },
}

/// The patient whose chart the launch came from.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Patient {
    /// The EHR's identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Date of birth.
    pub birth_date: String,
    /// Medical record number.
    pub mrn: String,
    /// Address in one line, where the EHR says it.
    #[serde(default)]
    pub address: String,
}

impl fmt::Debug for Patient {
    /// Health data: never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patient")
    }
}

/// A session as the server keeps it. The secret in the cookie is not here, only its hash is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the row.
    pub id: SessionRowId,
    /// The practice.
    pub practice: PracticeId,
    /// How far it has come.
    pub stage: Stage,
    /// Who the EHR said it is.
    pub launched_as: Option<Identity>,
    /// The patient in context.
    pub patient: Option<Patient>,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
}

fn patient_place(id: SessionRowId) -> Vec<u8> {
    [b"session|".as_slice(), id.as_bytes(), b"|patient_sealed"].concat()
}

columns! {
    /// What is read of a session.
    SESSION_ROW: SessionColumns from "session" by id {
        id: Blob,
        practice: Blob,
        stage: Text,
        prescriber: Opt<Blob>,
        launch_prescriber: Opt<Blob>,
        launch_staff: Opt<Blob>,
        patient_sealed: Opt<Blob>,
        passcode_at: Opt<Int>,
        created: Int,
        seen: Int,
        expires: Int,
    }
}

statements! {
    CREATE_SESSION = sql!(
        "INSERT INTO session (id, secret_hash, practice, stage, prescriber, launch_prescriber, launch_staff, "
        "patient_sealed, passcode_at, created, seen, expires) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    );
    SESSION = select!(SessionColumns, "WHERE secret_hash = $1");
    TOUCH_SESSION = sql!("UPDATE session SET seen = $2 WHERE id = $1 AND seen < $2");
    RENEW_PASSCODE = sql!("UPDATE session SET passcode_at = $2, seen = $2 WHERE id = $1 AND stage = 'full'");
    STALE_PASSCODES = sql!("UPDATE session SET passcode_at = 0 WHERE prescriber = $1 AND stage = 'full'");
    LOCK_SESSION = locking!("SELECT passcode_at FROM session WHERE id = $1");
    END_SESSION = sql!("DELETE FROM session WHERE id = $1");
    END_EXPIRED_SESSIONS = sql!("DELETE FROM session WHERE expires < $1 RETURNING practice, prescriber");
    END_SESSIONS_OF = sql!("DELETE FROM session WHERE prescriber = $1");
    END_ENROLLING_SESSIONS_OF = sql!("DELETE FROM session WHERE prescriber = $1 AND stage = 'enrolling'");
    END_LAUNCHED_SESSIONS_OF = sql!("DELETE FROM session WHERE launch_prescriber = $1");
    END_OTHER_SESSIONS = sql!("DELETE FROM session WHERE prescriber = $1 AND id <> $2");
}

impl Tx<'_> {
    /// Makes a session that is found by the hash of its secret.
    pub fn create_session(
        &mut self,
        session: &Session,
        secret_hash: &[u8; 32],
    ) -> Result<(), Error> {
        let (stage, prescriber, passcode_at) = match &session.stage {
            Stage::Launched => ("launched", None, None),
            Stage::Passphrase { prescriber } => ("passphrase", Some(prescriber.as_bytes()), None),
            Stage::Enrolling { prescriber } => ("enrolling", Some(prescriber.as_bytes()), None),
            Stage::Resetting { prescriber } => ("resetting", Some(prescriber.as_bytes()), None),
            Stage::Full { prescriber, passcode_at } => {
                ("full", Some(prescriber.as_bytes()), Some(passcode_at.micros()))
            }
        };
        let (launch_prescriber, launch_staff) = match &session.launched_as {
            Some(Identity::Prescriber(id)) => (Some(id.as_bytes()), None),
            Some(Identity::Staff(id)) => (None, Some(id.as_bytes())),
            None => (None, None),
        };
        let patient = match &session.patient {
            Some(patient) => {
                let plain = serde_json::to_vec(patient).map_err(|_| {
                    Error::corrupt_in("session.patient_sealed", session.id.as_bytes())
                })?;
                let key = self.data_key(Some(session.practice))?;
                Some(key.seal(&patient_place(session.id), &plain).map_err(|_| Error::Crypto)?)
            }
            None => None,
        };
        self.run(
            CREATE_SESSION,
            &[
                session.id.as_bytes().into(),
                secret_hash.into(),
                session.practice.as_bytes().into(),
                stage.into(),
                prescriber.into(),
                launch_prescriber.into(),
                launch_staff.into(),
                patient.as_deref().into(),
                passcode_at.into(),
                session.created.micros().into(),
                session.seen.micros().into(),
                session.expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The session with this secret's hash.
    pub fn session(&mut self, secret_hash: &[u8; 32]) -> Result<Option<Session>, Error> {
        let row = self.row(SESSION, &[secret_hash.into()])?;
        let Some(row) = row else { return Ok(None) };
        let id = row.get_id(SESSION_ROW.id, SessionRowId::from_slice)?;
        let practice = row.get_id(SESSION_ROW.practice, PracticeId::from_slice)?;
        let prescriber = row.get_opt_id(SESSION_ROW.prescriber, PersonId::from_slice)?;
        let passcode_at = row.opt_time(SESSION_ROW.passcode_at)?;
        let stage = match (row.get(SESSION_ROW.stage)?, prescriber, passcode_at) {
            ("launched", None, None) => Stage::Launched,
            ("passphrase", Some(prescriber), None) => Stage::Passphrase { prescriber },
            ("enrolling", Some(prescriber), None) => Stage::Enrolling { prescriber },
            ("resetting", Some(prescriber), None) => Stage::Resetting { prescriber },
            ("full", Some(prescriber), Some(passcode_at)) => {
                Stage::Full { prescriber, passcode_at }
            }
            _ => return Err(row.corrupt(SESSION_ROW.stage)),
        };
        let launch_prescriber =
            row.get_opt_id(SESSION_ROW.launch_prescriber, PersonId::from_slice)?;
        let launch_staff = row.get_opt_id(SESSION_ROW.launch_staff, StaffId::from_slice)?;
        let patient = match row.get(SESSION_ROW.patient_sealed)? {
            Some(sealed) => {
                let corrupt = || Error::corrupt_in("session.patient_sealed", id.as_bytes());
                let plain = self
                    .data_key(Some(practice))?
                    .open(&patient_place(id), sealed)
                    .map_err(|_| corrupt())?;
                Some(serde_json::from_slice(plain.expose()).map_err(|_| corrupt())?)
            }
            None => None,
        };
        Ok(Some(Session {
            id,
            practice,
            stage,
            launched_as: launch_prescriber
                .map(Identity::Prescriber)
                .or(launch_staff.map(Identity::Staff)),
            patient,
            created: row.time(SESSION_ROW.created)?,
            seen: row.time(SESSION_ROW.seen)?,
            expires: row.time(SESSION_ROW.expires)?,
        }))
    }

    /// Notes that a session was used.
    pub fn touch_session(&mut self, id: SessionRowId, now: Timestamp) -> Result<(), Error> {
        self.run(TOUCH_SESSION, &[id.as_bytes().into(), now.micros().into()]).map(drop)
    }

    /// Notes that a passcode was proved again in a full session.
    pub fn renew_passcode(&mut self, id: SessionRowId, now: Timestamp) -> Result<(), Error> {
        self.run_one(RENEW_PASSCODE, &[id.as_bytes().into(), now.micros().into()])
    }

    /// Makes the last passcode of every full session of a prescriber too old to confirm anything.
    pub fn stale_passcodes(&mut self, prescriber: PersonId) -> Result<u64, Error> {
        self.run(STALE_PASSCODES, &[prescriber.as_bytes().into()])
    }

    /// Locks a session, so that it can't end or change under a decision, and says when it last
    /// proved a passcode; nothing if it has ended.
    pub fn lock_session(&mut self, id: SessionRowId) -> Result<Option<Option<Timestamp>>, Error> {
        self.row(LOCK_SESSION, &[id.as_bytes().into()])?
            .map(|row| Ok(row.opt_int(0, "session.passcode_at")?.map(Timestamp::from_micros)))
            .transpose()
    }

    /// Ends a session; `false` when it had ended already.
    pub fn end_session(&mut self, id: SessionRowId) -> Result<bool, Error> {
        let ended = self.run(END_SESSION, &[id.as_bytes().into()])?;
        Ok(ended == 1)
    }

    /// Ends the sessions whose time is over in any case. Says of each its practice, and who had
    /// proved at least the passphrase in it: the end gets its record. Where two servers do so at
    /// once, each end is told to one of them.
    pub fn end_expired_sessions(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<(PracticeId, Option<PersonId>)>, Error> {
        self.rows(END_EXPIRED_SESSIONS, &[now.micros().into()])?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "session.practice", PracticeId::from_slice)?,
                    row.opt_id(1, "session.prescriber", PersonId::from_slice)?,
                ))
            })
            .collect()
    }

    /// Ends every session of a prescriber.
    pub fn end_sessions_of(&mut self, prescriber: PersonId) -> Result<u64, Error> {
        self.run(END_SESSIONS_OF, &[prescriber.as_bytes().into()])
    }

    /// Ends the sessions in which somebody enrols: by a new link they go on elsewhere.
    pub fn end_enrolling_sessions_of(&mut self, person: PersonId) -> Result<u64, Error> {
        self.run(END_ENROLLING_SESSIONS_OF, &[person.as_bytes().into()])
    }

    /// Ends every session in which an EHR said that it is this prescriber.
    pub fn end_launched_sessions_of(&mut self, prescriber: PersonId) -> Result<u64, Error> {
        self.run(END_LAUNCHED_SESSIONS_OF, &[prescriber.as_bytes().into()])
    }

    /// Ends every session of a prescriber but one.
    pub fn end_other_sessions(
        &mut self,
        prescriber: PersonId,
        keep: SessionRowId,
    ) -> Result<u64, Error> {
        self.run(END_OTHER_SESSIONS, &[prescriber.as_bytes().into(), keep.as_bytes().into()])
    }
}

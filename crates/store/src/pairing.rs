use countersign_domain::{
    CredentialId, PairingId, PersonId, PracticeId, SessionRowId, Timestamp, TokenId,
};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// A pairing that the portal has shown.
#[derive(Debug, Clone)]
pub struct Pairing {
    /// Its own identifier, in the address of its page.
    pub id: PairingId,
    /// Whose practice.
    pub practice: PracticeId,
    /// Who started it.
    pub prescriber: PersonId,
    /// In which session.
    pub session: SessionRowId,
    /// When its code stops working.
    pub expires: Timestamp,
}

/// What has become of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingState {
    /// Its code can be used until then.
    Open {
        /// The end.
        expires: Timestamp,
    },
    /// A device has made this credential with it.
    Used {
        /// The new credential ID.
        credential: CredentialId,
    },
}

statements! {
    DELETE_PAIRING = sql!("DELETE FROM pairing WHERE session = $1 AND token IS NULL");
    INSERT_PAIRING = sql!(
        "INSERT INTO pairing (id, code_hash, practice, prescriber, session, created, expires) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    OPEN_PAIRING = sql!(
        "SELECT p.practice, p.prescriber FROM pairing p JOIN session s ON s.id = p.session "
        "WHERE p.code_hash = $1 AND p.token IS NULL AND p.expires > $2"
    );
    USE_PAIRING = sql!("UPDATE pairing SET token = $2 WHERE code_hash = $1 AND token IS NULL AND expires > $3");
    PAIRING_STATE = sql!(
        "SELECT p.expires, t.credential FROM pairing p LEFT JOIN token t ON t.id = p.token "
        "WHERE p.id = $1 AND p.session = $2"
    );
    PURGE_PAIRINGS = sql!(
        "DELETE FROM pairing WHERE expires < $1 OR token IN "
        "(SELECT id FROM token WHERE prescriber IS NULL AND state_at < $2)"
    );
}

impl Tx<'_> {
    /// Starts a pairing; earlier ones of the session that nobody used are gone.
    pub fn create_pairing(
        &mut self,
        pairing: &Pairing,
        code_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(DELETE_PAIRING, &[pairing.session.as_bytes().into()])?;
        self.run(
            INSERT_PAIRING,
            &[
                pairing.id.as_bytes().into(),
                code_hash.into(),
                pairing.practice.as_bytes().into(),
                pairing.prescriber.as_bytes().into(),
                pairing.session.as_bytes().into(),
                now.micros().into(),
                pairing.expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Whose code it is, while it can be used: until its time is over or its session has ended.
    pub fn open_pairing(
        &mut self,
        code_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(PracticeId, PersonId)>, Error> {
        self.row(OPEN_PAIRING, &[code_hash.into(), now.micros().into()])?
            .map(|row| {
                Ok((
                    row.id(0, "pairing.practice", PracticeId::from_slice)?,
                    row.id(1, "pairing.prescriber", PersonId::from_slice)?,
                ))
            })
            .transpose()
    }

    /// Uses a code for a new token. Two devices that race for one code can't both win.
    pub fn use_pairing(
        &mut self,
        code_hash: &[u8; 32],
        token: TokenId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(USE_PAIRING, &[code_hash.into(), token.as_bytes().into(), now.micros().into()])
    }

    /// What has become of a pairing of this session; `None` where there is no such one.
    pub fn pairing_state(
        &mut self,
        id: PairingId,
        session: SessionRowId,
    ) -> Result<Option<PairingState>, Error> {
        let row = self.row(PAIRING_STATE, &[id.as_bytes().into(), session.as_bytes().into()])?;
        let Some(row) = row else { return Ok(None) };
        let expires = Timestamp::from_micros(row.int(0, "pairing.expires")?);
        Ok(Some(match row.opt_text(1, "token.credential")? {
            None => PairingState::Open { expires },
            Some(text) => PairingState::Used {
                credential: CredentialId::parse(text, None)
                    .map_err(|_| Error::corrupt("token.credential"))?,
            },
        }))
    }

    /// Removes pairings whose time was over before `than`, and those whose token nobody has added in
    /// its own time.
    pub(crate) fn purge_pairings(&mut self, than: Timestamp, now: Timestamp) -> Result<u64, Error> {
        self.run(PURGE_PAIRINGS, &[than.micros().into(), now.micros().into()])
    }
}

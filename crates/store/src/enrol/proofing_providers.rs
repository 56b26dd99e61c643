//! The proofing providers that a practice accepts, and people who were sent to one.

use countersign_domain::{CaseId, PracticeId, SessionRowId, Timestamp};
use serde::{Deserialize, Serialize};

use super::CaseRow;
use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// What must be remembered while somebody is at a provider; sealed in its row.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProofingTry {
    /// At which provider.
    pub issuer: String,
    /// In the ID token that comes back.
    pub nonce: String,
    /// What the challenge was made of (RFC 7636).
    pub verifier: String,
}

statements! {
    PROVIDER_CHANGED_AFTER = sql!(
        "SELECT issuer FROM proofing_provider WHERE practice = $1 AND issuer = $2 AND (since > $3 OR ended > $3) LIMIT 1"
    );
    DELETE_PROOFING_TRY = sql!("DELETE FROM proofing_try WHERE proofing_case = $1 OR expires < $2");
    INSERT_PROOFING_TRY = sql!(
        "INSERT INTO proofing_try (state_hash, proofing_case, practice, session, sealed, expires) "
        "VALUES ($1, $2, $3, $4, $5, $6)"
    );
    END_PROOFING_TRY = sql!(
        "DELETE FROM proofing_try WHERE state_hash = $1 AND session = $2 AND expires > $3 "
        "RETURNING proofing_case, practice, sealed"
    );
    PROVIDERS = sql!(
        "SELECT issuer, accepted FROM proofing_provider WHERE practice = $1 AND ended IS NULL ORDER BY issuer"
    );
    ACCEPT_PROVIDER = sql!("INSERT INTO proofing_provider (practice, issuer, accepted, since) VALUES ($1, $2, $3, $4)");
    DROP_PROVIDER = sql!(
        "UPDATE proofing_provider SET ended = $3 WHERE practice = $1 AND issuer = $2 AND ended IS NULL"
    );
}

impl Tx<'_> {
    /// Whether the list of proofing providers was changed for an issuer after a moment.
    pub fn provider_changed_after(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        moment: Timestamp,
    ) -> Result<bool, Error> {
        let found = self.row(
            PROVIDER_CHANGED_AFTER,
            &[practice.as_bytes().into(), issuer.into(), moment.micros().into()],
        )?;
        Ok(found.is_some())
    }

    /// Remembers that somebody was sent to a provider.
    pub fn begin_proofing_try(
        &mut self,
        state_hash: &[u8; 32],
        case: &CaseRow,
        session: SessionRowId,
        it: &ProofingTry,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let sealed = self.seal_json(case.practice, "proofing_try.sealed", state_hash, it)?;
        self.run(
            DELETE_PROOFING_TRY,
            &[case.id.as_bytes().into(), expires.plus_seconds(-86_400).micros().into()],
        )?;
        self.run(
            INSERT_PROOFING_TRY,
            &[
                state_hash.into(),
                case.id.as_bytes().into(),
                case.practice.as_bytes().into(),
                session.as_bytes().into(),
                sealed.as_slice().into(),
                expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Takes back what was remembered, once: for the session that began it.
    pub fn end_proofing_try(
        &mut self,
        state_hash: &[u8; 32],
        session: SessionRowId,
        now: Timestamp,
    ) -> Result<Option<(CaseId, PracticeId, ProofingTry)>, Error> {
        let row = self.row(
            END_PROOFING_TRY,
            &[state_hash.into(), session.as_bytes().into(), now.micros().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let practice = row.id(1, "proofing_try.practice", PracticeId::from_slice)?;
        let it = self.open_json(
            practice,
            "proofing_try.sealed",
            state_hash,
            row.blob(2, "proofing_try.sealed")?,
        )?;
        Ok(Some((row.id(0, "proofing_try.proofing_case", CaseId::from_slice)?, practice, it)))
    }

    /// The providers that a practice accepts now: issuer, and the values that stand for IAL2.
    pub fn providers(&mut self, practice: PracticeId) -> Result<Vec<(String, String)>, Error> {
        self.rows(PROVIDERS, &[practice.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok((
                    row.text(0, "proofing_provider.issuer")?.to_owned(),
                    row.text(1, "proofing_provider.accepted")?.to_owned(),
                ))
            })
            .collect()
    }

    /// Puts a provider on the list of a practice, or another set of values in place of the old one.
    pub fn accept_provider(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        accepted: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.drop_provider(practice, issuer, now)?;
        self.run(
            ACCEPT_PROVIDER,
            &[practice.as_bytes().into(), issuer.into(), accepted.into(), now.micros().into()],
        )
        .map(drop)
    }

    /// Takes a provider off the list. `false` when it was not on it.
    pub fn drop_provider(
        &mut self,
        practice: PracticeId,
        issuer: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let ended = self.run(
            DROP_PROVIDER,
            &[practice.as_bytes().into(), issuer.into(), now.micros().into()],
        )?;
        Ok(ended == 1)
    }
}

//! How we are known to EHRs that launch apps with SMART on FHIR, and such launches on their way.

use countersign_domain::{EhrId, PracticeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// An EHR that launches with SMART.
#[derive(Clone, PartialEq, Eq)]
pub struct SmartEhr {
    /// The EHR.
    pub ehr: EhrId,
    /// Its practice.
    pub practice: PracticeId,
    /// The address of its FHIR server, without a slash at the end.
    pub iss: String,
    /// Our client ID there.
    pub client_id: String,
    /// Our client secret there; empty for a public client.
    pub client_secret: String,
}

/// What must be remembered between the way to the EHR and the way back.
#[derive(Clone, Serialize, Deserialize)]
pub struct SmartTry {
    /// The FHIR server.
    pub iss: String,
    /// Who signs its ID tokens.
    pub issuer: String,
    /// Where a code is exchanged.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// In the ID token.
    pub nonce: String,
    /// Proves that the code is ours (RFC 7636).
    pub verifier: String,
    /// SHA-256 of the browser's secret.
    pub browser: [u8; 32],
}

statements! {
    DELETE_EHR_SMART = sql!("DELETE FROM ehr_smart WHERE ehr = $1");
    INSERT_EHR_SMART = sql!(
        "INSERT INTO ehr_smart (ehr, iss, client_id, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (iss) DO NOTHING"
    );
    SMART_EHR = sql!(
        "SELECT s.ehr, e.practice, s.client_id, s.sealed FROM ehr_smart s JOIN ehr e ON e.id = s.ehr WHERE s.iss = $1"
    );
    CREATE_SMART_TRY = sql!(
        "INSERT INTO smart_try (state_hash, practice, ehr, sealed, expires) VALUES ($1, $2, $3, $4, $5)"
    );
    TAKE_SMART_TRY = sql!("DELETE FROM smart_try WHERE state_hash = $1 RETURNING practice, sealed, expires");
}

impl Tx<'_> {
    /// Writes how we are known to an EHR, over what was written before. `false` where another EHR has this address.
    pub fn save_smart_ehr(&mut self, it: &SmartEhr) -> Result<bool, Error> {
        let sealed =
            self.seal_json(it.practice, "ehr_smart.sealed", it.ehr.as_bytes(), &it.client_secret)?;
        let other = self.smart_ehr(&it.iss)?.is_some_and(|known| known.ehr != it.ehr);
        if other {
            return Ok(false);
        }
        self.run(DELETE_EHR_SMART, &[it.ehr.as_bytes().into()])?;
        let written = self.run(
            INSERT_EHR_SMART,
            &[
                it.ehr.as_bytes().into(),
                it.iss.as_str().into(),
                it.client_id.as_str().into(),
                sealed.as_slice().into(),
            ],
        )?;
        Ok(written == 1)
    }

    /// The EHR with this FHIR server.
    pub fn smart_ehr(&mut self, iss: &str) -> Result<Option<SmartEhr>, Error> {
        let row = self.row(SMART_EHR, &[iss.into()])?;
        let Some(row) = row else { return Ok(None) };
        let ehr = row.id(0, "ehr_smart.ehr", EhrId::from_slice)?;
        let practice = row.id(1, "ehr.practice", PracticeId::from_slice)?;
        let sealed = row.blob(3, "ehr_smart.sealed")?;
        Ok(Some(SmartEhr {
            ehr,
            practice,
            iss: iss.to_owned(),
            client_id: row.text(2, "ehr_smart.client_id")?.to_owned(),
            client_secret: self.open_json(practice, "ehr_smart.sealed", ehr.as_bytes(), sealed)?,
        }))
    }

    /// Remembers a launch that is on its way to the EHR.
    pub fn create_smart_try(
        &mut self,
        state_hash: &[u8; 32],
        ehr: &SmartEhr,
        it: &SmartTry,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let sealed = self.seal_json(ehr.practice, "smart_try.sealed", state_hash, it)?;
        self.run(
            CREATE_SMART_TRY,
            &[
                state_hash.into(),
                ehr.practice.as_bytes().into(),
                ehr.ehr.as_bytes().into(),
                sealed.as_slice().into(),
                expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Takes one that comes back: it can't come a second time. Nothing where it is unknown or too late.
    pub fn take_smart_try(
        &mut self,
        state_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<SmartTry>, Error> {
        let row = self.row(TAKE_SMART_TRY, &[state_hash.into()])?;
        let Some(row) = row else { return Ok(None) };
        if now.micros() >= row.int(2, "smart_try.expires")? {
            return Ok(None);
        }
        let practice = row.id(0, "smart_try.practice", PracticeId::from_slice)?;
        let sealed = row.blob(1, "smart_try.sealed")?;
        self.open_json(practice, "smart_try.sealed", state_hash, sealed).map(Some)
    }
}

//! Keys with which practices sign records.

use countersign_crypto::{SigningKey, VerifyingKey, sha256};
use countersign_domain::{PracticeId, Timestamp};
use data_encoding::HEXLOWER;

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// A key whose signatures can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What names it in a record.
    pub key_id: String,
    /// The point: 65 bytes, uncompressed.
    pub point: Vec<u8>,
    /// Since when it signs no more.
    pub retired: Option<Timestamp>,
}

fn key_place(key_id: &str) -> Vec<u8> {
    [b"signing_key|".as_slice(), key_id.as_bytes(), b"|sealed"].concat()
}

statements! {
    SIGNING_KEY = sql!(
        "SELECT key_id, sealed FROM signing_key WHERE practice = $1 AND retired IS NULL "
        "ORDER BY created DESC, key_id LIMIT 1"
    );
    RETIRE_SIGNING_KEYS = sql!("UPDATE signing_key SET retired = $2 WHERE practice = $1 AND retired IS NULL");
    CREATE_SIGNING_KEY = sql!(
        "INSERT INTO signing_key (key_id, practice, public, sealed, created) VALUES ($1, $2, $3, $4, $5)"
    );
    PUBLIC_KEYS = sql!("SELECT key_id, public, retired FROM signing_key ORDER BY created, key_id");
}

impl Tx<'_> {
    /// The key with which a practice signs now; made where there is none.
    pub fn signing_key(
        &mut self,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(String, SigningKey), Error> {
        let row = self.row(SIGNING_KEY, &[practice.as_bytes().into()])?;
        let Some(row) = row else { return self.new_signing_key(practice, now) };
        let key_id = row.text(0, "signing_key.key_id")?.to_owned();
        let corrupt = Error::corrupt("signing_key.sealed");
        let data_key = self.data_key(Some(practice))?;
        let Ok(plain) = data_key.open(&key_place(&key_id), row.blob(1, "signing_key.sealed")?)
        else {
            return Err(corrupt);
        };
        let key = SigningKey::from_pkcs8(&plain).map_err(|_| corrupt)?;
        Ok((key_id, key))
    }

    /// Makes another key, with which a practice signs from now on. What older ones signed stays verifiable.
    pub fn new_signing_key(
        &mut self,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(String, SigningKey), Error> {
        let (key, document) = SigningKey::generate().map_err(|_| Error::Crypto)?;
        let point = key.verifying_key().point().to_vec();
        let key_id = HEXLOWER.encode(&sha256(&point)[..8]);
        let data_key = self.data_key(Some(practice))?;
        let sealed =
            data_key.seal(&key_place(&key_id), document.expose()).map_err(|_| Error::Crypto)?;
        self.run(RETIRE_SIGNING_KEYS, &[practice.as_bytes().into(), now.micros().into()])?;
        self.run(
            CREATE_SIGNING_KEY,
            &[
                key_id.as_str().into(),
                practice.as_bytes().into(),
                point.as_slice().into(),
                sealed.as_slice().into(),
                now.micros().into(),
            ],
        )?;
        Ok((key_id, key))
    }

    /// Every key that ever signed, oldest first: for whoever verifies.
    pub fn public_keys(&mut self) -> Result<Vec<PublicKey>, Error> {
        self.rows(PUBLIC_KEYS, &[])?
            .iter()
            .map(|row| {
                let point = row.blob(1, "signing_key.public")?.to_vec();
                VerifyingKey::from_point(&point)
                    .map_err(|_| Error::corrupt("signing_key.public"))?;
                Ok(PublicKey {
                    key_id: row.text(0, "signing_key.key_id")?.to_owned(),
                    point,
                    retired: row.opt_int(2, "signing_key.retired")?.map(Timestamp::from_micros),
                })
            })
            .collect()
    }
}

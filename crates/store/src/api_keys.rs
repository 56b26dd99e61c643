//! Keys of integrating systems.

use countersign_domain::{ApiKeyId, PracticeId, Timestamp};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// A key of an integrating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// Our identifier.
    pub id: ApiKeyId,
    /// The practice it speaks for.
    pub practice: PracticeId,
}

statements! {
    CREATE_API_KEY = sql!("INSERT INTO api_key (id, practice, name, key_hash, created) VALUES ($1, $2, $3, $4, $5)");
    API_KEY = sql!("SELECT id, practice FROM api_key WHERE key_hash = $1 AND revoked IS NULL");
    API_KEYS = sql!("SELECT id, name, revoked FROM api_key WHERE practice = $1 ORDER BY created, id");
    REVOKE_API_KEY = sql!("UPDATE api_key SET revoked = $2 WHERE id = $1 AND revoked IS NULL RETURNING practice, name");
}

impl Tx<'_> {
    /// Makes a key for an integrating system; only its hash is kept.
    pub fn create_api_key(
        &mut self,
        key: &ApiKey,
        name: &str,
        key_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            CREATE_API_KEY,
            &[
                key.id.as_bytes().into(),
                key.practice.as_bytes().into(),
                name.into(),
                key_hash.into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The key with this hash, unless it was revoked.
    pub fn api_key(&mut self, key_hash: &[u8; 32]) -> Result<Option<ApiKey>, Error> {
        self.row(API_KEY, &[key_hash.into()])?
            .map(|row| {
                Ok(ApiKey {
                    id: row.id(0, "api_key.id", ApiKeyId::from_slice)?,
                    practice: row.id(1, "api_key.practice", PracticeId::from_slice)?,
                })
            })
            .transpose()
    }

    /// The keys of a practice, oldest first: identifier, what it is for, when it was revoked.
    pub fn api_keys(
        &mut self,
        practice: PracticeId,
    ) -> Result<Vec<(ApiKeyId, String, Option<Timestamp>)>, Error> {
        self.rows(API_KEYS, &[practice.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "api_key.id", ApiKeyId::from_slice)?,
                    row.text(1, "api_key.name")?.to_owned(),
                    row.opt_int(2, "api_key.revoked")?.map(Timestamp::from_micros),
                ))
            })
            .collect()
    }

    /// Revokes a key; says its practice and what it was for, or nothing if no such key works.
    pub fn revoke_api_key(
        &mut self,
        id: ApiKeyId,
        now: Timestamp,
    ) -> Result<Option<(PracticeId, String)>, Error> {
        self.row(REVOKE_API_KEY, &[id.as_bytes().into(), now.micros().into()])?
            .map(|row| {
                Ok((
                    row.id(0, "api_key.practice", PracticeId::from_slice)?,
                    row.text(1, "api_key.name")?.to_owned(),
                ))
            })
            .transpose()
    }
}

//! Data keys of practices, and the sealing of values under them.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use countersign_crypto::{DataKey, KeyProvider};
use countersign_domain::{PracticeId, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// Data keys, one a practice, unwrapped by the master key and kept in memory.
pub(crate) struct Keys {
    provider: Arc<dyn KeyProvider>,
    unassociated: OnceLock<Arc<DataKey>>,
    practices: RwLock<HashMap<PracticeId, Arc<DataKey>>>,
}

const UNASSOCIATED_PLACE: &[u8] = b"instance|1|unassociated_key_sealed";

fn practice_place(id: PracticeId) -> Vec<u8> {
    [b"practice|".as_slice(), id.as_bytes(), b"|data_key_sealed"].concat()
}

impl Keys {
    pub(crate) fn new(provider: Arc<dyn KeyProvider>) -> Self {
        Self { provider, unassociated: OnceLock::new(), practices: RwLock::default() }
    }
}

/// What a sealed value is bound to: the table, given alone or with the column, and the row.
fn place(column: &str, id: &[u8]) -> Vec<u8> {
    let table = column.split_once('.').map_or(column, |(table, _)| table);
    [table.as_bytes(), b"|", id, b"|sealed"].concat()
}

statements! {
    INSTANCE = sql!("SELECT master_key_id, unassociated_key_sealed FROM instance WHERE id = 1");
    CREATE_INSTANCE = sql!(
        "INSERT INTO instance (id, master_key_id, unassociated_key_sealed, created) "
        "VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING"
    );
    DATA_KEY = sql!("SELECT data_key_sealed FROM practice WHERE id = $1");
}

impl Tx<'_> {
    /// Makes the instance row on first use; afterwards checks that the master key is the same.
    pub(crate) fn unlock_instance(&mut self, now: Timestamp) -> Result<(), Error> {
        let found = self.keys.provider.key_id();
        let mut row = self.row(INSTANCE, &[])?;
        if row.is_none() {
            let (_, secret) = DataKey::generate(self.rng())?;
            let sealed =
                self.keys.provider.wrap(UNASSOCIATED_PLACE, &secret).map_err(|_| Error::Crypto)?;
            self.run(
                CREATE_INSTANCE,
                &[found.as_str().into(), sealed.as_slice().into(), now.micros().into()],
            )?;
            row = self.row(INSTANCE, &[])?;
        }
        let row = row.ok_or(Error::Retry)?;
        let wanted = row.text(0, "instance.master_key_id")?;
        if wanted != found {
            return Err(Error::WrongKey { found, wanted: wanted.to_owned() });
        }
        let secret = self
            .keys
            .provider
            .unwrap(UNASSOCIATED_PLACE, row.blob(1, "instance.unassociated_key_sealed")?)
            .map_err(|_| Error::corrupt("instance.unassociated_key_sealed"))?;
        let key = DataKey::from_bytes(&secret).map_err(|_| Error::Crypto)?;
        let _ = self.keys.unassociated.set(Arc::new(key));
        Ok(())
    }

    /// Makes a data key for a new practice and gives it back wrapped.
    pub(crate) fn new_practice_key(&mut self, id: PracticeId) -> Result<Vec<u8>, Error> {
        let (_, secret) = DataKey::generate(self.rng())?;
        self.keys.provider.wrap(&practice_place(id), &secret).map_err(|_| Error::Crypto)
    }

    /// The data key of a practice, or the one for what belongs to none yet.
    pub(crate) fn data_key(&mut self, practice: Option<PracticeId>) -> Result<Arc<DataKey>, Error> {
        let Some(id) = practice else {
            return self.keys.unassociated.get().cloned().ok_or(Error::Crypto);
        };
        let known =
            self.keys.practices.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let column = "practice.data_key_sealed";
        let row = self
            .row(DATA_KEY, &[id.as_bytes().into()])?
            .ok_or(Error::corrupt_in(column, id.as_bytes()))?;
        let secret = self
            .keys
            .provider
            .unwrap(&practice_place(id), row.blob(0, column)?)
            .map_err(|_| Error::corrupt_in(column, id.as_bytes()))?;
        let key = Arc::new(DataKey::from_bytes(&secret).map_err(|_| Error::Crypto)?);
        let mut practices = self.keys.practices.write().unwrap_or_else(PoisonError::into_inner);
        practices.insert(id, Arc::clone(&key));
        Ok(key)
    }

    /// Seals a value for its row under the key of a practice.
    pub(crate) fn seal_json<T: Serialize>(
        &mut self,
        practice: PracticeId,
        column: &'static str,
        id: &[u8],
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let plain = serde_json::to_vec(value).map_err(|_| Error::corrupt_in(column, id))?;
        let key = self.data_key(Some(practice))?;
        key.seal(&place(column, id), &plain).map_err(|_| Error::Crypto)
    }

    /// Opens what [`Tx::seal_json`] has sealed.
    pub(crate) fn open_json<T: DeserializeOwned>(
        &mut self,
        practice: PracticeId,
        column: &'static str,
        id: &[u8],
        sealed: &[u8],
    ) -> Result<T, Error> {
        let corrupt = Error::corrupt_in(column, id);
        let key = self.data_key(Some(practice))?;
        let Ok(plain) = key.open(&place(column, id), sealed) else { return Err(corrupt) };
        serde_json::from_slice(plain.expose()).map_err(|_| corrupt)
    }
}

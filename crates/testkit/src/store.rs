//! Stores under the master key of the tests.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use countersign_crypto::{LocalMasterKey, SecretBytes};
use countersign_domain::Timestamp;
use countersign_store::{Database, Store};
use data_encoding::HEXLOWER;

use crate::{TestDatabase, seeded_rng};

const MASTER_KEY: [u8; 32] = [7; 32];

pub(crate) async fn open(database: &TestDatabase, now: Timestamp) -> Store {
    open_store(&database.database(), now).await
}

/// Opens a store under the key that [`write_key_file`] writes, its schema brought up to date.
pub async fn open_store(database: &Database, now: Timestamp) -> Store {
    let key = LocalMasterKey::from_bytes(&SecretBytes::new(MASTER_KEY.to_vec())).unwrap();
    Store::open(database, Arc::new(key), seeded_rng, true, now).await.unwrap()
}

/// Writes the master key of all tests as the binary reads it.
pub fn write_key_file(path: &Path) {
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(HEXLOWER.encode(&MASTER_KEY).as_bytes()).unwrap();
}

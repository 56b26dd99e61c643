//! The bare limits of this machine, measured in the same run as the server.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use countersign_crypto::sha256;
use countersign_domain::AttemptCounter;
use countersign_store::Store;
use tokio::task::JoinSet;

use crate::{clock, load::CONNECTIONS, stats::float};

/// Appends of 4 KiB a second, each followed by fdatasync(2), to a file in `folder`.
pub(crate) fn fdatasync_rate(folder: &Path, time: Duration) -> Result<f64> {
    let path = folder.join("fdatasync.bench");
    let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
    let block = [0x5a; 4_096];
    let began = Instant::now();
    let mut synced = 0;
    while began.elapsed() < time {
        file.write_all(&block)?;
        file.sync_data()?;
        synced += 1;
    }
    let rate = float(synced) / began.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Requests a second through the store alone: [`CONNECTIONS`] of them wait at a time, and each is
/// one row updated and one row inserted, with no cryptography and no HTTP.
pub(crate) async fn group_commit_rate(store: &Store, time: Duration) -> Result<f64> {
    let began = Instant::now();
    let end = began + time;
    let mut tasks = JoinSet::new();
    for task in 0..CONNECTIONS {
        let store = store.clone();
        tasks.spawn(async move {
            let updated = Arc::new(sha256(format!("bench row {task}").as_bytes()));
            let now = clock::now();
            let mut done = 0_u64;
            while Instant::now() < end {
                let (updated, inserted) =
                    (Arc::clone(&updated), sha256(format!("bench row {task}/{done}").as_bytes()));
                store
                    .write("bench_bare", move |tx| {
                        tx.save_attempts(&updated, &AttemptCounter::NONE, now)?;
                        tx.use_launch(&inserted, now)
                    })
                    .await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut total = 0;
    while let Some(done) = tasks.join_next().await {
        total += done.context("a writer of the bare measurement")??;
    }
    Ok(float(total) / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::MasterKey;
    use countersign_store::Database;

    #[tokio::test]
    async fn both_limits_are_more_than_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let time = Duration::from_millis(50);
        assert!(fdatasync_rate(folder.path(), time).unwrap() > 0.0);
        let key = MasterKey::create(&folder.path().join("master.key")).unwrap();
        let database = Database::Sqlite { path: folder.path().join("bench.db") };
        let store = key.open_store(&database).await.unwrap();
        assert!(group_commit_rate(&store, time).await.unwrap() > 0.0);
    }
}

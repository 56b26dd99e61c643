//! What `countersign doctor` finds in the database.

use std::sync::Arc;

use countersign_app::Build;
use countersign_crypto::KeyProvider;
use countersign_domain::{
    Date, TimeZone,
    certification::{BuildId, RunningBuild},
};
use countersign_store::{SCHEMA_VERSION, Store};

use super::{database, system_rng};
use crate::{
    doctor::{self, Finding},
    release,
    settings::{DatabaseKind, Settings},
    soft_token::now,
};

pub(super) async fn store_findings(settings: &Settings, key: Arc<dyn KeyProvider>) -> Vec<Finding> {
    let store = match Store::open_bare(&database(settings), key, system_rng) {
        Ok(store) => store,
        Err(error) => return vec![doctor::database_finding(Err(error))],
    };
    let state = match store.schema_state().await {
        Ok(state) => state,
        Err(error) => return vec![doctor::database_finding(Err(error))],
    };
    let kind = match settings.database.kind {
        DatabaseKind::Sqlite => "SQLite responds",
        DatabaseKind::Postgres => "PostgreSQL responds",
    };
    let mut findings =
        vec![doctor::database_finding::<countersign_store::Error>(Ok(kind.to_owned()))];
    let version = Some(state.version()).filter(|version| *version > 0);
    findings.push(doctor::schema_finding(version, SCHEMA_VERSION));
    if version == Some(SCHEMA_VERSION) {
        findings.push(match store.read("models", |tx| tx.token_models()).await {
            Ok(models) => doctor::models_finding(models.iter().filter(|m| m.allowed).count()),
            Err(error) => doctor::database_finding(Err(error)),
        });
        findings.extend(certification_findings(&store, settings).await);
    }
    match store.clock_offset(now()).await {
        Ok(Some(micros)) => findings.push(doctor::clock_finding(micros / 1_000)),
        Ok(None) => {}
        Err(error) => findings.push(doctor::database_finding(Err(error))),
    }
    findings
}

/// Whether the report of a listed build is on file and in force, and the notices of non-compliance, which stop a build
/// whether it is listed or not.
async fn certification_findings(store: &Store, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (listed, id) = match release::build(&settings.signing) {
        Ok((Build::Listed { report }, id)) => (Some(report), Some(id)),
        Ok((Build::Allowed | Build::Unlisted, id)) => (None, Some(id)),
        Err(error) => {
            findings.push(doctor::manifest_finding(&error));
            (None, None)
        }
    };
    let Ok(version) = release::version() else { return findings };
    let id = id.unwrap_or_else(|| BuildId::unlisted(version));
    let running = RunningBuild { version, id, listed };
    let asked = running.clone();
    let found = store
        .read("certification", move |tx| {
            let report = tx.report_of(&asked.id, asked.listed.as_deref())?;
            Ok((report, tx.noncompliance()?))
        })
        .await;
    let today = Date::at(now(), &TimeZone::UTC);
    match found {
        Ok((report, notices)) => {
            if running.listed.is_some() {
                findings.push(doctor::certification_finding(report.map(|it| it.facts), today));
            }
            findings.extend(doctor::notices_finding(&notices, &running));
        }
        Err(error) => findings.push(doctor::database_finding(Err(error))),
    }
    findings
}

//! The rules of prescribing, through the pages and the API: who may sign under which registration, what is asked before a
//! prescription is marked ready, states, series, supervisors, and that what is sent is what was signed.

mod authority;
mod message;
mod refills;
mod series;
mod supervision;

use std::sync::Arc;

use countersign_domain::state_rules::StateRules;
use countersign_protocol::record;
use countersign_testkit::{Browser, PASSPHRASE, Page, TestApp};
use serde_json::Value;

use crate::prescribing::{send, shown, signing};

const SIGN: &str = "/e-prescribing/sign";

/// Marks a draft ready.
async fn mark(browser: &mut Browser, path: &str) -> Page {
    browser.post(&format!("{path}/ready"), &[]).await
}

/// Signs what is ready; what the record of the prescription at this address says.
async fn sign(app: &TestApp, browser: &mut Browser, path: &str) -> Value {
    let parts = shown(&browser.get(SIGN).await);
    send(browser, SIGN, &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .leads_to("/e-prescribing?done=signed");
    said(app, browser, path).await
}

/// What the signed record of the prescription at this address says, verified with the published keys.
async fn said(app: &TestApp, browser: &mut Browser, path: &str) -> Value {
    let jws = browser.get(&format!("{path}/record")).await.body;
    let keys = app.browser().get("/.well-known/jwks.json").await.body;
    record::verify(&jws, keys.as_bytes()).unwrap()
}

fn rules(limits: &[&str], no_series: &[&str], supervised: &[&str]) -> Arc<StateRules> {
    let limits: Vec<_> = limits.iter().map(|text| text.parse().unwrap()).collect();
    let states =
        |all: &[&str]| -> Vec<_> { all.iter().map(|text| text.parse().unwrap()).collect() };
    Arc::new(StateRules::new(&limits, &states(no_series), &states(supervised)).unwrap())
}

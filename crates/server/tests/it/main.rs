//! The server from the outside: pages and API over the real router, on both databases, with a
//! frozen clock. One binary, a module for each question.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests"
)]

mod access;
mod api;
mod archive;
mod attacks;
mod browser;
mod certification;
mod console;
mod corpus;
mod edge;
mod enrol;
mod faults;
mod flow;
mod integration;
mod launch;
mod layering;
mod lockout;
mod models;
mod prescribing;
mod requirements;
mod routes;
mod signing_rules;
mod smart;
mod snapshots;
mod statements;
mod text;
mod truth;
mod unknown;
mod vip;

use countersign_testkit::{Browser, Page, Phone};

/// Sends the form "Add Two Factor Authentication Token" for a token in hand.
async fn add(browser: &mut Browser, phone: &Phone, code: &str, more: &[(&str, &str)]) -> Page {
    let mut fields = vec![
        ("manufacturer", ""),
        ("issuer", "built_in"),
        ("token_type", ""),
        ("name", "New phone"),
        ("credential_id", phone.credential.as_str()),
        ("otp", code),
    ];
    for (name, value) in more {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    browser.post("/portal/tokens", &fields).await
}

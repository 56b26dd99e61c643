//! The binary as an operator sees it: what it says, what it leaves behind, and how it holds up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests"
)]

mod admin;
#[cfg(feature = "demo")]
mod demo;
mod prescription;
mod race;
mod release;
mod run;
mod start;

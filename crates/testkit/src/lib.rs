//! What the tests of Countersign share: a clock that stands still, a repeatable generator, a
//! made-up practice on a database of its own, a soft token, and a browser without a network.
//!
//! Development only. What is here panics with what went wrong: a test has nobody else to tell.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stderr,
    reason = "test support: a panic is how it reports a failure"
)]

mod app;
mod browser;
mod clock;
mod database;
mod flood;
mod html;
mod models;
mod options;
mod outbound;
mod people;
mod phone;
mod standins;
mod store;
mod trail;
mod wire;

pub use app::TestApp;
pub use browser::{Api, Browser, Page, Reply, WRONG_CODE};
pub use clock::{FrozenClock, START, SeededRng, real_now, seeded_rng};
pub use rusqlite::Connection;

pub use database::{Backend, TestDatabase, wanted};
pub use flood::fill;
pub use html::Element;
pub use outbound::GatewayMood;
pub use people::{PASSPHRASE, Person, dea, npi};
pub use phone::Phone;
pub use standins::{EHR_ORIGIN, ISSUER};
pub use store::{open_store, write_key_file};
pub use trail::{Answered, Record, Trail};
pub use wire::{KeepAlive, WireReply};

/// Writes one test for both databases: `both! { async fn name(app: TestApp) { .. } }` becomes
/// `name::sqlite` and `name::postgres`. Without PostgreSQL the second says so and passes, except
/// in CI. `name::run` is its body, for a test that goes through several of them.
#[macro_export]
macro_rules! both {
    ($($(#[$doc:meta])* async fn $name:ident($($app:ident)+: TestApp) $body:block)+) => {$(
        $(#[$doc])*
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "not every test needs what its file imports")]
            use super::*;

            pub(crate) async fn run($($app)+: $crate::TestApp) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::TestApp::on($crate::Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::wanted($crate::Backend::Postgres) {
                    run($crate::TestApp::on($crate::Backend::Postgres).await).await;
                }
            }
        }
    )+};
}

//! What the operator chose.

use std::sync::Arc;

use countersign_domain::{
    Manufacturer, Policy,
    certification::{BuildId, Version},
    controlled::Table,
    prescription::Pharmacy,
    retention::Retention,
    state_rules::StateRules,
};
use countersign_protocol::oidc::Client;

use crate::{NoticeText, Vip};

/// Whom a practice names for help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Support {
    /// A person or a desk.
    pub name: String,
    /// Phone number.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

/// What is known of the build that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A signed release manifest lists it.
    Listed {
        /// The ID of the report that the manifest names.
        report: String,
    },
    /// No manifest lists it, and the operator lets it sign.
    Allowed,
    /// No manifest lists it.
    Unlisted,
}

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our own address as browsers see it, without a slash at the end.
    pub public_url: String,
    /// The rules.
    pub policy: Policy,
    /// PBKDF2 iterations for passphrases.
    pub iterations: u32,
    /// Manufacturers that are switched on.
    pub manufacturers: Vec<Manufacturer>,
    /// Prefix of Symantec IDs that the built-in authority issues.
    pub symantec_prefix: String,
    /// Whom to ask for help.
    pub support: Support,
    /// Whether the data are made up.
    pub demonstration: bool,
    /// The VIP Access protocol, where it is switched on.
    pub vip: Option<Arc<Vip>>,
    /// Proofing providers that are set up here: name, and how we are known there. Which of them counts,
    /// two people of each practice decide.
    pub providers: Vec<(String, Client)>,
    /// A time server is set up, by which the clock is checked before anything is signed.
    pub time_server: bool,
    /// What is known of this build.
    pub build: Build,
    /// Its version.
    pub version: Version,
    /// Which build it is: what a report covers, and a practice acknowledges.
    pub build_id: BuildId,
    /// The drugs that are offered, with their schedules.
    pub drugs: Arc<Table>,
    /// What states ask of prescriptions beyond the federal rules.
    pub states: Arc<StateRules>,
    /// A gateway to the pharmacies is set up; without one nothing is signed.
    pub gateway: bool,
    /// The pharmacies that it reaches.
    pub pharmacies: Vec<Pharmacy>,
    /// For how long signed records are kept.
    pub retention: Retention,
    /// The words of notices.
    pub notice_text: NoticeText,
}

//! The options of the application under test.

use std::sync::Arc;

use countersign_app::{Build, Options, Support};
use countersign_domain::{
    Manufacturer, Policy,
    certification::{BuildId, Version},
    controlled::Table,
    retention::Retention,
};
use countersign_protocol::oidc::{Client, Secret};
use countersign_server::notice_text;
use countersign_standins::proofer::ASSURANCE;

use crate::{ISSUER, browser::ORIGIN};

/// The version of the program that tests run, as far as certification goes.
const VERSION: Version = Version::new(0, 1, 0);

pub(crate) fn options() -> Options {
    Options {
        public_url: ORIGIN.to_owned(),
        policy: Policy::STANDARD,
        iterations: 210_000,
        manufacturers: vec![Manufacturer::Countersign, Manufacturer::Symantec],
        symantec_prefix: "SYMC".to_owned(),
        support: Support {
            name: "Lakeside Clinic support desk".to_owned(),
            phone: Some("+1 555 0100".to_owned()),
            email: Some("support@lakeside.example".to_owned()),
        },
        demonstration: true,
        vip: None,
        time_server: false,
        build: Build::Unlisted,
        version: VERSION,
        build_id: BuildId::unlisted(VERSION),
        drugs: Arc::new(Table::built_in()),
        states: Arc::default(),
        gateway: true,
        pharmacies: vec!["9999991 Corner Pharmacy, 3 Oak Street".parse().unwrap()],
        retention: Retention::default(),
        notice_text,
        providers: vec![(
            "Test provider".to_owned(),
            Client {
                issuer: ISSUER.to_owned(),
                id: "countersign".to_owned(),
                secret: Secret("test secret".to_owned()),
                acr_values: ASSURANCE.to_owned(),
            },
        )],
    }
}

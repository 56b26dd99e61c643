//! What stands in for others in tests: the proofing provider, the EHR and the pharmacy.

use std::sync::{Arc, OnceLock};

use axum::Router;
use countersign_app::Clock as _;
use countersign_crypto::{HmacAlgorithm, HmacKey, SigningKey};
use countersign_domain::EhrId;
use countersign_standins::{
    ehr::{self, Ehr, EhrUser, Smart, SmartClient},
    pharmacy::{self, Pharmacy},
    proofer::{MadeUp, Proofer},
};

use crate::{Browser, FrozenClock, browser::ORIGIN, npi};

/// The proofing provider of the tests.
pub const ISSUER: &str = "http://127.0.0.1:9";

/// Its people: the fixture's prescriber as the tests invite her, the same with another middle name and
/// address, and somebody else.
pub(crate) fn proofer(clock: &Arc<FrozenClock>) -> Proofer {
    let clock = Arc::clone(clock);
    let grace = MadeUp {
        subject: "same".to_owned(),
        given: "Grace".to_owned(),
        family: "Lindholm".to_owned(),
        born: "1979-02-03".to_owned(),
        npi: npi(9_000).as_text(),
        ..MadeUp::default()
    };
    let near = MadeUp { subject: "near".to_owned(), middle: "Birgit".to_owned(), ..grace.clone() };
    let other = MadeUp {
        subject: "other".to_owned(),
        given: "Henry".to_owned(),
        family: "Stone".to_owned(),
        born: "1960-01-01".to_owned(),
        npi: npi(9_001).as_text(),
        ..MadeUp::default()
    };
    Proofer {
        issuer: ISSUER.to_owned(),
        client: ("countersign".to_owned(), "test secret".to_owned()),
        redirect_uri: format!("{ORIGIN}/proofing/return"),
        signing_key: SigningKey::generate().unwrap().0,
        people: vec![grace, near, other],
        clock: Arc::new(move || clock.now()),
    }
}

/// The origin of the stand-in EHR of the tests.
pub const EHR_ORIGIN: &str = "http://127.0.0.1:8";

/// Has what must be escaped before it is sent (RFC 6749, 2.3.1).
pub(crate) const EHR_SECRET: &str = "a secret: 100% theirs";

pub(crate) fn stand_in_ehr(ehr_id: EhrId, clock: &Arc<FrozenClock>) -> Router {
    let clock = Arc::clone(clock);
    let user = |user: &str, name: &str, role: &str| EhrUser {
        user: user.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
    };
    let client = |id: &str, secret: &str, redirect_uri: Option<String>| SmartClient {
        id: id.to_owned(),
        secret: secret.to_owned(),
        redirect_uri,
    };
    ehr::router(Ehr {
        users: vec![
            user("amoreno", "Dr. Ada Moreno", "Prescriber"),
            user("jlee", "Jamie Lee", "Nurse"),
            user("nobody", "Nora Body", "Student"),
        ],
        signing_key: Arc::new(SigningKey::generate().unwrap().0),
        ehr_id,
        audience: ORIGIN.to_owned(),
        clock: Arc::new(move || clock.now()),
        launch_seconds: 60,
        smart: Some(Smart::new(
            EHR_ORIGIN.to_owned(),
            vec![
                client("countersign", EHR_SECRET, Some(format!("{ORIGIN}/smart/callback"))),
                client("try-out", "", None),
            ],
        )),
        mailbox: Arc::new(Vec::new),
    })
}

pub(crate) fn gateway_key() -> HmacKey {
    HmacKey::new(HmacAlgorithm::Sha256, &[9; 32])
}

/// The pharmacy of the tests, which fetches the published keys of the server that is tested.
pub(crate) fn pharmacy_of(clock: &Arc<FrozenClock>, keys: &Arc<OnceLock<Router>>) -> Router {
    let (clock, keys) = (Arc::clone(clock), Arc::clone(keys));
    let keys = move || -> pharmacy::Keys {
        let router = keys.get().unwrap().clone();
        Box::pin(async move {
            Some(Browser::new(router).get("/.well-known/jwks.json").await.body.into_bytes())
        })
    };
    let pharmacy = Pharmacy {
        gateway_key: Arc::new(gateway_key()),
        keys: Arc::new(keys),
        clock: Arc::new(move || clock.now()),
    };
    pharmacy::router(pharmacy, true).unwrap()
}

//! The gateway and the pharmacy of the demonstration, on an origin of their own: what is posted is verified
//! as a real pharmacy would, with the published keys alone, and taken or turned down. Nobody dispenses.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use askama::Template;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    middleware::map_response,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use countersign_crypto::HmacKey;
use countersign_domain::Timestamp;
use countersign_protocol::{record, webhook_signature::is_signed};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    proofer::harden,
    views::{PharmacyLine, PharmacyPage},
};

/// Most bytes of what is posted.
const MOST_BYTES: usize = 256 * 1024;
/// Most prescriptions that are kept.
const MOST_KEPT: usize = 1_000;

/// The published keys, once they are there.
pub type Keys = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// What it is made of.
pub struct Pharmacy {
    /// With which key what is posted must be signed.
    pub gateway_key: Arc<HmacKey>,
    /// Fetches the published keys of those who sign.
    pub keys: Arc<dyn Fn() -> Keys + Send + Sync>,
    /// Reads the time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Pharmacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pharmacy")
    }
}

struct Running {
    pharmacy: Pharmacy,
    /// What was taken, newest first: the key under which it came, and what the page shows.
    taken: Mutex<Vec<(String, PharmacyLine)>>,
}

/// Its pages and its address for prescriptions. `None` outside a demonstration: there it does not run.
pub fn router(pharmacy: Pharmacy, demonstration: bool) -> Option<Router> {
    let running = Running { pharmacy, taken: Mutex::default() };
    demonstration.then(|| {
        Router::new()
            .route("/", get(list))
            .route("/prescriptions", post(take))
            .route("/static/{file}", get(static_file))
            .fallback(async || StatusCode::NOT_FOUND)
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .layer(map_response(harden))
            .with_state(Arc::new(running))
    })
}

async fn static_file(Path(file): Path<String>) -> Response {
    crate::ehr::asset(&file).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

async fn list(State(it): State<Arc<Running>>) -> Response {
    let taken = it.taken.lock().unwrap_or_else(PoisonError::into_inner);
    let template = PharmacyPage { lines: taken.iter().map(|(_, line)| line.clone()).collect() };
    drop(taken);
    match template.render() {
        Ok(body) => Html(body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct Posted {
    id: String,
    signed_record: String,
    new_rx: String,
}

fn rejected(reason: &str) -> Response {
    Json(json!({ "status": "rejected", "reason": reason })).into_response()
}

async fn take(State(it): State<Arc<Running>>, headers: HeaderMap, body: String) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let now = (it.pharmacy.clock)();
    let signature = text("countersign-signature").unwrap_or_default();
    if !is_signed(&it.pharmacy.gateway_key, signature, now.seconds(), &body) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(key) = text("idempotency-key").map(str::to_owned) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let accepted = || Json(json!({ "status": "accepted" })).into_response();
    {
        let taken = it.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.iter().any(|(known, _)| *known == key) {
            return accepted();
        }
    }
    let Ok(posted) = serde_json::from_str::<Posted>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(keys) = (it.pharmacy.keys)().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let said = match record::verify(&posted.signed_record, &keys) {
        Ok(said) => said,
        Err(error) => return rejected(&error.to_string()),
    };
    let of = |path: &str| said.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    if of("/id") != posted.id || !posted.new_rx.contains(&format!("<MessageID>{}<", posted.id)) {
        return rejected("message and signed record are for different prescriptions");
    }
    if of("/prescription/note").to_lowercase().starts_with("reject") {
        return rejected("rejected, as the note to the pharmacist requests");
    }
    let line = PharmacyLine {
        drug: format!("{} {}", of("/prescription/drug"), of("/prescription/strength")),
        patient: of("/prescription/patient/name"),
        practitioner: of("/practitioner/name"),
        dea: of("/practitioner/dea"),
        signed_at: of("/signed_at"),
        taken_at: now.minute_text(),
    };
    let mut taken = it.taken.lock().unwrap_or_else(PoisonError::into_inner);
    // Two tries at once are one prescription.
    if !taken.iter().any(|(known, _)| *known == key) {
        taken.insert(0, (key, line));
        taken.truncate(MOST_KEPT);
    }
    drop(taken);
    accepted()
}

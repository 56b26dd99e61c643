//! A prescription as it stands, with its signed record.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use countersign_app::{Error, OneRx};
use countersign_domain::PrescriptionId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::caller::{Known, not_found};
use crate::{Shared, web::respond::Out};

/// Why a prescription can't be signed now.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HindranceBody {
    /// Stable code.
    pub(super) code: &'static str,
    /// Explanation for the prescriber.
    pub(super) text: String,
}

/// The current state of a prescription.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReceiptBody {
    /// Our identifier.
    id: String,
    /// `draft`, `ready`, `signed`, `transmitted`, `failed`, `printed` or `cancelled`.
    state: &'static str,
    /// Its content as it will be signed: show this, not what you sent.
    content: Value,
    /// Why it can't be signed now; only before it is signed.
    hindrance: Option<HindranceBody>,
    /// The signed record (JWS, RFC 7515), verifiable with `/.well-known/jwks.json`; after it is signed.
    record: Option<String>,
    /// Transmission status as text; after it is signed.
    transmission: Option<String>,
}

pub(super) fn receipt_body(
    it: &OneRx,
    hindrance: Option<HindranceBody>,
) -> Result<ReceiptBody, Error> {
    let content = it.row.it.content.json().canonical()?;
    let content =
        serde_json::from_str(&content).map_err(|_| Error::unreadable("a prescription"))?;
    Ok(ReceiptBody {
        id: it.row.id.to_string(),
        state: it.row.it.state.code(),
        content,
        hindrance,
        record: it.signed.as_ref().map(|signed| signed.jws.clone()),
        transmission: it.way.as_ref().map(|way| match way.state.outcome() {
            "" => "on its way".to_owned(),
            outcome => outcome.to_owned(),
        }),
    })
}

pub(super) async fn receipt(
    State(shared): State<Shared>,
    known: Known,
    Path(id): Path<String>,
) -> Out {
    known.must("receipts.read")?;
    let id: PrescriptionId = id.parse().map_err(|_| not_found())?;
    let found = shared.app.receipt(&known.caller, id).await;
    let found = found.map_err(|error| known.fault(&error))?;
    let body = receipt_body(&found, None).map_err(|error| known.fault(&error))?;
    Ok(Json(body).into_response())
}

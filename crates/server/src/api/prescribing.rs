//! The API for EHRs that bring screens of their own: prescribers, signing requests, receipts. The document in
//! `OpenAPI` is made from the bodies and the list of operations in `document`, and from nothing else.

mod caller;
mod document;
mod prescribers;
mod receipts;
mod requests;
mod signatures;
mod token;

use axum::{
    Json,
    routing::{get, post},
};

pub use document::openapi;
pub(crate) use requests::read_request;

use self::{
    document::DOCUMENT,
    prescribers::prescriber,
    receipts::receipt,
    requests::create,
    signatures::{show, sign},
    token::token,
};
use crate::Shared;

pub(super) fn routes() -> axum::Router<Shared> {
    axum::Router::new()
        .route("/api/v1/token", post(token))
        .route("/api/v1/prescribers/{npi}", get(prescriber))
        .route("/api/v1/signing-requests", post(create))
        .route("/api/v1/signing-requests/{id}", get(show))
        .route("/api/v1/signing-requests/{id}/signature", post(sign))
        .route("/api/v1/prescriptions/{id}", get(receipt))
        .route("/api/v1/openapi.json", get(async || Json(&*DOCUMENT)))
}

//! A prescriber of the practice, with tokens and registrations.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use countersign_domain::Npi;
use schemars::JsonSchema;
use serde::Serialize;

use super::caller::{Known, not_found};
use crate::{Shared, web::respond::Out};

/// A token of a prescriber.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenBody {
    /// Masked credential ID.
    credential_id: String,
    /// Its name.
    name: String,
    /// Whether it is activated for signing.
    activated: bool,
}

/// A DEA registration.
#[derive(Debug, Serialize, JsonSchema)]
struct RegistrationBody {
    /// The number as written on a prescription: for an institution, with hyphen and internal code.
    number: String,
    /// The state. Its rules apply to prescriptions under this number.
    state: String,
    /// Schedules it covers.
    schedules: String,
}

/// A prescriber of the practice.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PrescriberBody {
    /// NPI.
    npi: String,
    /// Full name.
    name: String,
    /// Active tokens.
    tokens: Vec<TokenBody>,
    /// Registrations under which they may prescribe now, their own and the institution's.
    registrations: Vec<RegistrationBody>,
}

pub(super) async fn prescriber(
    State(shared): State<Shared>,
    known: Known,
    Path(npi): Path<String>,
) -> Out {
    known.must("prescribers.read")?;
    let npi: Npi = npi.parse().map_err(|_| not_found())?;
    let found = shared.app.known_prescriber(&known.caller, npi, known.at).await;
    let found = found.map_err(|error| known.fault(&error))?;
    Ok(Json(PrescriberBody {
        npi: npi.as_text(),
        name: found.name,
        tokens: found
            .tokens
            .into_iter()
            .map(|(credential_id, name, activated)| TokenBody { credential_id, name, activated })
            .collect(),
        registrations: found
            .numbers
            .into_iter()
            .map(|(number, state, schedules)| RegistrationBody { number, state, schedules })
            .collect(),
    })
    .into_response())
}

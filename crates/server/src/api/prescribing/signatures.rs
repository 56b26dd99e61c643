//! A signing request as it stands, and the act of signing it.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use countersign_app::{Error, RequestView, Signing, SigningRefusal};
use countersign_crypto::SecretText;
use countersign_domain::{
    PrescriptionId, SigningRequestId,
    ocra::Challenge,
    otp::OneTimePasscode,
    prescription::{SIGNING_SECONDS, SIGNING_STATEMENT},
};
use data_encoding::HEXLOWER;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    caller::{Known, Sent, no, not_found},
    receipts::{HindranceBody, ReceiptBody, receipt_body},
};
use crate::{Shared, api, web::respond::Out};

/// A signing request: what to show, and what the two factors are bound to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RequestBody {
    /// Our identifier.
    id: String,
    /// Name of the prescriber; show it.
    practitioner: String,
    /// Address of the prescriber; show it.
    practitioner_address: String,
    /// NPI of the prescriber; show it.
    npi: String,
    /// The date on all of the prescriptions; show it.
    date: String,
    /// The statement you must show while both factors are entered (21 CFR 1311.140(a)(3)).
    statement: &'static str,
    /// When this response was created, in microseconds since 1970-01-01 UTC; return it with the signature.
    shown_at: i64,
    /// Number of seconds after `shown_at` during which it can be signed.
    expires_in: i64,
    /// SHA-256 of what you must show, in hexadecimal; return it with the signature.
    digest: String,
    /// Text for a QR code beside the passcode field: Countersign Authenticator shows its content and an 8-digit
    /// passcode bound to it. Omitted when there is nothing to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_text: Option<String>,
    /// 8 digits to enter in the app instead of scanning the QR code.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    /// The prescriptions.
    prescriptions: Vec<ReceiptBody>,
}

/// Signing: what the prescriber entered while everything was shown.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureBody {
    /// From the signing request.
    shown_at: i64,
    /// From the signing request.
    #[schemars(length(equal = 64))]
    digest: String,
    /// The prescriber's passphrase. Never store it.
    passphrase: String,
    /// Passcode from the prescriber's token.
    #[schemars(length(min = 6, max = 12))]
    passcode: String,
    /// Credential ID of the token; if omitted, any active token of the prescriber.
    #[serde(default)]
    credential_id: Option<String>,
}

pub(super) fn request_body(view: &RequestView, origin: &str) -> Result<RequestBody, Error> {
    let signing_text = (!view.set.rows.is_empty()).then(|| view.set.text(origin)).transpose()?;
    let hindrance = |id: PrescriptionId| {
        let found = view.set.hindrances.iter().find(|(of, _)| *of == id);
        found.map(|(_, why)| HindranceBody { code: why.code(), text: why.to_string() })
    };
    let prescriptions = view.prescriptions.iter().map(|it| receipt_body(it, hindrance(it.row.id)));
    Ok(RequestBody {
        id: view.id.to_string(),
        practitioner: view.set.person.name.clone(),
        practitioner_address: view.set.address.clone(),
        npi: view.set.npi(),
        date: view.set.today.to_string(),
        statement: SIGNING_STATEMENT,
        shown_at: view.shown_at,
        expires_in: SIGNING_SECONDS,
        digest: HEXLOWER.encode(&view.set.digest(view.shown_at)?),
        challenge: signing_text.as_ref().map(|text| Challenge::of(text).digits()),
        signing_text,
        prescriptions: prescriptions.collect::<Result<_, _>>()?,
    })
}

pub(super) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(id): Path<String>,
) -> Out {
    known.must("signing")?;
    let id: SigningRequestId = id.parse().map_err(|_| not_found())?;
    let view = shared.app.signing_request(&known.caller, id, known.at).await;
    let view = view.map_err(|error| known.fault(&error))?;
    let body = request_body(&view, &shared.app.options().public_url);
    Ok(Json(body.map_err(|error| known.fault(&error))?).into_response())
}

pub(super) async fn sign(
    State(shared): State<Shared>,
    known: Known,
    Path(id): Path<String>,
    sent: Sent,
) -> Out {
    known.must("signing")?;
    let id: SigningRequestId = id.parse().map_err(|_| not_found())?;
    let body: SignatureBody = sent.read()?;
    let unprocessable =
        |code: &str, detail: &str| no(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    let code = body.passcode.parse::<OneTimePasscode>();
    let code =
        code.map_err(|_| unprocessable("passcode_malformed", "A passcode has 6 to 8 digits."))?;
    let digest = api::digest(&body.digest);
    let digest = digest.map_err(|detail| unprocessable("digest_malformed", &detail))?;
    let credential = match &body.credential_id {
        None => None,
        Some(text) => Some(api::credential(text).ok_or_else(|| {
            unprocessable("credential_malformed", "This is not a credential ID.")
        })?),
    };
    let passphrase = SecretText::new(body.passphrase);
    let shown = (body.shown_at, digest);
    let signing = shared
        .app
        .sign_request(&known.caller, id, shown, passphrase, (credential, code), known.at)
        .await;
    match signing.map_err(|error| known.fault(&error))? {
        Signing::Done(_) => {
            let view = shared.app.signing_request(&known.caller, id, known.at).await;
            let view = view.map_err(|error| known.fault(&error))?;
            let body = request_body(&view, &shared.app.options().public_url);
            Ok(Json(body.map_err(|error| known.fault(&error))?).into_response())
        }
        Signing::Refused(SigningRefusal::State(refusal)) => {
            let code = refusal.code();
            Err(no(StatusCode::CONFLICT, code, &refusal.to_string()))
        }
        Signing::Refused(SigningRefusal::Hindered(hindrance)) => {
            Err(no(StatusCode::CONFLICT, hindrance.code(), &hindrance.to_string()))
        }
        Signing::Refused(SigningRefusal::TimedOut) => Err(no(
            StatusCode::CONFLICT,
            "signing_timed_out",
            "More than 2 minutes have passed. Get the signing request again, show it, then sign.",
        )),
        // Who typed the passphrase right may know what is wrong with the passcode: as on our own page.
        Signing::NotConfirmed(refusal) => Err(unprocessable(refusal.code(), &refusal.to_string())),
    }
}

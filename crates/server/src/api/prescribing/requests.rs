//! A new signing request: its body, and what may be wrong with it.

use axum::{Json, extract::State, response::IntoResponse};
use countersign_app::{Answer, Error, NewRequest, RequestRefusal, Written, Wrong};
use countersign_crypto::sha256;
use countersign_domain::{
    Npi, Timestamp, check_line,
    prescription::{Patient, longest},
};
use countersign_protocol::launch::LaunchPatient;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    caller::{Known, Sent, no},
    signatures::request_body,
};
use crate::{
    Shared,
    web::respond::{Out, Stop},
};

/// A patient.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PatientBody {
    /// The EHR's identifier.
    #[schemars(length(min = 1, max = 64))]
    id: String,
    /// Full name.
    #[schemars(length(min = 1, max = 128))]
    name: String,
    /// Date of birth, `YYYY-MM-DD`.
    birth_date: String,
    /// Medical record number.
    #[schemars(length(min = 1, max = 32))]
    mrn: String,
    /// Full address (21 CFR 1306.05(a)).
    #[schemars(length(min = 1, max = 200))]
    address: String,
}

/// A prescription of a controlled substance.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PrescriptionBody {
    /// The drug.
    drug: String,
    /// Its strength, such as `5 mg`.
    strength: String,
    /// Its form, such as `tablet`.
    form: String,
    /// `2`, `2N`, `3`, `3N`, `4` or `5`; may be omitted if the drug table has the drug.
    #[serde(default)]
    schedule: String,
    /// Quantity as a string, such as `30` or `2.5`.
    quantity: String,
    /// Unit, such as `tablets`.
    unit: String,
    /// Directions for use.
    directions: String,
    /// Days' supply; required in a series. 0 or omitted: not given.
    #[serde(default)]
    #[schemars(range(max = 999))]
    days_supply: u16,
    /// Refills: none for C-II, at most five for C-III and C-IV; for C-V, what the state of the DEA number allows.
    refills: u8,
    /// Earliest fill date in a C-II series, `YYYY-MM-DD`.
    #[serde(default)]
    earliest_fill: String,
    /// Your own label, the same for all prescriptions of one C-II series in the request (21 CFR 1306.12(b)): one drug, at
    /// most 90 days in all, an earliest fill date on each but the first. They are numbered by those dates.
    #[serde(default)]
    #[schemars(length(max = 40))]
    series: String,
    /// Name of the supervisor of a mid-level practitioner, where the state requires one. Must not be the signer.
    #[serde(default)]
    supervisor: String,
    /// DEA number of the supervisor.
    #[serde(default)]
    supervisor_dea: String,
    /// Note to the pharmacist.
    #[serde(default)]
    note: String,
    /// NCPDP number of a pharmacy that is set up on this server.
    pharmacy: String,
    /// DEA number under which it is signed; an institution's with or without hyphen and internal code, which is added.
    dea: String,
    /// The prescriber marked this prescription ready in your application (21 CFR 1311.120(b)(10)). Must be true.
    ready: bool,
}

/// Prescriptions to sign together, for one patient and one prescriber.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRequestBody {
    /// NPI of the prescriber.
    npi: String,
    /// The patient.
    patient: PatientBody,
    /// 1 to 20 prescriptions.
    #[schemars(length(min = 1, max = 20))]
    prescriptions: Vec<PrescriptionBody>,
}

impl NewRequestBody {
    /// What is asked to be signed, if what a reader can judge without the database holds; else everything that does not.
    /// `digest` is the SHA-256 of the body as it came, `key` its idempotency key.
    fn checked(
        self,
        digest: [u8; 32],
        key: &str,
        now: Timestamp,
    ) -> Result<NewRequest, Vec<Wrong>> {
        let mut errors = Vec::new();
        let mut tell = |field, text: &str| {
            errors.push(Wrong { prescription: None, field, text: text.to_owned(), code: None });
        };
        let npi = self.npi.parse::<Npi>();
        if let Err(error) = &npi {
            tell("npi", &error.to_string());
        }
        let patient = LaunchPatient {
            id: self.patient.id,
            name: self.patient.name,
            birth_date: self.patient.birth_date,
            mrn: self.patient.mrn,
        };
        if let Some((field, said)) = patient.wrong_field(now) {
            tell(field, &said);
        }
        let address = self.patient.address.trim().to_owned();
        // Never cut: what is signed is what was sent.
        if let Err(error) = check_line(&address, longest("address")) {
            tell("patient.address", &error.to_string());
        }
        let (Ok(npi), true) = (npi, errors.is_empty()) else { return Err(errors) };
        Ok(NewRequest {
            npi,
            patient: Patient {
                id: patient.id,
                name: patient.name,
                born: patient.birth_date,
                mrn: patient.mrn,
                address,
            },
            prescriptions: self
                .prescriptions
                .into_iter()
                .map(|it| Written {
                    drug: it.drug,
                    strength: it.strength,
                    form: it.form,
                    schedule: it.schedule,
                    quantity: it.quantity,
                    unit: it.unit,
                    directions: it.directions,
                    days_supply: it.days_supply,
                    refills: it.refills,
                    earliest_fill: it.earliest_fill,
                    series: it.series,
                    supervisor: it.supervisor,
                    supervisor_dea: it.supervisor_dea,
                    note: it.note,
                    pharmacy: it.pharmacy,
                    dea: it.dea,
                    ready: it.ready,
                })
                .collect(),
            digest,
            key: key.to_owned(),
        })
    }
}

/// An error in a request.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct WrongBody {
    /// Index of the prescription, from 0; null if not about a prescription.
    prescription: Option<usize>,
    /// JSON path of the field, such as `patient.address`; `practice` and `installation` are not fields.
    field: &'static str,
    /// What to do.
    detail: String,
    /// Stable code if the request itself is valid but the prescription can't be signed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProblemBody {
    /// `about:blank`.
    r#type: String,
    /// Title of the status.
    title: String,
    /// The status.
    status: u16,
    /// Stable code.
    code: String,
    /// What to do.
    detail: String,
    /// The errors, by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WrongBody>,
}

/// Where a fault stands in the JSON of the request. The rules judge a prescription with its patient and prescriber, whom a
/// request names once for all of them.
fn place(it: &Wrong) -> (Option<usize>, &'static str) {
    match it.field {
        "patient" => (None, "patient.name"),
        "address" => (None, "patient.address"),
        "prescriber" => (None, "npi"),
        field => (it.prescription, field),
    }
}

/// What is wrong with a request. Where it is no fault of the request, the code of the first hindrance is that of the whole.
fn wrong(errors: Vec<Wrong>) -> Stop {
    let hindered = errors.iter().all(|it| it.code.is_some());
    let first = errors.first().filter(|_| hindered);
    let first = first.and_then(|it| Some((it.code?.to_owned(), it.text.clone())));
    let status = match first {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (code, detail) = first.unwrap_or_else(|| {
        let detail = "Nothing was created. Correct the errors and send it again.".to_owned();
        ("request_wrong".to_owned(), detail)
    });
    let mut listed: Vec<WrongBody> = Vec::new();
    for it in errors {
        let (prescription, field) = place(&it);
        let fault = WrongBody { prescription, field, detail: it.text, code: it.code };
        // What is wrong with the patient was found on each prescription, and is said once.
        if !listed.contains(&fault) {
            listed.push(fault);
        }
    }
    let body = ProblemBody {
        r#type: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        code,
        detail,
        errors: listed,
    };
    let mut response = (status, Json(body)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Stop::with(response)
}

pub(super) async fn create(
    State(shared): State<Shared>,
    known: Known,
    headers: HeaderMap,
    sent: Sent,
) -> Out {
    known.must("signing")?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let Some(key) = key.filter(|key| (1..=128).contains(&key.len())) else {
        let detail = "Send an Idempotency-Key of 1 to 128 characters. Use the same key to repeat the same request.";
        return Err(no(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail));
    };
    let body: NewRequestBody = sent.read()?;
    let request = body.checked(sha256(&sent.0), key, known.at.now).map_err(wrong)?;
    let created = shared.app.request_signing(&known.caller, request, known.at).await;
    match created.map_err(|error| known.fault(&error))? {
        Answer::Done(id) | Answer::Refused(RequestRefusal::Before(id)) => {
            let view = shared.app.signing_request(&known.caller, id, known.at).await;
            let view = view.map_err(|error| known.fault(&error))?;
            let body = request_body(&view, &shared.app.options().public_url);
            let body = body.map_err(|error| known.fault(&error))?;
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Answer::Refused(RequestRefusal::KeyReused) => {
            let detail = "This Idempotency-Key was used for a different request. Use a new one.";
            Err(no(StatusCode::CONFLICT, "idempotency_key_reused", detail))
        }
        Answer::Refused(RequestRefusal::Wrong(errors)) => Err(wrong(errors)),
        Answer::NotConfirmed(refusal) => Err(known.fault(&Error::Refused(refusal))),
    }
}

/// Reads and checks a body, as [`create`] does; none where it is no JSON of one. For the fuzz target alone.
pub(crate) fn read_request(body: &[u8], now: Timestamp) -> Option<Result<NewRequest, Vec<Wrong>>> {
    let read: NewRequestBody = serde_json::from_slice(body).ok()?;
    Some(read.checked(sha256(body), "key", now))
}

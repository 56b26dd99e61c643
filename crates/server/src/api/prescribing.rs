//! The API for EHRs that bring screens of their own: prescribers, signing requests, receipts. The document in
//! `OpenAPI` is made from the bodies and the list of operations below, and from nothing else.

use std::sync::LazyLock;

use axum::{
    Form, Json,
    extract::{FromRequest, FromRequestParts, Path, Request, State, rejection::FormRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use countersign_app::{
    ACCESS_SECONDS, At, Caller, Created, Error, NewRequest, OneRx, RequestView, Signing, Written,
    Wrong,
};
use countersign_crypto::{SecretText, sha256};
use countersign_domain::{
    Npi, PrescriptionId, SigningRequestId, check_line,
    ocra::Challenge,
    otp::OneTimePasscode,
    prescription::{Patient, SIGNING_SECONDS, SIGNING_STATEMENT, longest},
};
use countersign_protocol::launch::LaunchPatient;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::no_randomness;
use crate::{
    Shared,
    edge::after,
    limits::Door,
    respond::{Out, Stop, error_problem, problem, status_of},
};

/// Most bytes of a body.
const MOST_BYTES: usize = 64 * 1024;

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
    /// `2`, `2N`, `3`, `3N`, `4` or `5`; may be left out where the table knows the drug.
    #[serde(default)]
    schedule: String,
    /// How much, as a text, such as `30` or `2.5`.
    quantity: String,
    /// Of what, such as `tablets`.
    unit: String,
    /// Directions for use.
    directions: String,
    /// For how many days it lasts; needed in a series. 0 or left out: not said.
    #[serde(default)]
    #[schemars(range(max = 999))]
    days_supply: u16,
    /// Refills: none on schedule II, at most five on III and IV, on V what the state of the DEA number allows.
    refills: u8,
    /// Earliest fill date of a series of schedule II, `YYYY-MM-DD`.
    #[serde(default)]
    earliest_fill: String,
    /// A word of yours, the same on all of the request that are one series of schedule II (21 CFR 1306.12(b)): one drug, at
    /// most 90 days in all, an earliest fill date on each but the first. They are numbered by those dates.
    #[serde(default)]
    #[schemars(length(max = 40))]
    series: String,
    /// Name of the supervisor of a mid-level practitioner, where the state wants one. Never the signer.
    #[serde(default)]
    supervisor: String,
    /// DEA number of the supervisor.
    #[serde(default)]
    supervisor_dea: String,
    /// A word to the pharmacist.
    #[serde(default)]
    note: String,
    /// NCPDP number of the pharmacy; one that is set up here.
    pharmacy: String,
    /// DEA number under which it is signed; an institution's with or without hyphen and internal code, which is added.
    dea: String,
    /// The practitioner has marked this one ready on your screen (21 CFR 1311.120(b)(10)). Must be true.
    ready: bool,
}

/// What is to be signed together: prescriptions of one patient and one prescriber.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRequestBody {
    /// NPI of the prescriber.
    npi: String,
    /// The patient.
    patient: PatientBody,
    /// From 1 to 20.
    #[schemars(length(min = 1, max = 20))]
    prescriptions: Vec<PrescriptionBody>,
}

/// Why a prescription can't be signed now.
#[derive(Debug, Serialize, JsonSchema)]
struct HindranceBody {
    /// Stable code.
    code: &'static str,
    /// In words, for the practitioner.
    text: String,
}

/// A prescription, as it stands.
#[derive(Debug, Serialize, JsonSchema)]
struct ReceiptBody {
    /// Our identifier.
    id: String,
    /// `draft`, `ready`, `signed`, `transmitted`, `failed`, `printed` or `cancelled`.
    state: &'static str,
    /// What it says, as it will be signed: show this, and not what you sent.
    content: Value,
    /// Why it can't be signed now; only before it is signed.
    hindrance: Option<HindranceBody>,
    /// The signed record (JWS, RFC 7515), verifiable with `/.well-known/jwks.json`; once it is signed.
    record: Option<String>,
    /// How its way to the pharmacy goes, in words; once it is signed.
    transmission: Option<String>,
}

/// A signing request: what to show, and what the two factors are bound to.
#[derive(Debug, Serialize, JsonSchema)]
struct RequestBody {
    /// Our identifier.
    id: String,
    /// Name of the practitioner, to be shown.
    practitioner: String,
    /// Address of the practitioner, to be shown.
    practitioner_address: String,
    /// NPI of the practitioner, to be shown.
    npi: String,
    /// The date that will stand on all of them, to be shown.
    date: String,
    /// The statement that must be shown while both factors are typed (21 CFR 1311.140(a)(3)).
    statement: &'static str,
    /// When this was made, in microseconds since 1970; send it back with the signature.
    shown_at: i64,
    /// For how many seconds from then on it can be signed.
    expires_in: i64,
    /// SHA-256 of what is to be shown, in hexadecimal; send it back with the signature.
    digest: String,
    /// For a QR code beside the field of the passcode: Countersign Authenticator shows what it says, and a code of
    /// 8 digits that is bound to it. Nothing once there is nothing to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_text: Option<String>,
    /// Eight digits in place of the picture, to be typed into the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    /// The prescriptions.
    prescriptions: Vec<ReceiptBody>,
}

/// The act of signing: what the practitioner typed while all of it was shown.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignatureBody {
    /// As the signing request said.
    shown_at: i64,
    /// As the signing request said.
    #[schemars(length(equal = 64))]
    digest: String,
    /// The practitioner's passphrase. Never keep it.
    passphrase: String,
    /// The passcode that the practitioner's token shows.
    #[schemars(length(min = 6, max = 12))]
    passcode: String,
    /// Credential ID of the token; any active one of the practitioner, where it is left out.
    #[serde(default)]
    credential_id: Option<String>,
}

/// A token of a prescriber.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenBody {
    /// Credential ID without its middle.
    credential_id: String,
    /// Its name.
    name: String,
    /// It was activated for signing.
    activated: bool,
}

/// A DEA registration.
#[derive(Debug, Serialize, JsonSchema)]
struct RegistrationBody {
    /// The number as it stands on a prescription: an institution's with hyphen and internal code.
    number: String,
    /// The state. Its rules count for prescriptions under this number.
    state: String,
    /// The schedules that it covers.
    schedules: String,
}

/// A prescriber of the practice.
#[derive(Debug, Serialize, JsonSchema)]
struct PrescriberBody {
    /// NPI.
    npi: String,
    /// Full name.
    name: String,
    /// Active tokens.
    tokens: Vec<TokenBody>,
    /// Registrations under which they may prescribe now, their own and the institution's.
    registrations: Vec<RegistrationBody>,
}

/// Something that is wrong with a request.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct WrongBody {
    /// Which prescription, from 0; null where it is none of them.
    prescription: Option<usize>,
    /// Its name in the JSON of the request, such as `patient.address`; `practice` and `installation` are none.
    field: &'static str,
    /// What to do.
    detail: String,
    /// Stable code, where it is no fault of the request: the prescription could not be signed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
struct ProblemBody {
    /// `about:blank`.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// Stable code.
    code: String,
    /// What to do.
    detail: String,
    /// What is wrong, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WrongBody>,
}

/// Request for a token (RFC 6749, 4.4; RFC 7523, 2.2), as a form.
#[derive(Deserialize, JsonSchema)]
struct TokenForm {
    /// `client_credentials`.
    grant_type: String,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    client_assertion_type: String,
    /// A JWT that you sign with ES256: `iss` and `sub` your client ID, `aud` this address, `exp` within five
    /// minutes, `iat` and `nbf`, where they are there, at most 30 seconds ahead, `jti` of 16 to 128 characters, never
    /// used before.
    client_assertion: String,
    /// Some of your scopes, with a space between them; all of them, where it is left out.
    #[serde(default)]
    scope: String,
}

/// A token.
#[derive(Serialize, JsonSchema)]
struct TokenReply {
    /// Send it as `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    /// What it opens.
    scope: String,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn token(
    State(shared): State<Shared>,
    crate::portal::Peer(address): crate::portal::Peer,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST, "invalid_request") };
    if form.grant_type != "client_credentials" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    if form.client_assertion_type != ASSERTION_TYPE || form.client_assertion.len() > 4_096 {
        return refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let Ok(at) = shared.app.at() else { return no_randomness() };
    let under_way = match shared.limits.begin(Door::ApiToken, address, at.now).await {
        Ok(begun) => begun,
        Err(wait) => {
            shared.app.note_refusal("api_token_limit", address, at).await;
            // RFC 6749 has no code of its own for it; this one is of RFC 6749, 4.1.2.1.
            let refusal = refused(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable");
            return after(refusal, wait);
        }
    };
    let granted = shared.app.grant_access(form.client_assertion, form.scope, at).await;
    under_way.end(matches!(granted, Ok(None)));
    match granted {
        Ok(Some((_, scope))) if scope.is_empty() => {
            refused(StatusCode::BAD_REQUEST, "invalid_scope")
        }
        Ok(Some((token, scope))) => Json(TokenReply {
            access_token: token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: ACCESS_SECONDS,
            scope,
        })
        .into_response(),
        Ok(None) => {
            shared.app.note_refusal("api_client_unknown", address, at).await;
            refused(StatusCode::UNAUTHORIZED, "invalid_client")
        }
        Err(error) => error_problem(&error, at),
    }
}

/// Who asks, with a token that opens something.
struct Known {
    caller: Caller,
    at: At,
}

impl FromRequestParts<Shared> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let at = shared.app.at().map_err(|_| no_randomness())?;
        let token = super::bearer(&parts.headers).unwrap_or_default();
        let found = shared.app.caller(token, at).await;
        let found = found.map_err(|error| error_problem(&error, at))?;
        if let Some(caller) = found {
            return Ok(Self { caller, at });
        }
        let detail = "Get a token at /api/v1/token, and send it as a bearer token.";
        Err(super::no_bearer("token_unknown", detail))
    }
}

impl Known {
    fn must(&self, scope: &'static str) -> Result<(), Stop> {
        if self.caller.may(scope) {
            return Ok(());
        }
        let detail = format!("The token does not have the scope {scope}.");
        Err(no(StatusCode::FORBIDDEN, "scope_missing", &detail))
    }

    fn fault(&self, error: &Error) -> Stop {
        if let Error::OutcomeUnknown(_) = error {
            let status = status_of(error, self.at);
            let detail = format!(
                "It is not known whether this was done. Read the signing request before you try again. Support code {}.",
                self.at.support
            );
            return Stop::with(problem(status, "outcome_unknown", &detail));
        }
        Stop::with(error_problem(error, self.at))
    }
}

/// A problem that ends the handler.
fn no(status: StatusCode, code: &str, detail: &str) -> Stop {
    Stop::with(problem(status, code, detail))
}

fn not_found() -> Stop {
    no(StatusCode::NOT_FOUND, "not_found", "There is no such thing.")
}

/// A body as it came: its digest is what an idempotency key stands for.
struct Sent(Vec<u8>);

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        super::json_bytes(request, MOST_BYTES).await.map(|bytes| Self(bytes.to_vec()))
    }
}

impl Sent {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Stop> {
        super::json_read(&self.0).map_err(Stop::with)
    }
}

async fn prescriber(State(shared): State<Shared>, known: Known, Path(npi): Path<String>) -> Out {
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
        let detail = "Nothing was put down. Mend what is wrong, and send it again.".to_owned();
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

async fn create(State(shared): State<Shared>, known: Known, headers: HeaderMap, sent: Sent) -> Out {
    known.must("signing")?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let Some(key) = key.filter(|key| (1..=128).contains(&key.len())) else {
        let detail =
            "Send an Idempotency-Key of 1 to 128 characters: the same for the same request.";
        return Err(no(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail));
    };
    let body: NewRequestBody = sent.read()?;
    let mut errors = Vec::new();
    let mut tell = |field, text: &str| {
        errors.push(Wrong { prescription: None, field, text: text.to_owned(), code: None });
    };
    let npi = body.npi.parse::<Npi>();
    if let Err(error) = &npi {
        tell("npi", &error.to_string());
    }
    let patient = LaunchPatient {
        id: body.patient.id,
        name: body.patient.name,
        birth_date: body.patient.birth_date,
        mrn: body.patient.mrn,
    };
    if let Some((field, said)) = patient.wrong_field(known.at.now) {
        tell(field, &said);
    }
    let address = body.patient.address.trim().to_owned();
    // Never cut: what is signed is what was sent.
    if let Err(error) = check_line(&address, longest("address")) {
        tell("patient.address", &error.to_string());
    }
    let (Ok(npi), true) = (npi, errors.is_empty()) else { return Err(wrong(errors)) };
    let request = NewRequest {
        npi,
        patient: Patient {
            id: patient.id,
            name: patient.name,
            born: patient.birth_date,
            mrn: patient.mrn,
            address,
        },
        prescriptions: body
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
        digest: sha256(&sent.0),
        key: key.to_owned(),
    };
    let created = shared.app.request_signing(&known.caller, request, known.at).await;
    match created.map_err(|error| known.fault(&error))? {
        Created::There(id) => {
            let view = shared.app.signing_request(&known.caller, id, known.at).await;
            let view = view.map_err(|error| known.fault(&error))?;
            let body = request_body(&view, &shared.app.options().public_url);
            let body = body.map_err(|error| known.fault(&error))?;
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Created::KeyReused => {
            let detail = "This Idempotency-Key was used for another request. Choose a new one.";
            Err(no(StatusCode::CONFLICT, "idempotency_key_reused", detail))
        }
        Created::Wrong(errors) => Err(wrong(errors)),
    }
}

fn receipt_body(it: &OneRx, hindrance: Option<HindranceBody>) -> Result<ReceiptBody, Error> {
    let content = it.row.it.content.json().canonical()?;
    let content =
        serde_json::from_str(&content).map_err(|_| Error::unreadable("a prescription"))?;
    Ok(ReceiptBody {
        id: it.row.id.to_string(),
        state: it.row.it.state.code(),
        content,
        hindrance,
        record: it.signed.as_ref().map(|signed| signed.jws.clone()),
        transmission: it.way.as_ref().map(|way| match way.outcome.as_str() {
            "" => "on its way".to_owned(),
            outcome => outcome.to_owned(),
        }),
    })
}

fn request_body(view: &RequestView, origin: &str) -> Result<RequestBody, Error> {
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

async fn show(State(shared): State<Shared>, known: Known, Path(id): Path<String>) -> Out {
    known.must("signing")?;
    let id: SigningRequestId = id.parse().map_err(|_| not_found())?;
    let view = shared.app.signing_request(&known.caller, id, known.at).await;
    let view = view.map_err(|error| known.fault(&error))?;
    let body = request_body(&view, &shared.app.options().public_url);
    Ok(Json(body.map_err(|error| known.fault(&error))?).into_response())
}

async fn sign(
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
    let digest = super::digest(&body.digest);
    let digest = digest.map_err(|detail| unprocessable("digest_malformed", &detail))?;
    let credential =
        match &body.credential_id {
            None => None,
            Some(text) => Some(super::credential(text).ok_or_else(|| {
                unprocessable("credential_malformed", "This is no credential ID.")
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
        Signing::Refused(refusal) => {
            let code = refusal.code();
            Err(no(StatusCode::CONFLICT, code, &refusal.to_string()))
        }
        Signing::Hindered(hindrance) => {
            Err(no(StatusCode::CONFLICT, hindrance.code(), &hindrance.to_string()))
        }
        Signing::TimedOut => Err(no(
            StatusCode::CONFLICT,
            "signing_timed_out",
            "More than two minutes have passed. Ask for the signing request again, show it, then sign.",
        )),
        // Who typed the passphrase right may know what is wrong with the passcode: as on our own page.
        Signing::NotConfirmed(refusal) => Err(unprocessable(refusal.code(), &refusal.to_string())),
    }
}

async fn receipt(State(shared): State<Shared>, known: Known, Path(id): Path<String>) -> Out {
    known.must("receipts.read")?;
    let id: PrescriptionId = id.parse().map_err(|_| not_found())?;
    let found = shared.app.receipt(&known.caller, id).await;
    let found = found.map_err(|error| known.fault(&error))?;
    let body = receipt_body(&found, None).map_err(|error| known.fault(&error))?;
    Ok(Json(body).into_response())
}

/// One operation of the document.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: Option<&'static str>,
    /// Content type and schema of the body.
    body: Option<(&'static str, &'static str)>,
    /// Good status, and the schema of its answer.
    good: (&'static str, &'static str),
    /// What else it may answer.
    bad: &'static [&'static str],
}

const JSON: &str = "application/json";

const OPERATIONS: [Operation; 6] = [
    Operation {
        path: "/api/v1/token",
        method: "post",
        id: "getToken",
        summary: "A token for a system that proves itself with its own key",
        scope: None,
        body: Some(("application/x-www-form-urlencoded", "TokenForm")),
        good: ("200", "TokenReply"),
        bad: &["400", "401", "429"],
    },
    Operation {
        path: "/api/v1/prescribers/{npi}",
        method: "get",
        id: "getPrescriber",
        summary: "A prescriber of the practice, their tokens and registrations",
        scope: Some("prescribers.read"),
        body: None,
        good: ("200", "PrescriberBody"),
        bad: &["401", "403", "404"],
    },
    Operation {
        path: "/api/v1/signing-requests",
        method: "post",
        id: "createSigningRequest",
        summary: "Put down what is to be signed together. Idempotent by its key, for a day",
        scope: Some("signing"),
        body: Some((JSON, "NewRequestBody")),
        good: ("201", "RequestBody"),
        bad: &["400", "401", "403", "409", "413", "415", "422"],
    },
    Operation {
        path: "/api/v1/signing-requests/{id}",
        method: "get",
        id: "getSigningRequest",
        summary: "What to show, with a fresh digest; and what became of it",
        scope: Some("signing"),
        body: None,
        good: ("200", "RequestBody"),
        bad: &["401", "403", "404"],
    },
    Operation {
        path: "/api/v1/signing-requests/{id}/signature",
        method: "post",
        id: "sign",
        summary: "Sign all of it, with passphrase and passcode",
        scope: Some("signing"),
        body: Some((JSON, "SignatureBody")),
        good: ("200", "RequestBody"),
        bad: &["400", "401", "403", "404", "409", "413", "415", "422"],
    },
    Operation {
        path: "/api/v1/prescriptions/{id}",
        method: "get",
        id: "getPrescription",
        summary: "How far a prescription is, and its signed record",
        scope: Some("receipts.read"),
        body: None,
        good: ("200", "ReceiptBody"),
        bad: &["401", "403", "404"],
    },
];

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

impl Operation {
    fn document(&self) -> Value {
        let mut parameters = Vec::new();
        for name in ["npi", "id"] {
            if self.path.contains(&format!("{{{name}}}")) {
                let schema = json!({ "type": "string" });
                parameters.push(
                    json!({ "name": name, "in": "path", "required": true, "schema": schema }),
                );
            }
        }
        if self.id == "createSigningRequest" {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
            parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": true, "schema": schema }));
        }
        let answer = |text: &str, kind: &str, schema: &str| json!({ "description": text, "content": { kind: { "schema": reference(schema) } } });
        let mut responses = Map::new();
        responses.insert(self.good.0.to_owned(), answer("Done.", JSON, self.good.1));
        for status in self.bad.iter().chain(&["500", "503", "504"]) {
            let text = "A problem document; its `code` says which.";
            let response = if self.scope.is_some() || status.starts_with('5') {
                answer(text, "application/problem+json", "ProblemBody")
            } else {
                json!({ "description": "An OAuth error (RFC 6749, 5.2)." })
            };
            responses.insert((*status).to_owned(), response);
        }
        let mut it = Map::new();
        it.insert("operationId".to_owned(), json!(self.id));
        it.insert("summary".to_owned(), json!(self.summary));
        if !parameters.is_empty() {
            it.insert("parameters".to_owned(), json!(parameters));
        }
        if let Some((kind, schema)) = self.body {
            let content = json!({ kind: { "schema": reference(schema) } });
            it.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        if let Some(scope) = self.scope {
            it.insert("security".to_owned(), json!([{ "oauth": [scope] }]));
        }
        it.insert("responses".to_owned(), Value::Object(responses));
        Value::Object(it)
    }
}

/// Made once: it never changes while the program runs.
static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// The document: `OpenAPI` 3.1.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<TokenForm>();
    generator.subschema_for::<TokenReply>();
    generator.subschema_for::<PrescriberBody>();
    generator.subschema_for::<NewRequestBody>();
    generator.subschema_for::<RequestBody>();
    generator.subschema_for::<SignatureBody>();
    generator.subschema_for::<ReceiptBody>();
    generator.subschema_for::<ProblemBody>();
    let schemas: Map<String, Value> = generator.take_definitions(true);
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(operation.method.to_owned(), operation.document());
        }
    }
    let scopes = json!({
        "prescribers.read": "Read prescribers, their tokens and registrations",
        "signing": "Put down signing requests, and sign them with what the practitioner typed",
        "receipts.read": "Read how far prescriptions are, and their signed records",
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For EHRs with screens of their own. Every answer is of the practice of the system that asks.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "oauth": {
                "type": "oauth2",
                "description": "Client credentials with a private-key JWT (RFC 7523).",
                "flows": { "clientCredentials": { "tokenUrl": "/api/v1/token", "scopes": scopes } },
            } },
        },
    })
}

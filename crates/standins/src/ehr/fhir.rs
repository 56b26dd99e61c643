//! The charts of the stand-in EHR over a FHIR R4 read API.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::{EhrUser, patients::Chart};

/// What can be read, by what of it it is found.
pub(super) const TYPES: [(&str, &[&str]); 5] = [
    ("Patient", &["_id"]),
    ("Practitioner", &["_id"]),
    ("AllergyIntolerance", &["patient"]),
    ("Condition", &["patient"]),
    ("MedicationRequest", &["patient"]),
];

/// An answer of the FHIR server.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/fhir+json; charset=utf-8")], body.to_string())
        .into_response()
}

/// Why nothing is shown.
pub(super) fn outcome(status: StatusCode, code: &str, text: &str) -> Response {
    let issue = json!({ "severity": "error", "code": code, "details": { "text": text } });
    answer(status, &json!({ "resourceType": "OperationOutcome", "issue": [issue] }))
}

/// What this server can (FHIR R4, `CapabilityStatement`).
pub(super) fn capabilities(base: &str, oauth: &str) -> Value {
    let resources = TYPES.map(|(kind, search)| {
        let params: Vec<Value> = search
            .iter()
            .map(|name| {
                let kind = if *name == "_id" { "token" } else { "reference" };
                json!({ "name": name, "type": kind })
            })
            .collect();
        json!({
            "type": kind,
            "interaction": [{ "code": "read" }, { "code": "search-type" }],
            "searchParam": params,
        })
    });
    let uris = json!([
        { "url": "authorize", "valueUri": format!("{oauth}/authorize") },
        { "url": "token", "valueUri": format!("{oauth}/token") },
    ]);
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-01",
        "kind": "instance",
        "software": { "name": "Countersign stand-in EHR", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Fictional charts of the demonstration", "url": base },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "security": {
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                }] }],
                "extension": [{
                    "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    "extension": uris,
                }],
            },
            "resource": resources,
        }],
    })
}

/// What a search found.
pub(super) fn bundle(base: &str, link: &str, found: &[Value]) -> Value {
    let entries: Vec<Value> = found
        .iter()
        .map(|it| {
            let text = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default();
            json!({
                "fullUrl": format!("{base}/{}/{}", text("resourceType"), text("id")),
                "resource": it,
                "search": { "mode": "match" },
            })
        })
        .collect();
    json!({
        "resourceType": "Bundle",
        "type": "searchset",
        "total": found.len(),
        "link": [{ "relation": "self", "url": link }],
        "entry": entries,
    })
}

/// A user of the EHR.
pub(super) fn practitioner(user: &EhrUser) -> Value {
    json!({
        "resourceType": "Practitioner",
        "id": user.user,
        "active": true,
        "name": [{ "use": "official", "text": user.name }],
        "qualification": [{ "code": { "text": user.role } }],
    })
}

/// Everything of one kind in a chart.
pub(super) fn resources(chart: &Chart, kind: &str) -> Vec<Value> {
    let subject = json!({ "reference": format!("Patient/{}", chart.id) });
    let active = |system: &str| {
        let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
        json!({ "coding": [{ "system": system, "code": "active" }] })
    };
    let id = |at: usize| format!("{}.{}", chart.id, at + 1);
    match kind {
        "Patient" => vec![patient(chart)],
        "AllergyIntolerance" => chart
            .allergies
            .iter()
            .enumerate()
            .map(|(at, text)| {
                let (to, reaction) = text.split_once(": ").unwrap_or((text, ""));
                json!({
                    "resourceType": "AllergyIntolerance",
                    "id": id(at),
                    "clinicalStatus": active("allergyintolerance-clinical"),
                    "code": { "text": to },
                    "patient": subject,
                    "reaction": [{ "manifestation": [{ "text": reaction }] }],
                })
            })
            .collect(),
        "Condition" => chart
            .problems
            .iter()
            .enumerate()
            .map(|(at, text)| {
                json!({
                    "resourceType": "Condition",
                    "id": id(at),
                    "clinicalStatus": active("condition-clinical"),
                    "code": { "text": text },
                    "subject": subject,
                })
            })
            .collect(),
        "MedicationRequest" => chart
            .medications
            .iter()
            .enumerate()
            .map(|(at, [name, directions, since])| {
                json!({
                    "resourceType": "MedicationRequest",
                    "id": id(at),
                    "status": "active",
                    "intent": "order",
                    "medicationCodeableConcept": { "text": name },
                    "subject": subject,
                    "authoredOn": since,
                    "dosageInstruction": [{ "text": directions }],
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn patient(chart: &Chart) -> Value {
    let (given, family) = chart.name.rsplit_once(' ').unwrap_or(("", chart.name));
    let [line, city, state, code] = chart.address;
    json!({
        "resourceType": "Patient",
        "id": chart.id,
        "identifier": [{
            "use": "usual",
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR" }] },
            "system": "urn:countersign:demo:mrn",
            "value": chart.mrn,
        }],
        "active": true,
        "name": [{ "use": "official", "text": chart.name, "family": family, "given": [given] }],
        "gender": chart.sex,
        "birthDate": chart.birth_date(),
        "address": [{ "use": "home", "line": [line], "city": city, "state": state, "postalCode": code }],
    })
}

/// The answer for whoever has no token, or one that does not open this.
pub(super) fn not_allowed(status: StatusCode) -> Response {
    let mut response =
        outcome(status, "forbidden", "The access token does not give access to this.");
    if status == StatusCode::UNAUTHORIZED {
        let value = http::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// An answer of the authorization server.
pub(super) fn oauth(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

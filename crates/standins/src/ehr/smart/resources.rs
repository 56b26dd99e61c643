//! The FHIR endpoints: what an access token opens.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Query, RawQuery, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::{
    super::{Ehr, fhir, patients::CHARTS},
    Access, Smart, off,
};

/// What the token of a request opens.
fn access(ehr: &Ehr, smart: &Smart, headers: &HeaderMap) -> Option<Access> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let found = smart.open().tokens.get(text).cloned();
    found.filter(|access| access.until > (ehr.clock)())
}

pub(super) async fn read(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Some(access) = access(&ehr, smart, &headers) else {
        return fhir::not_allowed(StatusCode::UNAUTHORIZED);
    };
    // Whoever is logged in may read who that is.
    let own = kind == "Practitioner"
        && id == access.user
        && access.scopes.iter().any(|scope| scope == "fhirUser");
    if !own && !access.opens(&kind, 'r') {
        return fhir::not_allowed(StatusCode::FORBIDDEN);
    }
    let found = if kind == "Practitioner" {
        ehr.users.iter().find(|user| user.user == id).map(fhir::practitioner)
    } else {
        let chart = CHARTS.iter().find(|chart| Some(chart.id) == access.patient);
        let all = chart.map(|chart| fhir::resources(chart, &kind)).unwrap_or_default();
        all.into_iter().find(|it| it.get("id").and_then(Value::as_str) == Some(id.as_str()))
    };
    match found {
        Some(body) => fhir::answer(StatusCode::OK, &body),
        // Another patient's too: a token says nothing of whether that one exists.
        None => fhir::outcome(StatusCode::NOT_FOUND, "not-found", "Resource not found."),
    }
}

pub(super) async fn search(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    RawQuery(raw): RawQuery,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Some(access) = access(&ehr, smart, &headers) else {
        return fhir::not_allowed(StatusCode::UNAUTHORIZED);
    };
    if !fhir::TYPES.iter().any(|(known, _)| *known == kind) {
        return fhir::outcome(StatusCode::NOT_FOUND, "not-supported", "Unknown resource type.");
    }
    if !access.opens(&kind, 's') {
        return fhir::not_allowed(StatusCode::FORBIDDEN);
    }
    let value = |name: &str| query.get(name).map(String::as_str);
    let wanted = value("patient").map(|it| it.strip_prefix("Patient/").unwrap_or(it));
    let id = value("_id");
    let found: Vec<Value> = if kind == "Practitioner" {
        let of = |user: &&super::super::EhrUser| id.is_none_or(|id| id == user.user);
        ehr.users.iter().filter(of).map(fhir::practitioner).collect()
    } else {
        let chart = CHARTS.iter().find(|chart| {
            Some(chart.id) == access.patient && wanted.is_none_or(|wanted| wanted == chart.id)
        });
        let all = chart.map(|chart| fhir::resources(chart, &kind)).unwrap_or_default();
        let of = |it: &Value| id.is_none_or(|id| it.get("id").and_then(Value::as_str) == Some(id));
        all.into_iter().filter(of).collect()
    };
    let link = format!("{}/{kind}?{}", smart.fhir(), raw.unwrap_or_default());
    fhir::answer(StatusCode::OK, &fhir::bundle(&smart.fhir(), &link, &found))
}

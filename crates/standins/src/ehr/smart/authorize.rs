//! The authorization endpoint: checks what an app asks for and hands out a code.

use std::sync::Arc;

use axum::{
    extract::{Query, RawQuery, State},
    response::{IntoResponse, Redirect, Response},
};
use countersign_protocol::oidc::query;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{
    super::{
        Ehr, fhir,
        patients::{CHARTS, Chart},
    },
    Access, CODE_SECONDS, Grant, MOST, TOKEN_SECONDS, drawn, off,
};
use crate::views::EhrChoicePage;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    response_type: String,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    aud: String,
    #[serde(default)]
    launch: String,
    #[serde(default)]
    pub(super) nonce: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    /// Chosen on our own page, in a standalone launch.
    #[serde(default)]
    chosen: String,
}

/// Whether an address is one of this machine, without anything that a browser would read otherwise.
fn is_here(url: &str) -> bool {
    let rest =
        ["http://127.0.0.1:", "http://localhost:"].iter().find_map(|it| url.strip_prefix(it));
    rest.is_some_and(|rest| {
        let port = rest.split(['/', '?']).next().unwrap_or_default();
        port.parse::<u16>().is_ok() && !rest.contains(['#', '\\', '@'])
    })
}

pub(super) async fn authorize(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let known = asked.ok().map(|Query(asked)| asked).filter(|asked| {
        smart.clients.iter().any(|client| {
            client.id == asked.client_id
                && match &client.redirect_uri {
                    Some(uri) => *uri == asked.redirect_uri,
                    None => is_here(&asked.redirect_uri),
                }
        })
    });
    let Some(asked) = known else {
        // Nobody is sent to an address that is not registered (RFC 6749, 3.1.2.4).
        return ehr.message(
            StatusCode::BAD_REQUEST,
            &headers,
            "This app is not registered",
            "Its client ID or redirect address is not registered here.",
        );
    };
    let back = |pairs: &[(&str, &str)]| {
        let mark = if asked.redirect_uri.contains('?') { '&' } else { '?' };
        let pairs = [pairs, &[("state", asked.state.as_str())]].concat();
        Redirect::to(&format!("{}{mark}{}", asked.redirect_uri, query(&pairs))).into_response()
    };
    if asked.response_type != "code" {
        return back(&[("error", "unsupported_response_type")]);
    }
    if asked.aud.trim_end_matches('/') != smart.fhir()
        || asked.code_challenge_method != "S256"
        || asked.code_challenge.len() != 43
        || asked.state.is_empty()
    {
        return back(&[("error", "invalid_request")]);
    }
    let now = (ehr.clock)();
    let Some((user, _)) = ehr.users_of(&headers) else {
        return back(&[("error", "access_denied")]);
    };
    let scopes: Vec<String> = asked.scope.split(' ').map(str::to_owned).collect();
    let wants = |scope: &str| scopes.iter().any(|it| it == scope);
    let patient = if asked.launch.is_empty() {
        if wants("launch/patient") {
            let Some(chart) = CHARTS.iter().find(|chart| chart.id == asked.chosen) else {
                let raw = raw.unwrap_or_default();
                let of = |chart: &Chart| {
                    (format!("/auth/authorize?{raw}&chosen={}", chart.id), chart.name.to_owned())
                };
                let page = EhrChoicePage {
                    ehr: ehr.frame("Choose a patient", &headers),
                    app: asked.client_id.clone(),
                    choices: CHARTS.iter().map(of).collect(),
                };
                return super::super::page(StatusCode::OK, &page);
            };
            Some(chart.id)
        } else {
            None
        }
    } else {
        // Good once, and for whoever opened it.
        let launch = smart.open().launches.remove(&asked.launch);
        let Some((.., chart, _)) = launch.filter(|(of, _, until)| *of == user.user && *until > now)
        else {
            return back(&[("error", "invalid_request"), ("error_description", "launch")]);
        };
        Some(chart)
    };
    let Some(code) = drawn() else { return back(&[("error", "server_error")]) };
    let granted = |scope: &String| {
        matches!(scope.as_str(), "openid" | "fhirUser" | "launch" | "launch/patient")
            || (patient.is_some()
                && fhir::TYPES.iter().map(|(kind, _)| *kind).chain(["*"]).any(|kind| {
                    ["rs", "r", "s", "read"]
                        .iter()
                        .any(|it| *scope == format!("patient/{kind}.{it}"))
                }))
    };
    let access = Access {
        user: user.user.clone(),
        patient,
        scopes: scopes.into_iter().filter(granted).collect(),
        until: now.plus_seconds(TOKEN_SECONDS),
    };
    let grant = Grant {
        client: asked.client_id.clone(),
        redirect_uri: asked.redirect_uri.clone(),
        challenge: asked.code_challenge.clone(),
        nonce: asked.nonce.clone(),
        access,
        until: now.plus_seconds(CODE_SECONDS),
        used: None,
    };
    let mut open = smart.open();
    // A used code is remembered as long as its token lives.
    open.codes.retain(|_, grant| grant.until.plus_seconds(TOKEN_SECONDS) > now);
    if open.codes.len() < MOST {
        open.codes.insert(code.clone(), grant);
    }
    drop(open);
    back(&[("code", &code)])
}

//! The token endpoint: exchanges a code for an access token and an ID token.

use std::sync::Arc;

use axum::{
    extract::{Form, State, rejection::FormRejection},
    response::Response,
};
use countersign_crypto::constant_time_eq;
use countersign_protocol::oidc::{challenge, escaped};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{Ehr, fhir},
    KEY_ID, MOST, TOKEN_SECONDS, drawn, off,
};

#[derive(Deserialize)]
pub(super) struct Exchange {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    pub(super) redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    pub(super) client_id: String,
}

fn refused(status: StatusCode, error: &str) -> Response {
    fhir::oauth(status, json!({ "error": error }))
}

pub(super) async fn token(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    form: Result<Form<Exchange>, FormRejection>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Ok(Form(asked)) = form else { return refused(StatusCode::BAD_REQUEST, "invalid_request") };
    if asked.grant_type != "authorization_code" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .unwrap_or_default();
    let client = smart.clients.iter().find(|client| {
        if client.secret.is_empty() {
            basic.is_empty() && client.id == asked.client_id
        } else {
            let both = format!("{}:{}", escaped(&client.id), escaped(&client.secret));
            constant_time_eq(BASE64.encode(both.as_bytes()).as_bytes(), basic.as_bytes())
        }
    });
    let Some(client) = client else { return refused(StatusCode::UNAUTHORIZED, "invalid_client") };
    let now = (ehr.clock)();
    let Some(name) = drawn() else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
    };
    let grant = {
        let mut open = smart.open();
        let Some(grant) = open.codes.get_mut(&asked.code) else {
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        if let Some(first) = grant.used.clone() {
            open.tokens.remove(&first);
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        let good = now < grant.until
            && grant.client == client.id
            && grant.redirect_uri == asked.redirect_uri
            && challenge(&asked.code_verifier) == grant.challenge;
        grant.used = Some(name.clone());
        let grant = grant.clone();
        if !good {
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        open.tokens.retain(|_, access| access.until > now);
        if open.tokens.len() < MOST {
            open.tokens.insert(name.clone(), grant.access.clone());
        }
        grant
    };
    let access = &grant.access;
    let mut body = Map::from_iter([
        ("access_token".to_owned(), json!(name)),
        ("token_type".to_owned(), json!("Bearer")),
        ("expires_in".to_owned(), json!(TOKEN_SECONDS)),
        ("scope".to_owned(), json!(access.scopes.join(" "))),
    ]);
    if let Some(patient) = access.patient {
        body.insert("patient".to_owned(), json!(patient));
    }
    if access.scopes.iter().any(|scope| scope == "openid") {
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(smart.fhir())),
            ("aud".to_owned(), json!(client.id)),
            ("sub".to_owned(), json!(access.user)),
            ("iat".to_owned(), json!(now.seconds())),
            ("exp".to_owned(), json!(now.seconds() + 300)),
        ]);
        if !grant.nonce.is_empty() {
            claims.insert("nonce".to_owned(), json!(grant.nonce));
        }
        if access.scopes.iter().any(|scope| scope == "fhirUser") {
            let user = format!("{}/Practitioner/{}", smart.fhir(), access.user);
            claims.insert("fhirUser".to_owned(), json!(user));
        }
        let Some(signed) = id_token(&ehr, &Value::Object(claims)) else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
        };
        body.insert("id_token".to_owned(), json!(signed));
    }
    fhir::oauth(StatusCode::OK, Value::Object(body))
}

fn id_token(ehr: &Ehr, claims: &Value) -> Option<String> {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = ehr.signing_key.sign(message.as_bytes()).ok()?;
    Some(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature)))
}

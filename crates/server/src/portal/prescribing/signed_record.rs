//! The signed record as a file, and the public keys of all signed records.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use countersign_app::OneRx;
use countersign_protocol::oidc::jwk;
use http::{StatusCode, header};
use serde_json::json;

use super::context::{found, known};
use crate::{
    Shared,
    portal::{Ctx, bare},
    web::respond::Out,
};

/// The signed record, as it lies in the archive.
pub(in crate::portal) async fn record(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, signed, .. } = found(&ctx, &known, &id).await?;
    let signed = signed.ok_or_else(|| ctx.not_found())?;
    let name = format!("attachment; filename=\"prescription-{}.jws\"", row.id);
    let headers = [
        (header::CONTENT_TYPE, "application/jose".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, signed.jws).into_response())
}

/// The keys of all signed records (RFC 7517), also those that sign no more.
pub(in crate::portal) async fn keys(State(shared): State<Shared>) -> Response {
    let Ok(found) = shared.app.public_keys().await else {
        return bare(StatusCode::SERVICE_UNAVAILABLE);
    };
    let keys: Vec<_> = found.iter().map(|key| jwk(&key.key_id, &key.point)).collect();
    Json(json!({ "keys": keys })).into_response()
}

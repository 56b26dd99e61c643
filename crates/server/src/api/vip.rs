//! The VIP Access protocol over HTTP: one address answers in XML, two in small pages.
//!
//! Clients judge the body and not the status; the status is for proxies and people.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use countersign_app::{Answer, At, Error, ProvisionRefusal, Vip, VipOutcome};
use countersign_domain::Timestamp;
use countersign_provision::vip::{
    AuthenticRequest, CheckAnswer, CheckForm, FORM_MAX_BYTES, Fault, Issued, REQUEST_MAX_BYTES,
    Refusal, SharedSecretRequest, SyncAnswer, SyncForm, VipCredentialId,
};
use http::{HeaderValue, StatusCode, header};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Shared,
    web::{
        client_address::Peer,
        edge::after,
        limits::{Door, Wait},
        respond::{secure, status_of, within},
    },
};

/// The protocol wants a date on which a credential ends. Ours don't end once they were added, and a
/// client that keeps to the date must not stop after a day: three years, as its clients are used to.
const SHOWN_SECONDS: i64 = 3 * 365 * 24 * 3_600;

const XML: &str = "application/xml; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The three addresses, below the path that the operator chose.
pub(crate) fn routes(vip: &Vip, most: Duration) -> axum::Router<Shared> {
    let at = |name: &str| format!("{}/{name}", vip.path);
    axum::Router::new()
        .route(&at("prov"), post(provision))
        .route(&at("otpCheck"), post(check))
        .route(&at("otpSync"), post(sync))
        .method_not_allowed_fallback(async || {
            refused(StatusCode::METHOD_NOT_ALLOWED, &Refusal::unread(Fault::Malformed))
        })
        .layer(
            ServiceBuilder::new()
                .layer(middleware::map_response(secure))
                .layer(middleware::from_fn(move |request: Request, next: Next| async move {
                    within(most, request, next, || {
                        refused(StatusCode::GATEWAY_TIMEOUT, &Refusal::unread(Fault::Unavailable))
                    })
                    .await
                }))
                .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
                    tracing::error!("a handler panicked");
                    refused(StatusCode::INTERNAL_SERVER_ERROR, &Refusal::unread(Fault::Internal))
                })),
        )
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn refused(status: StatusCode, refusal: &Refusal) -> Response {
    answer(status, XML, refusal.to_xml())
}

/// Status and reason of the record for a fault.
const fn told(fault: Fault) -> (StatusCode, &'static str) {
    match fault {
        Fault::Malformed => (StatusCode::BAD_REQUEST, "vip_request_malformed"),
        Fault::Version => (StatusCode::BAD_REQUEST, "vip_version"),
        Fault::NotAuthorized => (StatusCode::FORBIDDEN, "vip_mac_wrong"),
        Fault::Clock => (StatusCode::FORBIDDEN, "vip_clock"),
        Fault::Model => (StatusCode::UNPROCESSABLE_ENTITY, "vip_model"),
        Fault::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "vip_internal"),
        Fault::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "vip_unavailable"),
    }
}

async fn provision(
    State(shared): State<Shared>,
    Peer(address): Peer,
    request: Request,
) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    if let Err(wait) = shared.limits.count(Door::VipProvisioning, address, at.now) {
        shared.app.note_refusal("provisioning_limit", address, at).await;
        let refusal = Refusal::unread(Fault::Unavailable);
        return after(refused(StatusCode::TOO_MANY_REQUESTS, &refusal), wait);
    }
    // Some clients name no content type, and some that of a form: what comes is XML or refused.
    let Ok(body) = axum::body::to_bytes(request.into_body(), REQUEST_MAX_BYTES).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, &Refusal::unread(Fault::Malformed));
    };
    let Some(vip) = shared.app.options().vip.clone() else {
        return refused(StatusCode::NOT_FOUND, &Refusal::unread(Fault::Unavailable));
    };
    let asked = match read(&body, &vip, at) {
        Ok(asked) => asked,
        Err(refusal) => {
            let (status, reason) = told(refusal.fault());
            shared.app.note_refusal(reason, address, at).await;
            return refused(status, &refusal);
        }
    };
    // Only now: who has no keys can't use up what there is for all.
    if let Err(wait) = shared.limits.vip_provision(at.now) {
        shared.app.note_refusal("vip_provisioning_limit", address, at).await;
        let refusal = asked.refuse(Fault::Unavailable);
        return after(refused(StatusCode::TOO_MANY_REQUESTS, &refusal), wait);
    }
    match shared.app.provision_vip(asked.model(), at).await {
        Ok(Answer::Done(made)) => {
            let issued = Issued {
                credential: &made.credential,
                seed: &made.seed,
                now: Timestamp::from_seconds(at.now.seconds()),
                expires: at.now.plus_seconds(SHOWN_SECONDS),
            };
            match asked.answer(&issued, &vip.keys, shared.app.generator().as_mut()) {
                Ok(xml) => answer(StatusCode::OK, XML, xml),
                Err(refusal) => refused(told(refusal.fault()).0, &refusal),
            }
        }
        Ok(
            Answer::Refused(
                ProvisionRefusal::NotOffered
                | ProvisionRefusal::AlgorithmNotOffered
                | ProvisionRefusal::PairingUnknown,
            )
            | Answer::NotConfirmed(_),
        ) => refused(told(Fault::Model).0, &asked.refuse(Fault::Model)),
        Ok(Answer::Refused(ProvisionRefusal::Full)) => {
            shared.app.note_refusal("provisioning_full", address, at).await;
            refused(told(Fault::Unavailable).0, &asked.refuse(Fault::Unavailable))
        }
        Err(error) => {
            let status = status_of(&error, at);
            let fault = match error {
                Error::Internal(_) => Fault::Internal,
                _ => Fault::Unavailable,
            };
            refused(status, &asked.refuse(fault))
        }
    }
}

fn read(body: &[u8], vip: &Vip, at: At) -> Result<AuthenticRequest, Refusal> {
    let asked = SharedSecretRequest::parse(body)?.authenticate(&vip.keys)?;
    asked.check_clock(at.now, vip.clock_tolerance_seconds)?;
    Ok(asked)
}

/// Without the module's generator no support code and no token can be made.
fn no_randomness() -> Response {
    tracing::error!("the random generator of the FIPS module failed");
    refused(StatusCode::INTERNAL_SERVER_ERROR, &Refusal::unread(Fault::Internal))
}

async fn check(State(shared): State<Shared>, Peer(address): Peer, request: Request) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    let page = |status, page: CheckAnswer| answer(status, HTML, page.html());
    let form = match form(&shared, address, at, request).await {
        Ok(body) => CheckForm::parse(&body).map_err(|_| No::with(StatusCode::BAD_REQUEST)),
        Err(no) => Err(no),
    };
    let form = match form {
        Ok(form) => form,
        Err(no) => return no.on(page(no.status, CheckAnswer::Unknown)),
    };
    if let Err(no) = often(&shared, &form.credential, address, at).await {
        return no.on(page(no.status, CheckAnswer::Unknown));
    }
    match shared.app.check_vip(form, at).await {
        Ok(VipOutcome::Done) => page(StatusCode::OK, CheckAnswer::Working),
        Ok(VipOutcome::OutOfStep) => page(StatusCode::OK, CheckAnswer::OutOfSync),
        Ok(VipOutcome::Refused) => page(StatusCode::OK, CheckAnswer::Unknown),
        Ok(VipOutcome::NoToken) => {
            shared.app.note_refusal("vip_credential_unknown", address, at).await;
            page(StatusCode::OK, CheckAnswer::Unknown)
        }
        Err(error) => page(status_of(&error, at), CheckAnswer::Unknown),
    }
}

async fn sync(State(shared): State<Shared>, Peer(address): Peer, request: Request) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    let page = |status, page: SyncAnswer| answer(status, HTML, page.html());
    let form = match form(&shared, address, at, request).await {
        Ok(body) => SyncForm::parse(&body).map_err(|_| No::with(StatusCode::BAD_REQUEST)),
        Err(no) => Err(no),
    };
    let form = match form {
        Ok(form) => form,
        Err(no) => return no.on(page(no.status, SyncAnswer::Unknown)),
    };
    if let Err(no) = often(&shared, &form.credential, address, at).await {
        return no.on(page(no.status, SyncAnswer::Unknown));
    }
    match shared.app.sync_vip(form, at).await {
        Ok(VipOutcome::Done) => page(StatusCode::OK, SyncAnswer::Synced),
        Ok(VipOutcome::OutOfStep) => page(StatusCode::OK, SyncAnswer::OutOfSync),
        Ok(VipOutcome::Refused) => page(StatusCode::OK, SyncAnswer::Unknown),
        Ok(VipOutcome::NoToken) => {
            shared.app.note_refusal("vip_credential_unknown", address, at).await;
            page(StatusCode::OK, SyncAnswer::Unknown)
        }
        Err(error) => page(status_of(&error, at), SyncAnswer::Unknown),
    }
}

/// A refusal before the form is looked at: its status, and how long to wait, where a limit refuses.
#[derive(Clone, Copy)]
struct No {
    status: StatusCode,
    wait: Option<Wait>,
}

impl No {
    const fn with(status: StatusCode) -> Self {
        Self { status, wait: None }
    }

    const fn yet(wait: Wait) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, wait: Some(wait) }
    }

    fn on(self, response: Response) -> Response {
        match self.wait {
            Some(wait) => after(response, wait),
            None => response,
        }
    }
}

/// The body of a form, if this address may ask again.
async fn form(shared: &Shared, address: IpAddr, at: At, request: Request) -> Result<Bytes, No> {
    if let Err(wait) = shared.limits.count(Door::VipCheck, address, at.now) {
        shared.app.note_refusal("vip_check_limit", address, at).await;
        return Err(No::yet(wait));
    }
    axum::body::to_bytes(request.into_body(), FORM_MAX_BYTES)
        .await
        .map_err(|_| No::with(StatusCode::PAYLOAD_TOO_LARGE))
}

/// Refuses what is asked of one credential too often, from wherever. The credential need not exist.
async fn often(
    shared: &Shared,
    credential: &VipCredentialId,
    address: IpAddr,
    at: At,
) -> Result<(), No> {
    let Err(wait) = shared.limits.vip_credential(credential.as_str(), at.now) else {
        return Ok(());
    };
    shared.app.note_refusal("vip_credential_limit", address, at).await;
    Err(No::yet(wait))
}

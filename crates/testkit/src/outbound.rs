//! Calls to others, answered by the stand-ins in this very process.

use std::sync::{Arc, Mutex, OnceLock};

use axum::{Router, body::Body};
use countersign_app::{
    Clock as _,
    outbound::{Call, Fault, Outbound, Outgoing, Parcel, Sending},
};
use countersign_protocol::{oidc, webhook_signature::signature};
use data_encoding::BASE64;
use http::Request;
use tower::ServiceExt as _;

use crate::{EHR_ORIGIN, FrozenClock, ISSUER, standins::gateway_key};

/// How the gateway of the tests answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GatewayMood {
    /// As the made-up pharmacy does.
    #[default]
    Up,
    /// The gateway does not answer.
    Down,
    /// It takes what comes, and its answer is lost.
    Mute,
    /// The gateway rejects every prescription, for this reason.
    Rejecting(&'static str),
}

/// Asks the provider of the tests, and hands over to its pharmacy, in this very process.
pub(crate) struct InProcess {
    pub(crate) provider: Router,
    pub(crate) pharmacy: Router,
    pub(crate) ehr: Arc<OnceLock<Router>>,
    pub(crate) mood: Arc<Mutex<GatewayMood>>,
    pub(crate) parcels: Arc<Mutex<Vec<String>>>,
    pub(crate) clock: Arc<FrozenClock>,
}

async fn answer_of(router: Router, request: Request<Body>) -> Result<Vec<u8>, Fault> {
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    if status.is_success() {
        Ok(body.to_vec())
    } else {
        Err(Fault::Refused(format!("status {status}")))
    }
}

impl Outbound for InProcess {
    fn email<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn phone<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn call<'a>(&'a self, call: Call<'a>) -> Sending<'a, Vec<u8>> {
        let ehr = call.url.strip_prefix(EHR_ORIGIN).map(str::to_owned);
        let router = match &ehr {
            Some(_) => self.ehr.get().unwrap().clone(),
            None => self.provider.clone(),
        };
        let provider = call.url.strip_prefix(ISSUER).unwrap_or("/elsewhere");
        let path = ehr.unwrap_or_else(|| provider.to_owned());
        let mut request = Request::builder().uri(path);
        if let Some((name, secret)) = call.basic {
            let both = format!("{}:{}", oidc::escaped(name), oidc::escaped(secret));
            let both = BASE64.encode(both.as_bytes());
            request = request.header("authorization", format!("Basic {both}"));
        }
        if let Some(token) = call.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match call.form {
            Some(form) => {
                let text =
                    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
                request
                    .method("POST")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::from(text))
            }
            None => request.body(Body::empty()),
        };
        Box::pin(answer_of(router, request.unwrap()))
    }

    fn parcel<'a>(&'a self, parcel: Parcel<'a>) -> Sending<'a, Vec<u8>> {
        let mood = *self.mood.lock().unwrap();
        self.parcels.lock().unwrap().push(parcel.body.to_owned());
        let seconds = self.clock.now().seconds();
        let request = Request::post("/prescriptions")
            .header("content-type", "application/json")
            .header("idempotency-key", parcel.key)
            .header("countersign-signature", signature(&gateway_key(), seconds, parcel.body))
            .body(Body::from(parcel.body.to_owned()))
            .unwrap();
        let router = self.pharmacy.clone();
        Box::pin(async move {
            match mood {
                GatewayMood::Down => Err(Fault::NotReached("the gateway is down".to_owned())),
                GatewayMood::Mute => {
                    answer_of(router, request).await?;
                    Err(Fault::NotReached("no answer in time".to_owned()))
                }
                GatewayMood::Rejecting(reason) => {
                    let answer = serde_json::json!({ "status": "rejected", "reason": reason });
                    Ok(answer.to_string().into_bytes())
                }
                GatewayMood::Up => answer_of(router, request).await,
            }
        })
    }
}

//! The JSON API and the pages of Countersign, and what speaks HTTP below them.

pub mod api;
#[doc(hidden)]
pub mod fuzzing;
mod notice_texts;
mod portal;
pub mod views;
mod web;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use countersign_app::App;

pub use notice_texts::notice_text;
pub use web::client_address::{AddressSource, ClientAddresses, TrustedProxy, TrustedProxyError};
pub use web::limits::{Limits, Rates};
pub use web::listen::{ListenOptions, Listening, listen, listen_with};
pub use web::qr;

/// What every handler needs.
#[derive(Clone)]
pub struct Shared {
    pub(crate) app: Arc<App>,
    pub(crate) limits: Arc<Limits>,
}

/// Every route of the server. A request that takes longer than `most` is given up; a transaction
/// that it began goes on to its end all the same.
pub fn router(app: Arc<App>, limits: Arc<Limits>, most: Duration) -> Router {
    let shared = Shared { app, limits };
    let routes =
        api::routes(most).merge(web::authenticator::routes()).merge(portal::routes(&shared, most));
    let routes = match &shared.app.options().vip {
        Some(vip) => routes.merge(api::vip::routes(vip, most)),
        None => routes,
    };
    let edge = web::edge::Edge::new(shared.clone());
    routes.with_state(shared).layer(middleware::from_fn_with_state(edge, web::edge::guard))
}

//! The pages: e-prescribing app and token-management portal. Forms in, pages or 303 out.

mod activation;
mod certification;
mod contact;
mod context;
mod enrol;
mod forgot;
mod form;
mod history;
mod internal_codes;
mod layers;
mod login;
mod pairing;
mod passphrase;
mod phone;
mod practice;
mod prescribing;
mod records;
mod recovery;
mod routes;
mod session_cookies;
mod show;
mod start;
mod tokens;

pub(crate) use self::routes::routes;
use self::{
    context::{Ctx, way_in},
    form::{Fields, Query, choice, optional, read, reason, typed, typed_lines},
    layers::{bare, support_of},
    session_cookies::{with_log_in, with_session, without_session},
};

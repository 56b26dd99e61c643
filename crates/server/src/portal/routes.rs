//! The routes of the portal: what address, what method, which handler.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    activation, certification, contact,
    context::Ctx,
    enrol, forgot, internal_codes,
    layers::{bare, from_our_pages, under_a_support_code},
    login, pairing, passphrase, phone, practice, prescribing, records, recovery, start, tokens,
};
use crate::{
    Shared,
    web::respond::{error_page, problem, secure, see_other, within},
};

/// Most bytes of a form.
const MOST_BYTES: usize = 16 * 1024;

pub(crate) fn routes(shared: &Shared, most: Duration) -> Router<Shared> {
    Router::new()
        .route("/", get(async || see_other("/portal")))
        .route("/launch", get(start::launch))
        .route("/smart/launch", get(start::smart_launch))
        .route("/smart/callback", get(start::smart_callback))
        .route("/e-prescribing", get(prescribing::home::home))
        .route(
            "/e-prescribing/new",
            get(prescribing::drafts::new_form).post(prescribing::drafts::new),
        )
        .route(
            "/e-prescribing/sign",
            get(prescribing::signing::sign_form).post(prescribing::signing::sign),
        )
        .route("/e-prescribing/rx/{id}", get(prescribing::prescription::one))
        .route(
            "/e-prescribing/rx/{id}/edit",
            get(prescribing::drafts::edit_form).post(prescribing::drafts::edit),
        )
        .route("/e-prescribing/rx/{id}/ready", post(prescribing::prescription::ready))
        .route("/e-prescribing/rx/{id}/cancel", post(prescribing::prescription::cancel))
        .route("/e-prescribing/rx/{id}/send-again", post(prescribing::prescription::send_again))
        .route("/e-prescribing/rx/{id}/print", post(prescribing::prescription::print))
        .route("/e-prescribing/rx/{id}/paper", get(prescribing::paper::paper))
        .route("/e-prescribing/rx/{id}/record", get(prescribing::signed_record::record))
        .route("/.well-known/jwks.json", get(prescribing::signed_record::keys))
        .route("/sign-out", post(start::sign_out))
        .route("/signed-out", get(start::signed_out))
        .route("/get", get(start::get_app))
        .route("/portal", get(start::portal))
        .route("/portal/login", get(login::form).post(login::submit))
        .route("/portal/login/passcode", get(login::passcode_form).post(login::passcode))
        .route("/portal/login/resync", get(login::resync_form).post(login::resync))
        .route("/portal/login/lost", get(login::lost_form).post(login::lost))
        .route("/portal/login/enable", get(login::enable_form).post(login::enable))
        .route("/portal/no-token", get(recovery::show))
        .route("/portal/recovery", post(recovery::begin))
        .route("/portal/recovery/code", post(recovery::code))
        .route("/portal/recovery/confirm", post(recovery::confirm))
        .route("/portal/recovery/provider", post(recovery::provider))
        .route("/portal/recovery/tokens", post(recovery::add))
        .route("/portal/forgot", get(forgot::form).post(forgot::submit))
        .route("/portal/forgot/code", get(forgot::code_form).post(forgot::code))
        .route("/portal/addresses", get(contact::form).post(contact::submit))
        .route("/portal/addresses/{way}/code", post(contact::send))
        .route("/portal/addresses/{way}/confirm", post(contact::take))
        .route("/portal/approval", get(enrol::waiting))
        .route(
            "/invitation/{link}",
            get(enrol::invitation::invitation).post(enrol::invitation::follow),
        )
        .route("/invitation/{link}/again", post(enrol::invitation::again))
        .route("/enrol", get(enrol::show))
        .route("/enrol/terms", post(enrol::terms::terms))
        .route("/enrol/data", post(enrol::data::data))
        .route("/enrol/code", post(enrol::code))
        .route("/enrol/confirm", post(enrol::confirm))
        .route("/enrol/provider", post(enrol::provider))
        .route("/enrol/tokens", post(enrol::add))
        .route("/enrol/passphrase", post(enrol::passphrase))
        .route("/proofing/return", get(recovery::landed))
        .route("/proofing/finish", get(recovery::finish))
        .route("/enrol/certification", get(certification::enrolling_document))
        .route("/portal/dashboard", get(tokens::dashboard::dashboard))
        .route("/portal/certification", get(certification::own).post(certification::review))
        .route("/portal/certification/{id}", get(certification::document))
        .route("/portal/passphrase", get(passphrase::form).post(passphrase::submit))
        .route("/portal/tokens", get(tokens::list::list).post(tokens::add::add))
        .route("/portal/tokens/new", get(tokens::add::add_form))
        .route("/portal/pairings", post(pairing::start))
        .route("/portal/pairings/{id}", get(pairing::show))
        .route("/portal/pairings/{id}/code.svg", get(pairing::picture))
        .route("/portal/pairings/{id}/state", get(pairing::state))
        .route("/portal/tokens/other", get(phone::other_form).post(phone::other))
        .route("/portal/phone", get(phone::form).post(phone::submit))
        .route("/portal/prescriptions", get(records::own))
        .route("/portal/prescriptions/export", post(records::own_export))
        .route("/portal/prescriptions/{id}/not-mine", post(records::disown))
        .route("/portal/history", get(tokens::list::history))
        .route("/portal/tokens/{id}", get(tokens::one::one))
        .route("/portal/tokens/{id}/name", post(tokens::one::rename))
        .route(
            "/portal/tokens/{id}/disable",
            get(tokens::disable::disable_form).post(tokens::disable::disable),
        )
        .route(
            "/portal/tokens/{id}/enable",
            get(tokens::enable::enable_form).post(tokens::enable::enable),
        )
        .route("/portal/tokens/{id}/test", get(tokens::check::test_form).post(tokens::check::test))
        .route(
            "/portal/tokens/{id}/resync",
            get(tokens::check::resync_form).post(tokens::check::resync),
        )
        .route("/portal/tokens/{id}/activate", get(activation::form).post(activation::activate))
        .route("/portal/tokens/{id}/activation-code", post(activation::send))
        .route("/not-me/{link}", get(activation::not_me).post(activation::stop_all))
        .route("/practice", get(practice::home::list))
        .route("/practice/{practice}", get(practice::home::home))
        .route("/practice/{practice}/due", get(practice::deadlines::due))
        .route("/practice/{practice}/due/{id}", post(practice::deadlines::due_done))
        .route(
            "/practice/{practice}/invite",
            get(practice::invitations::invite_form).post(practice::invitations::invite),
        )
        .route("/practice/{practice}/invitations/{id}/resend", post(practice::invitations::resend))
        .route("/practice/{practice}/invitations/{id}/revoke", post(practice::invitations::revoke))
        .route("/practice/{practice}/cases", get(practice::proofing::cases))
        .route(
            "/practice/{practice}/cases/{id}",
            get(practice::proofing::case).post(practice::proofing::decide),
        )
        .route("/practice/{practice}/rules", get(practice::rules::rules))
        .route("/practice/{practice}/rules/zone", post(practice::rules::zone))
        .route("/practice/{practice}/rules/model", post(practice::rules::model))
        .route("/practice/{practice}/rules/provider", post(practice::rules::provider))
        .route("/practice/{practice}/records", get(records::search))
        .route("/practice/{practice}/records/export", post(records::export))
        .route("/practice/{practice}/holds", get(records::holds).post(records::hold))
        .route("/practice/{practice}/holds/{id}/lift", post(records::lift))
        .route("/practice/{practice}/fleet", get(practice::token_fleet::fleet))
        .route("/practice/{practice}/fleet/send", post(practice::token_fleet::send_fob))
        .route("/practice/{practice}/people/{id}", get(practice::people::person))
        .route("/practice/{practice}/people/{id}/role", post(practice::roles::role))
        .route("/practice/{practice}/people/{id}/disable", post(practice::token_fleet::disable))
        .route(
            "/practice/{practice}/people/{id}/prove-again",
            post(practice::proofing::prove_again),
        )
        .route("/practice/{practice}/people/{id}/grant", post(practice::permissions::grant))
        .route("/practice/{practice}/people/{id}/revoke", post(practice::permissions::revoke))
        .route("/practice/{practice}/people/{id}/dea", post(practice::registrations::dea))
        .route("/practice/{practice}/people/{id}/licence", post(practice::registrations::licence))
        .route("/practice/{practice}/people/{id}/end", post(practice::registrations::end))
        .route("/practice/{practice}/people/{id}/code", post(internal_codes::enter))
        .route(
            "/practice/{practice}/requests/{id}",
            get(practice::requests::request).post(practice::requests::execute),
        )
        .route("/practice/{practice}/requests/{id}/reject", post(practice::requests::reject))
        .route(
            "/practice/{practice}/certification",
            get(certification::of_practice).post(certification::acknowledge),
        )
        .route("/practice/{practice}/requests/{id}/withdraw", post(practice::requests::withdraw))
        .route("/practice/{practice}/letters", get(practice::letters::letters))
        .route("/practice/{practice}/letters/{id}", post(practice::letters::letter))
        .route("/static/{file}", get(start::asset))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(start::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), from_our_pages))
        .layer(middleware::from_fn(move |request: Request, next: Next| async move {
            within(most, request, next, || bare(StatusCode::GATEWAY_TIMEOUT)).await
        }))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked");
            bare(StatusCode::INTERNAL_SERVER_ERROR)
        }))
        .layer(middleware::from_fn_with_state(shared.clone(), start::launch_ends_what_was_open))
        .layer(middleware::from_fn_with_state(shared.clone(), under_a_support_code))
        .layer(middleware::map_response(secure))
}

async fn not_found(ctx: Ctx, uri: http::Uri) -> Response {
    if crate::web::edge::is_ours(uri.path()) {
        return problem(StatusCode::NOT_FOUND, "not_found", "Page not found.");
    }
    error_page(StatusCode::NOT_FOUND, ctx.frame(""))
}

async fn wrong_method(ctx: Ctx) -> Response {
    error_page(StatusCode::METHOD_NOT_ALLOWED, ctx.frame(""))
}

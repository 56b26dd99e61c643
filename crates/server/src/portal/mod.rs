//! The pages: e-prescribing app and token-management portal. Forms in, pages or 303 out.

mod activation;
mod certification;
mod console;
mod contact;
mod enrol;
mod forgot;
mod history;
mod internal_codes;
mod login;
mod pairing;
mod passphrase;
mod phone;
mod practice;
mod prescribing;
mod records;
mod recovery;
mod show;
mod start;
mod tokens;

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use countersign_app::{
    App, At, Build, CookieSession, Error, LoggedIn, Options, Overview, SessionSecret,
};
use countersign_crypto::{SecretText, sha256};
use countersign_domain::{PersonId, SupportCode, Timestamp, retyped};
use countersign_store::{Identity, Session, Stage};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Shared,
    browser::{
        OPEN_COOKIE, SESSION_COOKIE as COOKIE, cookie, keep_known, known_secret, marked,
        session_cookies_gone,
    },
    client_address::ClientAddress,
    edge::{SentFrom, after, sent_from},
    limits::{Door, Try, Wait},
    respond::{Stop, error_page, problem, secure, see_other, status_of, within},
    views::{Menu, Notice, NoticeKind, Page, PatientBanner, SignedIn, SupportContact},
};

/// Most bytes of a form.
const MOST_BYTES: usize = 16 * 1024;

pub(crate) fn routes(shared: &Shared, most: Duration) -> Router<Shared> {
    Router::new()
        .route("/", get(async || see_other("/portal")))
        .route("/launch", get(start::launch))
        .route("/smart/launch", get(start::smart_launch))
        .route("/smart/callback", get(start::smart_callback))
        .route("/e-prescribing", get(prescribing::home))
        .route("/e-prescribing/new", get(prescribing::new_form).post(prescribing::new))
        .route("/e-prescribing/sign", get(prescribing::sign_form).post(prescribing::sign))
        .route("/e-prescribing/rx/{id}", get(prescribing::one))
        .route("/e-prescribing/rx/{id}/edit", get(prescribing::edit_form).post(prescribing::edit))
        .route("/e-prescribing/rx/{id}/ready", post(prescribing::ready))
        .route("/e-prescribing/rx/{id}/cancel", post(prescribing::cancel))
        .route("/e-prescribing/rx/{id}/send-again", post(prescribing::send_again))
        .route("/e-prescribing/rx/{id}/print", post(prescribing::print))
        .route("/e-prescribing/rx/{id}/paper", get(prescribing::paper))
        .route("/e-prescribing/rx/{id}/record", get(prescribing::record))
        .route("/.well-known/jwks.json", get(prescribing::keys))
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
        .route("/invitation/{link}", get(enrol::invitation).post(enrol::follow))
        .route("/invitation/{link}/again", post(enrol::again))
        .route("/enrol", get(enrol::show))
        .route("/enrol/terms", post(enrol::terms))
        .route("/enrol/data", post(enrol::data))
        .route("/enrol/code", post(enrol::code))
        .route("/enrol/confirm", post(enrol::confirm))
        .route("/enrol/provider", post(enrol::provider))
        .route("/enrol/tokens", post(enrol::add))
        .route("/enrol/passphrase", post(enrol::passphrase))
        .route("/proofing/return", get(recovery::landed))
        .route("/proofing/finish", get(recovery::finish))
        .route("/enrol/certification", get(certification::enrolling_document))
        .route("/portal/dashboard", get(tokens::dashboard))
        .route("/portal/certification", get(certification::own).post(certification::review))
        .route("/portal/certification/{id}", get(certification::document))
        .route("/portal/passphrase", get(passphrase::form).post(passphrase::submit))
        .route("/portal/tokens", get(tokens::list).post(tokens::add))
        .route("/portal/tokens/new", get(tokens::add_form))
        .route("/portal/pairings", post(pairing::start))
        .route("/portal/pairings/{id}", get(pairing::show))
        .route("/portal/pairings/{id}/code.svg", get(pairing::picture))
        .route("/portal/pairings/{id}/state", get(pairing::state))
        .route("/portal/tokens/other", get(phone::other_form).post(phone::other))
        .route("/portal/phone", get(phone::form).post(phone::submit))
        .route("/portal/prescriptions", get(records::own))
        .route("/portal/prescriptions/export", post(records::own_export))
        .route("/portal/prescriptions/{id}/not-mine", post(records::disown))
        .route("/portal/history", get(tokens::history))
        .route("/portal/tokens/{id}", get(tokens::one))
        .route("/portal/tokens/{id}/name", post(tokens::rename))
        .route("/portal/tokens/{id}/disable", get(tokens::disable_form).post(tokens::disable))
        .route("/portal/tokens/{id}/enable", get(tokens::enable_form).post(tokens::enable))
        .route("/portal/tokens/{id}/test", get(tokens::test_form).post(tokens::test))
        .route("/portal/tokens/{id}/resync", get(tokens::resync_form).post(tokens::resync))
        .route("/portal/tokens/{id}/activate", get(activation::form).post(activation::activate))
        .route("/portal/tokens/{id}/activation-code", post(activation::send))
        .route("/not-me/{link}", get(activation::not_me).post(activation::stop_all))
        .route("/practice", get(practice::list))
        .route("/practice/{practice}", get(practice::home))
        .route("/practice/{practice}/due", get(practice::due))
        .route("/practice/{practice}/due/{id}", post(practice::due_done))
        .route("/practice/{practice}/invite", get(console::invite_form).post(console::invite))
        .route("/practice/{practice}/invitations/{id}/resend", post(console::resend))
        .route("/practice/{practice}/invitations/{id}/revoke", post(console::revoke))
        .route("/practice/{practice}/cases", get(console::cases))
        .route("/practice/{practice}/cases/{id}", get(console::case).post(console::decide))
        .route("/practice/{practice}/rules", get(console::rules))
        .route("/practice/{practice}/rules/zone", post(console::zone))
        .route("/practice/{practice}/rules/model", post(console::model))
        .route("/practice/{practice}/rules/provider", post(console::provider))
        .route("/practice/{practice}/records", get(records::search))
        .route("/practice/{practice}/records/export", post(records::export))
        .route("/practice/{practice}/holds", get(records::holds).post(records::hold))
        .route("/practice/{practice}/holds/{id}/lift", post(records::lift))
        .route("/practice/{practice}/fleet", get(console::fleet))
        .route("/practice/{practice}/fleet/send", post(console::send_fob))
        .route("/practice/{practice}/people/{id}", get(practice::person))
        .route("/practice/{practice}/people/{id}/role", post(console::role))
        .route("/practice/{practice}/people/{id}/disable", post(console::disable))
        .route("/practice/{practice}/people/{id}/prove-again", post(console::prove_again))
        .route("/practice/{practice}/people/{id}/grant", post(practice::grant))
        .route("/practice/{practice}/people/{id}/revoke", post(practice::revoke))
        .route("/practice/{practice}/people/{id}/dea", post(practice::dea))
        .route("/practice/{practice}/people/{id}/licence", post(practice::licence))
        .route("/practice/{practice}/people/{id}/end", post(practice::end))
        .route("/practice/{practice}/people/{id}/code", post(internal_codes::enter))
        .route("/practice/{practice}/requests/{id}", get(practice::request).post(practice::execute))
        .route("/practice/{practice}/requests/{id}/reject", post(practice::reject))
        .route(
            "/practice/{practice}/certification",
            get(certification::of_practice).post(certification::acknowledge),
        )
        .route("/practice/{practice}/requests/{id}/withdraw", post(practice::withdraw))
        .route("/practice/{practice}/letters", get(practice::letters))
        .route("/practice/{practice}/letters/{id}", post(practice::letter))
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

/// Marks an answer that has a status and no page yet.
#[derive(Clone, Copy)]
struct Bare;

/// A fault found where the frame of a page is not at hand; [`under_a_support_code`] lays it out.
fn bare(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Bare);
    response
}

/// Draws the support code of a request before anything can fail, so that every fault has one.
async fn under_a_support_code(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let Ok(support) = shared.app.support_code() else {
        tracing::error!("the random generator of the FIPS module failed");
        return error_page(StatusCode::INTERNAL_SERVER_ERROR, Page::new(""));
    };
    request.extensions_mut().insert(support);
    let response = next.run(request).await;
    if response.extensions().get::<Bare>().is_none() {
        return response;
    }
    let status = response.status();
    tracing::warn!(%support, status = status.as_u16(), "a request was cut short");
    let mut page = error_page(status, frame(shared.app.options(), support, ""));
    for cookie in response.headers().get_all(header::SET_COOKIE) {
        page.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    page
}

/// The code that [`under_a_support_code`] drew.
fn support_of(extensions: &http::Extensions, app: &App) -> Result<SupportCode, Error> {
    extensions.get::<SupportCode>().copied().map_or_else(|| app.support_code(), Ok)
}

/// The frame around a page of nobody in particular.
pub(crate) fn frame(options: &Options, support: SupportCode, title: &str) -> Page {
    let mut page = Page::new(title);
    page.support_code = Some(support.to_string());
    page.demonstration = options.demonstration;
    // A demonstration signs nothing that counts, and says so already.
    page.unlisted = !matches!(options.build, Build::Listed { .. }) && !options.demonstration;
    let contact = &options.support;
    if !contact.name.is_empty() {
        page.support = Some(SupportContact {
            name: contact.name.clone(),
            phone: contact.phone.clone(),
            email: contact.email.clone(),
            hours: None,
        });
    }
    page
}

/// Lets forms in only from our own pages; what has neither `Origin` nor `Sec-Fetch-Site` is no browser of today
/// and is refused too.
async fn from_our_pages(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let reason = match sent_from(request.headers(), &shared.app.options().public_url) {
        SentFrom::OwnPage => return next.run(request).await,
        SentFrom::Elsewhere => "form_of_other_origin",
        SentFrom::Unmarked => "form_unmarked",
    };
    let Peer(peer) = Peer::of(request.extensions());
    let Ok(support) = support_of(request.extensions(), &shared.app) else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    shared.app.note_refusal(reason, peer, shared.app.at_under(support)).await;
    bare(StatusCode::FORBIDDEN)
}

async fn not_found(ctx: Ctx, uri: http::Uri) -> Response {
    if crate::api::is_ours(uri.path()) {
        return problem(StatusCode::NOT_FOUND, "not_found", "There is no such address.");
    }
    error_page(StatusCode::NOT_FOUND, ctx.frame(""))
}

async fn wrong_method(ctx: Ctx) -> Response {
    error_page(StatusCode::METHOD_NOT_ALLOWED, ctx.frame(""))
}

/// The address a request came from, as the limits count it.
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    fn of(extensions: &http::Extensions) -> Self {
        let address = extensions.get::<ClientAddress>().map(|client| client.0);
        Self(address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// A request's context: time and support code, read once, and the session of its cookie.
pub(crate) struct Ctx {
    shared: Shared,
    at: At,
    session: Option<Session>,
    /// The secret in the cookie of that session.
    secret: Option<SecretText>,
    /// The secret by which accounts may know the browser.
    known: Option<SecretText>,
    /// A cookie came, but its session is over; and how it ended, as the address of the log-in says.
    ended: Option<&'static str>,
    peer: IpAddr,
}

impl FromRequestParts<Shared> for Ctx {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let Peer(peer) = Peer::of(&parts.extensions);
        let app = &shared.app;
        let support = support_of(&parts.extensions, app)
            .map_err(|_| bare(StatusCode::INTERNAL_SERVER_ERROR))?;
        let known = known_secret(&parts.headers);
        let known_browser = known.as_ref().map(|secret| sha256(secret.expose().as_bytes()));
        let browser = marked(&parts.headers);
        let at = At { browser, known_browser, ..app.at_under(support) };
        let cookie = cookie(&parts.headers, COOKIE);
        let found = match &cookie {
            Some(secret) => app.session(secret, at).await.map_err(|error| {
                error_page(status_of(&error, at), frame(app.options(), support, ""))
            })?,
            None => {
                return Ok(Self {
                    shared: shared.clone(),
                    at,
                    session: None,
                    secret: None,
                    known,
                    ended: None,
                    peer,
                });
            }
        };
        let (session, ended) = match found {
            CookieSession::Open(session) => (Some(*session), None),
            CookieSession::Idle { enrolling: true } => (None, Some("enrolling")),
            CookieSession::Idle { enrolling: false } => (None, Some("idle")),
            CookieSession::Over => (None, Some("1")),
        };
        let secret = session.as_ref().and(cookie).map(SecretText::new);
        Ok(Self { shared: shared.clone(), at, session, secret, known, ended, peer })
    }
}

impl Ctx {
    fn app(&self) -> &Arc<App> {
        &self.shared.app
    }

    fn now(&self) -> Timestamp {
        self.at.now
    }

    /// The secret of the session, for what is derived from it.
    fn secret(&self) -> Option<SecretText> {
        self.secret.as_ref().map(|secret| SecretText::new(secret.expose().to_owned()))
    }

    /// The frame around a page of this request.
    fn frame(&self, title: &str) -> Page {
        let options = self.app().options();
        let mut page = frame(options, self.at.support, title);
        page.noncompliant = self.app().is_noncompliant();
        if let Some(session) = &self.session {
            let idle_end = self.now().plus_seconds(options.policy.session_idle_seconds);
            let end = idle_end.min(session.expires);
            page.session_expires_in = u64::try_from(self.now().seconds_until(end)).ok();
            page.menu = match session.launched_as {
                Some(Identity::Prescriber(_)) => Menu::Prescriber,
                Some(Identity::Staff(_)) => Menu::Staff,
                None => Menu::Hidden,
            };
            page.patient = session.patient.as_ref().map(|patient| PatientBanner {
                name: patient.name.clone(),
                born: patient.birth_date.clone(),
                mrn: patient.mrn.clone(),
            });
        }
        page
    }

    /// The frame with a name in it.
    fn frame_for(&self, title: &str, name: &str) -> Page {
        let mut page = self.frame(title);
        page.user = Some(SignedIn {
            name: name.to_owned(),
            initials: initials(name),
            ..SignedIn::default()
        });
        page
    }

    /// What was done, and whether a token of the person is in this very browser.
    fn noticed(&self, done: Option<&str>, overview: &Overview) -> Option<Notice> {
        let policy = &self.app().options().policy;
        let here = show::same_browser(&overview.tokens, self.at.browser.as_ref(), policy);
        match (done, here) {
            (Some(done), Some(here)) => {
                Some(Notice { text: format!("{done} {}", here.text), ..here })
            }
            (Some(done), None) => Some(Notice::new(NoticeKind::Success, done)),
            (None, here) => here,
        }
    }

    /// Ends the handler with the page for a fault.
    fn stop(&self, error: &Error) -> Stop {
        if let Error::SignedOut = error {
            return self.sign_in_again();
        }
        Stop::with(error_page(status_of(error, self.at), self.frame("")))
    }

    fn sign_in_again(&self) -> Stop {
        let ended = self.ended.or(self.session.as_ref().map(|_| "1"));
        Stop::with(match ended {
            Some(how) => see_other(&format!("/portal/login?ended={how}")),
            None => see_other("/portal/login"),
        })
    }

    /// Begins a try of this address, which counts if it fails.
    async fn begin(&self, door: Door, reason: &'static str) -> Result<Try, Stop> {
        let begun = self.shared.limits.begin(door, self.peer, self.now()).await;
        self.let_in(begun, reason).await
    }

    /// Counts what failed for this address, and was let in whatever else had failed.
    fn failed(&self, door: Door) {
        self.shared.limits.failed(door, self.peer, self.now());
    }

    /// Whether this address may; counts it if so.
    async fn count(&self, door: Door, reason: &'static str) -> Result<(), Stop> {
        self.let_in(self.shared.limits.count(door, self.peer, self.now()), reason).await
    }

    /// Ends the handler where a limit says so, with a record.
    async fn let_in<T>(&self, limit: Result<T, Wait>, reason: &'static str) -> Result<T, Stop> {
        let wait = match limit {
            Ok(begun) => return Ok(begun),
            Err(wait) => wait,
        };
        self.app().note_refusal(reason, self.peer, self.at).await;
        let page = error_page(StatusCode::TOO_MANY_REQUESTS, self.frame(""));
        Err(Stop::with(after(page, wait)))
    }

    fn not_found(&self) -> Stop {
        Stop::with(error_page(StatusCode::NOT_FOUND, self.frame("")))
    }

    /// The session of someone who has proved the passphrase and not yet a passcode.
    fn passphrase_session(&self) -> Result<(Session, PersonId), Stop> {
        match &self.session {
            Some(session) => match session.stage {
                Stage::Passphrase { prescriber } => Ok((session.clone(), prescriber)),
                stage => Err(Stop::with(see_other(way_in(Some(stage))))),
            },
            None => Err(self.sign_in_again()),
        }
    }

    /// The session of someone who may make a token with a phone: with both factors, or on the way to a
    /// first token. What is made belongs to nobody until it is added.
    fn pairing_session(&self) -> Result<(Session, PersonId), Stop> {
        match self.session.as_ref().map(|session| (session, session.stage)) {
            Some((session, Stage::Enrolling { prescriber } | Stage::Passphrase { prescriber })) => {
                Ok((session.clone(), prescriber))
            }
            _ => self.full_session(),
        }
    }

    /// The session of someone who has proved both factors.
    fn full_session(&self) -> Result<(Session, PersonId), Stop> {
        match &self.session {
            Some(session) => match session.stage {
                Stage::Full { prescriber, .. } => Ok((session.clone(), prescriber)),
                stage => Err(Stop::with(see_other(way_in(Some(stage))))),
            },
            None => Err(self.sign_in_again()),
        }
    }
}

/// The page that fits how far a session has come.
const fn way_in(stage: Option<Stage>) -> &'static str {
    match stage {
        Some(Stage::Full { .. }) => "/portal/dashboard",
        Some(Stage::Passphrase { .. }) => "/portal/login/passcode",
        Some(Stage::Enrolling { .. }) => "/enrol",
        Some(Stage::Resetting { .. }) => "/portal/forgot/code",
        Some(Stage::Launched) | None => "/portal/login",
    }
}

fn initials(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().filter(|word| !word.ends_with('.')).collect();
    let first = words.first().and_then(|word| word.chars().next());
    let last = words.get(1..).and_then(<[_]>::last).and_then(|word| word.chars().next());
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// A response that gives the browser its session, and what a launch ends it by.
fn with_session(mut response: Response, secret: &SessionSecret) -> Response {
    let open = BASE64URL_NOPAD.encode(&sha256(secret.expose().as_bytes()));
    for text in [
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", secret.expose()),
        format!("{OPEN_COOKIE}={open}; Path=/; Secure; HttpOnly; SameSite=Lax"),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// A response that gives the browser the session of a log-in with both factors, and lets it keep the secret
/// by which the account knows it.
fn with_log_in(response: Response, ctx: &Ctx, logged_in: &LoggedIn) -> Response {
    let mut response = with_session(response, &logged_in.session);
    let new = logged_in.browser.as_ref().map(SessionSecret::expose);
    let secret = new.or(ctx.known.as_ref().map(SecretText::expose));
    if let Some(value) = secret.and_then(keep_known) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A response that takes the browser's session away.
fn without_session(mut response: Response) -> Response {
    for text in session_cookies_gone() {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// The fields of a form. The first of each name counts.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// What was typed, for the form that is shown again beside what is wrong: at most so many characters, and U+FFFD
    /// for each that can't be seen.
    fn again(&self, name: &str, most: usize) -> String {
        retyped(&self.text(name).trim().chars().take(most).collect::<String>())
    }

    fn secret(&self, name: &str) -> SecretText {
        SecretText::new(self.text(name).to_owned())
    }
}

impl FromRequest<Shared> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Response> {
        match Form::<Vec<(String, String)>>::from_request(request, state).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(rejection) => Err(bare(rejection.into_response().status())),
        }
    }
}

/// What the address says after the question mark.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let parsed =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        Ok(Self(parsed.map(|query| query.0).unwrap_or_default()))
    }
}

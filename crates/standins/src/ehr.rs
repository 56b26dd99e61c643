//! A stand-in for an EHR, on an origin of its own, for the demonstration and the tests.
//!
//! Made-up patients, no login: whoever opens it is the first of its users until they switch. What
//! is real is the launch, a signed token that the product treats like that of any other EHR.

mod fhir;
mod patients;
mod smart;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    middleware::map_response,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use cookie::{Cookie, SameSite};
use countersign_crypto::{SigningKey, SystemRng};
use countersign_domain::{EhrId, Timestamp};
use countersign_protocol::{
    launch::{LaunchClaims, LaunchPatient, sign_launch},
    oidc::escaped,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, REFERRER_POLICY, SET_COOKIE,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Deserialize;

use self::patients::{CHARTS, Chart};
pub use self::smart::{Smart, SmartClient};
use crate::views::{
    EhrChartPage, EhrFrame, EhrMailboxPage, EhrMessage, EhrMessagePage, EhrPatientsPage, EhrTab,
};

/// ID of the patient that a newcomer is sent to: `/patients/{FIRST_PATIENT}` is the chart.
pub const FIRST_PATIENT: &str = "p-1001";

/// Names the user of the stand-in EHR. Cookies ignore ports, so the name must not be one of the
/// portal's.
const USER_COOKIE: &str = "demo-ehr-user";

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A person who works with the stand-in EHR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhrUser {
    /// Name in the launch: 1 to 64 visible ASCII characters.
    pub user: String,
    /// Full name, as its pages show it.
    pub name: String,
    /// What that person is, such as "Prescriber" or "Nurse"; only shown.
    pub role: String,
}

/// What the stand-in EHR is made of.
pub struct Ehr {
    /// Who can be chosen; the first one is signed in at the start.
    pub users: Vec<EhrUser>,
    /// Signs the launches.
    pub signing_key: Arc<SigningKey>,
    /// The ID under which the EHR is registered.
    pub ehr_id: EhrId,
    /// Public URL of Countersign: the launch goes there, and is valid only there.
    pub audience: String,
    /// Reads the time, for launches, codes and ages.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Lifetime of a launch, in seconds.
    pub launch_seconds: i64,
    /// Its side of SMART on FHIR; without it apps are opened by signed launches alone.
    pub smart: Option<Smart>,
    /// What the demonstration's mailbox holds, newest first.
    pub mailbox: Arc<dyn Fn() -> Vec<EhrMessage> + Send + Sync>,
}

impl fmt::Debug for Ehr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ehr").field("ehr_id", &self.ehr_id).finish_non_exhaustive()
    }
}

/// The pages of the stand-in EHR.
pub fn router(ehr: Ehr) -> Router {
    Router::new()
        .route("/", get(patient_list))
        .route("/patients/{id}", get(chart))
        .route("/patients/{id}/e-prescribing", get(e_prescribing))
        .route("/patients/{id}/signed-launch", get(signed_launch))
        .route("/switch", get(switch))
        .route("/mailbox", get(mailbox))
        .route("/static/{file}", get(static_file))
        .merge(smart::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response(harden))
        .with_state(Arc::new(ehr))
}

#[derive(Deserialize)]
struct ChartQuery {
    tab: Option<String>,
}

#[derive(Deserialize)]
struct SwitchQuery {
    user: String,
}

async fn patient_list(State(ehr): State<Arc<Ehr>>, headers: HeaderMap) -> Response {
    let now = (ehr.clock)();
    page(
        StatusCode::OK,
        &EhrPatientsPage {
            ehr: ehr.frame("Patients", &headers),
            patients: CHARTS.iter().map(|chart| chart.view(now)).collect(),
        },
    )
}

async fn mailbox(State(ehr): State<Arc<Ehr>>, headers: HeaderMap) -> Response {
    let messages = (ehr.mailbox)();
    page(StatusCode::OK, &EhrMailboxPage { ehr: ehr.frame("Mailbox", &headers), messages })
}

async fn chart(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<ChartQuery>, QueryRejection>,
) -> Response {
    let Some(chart) = find_chart(id) else {
        return ehr.no_patient(&headers);
    };
    let tab = query.ok().and_then(|Query(query)| query.tab);
    page(
        StatusCode::OK,
        &EhrChartPage {
            ehr: ehr.frame(chart.name, &headers),
            patient: chart.view((ehr.clock)()),
            tab: EhrTab::from_query(tab.as_deref()),
        },
    )
}

/// Sends the browser to Countersign with a fresh launch for this user and this patient: with SMART where
/// that is set up.
async fn e_prescribing(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    opened(&ehr, &headers, id, |chart| {
        let Some(smart) = &ehr.smart else { return ehr.signed(chart, &headers) };
        let (user, _) = ehr.users_of(&headers)?;
        smart.launch(ehr.audience.trim_end_matches('/'), &user.user, chart, (ehr.clock)())
    })
}

/// The same with a signed launch, as EHRs without SMART do it.
async fn signed_launch(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    opened(&ehr, &headers, id, |chart| ehr.signed(chart, &headers))
}

fn opened(
    ehr: &Ehr,
    headers: &HeaderMap,
    id: Result<Path<String>, PathRejection>,
    address: impl FnOnce(&'static Chart) -> Option<String>,
) -> Response {
    let Some(chart) = find_chart(id) else {
        return ehr.no_patient(headers);
    };
    // A foreign page could otherwise open a patient of its choice in the clinician's browser.
    if is_cross_site(headers) {
        return ehr.message(
            StatusCode::FORBIDDEN,
            headers,
            "Open it from the chart",
            "Another website tried to open e-Prescribing. Choose the patient, then e-Prescribing.",
        );
    }
    match address(chart) {
        Some(url) => Redirect::to(&url).into_response(),
        None => ehr.message(
            StatusCode::SERVICE_UNAVAILABLE,
            headers,
            "e-Prescribing can't be opened",
            "Try again. If it happens again, contact the person who runs this demonstration.",
        ),
    }
}

async fn switch(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    query: Result<Query<SwitchQuery>, QueryRejection>,
) -> Response {
    let known = query.ok().and_then(|Query(query)| ehr.users.iter().find(|u| u.user == query.user));
    let cookie = known.filter(|_| !is_cross_site(&headers)).and_then(|user| {
        let cookie = Cookie::build((USER_COOKIE, escaped(&user.user)))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax);
        HeaderValue::try_from(cookie.to_string()).ok()
    });
    match cookie {
        Some(cookie) => ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => ehr.message(
            StatusCode::NOT_FOUND,
            &headers,
            "User not found",
            "Use the link at the top right to switch to another person.",
        ),
    }
}

async fn static_file(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    file: Result<Path<String>, PathRejection>,
) -> Response {
    match file.ok().and_then(|Path(file)| asset(&file)) {
        Some(answer) => answer,
        None => not_found(State(ehr), headers).await,
    }
}

/// A file of the plain pages.
pub(crate) fn asset(file: &str) -> Option<Response> {
    let (content_type, bytes): (_, &[u8]) = match file {
        "ehr.css" => ("text/css; charset=utf-8", include_bytes!("../static/ehr.css")),
        "ehr.svg" => ("image/svg+xml", include_bytes!("../static/ehr.svg")),
        _ => return None,
    };
    Some(([(CONTENT_TYPE, content_type)], bytes).into_response())
}

async fn not_found(State(ehr): State<Arc<Ehr>>, headers: HeaderMap) -> Response {
    ehr.message(
        StatusCode::NOT_FOUND,
        &headers,
        "Page not found",
        "Check the address, or start from the patient list.",
    )
}

async fn wrong_method(State(ehr): State<Arc<Ehr>>, headers: HeaderMap) -> Response {
    ehr.message(
        StatusCode::METHOD_NOT_ALLOWED,
        &headers,
        "Forms are not accepted here",
        "This demonstration is read-only. Start from the patient list.",
    )
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Ehr {
    /// The user and the one to switch to, the next on the list.
    fn users_of(&self, headers: &HeaderMap) -> Option<(&EhrUser, &EhrUser)> {
        let chosen = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == USER_COOKIE);
        let at = chosen
            .and_then(|cookie| {
                self.users.iter().position(|user| escaped(&user.user) == cookie.value())
            })
            .unwrap_or(0);
        let user = self.users.get(at)?;
        Some((user, self.users.get(at + 1).or_else(|| self.users.first())?))
    }

    fn frame(&self, title: &str, headers: &HeaderMap) -> EhrFrame {
        let title = title.to_owned();
        let Some((user, other)) = self.users_of(headers) else {
            return EhrFrame { title, ..EhrFrame::default() };
        };
        EhrFrame {
            title,
            user_name: user.name.clone(),
            user_role: user.role.clone(),
            other_name: other.name.clone(),
            switch_href: format!("/switch?user={}", escaped(&other.user)),
        }
    }

    /// Where Countersign is opened with a signed launch.
    fn signed(&self, chart: &Chart, headers: &HeaderMap) -> Option<String> {
        let audience = self.audience.trim_end_matches('/');
        Some(format!("{audience}/launch?token={}", self.launch(chart, headers)?))
    }

    fn launch(&self, chart: &Chart, headers: &HeaderMap) -> Option<String> {
        let (user, _) = self.users_of(headers)?;
        let iat = (self.clock)().seconds();
        let claims = LaunchClaims {
            iss: self.ehr_id,
            aud: self.audience.clone(),
            sub: user.user.clone(),
            patient: LaunchPatient {
                id: chart.id.to_owned(),
                name: chart.name.to_owned(),
                birth_date: chart.birth_date(),
                mrn: chart.mrn.to_owned(),
            },
            iat,
            exp: iat.saturating_add(self.launch_seconds),
            nbf: None,
            jti: LaunchClaims::random_jti(&mut SystemRng).ok()?,
        };
        sign_launch(&self.signing_key, &claims)
            .inspect_err(|error| tracing::error!(code = error.code(), "launch not signed"))
            .ok()
    }

    fn message(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        heading: &str,
        text: &str,
    ) -> Response {
        page(
            status,
            &EhrMessagePage {
                ehr: self.frame(heading, headers),
                heading: heading.to_owned(),
                text: text.to_owned(),
            },
        )
    }

    fn no_patient(&self, headers: &HeaderMap) -> Response {
        self.message(
            StatusCode::NOT_FOUND,
            headers,
            "Patient not found",
            "The address may be mistyped. Choose the patient from the list.",
        )
    }
}

fn find_chart(id: Result<Path<String>, PathRejection>) -> Option<&'static Chart> {
    let Path(id) = id.ok()?;
    CHARTS.iter().find(|chart| chart.id == id)
}

/// What the browser says of where the request came from; older ones say nothing.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

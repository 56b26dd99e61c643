//! The browser that a request comes from: whether it holds a session, the mark that tells whether it
//! holds a token (21 CFR 1311.115(a)(3): apart from the device that prescribes), and the secret by which
//! accounts know it.

use std::net::IpAddr;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use cookie::{Cookie, CookieBuilder, SameSite, time::Duration};
use countersign_app::{App, At, Error, KNOWN_BROWSER_SECONDS};
use countersign_crypto::{SecretText, sha256};
use countersign_domain::SameBrowser;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    Shared,
    web::respond::{error_problem, no_randomness, problem},
};

/// The cookie with the session; `__Host-` binds it to this host, path and a secure connection.
pub(crate) const SESSION_COOKIE: &str = "__Host-countersign";
/// The cookie by which a launch finds the session that it ends: the SHA-256 of the session's secret, in base64url. It
/// comes with links of other sites, as launches do, and opens nothing.
pub(crate) const OPEN_COOKIE: &str = "__Host-countersign-open";
/// The cookie with the mark of a browser that got a token here.
const MARK_COOKIE: &str = "__Host-countersign-device";
/// The cookie by which an account knows a browser in which it has signed in with both factors (the "device
/// cookie" of OWASP). It opens nothing: its wrong passphrases are counted apart from those of strangers.
const KNOWN_COOKIE: &str = "__Host-countersign-known";
/// 400 days, the longest that browsers keep a cookie.
const MARK_SECONDS: i64 = 400 * 86_400;
/// 256 bits in base64url.
const RANDOM_LENGTH: usize = 43;

/// A cookie of this host alone, which no script reads: browsers take the prefix `__Host-` only with `Secure` and `Path=/`
/// and without `Domain`. Without a `Max-Age` it ends with the browser.
pub(crate) fn host_cookie(
    name: &'static str,
    value: &str,
    same_site: SameSite,
) -> CookieBuilder<'static> {
    Cookie::build((name, value.to_owned()))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(same_site)
}

/// The same, kept for so many seconds.
pub(crate) fn kept_cookie(
    name: &'static str,
    value: &str,
    same_site: SameSite,
    seconds: i64,
) -> Cookie<'static> {
    host_cookie(name, value, same_site).max_age(Duration::seconds(seconds)).build()
}

/// Takes a cookie out of a browser. Not [`Cookie::make_removal`], which reads the clock for an `Expires`.
pub(crate) fn cookie_gone(name: &'static str, same_site: SameSite) -> Cookie<'static> {
    kept_cookie(name, "", same_site, 0)
}

/// Adds a `Set-Cookie` to the headers of an answer.
pub(crate) fn set_cookie(headers: &mut HeaderMap, cookie: &Cookie<'_>) {
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// The cookies of a session: its secret, and what a launch ends it by.
pub(crate) fn session_cookies(secret: &str) -> [Cookie<'static>; 2] {
    let open = BASE64URL_NOPAD.encode(&sha256(secret.as_bytes()));
    [
        host_cookie(SESSION_COOKIE, secret, SameSite::Strict).build(),
        host_cookie(OPEN_COOKIE, &open, SameSite::Lax).build(),
    ]
}

/// What takes the session out of a browser.
pub(crate) fn session_cookies_gone() -> [Cookie<'static>; 2] {
    [cookie_gone(SESSION_COOKIE, SameSite::Strict), cookie_gone(OPEN_COOKIE, SameSite::Lax)]
}

/// The first cookie with a name.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// The SHA-256 of the secrets of the sessions that are open in the browser, as far as its cookies say it.
pub(crate) fn open_here(headers: &HeaderMap) -> Vec<[u8; 32]> {
    let own = cookie(headers, SESSION_COOKIE).map(|secret| sha256(secret.as_bytes()));
    let named = cookie(headers, OPEN_COOKIE)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok());
    own.into_iter().chain(named).collect()
}

/// Takes cookies out of a request.
pub(crate) fn take_cookies(headers: &mut HeaderMap, names: &[&str]) {
    let kept: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .filter(|cookie| !names.contains(&cookie.name()))
        .map(|cookie| cookie.stripped().to_string())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        headers.insert(header::COOKIE, value);
    }
}

/// A cookie whose value is 256 random bits.
fn random_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let in_value = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    cookie(headers, name).filter(|text| text.len() == RANDOM_LENGTH && text.bytes().all(in_value))
}

fn mark(headers: &HeaderMap) -> Option<String> {
    random_cookie(headers, MARK_COOKIE)
}

/// The secret by which accounts may know the browser, as its cookie has it.
pub(crate) fn known_secret(headers: &HeaderMap) -> Option<SecretText> {
    random_cookie(headers, KNOWN_COOKIE).map(SecretText::new)
}

/// What lets a browser keep the secret by which accounts know it; its time begins anew.
pub(crate) fn keep_known(secret: &str) -> Cookie<'static> {
    kept_cookie(KNOWN_COOKIE, secret, SameSite::Strict, KNOWN_BROWSER_SECONDS)
}

/// SHA-256 of the mark of the browser, as `token.device.browser` has it; none where it has no mark.
pub(crate) fn marked(headers: &HeaderMap) -> Option<[u8; 32]> {
    mark(headers).map(|text| sha256(text.as_bytes()))
}

/// The mark of a browser that gets a token: the one that it has, or a new one. The second is the
/// value of `Set-Cookie`, sent in either case, so that the mark's time begins anew. What is no
/// browser, such as the terminal's token, gets none.
pub(crate) fn browser_mark(
    app: &App,
    headers: &HeaderMap,
) -> Result<(Option<[u8; 32]>, Option<HeaderValue>), Error> {
    let (text, hash) = match mark(headers) {
        Some(text) => {
            let hash = sha256(text.as_bytes());
            (text, hash)
        }
        // Browsers say one of these with what they send, and no page can keep them from doing so.
        None if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") => {
            let (secret, hash) = app.browser_mark()?;
            (secret.expose().to_owned(), hash)
        }
        None => return Ok((None, None)),
    };
    let kept = kept_cookie(MARK_COOKIE, &text, SameSite::Strict, MARK_SECONDS);
    let value = HeaderValue::try_from(kept.to_string())
        .map_err(|_| Error::unreadable("the mark of a browser"))?;
    Ok((Some(hash), Some(value)))
}

/// Whether the browser holds a session of the portal or of e-prescribing, at whatever stage.
pub(crate) async fn portal_session_here(
    shared: &Shared,
    headers: &HeaderMap,
    at: At,
) -> Result<bool, Error> {
    match cookie(headers, SESSION_COOKIE) {
        Some(secret) => shared.app.session_stands(&secret, at).await,
        None => Ok(false),
    }
}

/// What provisioning has to know of the browser that asks: the context with its mark, and the cookie
/// that goes with the answer. Refuses a browser with a session where policy says so.
pub(crate) async fn for_new_token(
    shared: &Shared,
    headers: &HeaderMap,
    address: IpAddr,
    at: At,
) -> Result<(At, Option<HeaderValue>), Response> {
    let fault = |error: Error| error_problem(&error, at);
    if shared.app.options().policy.same_browser == SameBrowser::Deny
        && portal_session_here(shared, headers, at).await.map_err(fault)?
    {
        shared.app.note_refusal("portal_browser", address, at).await;
        return Err(problem(
            StatusCode::CONFLICT,
            "portal_browser",
            "This browser is signed in for prescribing. A token must be on another device.",
        ));
    }
    let (browser, cookie) = browser_mark(&shared.app, headers).map_err(fault)?;
    Ok((At { browser, ..at }, cookie))
}

/// `GET /provision/v1/browser`
pub(crate) async fn answer(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    match portal_session_here(&shared, &headers, at).await {
        Ok(here) => Json(serde_json::json!({ "portal_session": here })).into_response(),
        Err(error) => error_problem(&error, at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).unwrap())])
    }

    #[test]
    fn what_is_open_is_known_by_either_cookie_and_taken_out() {
        let hash = sha256(b"secret");
        let named = BASE64URL_NOPAD.encode(&hash);
        for cookies in [
            format!("x=1; {SESSION_COOKIE}=secret"),
            format!("{OPEN_COOKIE}={named}; x=1"),
            format!("{OPEN_COOKIE}={named}; x=1; {SESSION_COOKIE}=secret"),
        ] {
            let mut headers = headers(&cookies);
            let open = open_here(&headers);
            assert!(!open.is_empty() && open.iter().all(|it| *it == hash), "{cookies}");
            take_cookies(&mut headers, &[SESSION_COOKIE, OPEN_COOKIE]);
            assert_eq!(headers.get(header::COOKIE).unwrap(), "x=1");
            assert!(open_here(&headers).is_empty());
        }
        let mut only = headers(&format!("{SESSION_COOKIE}=y"));
        take_cookies(&mut only, &[SESSION_COOKIE]);
        assert!(only.is_empty());
        for bad in ["", "short", "!!", &named[1..]] {
            assert!(open_here(&headers(&format!("{OPEN_COOKIE}={bad}"))).is_empty(), "{bad}");
        }
    }

    #[test]
    fn only_a_whole_mark_counts() {
        let good = "a-_0".repeat(11);
        let good = &good[..RANDOM_LENGTH];
        let hash = sha256(good.as_bytes());
        assert_eq!(
            marked(&headers(&format!("x=1; {MARK_COOKIE}={good}; {SESSION_COOKIE}=y"))),
            Some(hash)
        );
        for bad in ["", "short", &good[1..], &format!("{good}a"), &good.replace('a', "!")] {
            assert_eq!(marked(&headers(&format!("{MARK_COOKIE}={bad}"))), None, "{bad}");
        }
        assert_eq!(marked(&headers(&format!("{SESSION_COOKIE}={good}"))), None);
        assert_eq!(marked(&HeaderMap::new()), None);
    }

    #[test]
    fn the_secret_of_a_known_browser_is_no_mark() {
        let secret = "a-_0".repeat(11);
        let secret = &secret[..RANDOM_LENGTH];
        let known = headers(&format!("{KNOWN_COOKIE}={secret}"));
        assert_eq!(known_secret(&known).unwrap().expose(), secret);
        assert_eq!(marked(&known), None);
        assert!(known_secret(&headers(&format!("{MARK_COOKIE}={secret}"))).is_none());
        let wanted = "; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=7776000";
        assert_eq!(keep_known(secret).to_string(), format!("{KNOWN_COOKIE}={secret}{wanted}"));
    }

    #[test]
    fn the_cookies_of_a_session_are_set_and_taken_away_with_the_same_attributes() {
        let open = BASE64URL_NOPAD.encode(&sha256(b"secret"));
        let set = session_cookies("secret").map(|cookie| cookie.to_string());
        let gone = session_cookies_gone().map(|cookie| cookie.to_string());
        for (at, (name, value, same_site)) in
            [(SESSION_COOKIE, "secret", "Strict"), (OPEN_COOKIE, open.as_str(), "Lax")]
                .into_iter()
                .enumerate()
        {
            let attributes = format!("; HttpOnly; SameSite={same_site}; Secure; Path=/");
            assert_eq!(set[at], format!("{name}={value}{attributes}"));
            assert_eq!(gone[at], format!("{name}={attributes}; Max-Age=0"));
        }
    }
}

//! What every request meets before its route: whether it is for this server at all, and whom it comes from;
//! and what every answer gets behind it: when to try again.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority};

use crate::{
    Shared,
    views::{ErrorPage, Page},
    web::{
        client_address::{ClientAddress, Sender},
        limits::Wait,
        respond::{frame, page, problem, secure},
    },
};

/// Seconds that a client should wait after 429, where nothing more exact is known.
const WAIT_TOO_MANY: Wait = Wait(60);
/// The same after 503: a hash, or a database that is being restarted.
const WAIT_UNAVAILABLE: Wait = Wait(5);

/// Answered for whatever host: a proxy, or a monitor, asks by the address of the machine.
const OPEN_TO_ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

/// The names of this machine, for itself alone (RFC 6761, 6.3).
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// State of [`guard`].
#[derive(Clone)]
pub(crate) struct Edge {
    shared: Shared,
    host: Arc<Option<OwnHost>>,
}

impl Edge {
    pub(crate) fn new(shared: Shared) -> Self {
        let host = OwnHost::of(&shared.app.options().public_url);
        if host.is_none() {
            tracing::error!("server.public_url is not an origin: nothing is served");
        }
        Self { shared, host: Arc::new(host) }
    }
}

/// Host and port under which this server is asked.
#[derive(Debug, PartialEq, Eq)]
struct OwnHost {
    host: String,
    port: u16,
    /// The port that goes without saying.
    default: u16,
}

impl OwnHost {
    fn of(public_url: &str) -> Option<Self> {
        let uri: Uri = public_url.parse().ok()?;
        let default = match uri.scheme_str()? {
            "https" => 443,
            _ => 80,
        };
        let host = uri.host()?.to_owned();
        Some(Self { host, port: uri.port_u16().unwrap_or(default), default })
    }

    /// The same server under another name of this machine, where it is for this machine alone.
    fn aliases(&self) -> impl Iterator<Item = Self> {
        let is_loopback = LOOPBACK.contains(&self.host.as_str());
        let (port, default) = (self.port, self.default);
        LOOPBACK.into_iter().filter(move |_| is_loopback).map(move |name| Self {
            host: name.to_owned(),
            port,
            default,
        })
    }

    fn origin(&self) -> String {
        let scheme = if self.default == 443 { "https" } else { "http" };
        if self.port == self.default {
            return format!("{scheme}://{}", self.host);
        }
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    fn is(&self, authority: &Authority) -> bool {
        // Nobody's name stands before it, and a port that is no number is none that is left out.
        let Some(after) = authority.as_str().strip_prefix(authority.host()) else { return false };
        let port = match after.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
            None => Some(self.default),
        };
        authority.host().eq_ignore_ascii_case(&self.host) && port == Some(self.port)
    }
}

/// Why a request is not for this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misdirected {
    /// No `Host`, or two, or one that is no host (RFC 9112, 3.2).
    Malformed,
    /// The host of the request is neither that of `server.public_url` nor, for the app, another name of this machine.
    Foreign,
    /// A page of another site asked for it without being left: a picture, a frame, a script.
    Embedded,
}

/// Whether a page of another site asked for this behind its reader's back, as a picture, a frame or by script. Launches and
/// links are navigations of the whole tab. Refused before anything is counted: a page of a stranger that somebody of a
/// clinic opens fills no limit of the clinic's address. A client that is no browser sends no such header, and gains
/// nothing by sending it (Fetch Metadata Request Headers, W3C).
fn is_embedded(headers: &HeaderMap, for_machines: bool) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.as_bytes());
    if !matches!(said("sec-fetch-site"), Some(b"cross-site" | b"same-site")) {
        return false;
    }
    for_machines
        || said("sec-fetch-mode").is_some_and(|mode| mode != b"navigate")
        || said("sec-fetch-dest").is_some_and(|dest| dest != b"document")
}

/// A request is for the host of its target, where that is an absolute address, and otherwise for that of `Host`
/// (RFC 9112, 3.2.2 and 3.2.3). Here both must be ours: whoever stands between us may look at the other one.
fn check_host(own: Option<&OwnHost>, uri: &Uri, headers: &HeaderMap) -> Result<(), Misdirected> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Misdirected::Malformed);
    };
    let host = Authority::try_from(host.as_bytes()).map_err(|_| Misdirected::Malformed)?;
    // A passkey belongs to a name, never to an address: on this machine alone the app is opened under `localhost`.
    let for_app = uri.path().starts_with("/authenticator") || uri.path().starts_with("/provision/");
    let is_own = |authority: &Authority| {
        own.is_some_and(|own| {
            own.is(authority) || (for_app && own.aliases().any(|alias| alias.is(authority)))
        })
    };
    if is_own(&host) && uri.authority().is_none_or(is_own) {
        return Ok(());
    }
    Err(Misdirected::Foreign)
}

/// Turns away what is for another host, notes whom the rest comes from, and sees to it that whoever is told to
/// come back later is told when.
pub(crate) async fn guard(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let any_host = OPEN_TO_ANY_HOST.contains(&request.uri().path());
    let checked = check_host(edge.host.as_ref().as_ref(), request.uri(), request.headers());
    if let Err(fault) = checked
        && !any_host
    {
        return refused(&edge.shared, fault, request.uri().path()).await;
    }
    let path = request.uri().path();
    let vip = edge.shared.app.options().vip.as_ref();
    let for_machines = is_ours(path) || vip.is_some_and(|vip| path.starts_with(&vip.path));
    if is_embedded(request.headers(), for_machines) {
        return refused(&edge.shared, Misdirected::Embedded, path).await;
    }
    let sender = Sender::of(request.extensions());
    let client = edge.shared.limits.addresses().client(sender, request.headers());
    request.extensions_mut().insert(ClientAddress(client));
    with_wait(next.run(request).await)
}

async fn refused(shared: &Shared, fault: Misdirected, path: &str) -> Response {
    let own = &shared.app.options().public_url;
    let (status, code, heading) = match fault {
        Misdirected::Malformed => (
            StatusCode::BAD_REQUEST,
            "host_malformed",
            "A request needs exactly one Host header with a host name",
        ),
        Misdirected::Foreign => {
            (StatusCode::MISDIRECTED_REQUEST, "host_foreign", "Wrong host name")
        }
        Misdirected::Embedded => {
            (StatusCode::FORBIDDEN, "origin_foreign", "This request came from another site")
        }
    };
    tracing::warn!(code, "a request was rejected because of its host or origin");
    let advice = format!("Use {own}.");
    if is_ours(path) {
        let mut response = problem(status, code, &format!("{heading}. {advice}"));
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        return response;
    }
    let Ok(support) = shared.app.support_code() else {
        return secure(page(status, &ErrorPage::for_status(500, Page::new("")))).await;
    };
    let template = ErrorPage {
        page: frame(shared.app.options(), support, heading),
        status: status.as_u16(),
        heading: heading.to_owned(),
        what_to_do: advice,
        onward: Some((own.clone(), own.clone())),
    };
    secure(page(status, &template)).await
}

/// A response that says when to try again.
pub(crate) fn after(mut response: Response, Wait(seconds): Wait) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// Every 429 and 503 says when to try again (RFC 6585, 4; RFC 9110, 15.6.4).
fn with_wait(response: Response) -> Response {
    if response.headers().contains_key(header::RETRY_AFTER) {
        return response;
    }
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => after(response, WAIT_TOO_MANY),
        StatusCode::SERVICE_UNAVAILABLE => after(response, WAIT_UNAVAILABLE),
        _ => response,
    }
}

/// Where a request that changes something was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentFrom {
    /// A page of our own.
    OwnPage,
    /// A page of another origin, or nobody can tell.
    Elsewhere,
    /// Neither header: no browser of today.
    Unmarked,
}

/// What a browser says of the site that a request comes from (Fetch Metadata Request Headers, 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// No header `Sec-Fetch-Site`, as from older browsers and from what is no browser.
    Unsaid,
    /// `same-origin`: a page of our own.
    Own,
    /// `none`: the person, not a page; what they reload or restore.
    Person,
    /// `same-site`, `cross-site`, an unknown value, or the header more than once.
    Other,
}

/// Compares `Origin` with our own origin, byte for byte, as browsers write it: scheme and host in lower case, no
/// port that goes without saying (RFC 6454, 6.2). `null`, nothing, another port and the twin with `https` are
/// foreign. The request's own `Host` says nothing about it. `Sec-Fetch-Site` must agree where it is there, and
/// `same-origin` is enough where `Origin` is not. `Referer` is not looked at: it may be cut off or left out.
pub(crate) fn sent_from(headers: &HeaderMap, own_origin: &str) -> SentFrom {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let site = match (sites.next(), sites.next()) {
        (None, _) => Site::Unsaid,
        (Some(site), None) if site == "same-origin" => Site::Own,
        (Some(site), None) if site == "none" => Site::Person,
        _ => Site::Other,
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => None,
        (Some(origin), None) => Some(origin == own_origin),
        (Some(_), Some(_)) => Some(false),
    };
    match (origin, site) {
        (None, Site::Unsaid) => SentFrom::Unmarked,
        (Some(true), Site::Unsaid | Site::Own | Site::Person) | (None, Site::Own) => {
            SentFrom::OwnPage
        }
        _ => SentFrom::Elsewhere,
    }
}

/// The same for what the app asks, which on this machine alone may be open under another name of it.
pub(crate) fn app_sent_from(headers: &HeaderMap, own_origin: &str) -> SentFrom {
    let found = sent_from(headers, own_origin);
    let own = OwnHost::of(own_origin);
    let aliases = own.iter().flat_map(OwnHost::aliases);
    match found {
        SentFrom::Elsewhere => aliases
            .map(|alias| sent_from(headers, &alias.origin()))
            .find(|found| *found != SentFrom::Elsewhere)
            .unwrap_or(SentFrom::Elsewhere),
        _ => found,
    }
}

/// Whether an address belongs to the API, which answers in problem documents and not in pages.
pub(crate) fn is_ours(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/provision/")
}

#[cfg(test)]
mod tests {
    use super::{
        Misdirected::{Foreign, Malformed},
        *,
    };
    use http::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }

    #[test]
    fn only_our_own_host_is_ours() {
        let check = |url: &str, target: &str, hosts: &[&str]| {
            let hosts: Vec<(&'static str, &str)> =
                hosts.iter().map(|host| ("host", *host)).collect();
            let own = OwnHost::of(url).unwrap();
            check_host(Some(&own), &target.parse().unwrap(), &headers(&hosts))
        };
        let https = "https://erx.test";
        for host in ["erx.test", "ERX.Test", "erx.test:443"] {
            assert_eq!(check(https, "/", &[host]), Ok(()), "{host}");
        }
        for host in [
            "evil.test",
            "erx.test.",
            "erx.test.evil.test",
            "erx.test:80",
            "erx.test:8443",
            "127.0.0.1",
            "xerx.test",
            "erx.test:",
            "user@erx.test",
            "[::1]",
            "localhost",
        ] {
            assert_eq!(check(https, "/", &[host]), Err(Foreign), "{host}");
        }
        for host in ["", "erx.test/x", "erx test", "erx.test, evil.test", "caf\u{e9}", "a:b:c"] {
            assert_eq!(check(https, "/", &[host]), Err(Malformed), "{host}");
        }
        assert_eq!(check(https, "/", &[]), Err(Malformed));
        assert_eq!(check(https, "/", &["erx.test", "erx.test"]), Err(Malformed));
        assert_eq!(check(https, "/", &["erx.test", "evil.test"]), Err(Malformed));
        // An absolute address must be ours as well.
        assert_eq!(check(https, "http://erx.test/portal", &["erx.test"]), Ok(()));
        assert_eq!(check(https, "http://evil.test/portal", &["erx.test"]), Err(Foreign));
        assert_eq!(check(https, "http://erx.test/portal", &["evil.test"]), Err(Foreign));
        assert_eq!(check(https, "http://evil.test/portal", &[]), Err(Malformed));
        for (url, host, other) in [
            ("http://127.0.0.1:8700", "127.0.0.1:8700", "localhost:8700"),
            ("http://[::1]:8700", "[::1]:8700", "[::1]"),
            ("http://localhost", "localhost:80", "localhost:443"),
            ("https://erx.test:8443", "erx.test:8443", "erx.test"),
        ] {
            assert_eq!(check(url, "/", &[host]), Ok(()), "{host}");
            assert_eq!(check(url, "/", &[other]), Err(Foreign), "{other}");
        }
        // On this machine alone the app may be open under another name of it, and nothing else.
        for path in ["/authenticator/", "/provision/v1/credentials"] {
            assert_eq!(check("http://127.0.0.1:8700", path, &["localhost:8700"]), Ok(()), "{path}");
            assert_eq!(check("http://127.0.0.1:8700", path, &["localhost:8701"]), Err(Foreign));
            assert_eq!(check("http://127.0.0.1:8700", path, &["evil.test:8700"]), Err(Foreign));
            assert_eq!(check(https, path, &["localhost"]), Err(Foreign), "{path}");
        }
        assert_eq!(
            check_host(None, &"/".parse().unwrap(), &headers(&[("host", "a")])),
            Err(Foreign)
        );
    }

    #[test]
    fn the_app_may_be_open_under_another_name_of_this_machine() {
        let from = |own: &str, origin: &str| app_sent_from(&headers(&[("origin", origin)]), own);
        let here = "http://127.0.0.1:8700";
        for origin in [here, "http://localhost:8700", "http://[::1]:8700"] {
            assert_eq!(from(here, origin), SentFrom::OwnPage, "{origin}");
        }
        for origin in [
            "http://localhost:8701",
            "https://localhost:8700",
            "http://localhost",
            "null",
            "http://evil.test:8700",
        ] {
            assert_eq!(from(here, origin), SentFrom::Elsewhere, "{origin}");
        }
        assert_eq!(from("http://localhost", "http://127.0.0.1"), SentFrom::OwnPage);
        assert_eq!(from("https://erx.test", "http://localhost"), SentFrom::Elsewhere);
        assert_eq!(from("https://erx.test", "https://erx.test"), SentFrom::OwnPage);
    }

    #[test]
    fn a_form_comes_from_our_own_origin_and_no_other() {
        let from =
            |pairs: &[(&'static str, &str)]| sent_from(&headers(pairs), "http://erx.test:8080");
        for pairs in [
            &[("origin", "http://erx.test:8080")][..],
            &[("origin", "http://erx.test:8080"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin")],
            // What the request says of its own host changes nothing.
            &[("origin", "http://erx.test:8080"), ("host", "evil.test")],
        ] {
            assert_eq!(from(pairs), SentFrom::OwnPage, "{pairs:?}");
        }
        for origin in [
            "",
            "null",
            "https://erx.test:8080",
            "http://erx.test",
            "http://erx.test:80",
            "http://erx.test:8080/",
            "http://erx.test.:8080",
            "http://ERX.test:8080",
            "HTTP://erx.test:8080",
            "http://erx.test:8080.evil.test",
            "http://evil.test",
            "erx.test:8080",
            " http://erx.test:8080",
            "http://erx.test:8080 http://evil.test",
            "http://user@erx.test:8080",
        ] {
            assert_eq!(from(&[("origin", origin)]), SentFrom::Elsewhere, "{origin:?}");
            // Neither the host of the request nor the site can make up for it.
            let more =
                [("origin", origin), ("host", "evil.test"), ("sec-fetch-site", "same-origin")];
            assert_eq!(from(&more), SentFrom::Elsewhere, "{origin:?}");
        }
        for site in ["cross-site", "same-site", "none", "", "Same-Origin"] {
            assert_eq!(from(&[("sec-fetch-site", site)]), SentFrom::Elsewhere, "{site:?}");
            let both = [("origin", "http://erx.test:8080"), ("sec-fetch-site", site)];
            // A form that its own person sends again.
            let own = site == "none";
            let expected = if own { SentFrom::OwnPage } else { SentFrom::Elsewhere };
            assert_eq!(from(&both), expected, "{site:?}");
        }
        let twice = [("origin", "http://erx.test:8080"), ("origin", "http://erx.test:8080")];
        assert_eq!(from(&twice), SentFrom::Elsewhere);
        assert_eq!(from(&[]), SentFrom::Unmarked);
        assert_eq!(from(&[("referer", "http://erx.test:8080/portal")]), SentFrom::Unmarked);
    }
}

//! Parses and checks the value of a single setting.

use std::{net::SocketAddr, path::Path};

use countersign_domain::{FORMATS, Manufacturer, TokenKind, check_line};
use countersign_server::TrustedProxy;
use reqwest::Url;

use super::{Listen, is_loopback};

/// Longest path of a Unix socket: 108 bytes with the closing zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn parse_listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.len() > SOCKET_PATH_MAX || path.contains('\0') {
            return Err(format!(
                "server.listen: give the full path of the socket, at most {SOCKET_PATH_MAX} bytes, such as unix:/run/countersign/server.sock"
            ));
        }
        return Ok(Listen::Unix(path.into()));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(Listen::Tcp(address)),
        Ok(_) => Err(format!(
            "server.listen: {text} can be reached from other machines, and this server does not terminate TLS: listen on 127.0.0.1:8700 or unix:/path, and put a validated TLS terminator in front"
        )),
        Err(_) => Err(format!(
            "server.listen: {text:?} is not valid: give 127.0.0.1:8700, [::1]:8700 or unix:/path (no host names; put a validated TLS terminator in front)"
        )),
    }
}

pub(super) fn parse_public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err(format!(
            "server.public_url: {text:?} is not a web address: give https://erx.example.org"
        ));
    };
    let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if more || !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "server.public_url: give scheme, host and port only, such as {}",
            url.origin().ascii_serialization()
        ));
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(format!(
            "server.public_url: {text} must begin with https; plain http is only for this machine"
        ));
    }
    Ok(url)
}

pub(super) fn parse_proxies(texts: &[String]) -> Result<Vec<TrustedProxy>, String> {
    let parse = |text: &String| {
        text.parse::<TrustedProxy>()
            .map_err(|error| format!("server.trusted_proxies: {text:?}: {error}"))
    };
    texts.iter().map(parse).collect()
}

pub(super) fn parse_manufacturers(codes: &[String]) -> Result<Vec<Manufacturer>, String> {
    let mut makers = Vec::new();
    for code in codes {
        let Ok(maker) = code.parse::<Manufacturer>() else {
            return Err(format!(
                "manufacturers.enabled: {code:?} is unknown; choose from {}",
                Manufacturer::ALL.map(Manufacturer::code).join(", ")
            ));
        };
        if makers.contains(&maker) {
            return Err(format!("manufacturers.enabled: {code} is listed twice; remove one"));
        }
        makers.push(maker);
    }
    if makers.is_empty() {
        return Err(
            "manufacturers.enabled is empty, so no token can be added: list at least one".into()
        );
    }
    Ok(makers)
}

pub(super) fn check_symantec_prefix(prefix: &str) -> Result<(), String> {
    let known: Vec<&str> = FORMATS
        .iter()
        .filter(|f| f.manufacturer == Manufacturer::Symantec && f.kind == TokenKind::OtpSoft)
        // Codes of such an ID follow a counter; the built-in authority makes them by the time.
        .filter(|f| !f.event_based)
        .map(|f| f.prefix)
        .collect();
    if known.contains(&prefix) {
        return Ok(());
    }
    Err(format!("manufacturers.symantec_prefix: {prefix:?} is not one of {}", known.join(", ")))
}

pub(super) fn check_vip_path(path: &str) -> Result<(), String> {
    /// First parts of our own addresses.
    const TAKEN: [&str; 13] = [
        "api",
        "provision",
        "portal",
        "launch",
        "e-prescribing",
        "sign-out",
        "signed-out",
        "static",
        "healthz",
        "readyz",
        "authenticator",
        "get",
        "admin",
    ];
    let parts = path.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
    let good = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let Some(parts) = parts.filter(|parts| path.len() <= 100 && parts.iter().all(good)) else {
        return Err(format!(
            "vip.path: {path:?} is not a path: give letters, digits, - and _ after a slash, such as /vip"
        ));
    };
    match parts.first().filter(|first| TAKEN.contains(first)) {
        Some(first) => {
            Err(format!("vip.path: /{first} is already in use: choose another, such as /vip"))
        }
        None => Ok(()),
    }
}

pub(super) fn check_path(key: &str, path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) || bytes.ends_with(b"/") {
        return Err(format!("{key}: give the path of a file"));
    }
    Ok(())
}

/// Checks that it is host and port, or empty.
pub(super) fn check_time_server(text: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!(
            "signing.time_server: {text:?}: {why}: give host and port, such as time.nist.gov:123"
        ))
    };
    if text.is_empty() || text.parse::<SocketAddr>().is_ok_and(|it| it.port() > 0) {
        return Ok(());
    }
    let Some((host, port)) = text.rsplit_once(':') else { return wrong("it has no port") };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("the part after the colon is not a port from 1 to 65535");
    }
    let label = |it: &str| {
        let plain = it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&it.len()) && plain && !it.starts_with('-') && !it.ends_with('-')
    };
    if host.len() > 253 || !host.strip_suffix('.').unwrap_or(host).split('.').all(label) {
        return wrong("the part before the port is not a host name or address");
    }
    Ok(())
}

pub(super) fn check_text(key: &str, text: &str, needed: bool) -> Result<(), String> {
    if needed && text.trim().is_empty() {
        return Err(format!("{key} is empty: pages show it to prescribers who need help"));
    }
    check_line(text, 200).map_err(|error| format!("{key}: {error}"))
}

pub(super) fn check_email(text: &str) -> Result<(), String> {
    let parts = text.split_once('@');
    let fine = parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(' ')
    });
    if text.is_empty() || fine {
        return Ok(());
    }
    Err(format!(
        "practice.support_email: {text:?} is not an email address: give name@host, or leave it empty"
    ))
}

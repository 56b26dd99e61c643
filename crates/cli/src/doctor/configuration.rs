//! Checks of single settings: the address, the host name, proxies, support and signing.

use std::path::Path;

use super::Finding;
use crate::settings::{Listen, Settings, is_loopback};

/// Where the server listens, and what browsers are told.
pub(crate) fn listen_finding(settings: &Settings) -> Finding {
    const NAME: &str = "listen address";
    let addresses = settings.listen().and_then(|listen| Ok((listen, settings.public_origin()?)));
    let (listen, origin) = match addresses {
        Ok(addresses) => addresses,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let says = format!("{}, for browsers {origin}", settings.server.listen);
    if let Listen::Unix(path) = &listen
        && !path.parent().is_some_and(Path::is_dir)
    {
        let do_this = format!("create the folder for {}", path.display());
        return Finding::bad(NAME, says, do_this);
    }
    if !origin.starts_with("https:") {
        return Finding::warn(
            NAME,
            says,
            "suitable for a trial on this machine; for production, put a validated TLS terminator in front and set server.public_url",
        );
    }
    Finding::good(NAME, says)
}

/// The name under which browsers ask: browsers send a cookie to every port of its host (RFC 6265, 8.5), so that
/// whatever else listens there gets the session of a prescriber.
pub(crate) fn host_name_finding(settings: &Settings) -> Finding {
    const NAME: &str = "host name";
    let url = match settings.public_url() {
        Ok(url) => url,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let do_this = "give it its own host name that serves nothing else on any port: browsers send the session cookie to all ports of a host";
    if is_loopback(&url) {
        return Finding::warn(
            NAME,
            format!("{host} is shared with everything on this machine"),
            do_this,
        );
    }
    if url.domain().is_none() {
        return Finding::warn(NAME, format!("{host} is an IP address, not a host name"), do_this);
    }
    if url.port().is_some() {
        return Finding::warn(NAME, format!("{host} is used with a nonstandard port"), do_this);
    }
    Finding::good(NAME, format!("{host}; it must not serve anything else, on any port"))
}

/// Whether limits know clients apart: behind a proxy only where it is trusted.
pub(crate) fn proxy_finding(settings: &Settings) -> Finding {
    const NAME: &str = "proxy";
    let found = settings.listen().and_then(|listen| Ok((listen, settings.client_addresses()?)));
    let (listen, addresses) = match found {
        Ok(found) => found,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let trusted = match &listen {
        Listen::Unix(_) => addresses.trusts_unix(),
        Listen::Tcp(address) => addresses.trusts_address(address.ip()),
    };
    if trusted {
        return Finding::good(NAME, "it reports client addresses (server.trusted_proxies)");
    }
    if settings.public_url().is_ok_and(|url| is_loopback(&url)) {
        return Finding::good(
            NAME,
            "no proxy is trusted; none is needed for use on this machine only",
        );
    }
    let wanted = match &listen {
        Listen::Unix(_) => "unix".to_owned(),
        Listen::Tcp(address) => address.ip().to_string(),
    };
    Finding::warn(
        NAME,
        "not trusted: all clients share the limits of one address",
        format!(
            "add \"{wanted}\" to server.trusted_proxies, and configure the proxy to report client addresses (docs/operations.md, \"Reverse proxy\")"
        ),
    )
}

/// Whom the pages name where a prescriber can't go on.
pub(crate) fn support_finding(settings: &Settings) -> Finding {
    const NAME: &str = "support contact";
    let practice = &settings.practice;
    if practice.support_phone.is_empty() && practice.support_email.is_empty() {
        return Finding::warn(
            NAME,
            "no phone or email is set",
            "set practice.support_phone or practice.support_email; a prescriber without a token needs it",
        );
    }
    Finding::good(NAME, practice.support_name.clone())
}

/// What keeps everybody from signing prescriptions here.
pub(crate) fn signing_finding(settings: &Settings) -> Finding {
    const NAME: &str = "prescriptions";
    let signing = &settings.signing;
    let mut missing = Vec::new();
    if settings.transmission.gateway_url.is_empty() {
        missing.push("transmission.gateway_url");
    }
    if settings.transmission.pharmacies.is_empty() {
        missing.push("transmission.pharmacies");
    }
    if signing.time_server.is_empty() {
        missing.push("signing.time_server");
    }
    if signing.release_manifest_file.is_empty() && !signing.unlisted_build {
        missing.push("signing.release_manifest_file");
    }
    if missing.is_empty() {
        return Finding::good(NAME, "gateway, time server and build are set".to_owned());
    }
    let says = format!("not set: {}", missing.join(", "));
    Finding::warn(NAME, says, "set them (docs/operations.md); no one can sign until then")
}

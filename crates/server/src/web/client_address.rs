//! Whom a request comes from, where a proxy stands in front: by its own connection, or by what a proxy says
//! that the operator trusts.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use thiserror::Error;

/// Most addresses of a chain of proxies that are looked at; a longer one ends there.
const MOST_HOPS: usize = 32;

/// Marks a request that came over the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnixSocket;

/// Whom a request comes from, as limits and records count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Address(IpAddr),
    /// A process of this machine.
    Unix,
}

impl Sender {
    /// As the listener has noted it; a request that came over no listener comes from this machine.
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        match extensions.get::<ConnectInfo<UnixSocket>>() {
            Some(_) => Self::Unix,
            None => Self::Address(
                extensions
                    .get::<ConnectInfo<IpAddr>>()
                    .map_or(IpAddr::from([127, 0, 0, 1]), |info| info.0),
            ),
        }
    }

    fn address(self) -> IpAddr {
        match self {
            Self::Address(address) => address.to_canonical(),
            Self::Unix => IpAddr::from([127, 0, 0, 1]),
        }
    }
}

/// Where a trusted proxy says whom it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressSource {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// The PROXY protocol, version 2, at the beginning of each connection.
    ProxyProtocol,
}

/// What is no trusted proxy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustedProxyError {
    /// Neither address, nor network, nor `unix`.
    #[error("give an address (127.0.0.1), a network (10.1.0.0/16, fd00:1::/32) or unix")]
    Malformed,
    /// The network has bits behind its prefix.
    #[error("this network starts at {0}: use that address")]
    HostBits(String),
    /// The network is everybody.
    #[error("this covers every address, so any client could fake its address")]
    Everybody,
}

/// A proxy that is believed: an address, a network (CIDR notation, RFC 4632 and 4291), or the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Whoever speaks over the Unix socket.
    Unix,
    /// A network, or an address, which is a network of one.
    Network {
        /// Its first address, an IPv4 address in its own form.
        first: IpAddr,
        /// How many bits all its addresses share.
        bits: u8,
    },
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| TrustedProxyError::Malformed)?;
        let most = if written.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse().ok().filter(|it| *it <= most).ok_or(TrustedProxyError::Malformed)?
            }
            Some(_) => return Err(TrustedProxyError::Malformed),
        };
        if bits == 0 {
            return Err(TrustedProxyError::Everybody);
        }
        let begin = first_of(written, bits);
        if begin != written {
            return Err(TrustedProxyError::HostBits(format!("{begin}/{bits}")));
        }
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        match (written.to_canonical(), bits.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(rest)) if written.is_ipv6() => match rest {
                0 => Err(TrustedProxyError::Everybody),
                bits => Ok(Self::Network { first, bits }),
            },
            _ => Ok(Self::Network { first: written, bits }),
        }
    }
}

/// The first address of the network with so many bits that holds this one.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}

impl TrustedProxy {
    fn holds(self, sender: Sender) -> bool {
        match (self, sender) {
            (Self::Unix, Sender::Unix) => true,
            (Self::Network { first, bits }, Sender::Address(address)) => {
                let address = address.to_canonical();
                address.is_ipv4() == first.is_ipv4() && first_of(address, bits) == first
            }
            _ => false,
        }
    }
}

/// The proxies that are trusted, and where they say whom they speak for. By default none is.
#[derive(Debug, Clone, Default)]
pub struct ClientAddresses {
    proxies: Vec<TrustedProxy>,
    source: AddressSource,
}

impl ClientAddresses {
    /// From these proxies, by this source.
    pub const fn new(proxies: Vec<TrustedProxy>, source: AddressSource) -> Self {
        Self { proxies, source }
    }

    /// Whether whoever speaks over the Unix socket is trusted.
    pub fn trusts_unix(&self) -> bool {
        self.trusts(Sender::Unix)
    }

    /// Whether whoever speaks from this address is trusted.
    pub fn trusts_address(&self, address: IpAddr) -> bool {
        self.trusts(Sender::Address(address))
    }

    pub(crate) fn trusts(&self, sender: Sender) -> bool {
        self.proxies.iter().any(|proxy| proxy.holds(sender))
    }

    /// Whether a connection of this sender begins with the PROXY protocol.
    pub(crate) fn speaks_proxy_protocol(&self, sender: Sender) -> bool {
        self.source == AddressSource::ProxyProtocol && self.trusts(sender)
    }

    /// Whom a request comes from: the rightmost address of the header that is not a trusted proxy. What an
    /// untrusted sender says is not read. Where a trusted one says nothing, nothing readable, `unknown` or an
    /// obfuscated name (RFC 7239, 6), the client is the last proxy that is known: all such requests share its
    /// limits, and nobody gets those of somebody else.
    pub(crate) fn client(&self, sender: Sender, headers: &HeaderMap) -> IpAddr {
        let name = match self.source {
            AddressSource::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            AddressSource::Forwarded => header::FORWARDED,
            AddressSource::ProxyProtocol => return sender.address(),
        };
        let mut client = sender.address();
        if !self.trusts(sender) {
            return client;
        }
        let read = match self.source {
            AddressSource::Forwarded => forwarded,
            _ => x_forwarded_for,
        };
        let mut looked_at = 0;
        // Each proxy adds to the right, or a line of its own below.
        let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        for line in lines.into_iter().rev() {
            let Some(hops) = line.to_str().ok().and_then(read) else {
                tracing::debug!("a forwarding header from a proxy can't be read");
                return client;
            };
            for hop in hops.into_iter().rev() {
                looked_at += 1;
                let Some(hop) = hop.filter(|_| looked_at <= MOST_HOPS) else { return client };
                client = hop.to_canonical();
                if !self.trusts(Sender::Address(client)) {
                    return client;
                }
            }
        }
        client
    }
}

/// The hops of a line of `X-Forwarded-For`, from left to right; none for what is no address.
#[expect(
    clippy::unnecessary_wraps,
    reason = "has the shape of `forwarded`, in whose place it stands"
)]
fn x_forwarded_for(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let parts = line.split(',').map(str::trim).filter(|part| !part.is_empty());
    Some(parts.map(node).collect())
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The hops of a line of `Forwarded` (RFC 7239, 4), from left to right; none for one that names no address.
/// Nothing where the line can't be read.
fn forwarded(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = Vec::new();
    let mut rest = line;
    loop {
        // An element: pairs with semicolons between them; a list may have empty elements (RFC 9110, 5.6.1).
        let mut found: Option<Option<IpAddr>> = None;
        let mut empty = true;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            // An element may have empty pairs too.
            if !(rest.is_empty() || rest.starts_with([',', ';'])) {
                let (name, value, after) = pair(rest)?;
                empty = false;
                if name.eq_ignore_ascii_case("for")
                    && found.replace(forwarded_node(&value)).is_some()
                {
                    return None;
                }
                rest = after.trim_start_matches([' ', '\t']);
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        if !empty {
            hops.push(found.flatten());
        }
        if rest.is_empty() {
            return Some(hops);
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// A pair `name=value` at the beginning of a text: its name, its value without quotes, and what follows.
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let (name, rest) = text.split_once('=')?;
    if name.is_empty() || !name.chars().all(is_token) {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        loop {
            match chars.next()? {
                (at, '"') => return Some((name, value, quoted.get(at + 1..)?)),
                (_, '\\') => value.push(chars.next()?.1),
                (_, c) => value.push(c),
            }
        }
    }
    // Some write a bare IPv6 address with its brackets and colons, which no token may have.
    let is_value = |c: char| is_token(c) || "[]:".contains(c);
    let end = rest.find(|c| !is_value(c)).unwrap_or(rest.len());
    let (value, after) = rest.split_at_checked(end).filter(|(value, _)| !value.is_empty())?;
    Some((name, value.to_owned(), after))
}

/// An address of `Forwarded`, whose port may be obfuscated (RFC 7239, 6); none for `unknown` and obfuscated
/// names.
fn forwarded_node(text: &str) -> Option<IpAddr> {
    let is_hidden = |port: &str| {
        port.strip_prefix('_').is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        })
    };
    match text.rsplit_once(':') {
        Some((address, port)) if is_hidden(port) => node(address),
        // In this header an IPv6 address stands in brackets.
        _ => node(text).filter(|it| it.is_ipv4() || text.starts_with('[')),
    }
}

/// The address a request came from, as the limits count it.
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
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

#[cfg(test)]
mod tests;

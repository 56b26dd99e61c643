//! What the server asks of others: the port through which notices and prescriptions leave, and proofing
//! providers and EHRs are asked. The binary hands in what really sends; a demonstration keeps everything to itself.

use std::{future::Future, pin::Pin};

use countersign_domain::shown_line;

/// A call that is on its way.
pub type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Why something could not be sent or asked; without any content of it. Its words are one line, whatever the other
/// side said, since they go into logs, rows and pages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No such way is set up.
    #[error("not set up")]
    NotSetUp,
    /// The other side could not be reached, or not in time.
    #[error("not reached: {}", shown_line(.0, 300))]
    NotReached(String),
    /// The other side says no, and would again.
    #[error("refused: {}", shown_line(.0, 300))]
    Refused(String),
}

/// A message to somebody.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The same at each try: whoever gets it twice can tell.
    pub id: &'a str,
    /// What it is, as a word.
    pub kind: &'a str,
    /// E-mail address, or telephone number (E.164).
    pub to: &'a str,
    /// The subject of an e-mail.
    pub subject: &'a str,
    /// Plain text.
    pub text: &'a str,
}

/// A request to a proofing provider or an EHR.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `https`, or a loopback address.
    pub url: &'a str,
    /// A form to post; a plain GET without one.
    pub form: Option<&'a [(&'a str, &'a str)]>,
    /// Name and secret for HTTP basic authentication (RFC 6749, 2.3.1: both are form-encoded first).
    pub basic: Option<(&'a str, &'a str)>,
    /// An access token (RFC 6750).
    pub bearer: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A plain GET of what everybody may read.
    pub const fn get(url: &'a str) -> Self {
        Self { url, form: None, basic: None, bearer: None }
    }
}

/// A signed prescription for the gateway to the pharmacies.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The same at each try: what was accepted under it once is accepted, and not done again.
    pub key: &'a str,
    /// JSON.
    pub body: &'a str,
}

/// Sends and asks.
pub trait Outbound: Send + Sync {
    /// Sends an e-mail.
    fn email<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()>;
    /// Has a text message or a call sent.
    fn phone<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()>;
    /// Asks a proofing provider or an EHR; the body of a good answer, at most 256 KiB.
    fn call<'a>(&'a self, call: Call<'a>) -> Sending<'a, Vec<u8>>;
    /// Hands a signed prescription to the gateway; the body of a good answer, at most 256 KiB.
    fn parcel<'a>(&'a self, parcel: Parcel<'a>) -> Sending<'a, Vec<u8>>;
}

/// Nothing is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Outbound for Nothing {
    fn email<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn phone<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn call<'a>(&'a self, _: Call<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn parcel<'a>(&'a self, _: Parcel<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_says_is_one_line() {
        let said = Fault::Refused("550 no\r\nINFO all is well\u{1b}[2J".to_owned());
        assert_eq!(said.to_string(), "refused: 550 no INFO all is well\u{fffd}[2J");
        assert_eq!(Fault::NotReached("x\0".to_owned()).to_string(), "not reached: x\u{fffd}");
    }
}

//! The VIP Access provisioning protocol, server side: free clients of it can get a credential here.
//!
//! Both keys come from the configuration. In the vendor's service they are the same in every client,
//! so the MAC proves nothing about who asks, and the cipher hides little: TLS is what protects the
//! seed. Whoever serves this limits the rate by itself.
//!
//! The order of a request: [`SharedSecretRequest::parse`], [`SharedSecretRequest::authenticate`],
//! [`AuthenticRequest::check_clock`], [`AuthenticRequest::answer`]. Each hands back a [`Refusal`] that
//! writes itself in the protocol's own form.

mod answer;
pub mod client;
mod form;
mod request;
mod xml;

use std::{fmt, str::FromStr};

use countersign_crypto::{CbcKey, HmacAlgorithm, HmacKey, Rng, RngError, SecretText, random_array};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

pub use answer::{FIRST_COUNTER, Fault, Issued, Refusal};
pub use form::{CheckAnswer, CheckForm, FORM_MAX_BYTES, FormError, SyncAnswer, SyncForm};
pub use request::{AuthenticRequest, REQUEST_MAX_BYTES, RequestId, SharedSecretRequest};

const HMAC_KEY_BYTES: usize = 32;
const TOKEN_KEY_BYTES: usize = 16;
const ID_DIGITS: usize = 8;

/// The two keys of the protocol, shared by server and clients.
pub struct VipKeys {
    hmac: Zeroizing<[u8; HMAC_KEY_BYTES]>,
    token: Zeroizing<[u8; TOKEN_KEY_BYTES]>,
}

/// A key of the wrong length, or not in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VipKeyError {
    /// The key of the requests' MAC.
    #[error("the HMAC key is not 64 hexadecimal digits")]
    Hmac,
    /// The key of the secrets' cipher.
    #[error("the token key is not 32 hexadecimal digits")]
    Token,
}

impl VipKeys {
    /// Keys made for one installation.
    pub fn random(rng: &mut dyn Rng) -> Result<Self, RngError> {
        Ok(Self {
            hmac: Zeroizing::new(random_array(rng)?),
            token: Zeroizing::new(random_array(rng)?),
        })
    }

    /// As the configuration has them: 64 and 32 hexadecimal digits.
    pub fn from_hex(hmac: &str, token: &str) -> Result<Self, VipKeyError> {
        Ok(Self {
            hmac: unhex(hmac).ok_or(VipKeyError::Hmac)?,
            token: unhex(token).ok_or(VipKeyError::Token)?,
        })
    }

    /// The HMAC key in hexadecimal, for a client's configuration.
    pub fn hmac_hex(&self) -> SecretText {
        SecretText::new(HEXLOWER.encode(self.hmac.as_slice()))
    }

    /// The token key in hexadecimal, for a client's configuration.
    pub fn token_hex(&self) -> SecretText {
        SecretText::new(HEXLOWER.encode(self.token.as_slice()))
    }

    fn mac(&self, algorithm: HmacAlgorithm) -> HmacKey {
        HmacKey::new(algorithm, self.hmac.as_slice())
    }

    fn cipher(&self) -> CbcKey {
        CbcKey::new(*self.token)
    }
}

fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    let key = bytes.as_slice().try_into().ok().map(Zeroizing::new);
    bytes.zeroize();
    key
}

impl fmt::Debug for VipKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VipKeys")
    }
}

/// The kinds of token that a client of this protocol asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenModel {
    /// `SYMC`, for phones; TOTP.
    Symc,
    /// `SYMD`, for phones; TOTP.
    Symd,
    /// `SYMZ`, for phones; TOTP.
    Symz,
    /// `VSMT`, for phones; TOTP.
    Vsmt,
    /// `VSMB`, for phones; TOTP.
    Vsmb,
    /// `SYDC`, for desktop computers; TOTP.
    Sydc,
    /// `VSST`, for desktop computers; TOTP.
    Vsst,
    /// `UBHE`, event-based: HOTP.
    Ubhe,
}

impl TokenModel {
    /// All eight models.
    pub const ALL: [Self; 8] = [
        Self::Symc,
        Self::Symd,
        Self::Symz,
        Self::Vsmt,
        Self::Vsmb,
        Self::Sydc,
        Self::Vsst,
        Self::Ubhe,
    ];

    /// The four letters, which are also the first ones of the credential ID.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Symc => "SYMC",
            Self::Symd => "SYMD",
            Self::Symz => "SYMZ",
            Self::Vsmt => "VSMT",
            Self::Vsmb => "VSMB",
            Self::Sydc => "SYDC",
            Self::Vsst => "VSST",
            Self::Ubhe => "UBHE",
        }
    }

    /// The model with these letters.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.code() == code)
    }

    /// Whether its codes follow a counter (HOTP) instead of the time (TOTP).
    pub const fn is_event_based(self) -> bool {
        matches!(self, Self::Ubhe)
    }
}

/// A credential ID of this protocol: a model and eight digits, exactly so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VipCredentialId {
    model: TokenModel,
    text: String,
}

/// Not a known model and eight digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a credential ID of this protocol")]
pub struct VipCredentialIdError;

impl VipCredentialId {
    /// Draws a new ID of this model; an error if `rng` fails.
    pub fn random(model: TokenModel, rng: &mut dyn Rng) -> Result<Self, RngError> {
        // 64 random bits for a number below 10^8: no digit is noticeably more likely than another.
        let number = u64::from_be_bytes(random_array(rng)?) % 100_000_000;
        Ok(Self { model, text: format!("{}{number:08}", model.code()) })
    }

    /// The ID: four capital letters and eight digits.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The model that the four letters stand for.
    pub const fn model(&self) -> TokenModel {
        self.model
    }
}

impl FromStr for VipCredentialId {
    type Err = VipCredentialIdError;

    fn from_str(text: &str) -> Result<Self, VipCredentialIdError> {
        TokenModel::ALL
            .into_iter()
            .find(|model| {
                text.strip_prefix(model.code()).is_some_and(|digits| {
                    digits.len() == ID_DIGITS && digits.bytes().all(|b| b.is_ascii_digit())
                })
            })
            .map(|model| Self { model, text: text.to_owned() })
            .ok_or(VipCredentialIdError)
    }
}

impl fmt::Display for VipCredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::CredentialId;

    #[test]
    fn keys_come_from_hexadecimal_and_do_not_show_themselves() {
        let keys = VipKeys::random(&mut SystemRng).unwrap();
        let (hmac, token) = (keys.hmac_hex(), keys.token_hex());
        let again = VipKeys::from_hex(&hmac.expose().to_uppercase(), token.expose()).unwrap();
        assert_eq!(*again.hmac, *keys.hmac);
        assert_eq!(*again.token, *keys.token);
        assert_eq!(format!("{keys:?}"), "VipKeys");
        assert_eq!(
            VipKeys::from_hex(token.expose(), token.expose()).unwrap_err(),
            VipKeyError::Hmac
        );
        assert_eq!(
            VipKeys::from_hex(hmac.expose(), hmac.expose()).unwrap_err(),
            VipKeyError::Token
        );
        assert!(VipKeys::from_hex(&"g".repeat(64), token.expose()).is_err());
        assert!(VipKeys::from_hex("", "").is_err());
    }

    #[test]
    fn ids_are_read_exactly() {
        for model in TokenModel::ALL {
            let id = VipCredentialId::random(model, &mut SystemRng).unwrap();
            assert_eq!(id.as_str().parse::<VipCredentialId>().unwrap(), id);
            assert_eq!(id.model(), model);
            assert_eq!(TokenModel::from_code(model.code()), Some(model));
            assert_eq!(CredentialId::parse(id.as_str(), None).unwrap().as_str(), id.as_str());
        }
        for text in [
            "",
            "SYMC",
            "SYMC1234567",
            "SYMC123456789",
            "symc12345678",
            "SYMC1234567a",
            "AVT123456789",
            "SYMC1234567٣",
        ] {
            assert!(text.parse::<VipCredentialId>().is_err(), "{text}");
        }
    }
}

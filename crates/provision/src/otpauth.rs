//! `otpauth://` URIs: a credential as any authenticator app reads it from a QR code.
//!
//! Such a URI holds the seed in clear. Who shows one has let the seed out for good.

use std::fmt;

use countersign_crypto::{HmacAlgorithm, SecretBytes, SecretText};
use countersign_domain::{
    CredentialId,
    otp::{OtpError, OtpParams, TokenSeed},
};
use data_encoding::BASE32_NOPAD;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::percent;

/// Longest URI that is read; a QR code for a phone's camera holds less.
pub const URI_MAX_BYTES: usize = 2_048;

const SCHEME: &str = "otpauth://";
const NAME_MAX_BYTES: usize = 128;

/// The URI of a time-based credential, labeled `ISSUER:CREDENTIAL_ID`.
///
/// A colon in `issuer` is left out: the label has no way to carry one.
pub fn totp_uri(
    issuer: &str,
    credential: &CredentialId,
    seed: &TokenSeed,
    params: &OtpParams,
) -> SecretText {
    let issuer = percent::encode(issuer.replace(':', "").trim());
    let (prefix, parameter) = match issuer.as_str() {
        "" => (String::new(), String::new()),
        name => (format!("{name}:"), format!("&issuer={name}")),
    };
    let secret = Zeroizing::new(BASE32_NOPAD.encode(seed.expose()));
    SecretText::new(format!(
        "{SCHEME}totp/{prefix}{credential}?secret={}{parameter}&algorithm={}&digits={}&period={}",
        secret.as_str(),
        params.algorithm_code(),
        params.digits(),
        params.period(),
    ))
}

/// What a URI of a time-based credential says.
pub struct OtpAuth {
    /// Who issued the credential, where the URI names one.
    pub issuer: Option<String>,
    /// Whose it is; for our own, the credential ID.
    pub account: String,
    /// The secret of TOTP, decoded from base32.
    pub seed: TokenSeed,
    /// Hash, digits and period.
    pub params: OtpParams,
}

impl fmt::Debug for OtpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpAuth")
    }
}

/// Why a URI is refused. Never holds a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OtpAuthError {
    /// Too long, another scheme, or a broken percent-encoding.
    #[error("not an otpauth URI")]
    NotOtpAuth,
    /// Another type than `totp`.
    #[error("only time-based credentials (totp) are read")]
    Type,
    /// No account, a part that is too long, or one colon too many.
    #[error("the label is not ISSUER:ACCOUNT")]
    Label,
    /// A parameter that is not known, occurs twice or has no value.
    #[error("a parameter is not known, is there twice or is empty")]
    Parameter,
    /// The issuer of the label and the one of the parameter differ.
    #[error("the URI names two issuers")]
    Issuer,
    /// No secret, or one that is not base32.
    #[error("there is no secret in base32")]
    Secret,
    /// A hash, a number of digits, a period or a length of the secret that is not supported.
    #[error(transparent)]
    Otp(#[from] OtpError),
}

impl OtpAuth {
    /// Reads a URI strictly: nothing that is not understood is passed over.
    ///
    /// Without a word in the URI the hash is SHA-1, the digits 6, the period 30 seconds. In the
    /// secret, case, spaces, dashes and padding are forgiven.
    pub fn parse(uri: &str) -> Result<Self, OtpAuthError> {
        if uri.len() > URI_MAX_BYTES || !uri.is_ascii() {
            return Err(OtpAuthError::NotOtpAuth);
        }
        let (scheme, rest) = uri.split_at_checked(SCHEME.len()).ok_or(OtpAuthError::NotOtpAuth)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) || rest.contains('#') {
            return Err(OtpAuthError::NotOtpAuth);
        }
        let (path, query) = rest.split_once('?').ok_or(OtpAuthError::Secret)?;
        let (kind, label) = path.split_once('/').ok_or(OtpAuthError::NotOtpAuth)?;
        if !kind.eq_ignore_ascii_case("totp") {
            return Err(OtpAuthError::Type);
        }
        let (label_issuer, account) = split_label(label)?;

        let [mut secret, mut issuer, mut algorithm, mut digits, mut period] = [const { None }; 5];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(OtpAuthError::Parameter)?;
            let slot = match name {
                "secret" => &mut secret,
                "issuer" => &mut issuer,
                "algorithm" => &mut algorithm,
                "digits" => &mut digits,
                "period" => &mut period,
                _ => return Err(OtpAuthError::Parameter),
            };
            // As in a label, a plus sign is a plus sign: this is a URI, not a form.
            let value = Zeroizing::new(
                percent::decode(value, false).map_err(|_| OtpAuthError::NotOtpAuth)?,
            );
            if value.is_empty() || slot.replace(value).is_some() {
                return Err(OtpAuthError::Parameter);
            }
        }

        let issuer = issuer.map(|issuer| issuer.trim().to_owned());
        if issuer.as_ref().is_some_and(|issuer| !name_holds(issuer)) {
            return Err(OtpAuthError::Label);
        }
        if issuer.is_some() && label_issuer.is_some() && issuer != label_issuer {
            return Err(OtpAuthError::Issuer);
        }
        let algorithm = match &algorithm {
            Some(code) => OtpParams::algorithm_from_code(&code.to_ascii_uppercase())?,
            None => HmacAlgorithm::Sha1,
        };
        let digits = number(digits.as_deref().map(String::as_str), 6, OtpError::Digits)?;
        let period = number(period.as_deref().map(String::as_str), 30, OtpError::Period)?;
        let digits = u8::try_from(digits).map_err(|_| OtpError::Digits)?;
        let params = OtpParams::new(algorithm, digits, period)?;
        let seed = seed(&secret.ok_or(OtpAuthError::Secret)?)?;
        Ok(Self { issuer: issuer.or(label_issuer), account, seed, params })
    }
}

fn split_label(label: &str) -> Result<(Option<String>, String), OtpAuthError> {
    // The colon between the parts may itself be encoded: decode first.
    let label = percent::decode(label, false).map_err(|_| OtpAuthError::NotOtpAuth)?;
    let (issuer, account) = match label.split_once(':') {
        Some((issuer, account)) => (Some(issuer.trim().to_owned()), account),
        None => (None, label.as_str()),
    };
    let account = account.trim().to_owned();
    let holds = name_holds(&account) && issuer.as_deref().is_none_or(name_holds);
    if holds { Ok((issuer, account)) } else { Err(OtpAuthError::Label) }
}

fn name_holds(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX_BYTES
        && !name.contains([':', '/'])
        && !name.chars().any(char::is_control)
}

fn number(text: Option<&str>, default: u16, error: OtpError) -> Result<u16, OtpAuthError> {
    let Some(text) = text else { return Ok(default) };
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error.into());
    }
    text.parse().map_err(|_| error.into())
}

fn seed(text: &str) -> Result<TokenSeed, OtpAuthError> {
    let mut clean = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.trim_end_matches('=').chars().filter(|c| !matches!(c, ' ' | '-')) {
        clean.push(c.to_ascii_uppercase());
    }
    let mut bytes = BASE32_NOPAD.decode(clean.as_bytes()).map_err(|_| OtpAuthError::Secret)?;
    if bytes.is_empty() {
        return Err(OtpAuthError::Secret);
    }
    let seed = TokenSeed::new(SecretBytes::new(bytes.clone()));
    bytes.zeroize();
    Ok(seed?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::TokenKind;
    use proptest::prelude::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn refused(uri: &str) -> OtpAuthError {
        OtpAuth::parse(uri).expect_err(uri)
    }

    #[test]
    fn our_own_uri_in_full() {
        let seed = TokenSeed::new(SecretBytes::new(b"12345678901234567890".to_vec())).unwrap();
        let id = CredentialId::parse("CNST41648882", None).unwrap();
        assert_eq!(
            totp_uri("Countersign: Oak Street", &id, &seed, &OtpParams::OWN).expose(),
            "otpauth://totp/Countersign%20Oak%20Street:CNST41648882?secret=\
             GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Countersign%20Oak%20Street\
             &algorithm=SHA256&digits=6&period=30"
        );
    }

    #[test]
    fn reads_what_others_write() {
        let read = OtpAuth::parse(&format!("otpauth://totp/alice?secret={SECRET}")).unwrap();
        assert_eq!((read.issuer, read.account.as_str()), (None, "alice"));
        assert_eq!(read.params, OtpParams::new(HmacAlgorithm::Sha1, 6, 30).unwrap());
        assert_eq!(read.seed.expose(), b"12345678901234567890");
        let read = OtpAuth::parse(
            "OTPAUTH://TOTP/Example%3A%20bob%40example.org?secret=gezd-gnbv%20gy3tqojqgezdgnbvgy3tqojq\
             &issuer=Example&algorithm=sha512&digits=8&period=60",
        )
        .unwrap();
        assert_eq!(
            (read.issuer.as_deref(), read.account.as_str()),
            (Some("Example"), "bob@example.org")
        );
        assert_eq!(read.params, OtpParams::new(HmacAlgorithm::Sha512, 8, 60).unwrap());
    }

    #[test]
    fn refuses_the_rest() {
        let with = |tail: &str| refused(&format!("otpauth://totp/a?secret={SECRET}{tail}"));
        assert_eq!(refused(""), OtpAuthError::NotOtpAuth);
        assert_eq!(refused("https://totp/a?secret=AA"), OtpAuthError::NotOtpAuth);
        assert_eq!(refused("otpauth://hotp/a?secret=AA&counter=0"), OtpAuthError::Type);
        assert_eq!(refused("otpauth://totp?secret=AA"), OtpAuthError::NotOtpAuth);
        assert_eq!(refused("otpauth://totp/a"), OtpAuthError::Secret);
        assert_eq!(refused("otpauth://totp/?secret=AA"), OtpAuthError::Label);
        assert_eq!(refused("otpauth://totp/a:b:c?secret=AA"), OtpAuthError::Label);
        assert_eq!(refused("otpauth://totp/:b?secret=AA"), OtpAuthError::Label);
        assert_eq!(refused("otpauth://totp/a%00b?secret=AA"), OtpAuthError::Label);
        assert_eq!(refused("otpauth://totp/a%?secret=AA"), OtpAuthError::NotOtpAuth);
        assert_eq!(refused("otpauth://totp/a?issuer=b"), OtpAuthError::Secret);
        assert_eq!(refused("otpauth://totp/a?secret=A1"), OtpAuthError::Secret);
        assert_eq!(refused("otpauth://totp/a?secret=AA"), OtpAuthError::Otp(OtpError::Seed));
        assert_eq!(refused("otpauth://totp/a?secret=%C3%A9"), OtpAuthError::Secret);
        assert_eq!(
            refused(&format!("otpauth://totp/A:a?secret={SECRET}&issuer=B")),
            OtpAuthError::Issuer
        );
        assert_eq!(with("&secret=AA"), OtpAuthError::Parameter);
        assert_eq!(with("&image=x"), OtpAuthError::Parameter);
        assert_eq!(with("&issuer="), OtpAuthError::Parameter);
        assert_eq!(with("&"), OtpAuthError::Parameter);
        assert_eq!(with("#x"), OtpAuthError::NotOtpAuth);
        assert_eq!(with("&digits=06"), OtpAuthError::Otp(OtpError::Digits));
        assert_eq!(with("&digits=262"), OtpAuthError::Otp(OtpError::Digits));
        assert_eq!(with("&period=0"), OtpAuthError::Otp(OtpError::Period));
        assert_eq!(with("&period=99999999999"), OtpAuthError::Otp(OtpError::Period));
        assert_eq!(with("&algorithm=MD5"), OtpAuthError::Otp(OtpError::Algorithm));
        assert_eq!(with(&"&".repeat(URI_MAX_BYTES)), OtpAuthError::NotOtpAuth);
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(
            issuer in "[^:/\\p{C}]{0,12}[A-Za-z0-9é&?#%+=]",
            bytes in proptest::collection::vec(any::<u8>(), 14..=64),
            algorithm in 0usize..3, digits in 6u8..=8, period in 1u16..=120,
        ) {
            let algorithm = [HmacAlgorithm::Sha1, HmacAlgorithm::Sha256, HmacAlgorithm::Sha512][algorithm];
            let params = OtpParams::new(algorithm, digits, period).unwrap();
            let id = CredentialId::random(TokenKind::OtpSoft, &mut SystemRng).unwrap();
            let seed = TokenSeed::new(SecretBytes::new(bytes.clone())).unwrap();
            let uri = totp_uri(&issuer, &id, &seed, &params);
            let read = OtpAuth::parse(uri.expose()).unwrap();
            prop_assert_eq!(read.issuer.as_deref(), Some(issuer.trim()));
            prop_assert_eq!(read.account, id.as_str());
            prop_assert_eq!(read.seed.expose(), bytes.as_slice());
            prop_assert_eq!(read.params, params);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = OtpAuth::parse(&text);
            let _ = OtpAuth::parse(&format!("otpauth://totp/{text}"));
            let _ = OtpAuth::parse(&format!("otpauth://totp/a?{text}"));
        }
    }
}

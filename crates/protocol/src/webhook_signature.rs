//! The header that signs what is posted to a webhook, and to the gateway to the pharmacies.

use countersign_crypto::{HmacKey, constant_time_eq};
use data_encoding::HEXLOWER;

/// How far a signature's time may lie off, in seconds.
const SIGNED_SECONDS: i64 = 300;

/// The header `countersign-signature` of what is posted to somebody: `t=` seconds since 1970, `v1=`
/// HMAC-SHA-256 in hexadecimal over those seconds, a dot and the body.
pub fn signature(key: &HmacKey, at: i64, body: &str) -> String {
    let tag = key.tag(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", HEXLOWER.encode(tag.as_ref()))
}

/// Whether such a header belongs to this body, and is of now.
pub fn is_signed(key: &HmacKey, header: &str, now: i64, body: &str) -> bool {
    let at = header.strip_prefix("t=").and_then(|rest| rest.split(',').next()?.parse::<i64>().ok());
    at.is_some_and(|at| {
        (at - now).abs() <= SIGNED_SECONDS
            && constant_time_eq(header.as_bytes(), signature(key, at, body).as_bytes())
    })
}

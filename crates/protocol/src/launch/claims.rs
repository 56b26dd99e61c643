//! What a launch says: its claims, its patient, and the limits on each.

use std::fmt;

use countersign_crypto::{Rng, RngError, random_array};
use countersign_domain::{Date, EhrId, TextError, TimeZone, Timestamp, check_line, unambiguous};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::LaunchError;
use crate::validity::if_there;

const MAX_USER_BYTES: usize = 64;
const MAX_PATIENT_ID_BYTES: usize = 64;
const MAX_MRN_BYTES: usize = 32;
/// Longest name of a patient, in characters.
const MAX_NAME_CHARS: usize = 128;
const MAX_JTI_BYTES: usize = 64;
const MIN_JTI_RANDOM_BYTES: usize = 16;

/// What a launch says, under the names that RFC 7519 gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchClaims {
    /// The EHR.
    #[serde(serialize_with = "write_ehr_id", deserialize_with = "read_ehr_id")]
    pub iss: EhrId,
    /// The public URL of this installation, as configured.
    pub aud: String,
    /// The clinician, by the name the EHR knows: 1 to 64 visible ASCII characters.
    pub sub: String,
    /// The patient whose chart is open.
    pub patient: LaunchPatient,
    /// When it was signed, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch; that second is already too late.
    pub exp: i64,
    /// From when on it holds, in seconds since the epoch, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_there")]
    pub nbf: Option<i64>,
    /// Names this launch: base64url of at least 128 random bits. See [`LaunchClaims::random_jti`].
    pub jti: String,
}

impl LaunchClaims {
    /// A fresh `jti` of 256 random bits.
    pub fn random_jti(rng: &mut dyn Rng) -> Result<String, RngError> {
        Ok(BASE64URL_NOPAD.encode(&random_array::<32>(rng)?))
    }

    /// The shape of every field; both sides hold to it, so that nothing is signed that we refuse.
    pub(super) fn check(&self) -> Result<(), LaunchError> {
        let signed = Timestamp::from_seconds(self.iat);
        let jti_random_bytes = BASE64URL_NOPAD.decode(self.jti.as_bytes()).map_or(0, |b| b.len());
        let fields = [
            ("sub", is_visible_ascii(&self.sub, MAX_USER_BYTES)),
            ("jti", self.jti.len() <= MAX_JTI_BYTES && jti_random_bytes >= MIN_JTI_RANDOM_BYTES),
        ];
        let mut all = self.patient.fields(signed).into_iter().chain(fields);
        match all.find(|(_, holds)| !holds) {
            Some((claim, _)) => Err(LaunchError::BadClaim(claim)),
            None => Ok(()),
        }
    }
}

/// The patient of a launch. Never shown by `Debug`, so that no log line holds one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchPatient {
    /// The EHR's ID: 1 to 64 visible ASCII characters.
    pub id: String,
    /// Full name: 1 to 128 characters of one line in which everything is seen ([`check_line`]), without a space at
    /// either end, and with letters of one script and no special form ([`unambiguous`]).
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`; a day that has begun somewhere on earth.
    pub birth_date: String,
    /// Medical record number: 1 to 32 visible ASCII characters.
    pub mrn: String,
}

impl LaunchPatient {
    /// Each field, and whether it has its shape at this moment.
    fn fields(&self, now: Timestamp) -> [(&'static str, bool); 4] {
        [
            ("patient.id", is_visible_ascii(&self.id, MAX_PATIENT_ID_BYTES)),
            ("patient.name", is_name(&self.name)),
            ("patient.birth_date", is_date(&self.birth_date) && !self.is_unborn(now)),
            ("patient.mrn", is_visible_ascii(&self.mrn, MAX_MRN_BYTES)),
        ]
    }

    /// Whether the date of birth is a day that has begun nowhere on earth (UTC+14 is first).
    fn is_unborn(&self, now: Timestamp) -> bool {
        let first = now.plus_seconds(14 * 3_600);
        self.birth_date.parse().is_ok_and(|born: Date| born > Date::at(first, &TimeZone::UTC))
    }

    /// A field that has not its shape at this moment, and what is wrong with it.
    pub fn wrong_field(&self, now: Timestamp) -> Option<(&'static str, String)> {
        let (field, _) = self.fields(now).into_iter().find(|(_, holds)| !holds)?;
        let visible = |most: usize| {
            format!("Send 1 to {most} letters, digits and signs of ASCII, without spaces.")
        };
        let said = match (field, check_name(&self.name)) {
            ("patient.name", Err(error)) => error.to_string(),
            ("patient.name", Ok(())) => {
                format!("Send 1 to {MAX_NAME_CHARS} characters, without a space at either end.")
            }
            ("patient.id", _) => visible(MAX_PATIENT_ID_BYTES),
            ("patient.mrn", _) => visible(MAX_MRN_BYTES),
            _ if self.is_unborn(now) => "This day has not come yet.".to_owned(),
            _ => "Send a day of the calendar, such as 1961-04-12.".to_owned(),
        };
        Some((field, said))
    }
}

impl fmt::Debug for LaunchPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchPatient")
    }
}

fn is_visible_ascii(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && check_name(text).is_ok()
}

/// One line of letters of one script: a look-alike letter of another one would make a different patient of it.
pub(crate) fn check_name(text: &str) -> Result<(), TextError> {
    check_line(text, MAX_NAME_CHARS)?;
    unambiguous(text)
}

fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    text.len() == 10
        && text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
        && (1..=days).contains(&day)
}

fn write_ehr_id<S: Serializer>(id: &EhrId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(super) fn read_ehr_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EhrId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

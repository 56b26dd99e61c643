use std::{fmt, str::FromStr};

use countersign_crypto::{Rng, RngError, random_array};
use thiserror::Error;
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// The text or bytes are no identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an identifier")]
pub struct IdError;

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier: UUID version 7 (RFC 9562) of `now` and `rng`.
            pub fn new(now: Timestamp, rng: &mut dyn Rng) -> Result<Self, RngError> {
                let random: [u8; 10] = random_array(rng)?;
                let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
                Ok(Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid()))
            }

            /// From the 16 bytes that a row holds.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| IdError)
            }

            /// The 16 bytes, big-endian.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                // Only the hyphenated form: one row, one address.
                if text.len() != 36 {
                    return Err(IdError);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }
    )+};
}

typed_ids! {
    /// A practice: the unit that owns a data key, prescribers and staff.
    PracticeId;
    /// Somebody with an account: a prescriber, or one of those who administer a practice.
    PersonId;
    /// A change of access control that two people make.
    RequestId;
    /// A member of staff who may not sign.
    StaffId;
    /// A token of any kind.
    TokenId;
    /// A session row; not the secret that the cookie carries.
    SessionRowId;
    /// An audit event: a row of `audit_event`.
    EventId;
    /// A pairing by picture.
    PairingId;
    /// An audit or certification report.
    ReportId;
    /// A notice that builds no longer meet the requirements.
    NoticeId;
    /// An invitation to enrol.
    InvitationId;
    /// A DEA registration or a state licence, as a practice knows it.
    AuthorityId;
    /// A prescription, from draft to signed record.
    PrescriptionId;
    /// A case of identity proofing.
    CaseId;
    /// A message that waits to be sent, or was.
    MessageId;
    /// A task of a practice that has a deadline.
    DeadlineId;
    /// A key of an integrating system.
    ApiKeyId;
    /// What an integrating system wants to be signed together.
    SigningRequestId;
    /// An EHR that may launch the e-prescribing app.
    EhrId;
    /// A legal hold on signed records.
    HoldId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;

    #[test]
    fn round_trips_and_sorts_by_time() {
        let early = TokenId::new(Timestamp::from_seconds(1_000), &mut SystemRng).unwrap();
        let late = TokenId::new(Timestamp::from_seconds(1_001), &mut SystemRng).unwrap();
        assert!(early < late);
        assert_eq!(early.to_string().parse::<TokenId>().unwrap(), early);
        assert_eq!(TokenId::from_slice(early.as_bytes()).unwrap(), early);
        assert!("".parse::<TokenId>().is_err());
        assert!(early.to_string().replace('-', "").parse::<TokenId>().is_err());
        assert!(TokenId::from_slice(&[0; 15]).is_err());
    }
}

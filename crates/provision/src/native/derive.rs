use std::fmt;

use countersign_crypto::{
    AgreementError, AgreementKey, AgreementPublicKey, HkdfError, HkdfKey, HmacAlgorithm, HmacKey,
    SecretBytes, constant_time_eq, sha256,
};
use countersign_domain::otp::{OtpError, OtpParams, TokenSeed};
use thiserror::Error;

/// Bytes of a confirmation: one HMAC-SHA-256.
pub const CONFIRMATION_BYTES: usize = 32;

const CONTEXT_LABEL: &[u8] = b"countersign-provisioning-v1";
const SEED_INFO: &[u8] = b"countersign-provisioning-v1 seed";
const CONFIRMATION_INFO: &[u8] = b"countersign-provisioning-v1 confirmation";
const SERVER_ROLE: &[u8] = b"server";

/// The hash that the new token's passcodes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeedAlgorithm {
    /// HMAC-SHA-256 with a seed of 32 bytes, for our own app.
    #[default]
    Sha256,
    /// HMAC-SHA-1 with a seed of 20 bytes, for software that knows no other hash.
    Sha1,
}

impl SeedAlgorithm {
    /// `SHA256` or `SHA1`: the word of the messages and of the derivation.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha1 => "SHA1",
        }
    }

    /// The algorithm with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha1].into_iter().find(|algorithm| algorithm.code() == code)
    }

    /// Bytes of a seed: as many as the hash has (RFC 6238, 5.1).
    pub const fn seed_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 => 20,
        }
    }

    /// What the token is then: this hash, 6 digits, 30 seconds.
    pub const fn params(self) -> Result<OtpParams, OtpError> {
        match self {
            Self::Sha256 => Ok(OtpParams::OWN),
            Self::Sha1 => OtpParams::new(HmacAlgorithm::Sha1, 6, 30),
        }
    }
}

/// Why no seed came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeriveError {
    /// The key agreement failed.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The key derivation failed.
    #[error(transparent)]
    Derivation(#[from] HkdfError),
    /// The seed is not usable.
    #[error(transparent)]
    Seed(#[from] OtpError),
    /// The server answered with another algorithm than was asked for.
    #[error("the server chose another algorithm than was asked for: keep nothing")]
    OtherAlgorithm,
    /// The other side derived another seed: somebody stands between, or a message was changed.
    #[error("the server did not derive the same secret: keep nothing")]
    NotConfirmed,
}

/// The server's proof that it derived the same seed. Not secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirmation([u8; CONFIRMATION_BYTES]);

impl Confirmation {
    /// The confirmation that was received; `None` unless it has [`CONFIRMATION_BYTES`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for the answer.
    pub fn as_bytes(&self) -> &[u8; CONFIRMATION_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmation")
    }
}

/// The server's side: the seed to keep, and the confirmation to send.
pub fn derive_on_server(
    own: AgreementKey,
    device: &AgreementPublicKey,
    credential_id: &str,
    algorithm: SeedAlgorithm,
) -> Result<(TokenSeed, Confirmation), DeriveError> {
    let salt = salt(device, own.public_key(), credential_id, algorithm);
    Derived::new(&own.agree(device)?, salt, algorithm)?.into_parts()
}

/// The device's side: the seed, if the server has confirmed that it has the same.
pub fn derive_on_device(
    own: AgreementKey,
    server: &AgreementPublicKey,
    credential_id: &str,
    algorithm: SeedAlgorithm,
    confirmation: &Confirmation,
) -> Result<TokenSeed, DeriveError> {
    let salt = salt(own.public_key(), server, credential_id, algorithm);
    let (seed, expected) = Derived::new(&own.agree(server)?, salt, algorithm)?.into_parts()?;
    if constant_time_eq(&expected.0, &confirmation.0) {
        Ok(seed)
    } else {
        Err(DeriveError::NotConfirmed)
    }
}

/// Binds what is derived to everything that both sides have said.
fn salt(
    device: &AgreementPublicKey,
    server: &AgreementPublicKey,
    credential_id: &str,
    algorithm: SeedAlgorithm,
) -> [u8; 32] {
    let zero: &[u8] = &[0];
    let context = [
        CONTEXT_LABEL,
        zero,
        device.as_bytes(),
        server.as_bytes(),
        credential_id.as_bytes(),
        zero,
        algorithm.code().as_bytes(),
    ];
    sha256(&context.concat())
}

struct Derived {
    seed: SecretBytes,
    confirm_key: SecretBytes,
    salt: [u8; 32],
}

impl Derived {
    fn new(
        shared: &SecretBytes,
        salt: [u8; 32],
        algorithm: SeedAlgorithm,
    ) -> Result<Self, DeriveError> {
        let key = HkdfKey::extract(&salt, shared)?;
        let seed = key.expand(SEED_INFO, algorithm.seed_bytes())?;
        let confirm_key = key.expand(CONFIRMATION_INFO, CONFIRMATION_BYTES)?;
        Ok(Self { seed, confirm_key, salt })
    }

    fn into_parts(self) -> Result<(TokenSeed, Confirmation), DeriveError> {
        let tag = HmacKey::new(HmacAlgorithm::Sha256, self.confirm_key.expose())
            .tag(&[SERVER_ROLE, &self.salt].concat());
        let confirmation =
            Confirmation::from_bytes(tag.as_ref()).ok_or(DeriveError::NotConfirmed)?;
        Ok((TokenSeed::new(self.seed)?, confirmation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_domain::{
        Timestamp,
        otp::{Step, passcode},
    };
    use data_encoding::HEXLOWER;
    use serde::Deserialize;

    fn pair() -> (AgreementKey, AgreementKey) {
        (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap())
    }

    /// Shows: N-06
    #[test]
    fn both_sides_have_the_same_seed() {
        for algorithm in [SeedAlgorithm::Sha256, SeedAlgorithm::Sha1] {
            let (device, server) = pair();
            let (of_device, of_server) = (device.public_key().clone(), server.public_key().clone());
            let (kept, confirmation) =
                derive_on_server(server, &of_device, "CNST41648882", algorithm).unwrap();
            let seed =
                derive_on_device(device, &of_server, "CNST41648882", algorithm, &confirmation)
                    .unwrap();
            assert_eq!(seed.expose(), kept.expose());
            assert_eq!(seed.expose().len(), algorithm.seed_bytes());
            assert_eq!(algorithm.params().unwrap().algorithm_code(), algorithm.code());
        }
    }

    #[test]
    fn whatever_was_changed_is_not_confirmed() {
        let run = |credential: &str, algorithm, bit: Option<usize>, between: bool| {
            let (device, server) = pair();
            let (of_device, of_server) = (device.public_key().clone(), server.public_key().clone());
            let (_, mut confirmation) =
                derive_on_server(server, &of_device, "CNST41648882", SeedAlgorithm::Sha256)
                    .unwrap();
            if let Some(bit) = bit {
                confirmation.0[bit / 8] ^= 1 << (bit % 8);
            }
            let other = AgreementKey::generate().unwrap().public_key().clone();
            let of_server = if between { other } else { of_server };
            derive_on_device(device, &of_server, credential, algorithm, &confirmation).map(|_| ())
        };
        let (own, not) = (SeedAlgorithm::Sha256, Err(DeriveError::NotConfirmed));
        assert_eq!(run("CNST41648882", own, None, false), Ok(()));
        assert_eq!(run("CNST41648882", own, None, true), not);
        assert_eq!(run("CNST00000018", own, None, false), not);
        assert_eq!(run("CNST41648882", SeedAlgorithm::Sha1, None, false), not);
        for bit in 0..CONFIRMATION_BYTES * 8 {
            assert_eq!(run("CNST41648882", own, Some(bit), false), not);
        }
    }

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        algorithm: String,
        credential_id: String,
        device_private_key: String,
        device_key: String,
        server_private_key: String,
        server_key: String,
        salt: String,
        seed: String,
        confirmation: String,
        unix_time: i64,
        code: String,
    }

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn key(text: &str) -> AgreementKey {
        AgreementKey::from_private(&SecretBytes::new(hex(text))).unwrap()
    }

    /// The same file holds the app in the browser and this code together.
    #[test]
    fn shared_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/provisioning.json");
        let vectors: Vectors =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(!vectors.cases.is_empty());
        for case in vectors.cases {
            let algorithm = SeedAlgorithm::from_code(&case.algorithm).unwrap();
            let (device, server) = (key(&case.device_private_key), key(&case.server_private_key));
            let of_device = AgreementPublicKey::from_bytes(&hex(&case.device_key)).unwrap();
            let of_server = AgreementPublicKey::from_bytes(&hex(&case.server_key)).unwrap();
            assert!(device.public_key() == &of_device && server.public_key() == &of_server);
            assert_eq!(
                salt(&of_device, &of_server, &case.credential_id, algorithm)[..],
                hex(&case.salt)
            );
            let (seed, confirmation) =
                derive_on_server(server, &of_device, &case.credential_id, algorithm).unwrap();
            assert_eq!(seed.expose(), hex(&case.seed));
            assert_eq!(confirmation.as_bytes()[..], hex(&case.confirmation));
            let again =
                derive_on_device(device, &of_server, &case.credential_id, algorithm, &confirmation)
                    .unwrap();
            assert_eq!(again.expose(), seed.expose());
            let params = algorithm.params().unwrap();
            let step: Step = params.step_at(Timestamp::from_seconds(case.unix_time));
            assert_eq!(passcode(&seed, &params, step), case.code);
        }
    }
}

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use thiserror::Error;

use crate::SecretBytes;

/// Bytes of a public key: an uncompressed point on P-256 (SEC 1, 2.3.3).
pub const AGREEMENT_PUBLIC_BYTES: usize = 65;

const UNCOMPRESSED: u8 = 4;

/// A key could not be made or used for an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AgreementError {
    /// Wrong length, not uncompressed, not on the curve, or the point at infinity.
    #[error("not an uncompressed point on P-256")]
    BadPublicKey,
    /// Zero, or not below the order of the curve.
    #[error("not a private key of P-256")]
    BadPrivateKey,
    /// The module did not make a key or did not agree.
    #[error("the FIPS module did not agree on a secret")]
    NotAgreed,
}

/// A public key for ECDH on P-256 that has passed its check: the point lies on the curve.
#[derive(Clone, PartialEq, Eq)]
pub struct AgreementPublicKey([u8; AGREEMENT_PUBLIC_BYTES]);

impl AgreementPublicKey {
    /// Checks the point (SP 800-56A, 5.6.2.3.4; the curve has cofactor 1).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgreementError> {
        let point: [u8; AGREEMENT_PUBLIC_BYTES] =
            bytes.try_into().map_err(|_| AgreementError::BadPublicKey)?;
        // The module would also read other encodings. One key must have one form here: both sides
        // put these bytes into what they derive.
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(AgreementError::BadPublicKey);
        }
        ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, &point))
            .map_err(|_| AgreementError::BadPublicKey)?;
        Ok(Self(point))
    }

    /// The point: 4, x, y.
    pub fn as_bytes(&self) -> &[u8; AGREEMENT_PUBLIC_BYTES] {
        &self.0
    }
}

impl fmt::Debug for AgreementPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementPublicKey")
    }
}

/// A private key for one ECDH agreement on P-256 (SP 800-56A, ephemeral).
pub struct AgreementKey {
    private: PrivateKey,
    public: AgreementPublicKey,
}

impl AgreementKey {
    /// Makes a new key inside the module.
    pub fn generate() -> Result<Self, AgreementError> {
        Self::with(PrivateKey::generate(&ECDH_P256).map_err(|_| AgreementError::NotAgreed)?)
    }

    /// The key with this private scalar. Only for test vectors: a key that is used twice, or that
    /// anything but the module has made, is no ephemeral key.
    pub fn from_private(scalar: &SecretBytes) -> Result<Self, AgreementError> {
        let key = PrivateKey::from_private_key(&ECDH_P256, scalar.expose())
            .map_err(|_| AgreementError::BadPrivateKey)?;
        Self::with(key)
    }

    fn with(private: PrivateKey) -> Result<Self, AgreementError> {
        let public = private.compute_public_key().map_err(|_| AgreementError::NotAgreed)?;
        let public = AgreementPublicKey::from_bytes(public.as_ref())
            .map_err(|_| AgreementError::NotAgreed)?;
        Ok(Self { private, public })
    }

    /// The public half, for the other side.
    pub fn public_key(&self) -> &AgreementPublicKey {
        &self.public
    }

    /// The shared secret Z: the x coordinate, 32 bytes. Uses the key up; goes into a key
    /// derivation, never into use as it is.
    pub fn agree(self, peer: &AgreementPublicKey) -> Result<SecretBytes, AgreementError> {
        agree(
            &self.private,
            UnparsedPublicKey::new(&ECDH_P256, peer.as_bytes()),
            AgreementError::NotAgreed,
            |shared| Ok(SecretBytes::new(shared.to_vec())),
        )
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementKey")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    /// NIST CAVP, ECC CDH, P-256, count 0; also RFC 5903, 8.1 for the form of the point.
    #[test]
    fn cavp_vector() {
        let own = AgreementKey::from_private(&SecretBytes::new(unhex(
            "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
        )))
        .unwrap();
        assert_eq!(
            own.public_key().as_bytes()[..],
            unhex(
                "04ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230\
                 28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141"
            )
        );
        let peer = AgreementPublicKey::from_bytes(&unhex(
            "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287\
             db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
        ))
        .unwrap();
        assert!(
            own.agree(&peer)
                .unwrap()
                .ct_eq(&unhex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"))
        );
    }

    #[test]
    fn both_sides_agree_and_another_pair_differs() {
        let (one, two) = (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap());
        let three = AgreementKey::generate().unwrap();
        let (of_one, of_two) = (one.public_key().clone(), two.public_key().clone());
        let with_three = three.agree(&of_one).unwrap();
        let first = one.agree(&of_two).unwrap();
        assert_eq!(first.len(), 32);
        assert!(two.agree(&of_one).unwrap().ct_eq(first.expose()));
        assert!(!with_three.ct_eq(first.expose()));
    }

    #[test]
    fn only_uncompressed_points_on_the_curve_pass() {
        let good = *AgreementKey::generate().unwrap().public_key().as_bytes();
        let refused = |bytes: &[u8]| {
            assert_eq!(
                AgreementPublicKey::from_bytes(bytes).unwrap_err(),
                AgreementError::BadPublicKey
            );
        };
        for length in 0..good.len() {
            refused(&good[..length]);
        }
        refused(&[good.as_slice(), &[0]].concat());
        for bit in 0..good.len() * 8 {
            let mut off = good;
            off[bit / 8] ^= 1 << (bit % 8);
            refused(&off);
        }
        // The point at infinity: its own encoding, and every padding of it.
        refused(&[0]);
        refused(&[0; 65]);
        let mut zero = [0; 65];
        zero[0] = UNCOMPRESSED;
        refused(&zero);
        // Compressed and hybrid forms of a good point.
        refused(&[&[2 | (good[64] & 1)], &good[1..33]].concat());
        let mut hybrid = good;
        hybrid[0] = 6 | (good[64] & 1);
        refused(&hybrid);
        // Coordinates not below the prime of the field.
        let mut large = [0xff; 65];
        large[0] = UNCOMPRESSED;
        refused(&large);
        assert!(AgreementPublicKey::from_bytes(&good).is_ok());
    }

    #[test]
    fn private_keys_out_of_range_are_refused() {
        let order = unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        for bytes in [vec![0; 32], order, vec![0xff; 32], vec![1; 31], vec![1; 33], vec![]] {
            assert!(AgreementKey::from_private(&SecretBytes::new(bytes)).is_err());
        }
        assert_eq!(format!("{:?}", AgreementKey::generate().unwrap()), "AgreementKey");
    }
}

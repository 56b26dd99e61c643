use std::fmt;

use zeroize::Zeroizing;

/// Compares two byte strings in a time that depends on their lengths only.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// Secret bytes: wiped on drop, never shown, printed, serialized or compared by accident.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Loud on purpose: search for this word to find every use.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bytes equal `other`, in constant time; lengths may differ and are not secret.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        constant_time_eq(&self.0, other)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// Secret text, such as a passphrase or a PIN: wiped on drop, never shown or compared by accident.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Loud on purpose: search for this word to find every use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_themselves() {
        let bytes = SecretBytes::new(b"seed".to_vec());
        let text = SecretText::new("phrase".to_owned());
        let shown = format!("{bytes:?} {text:?}");
        assert_eq!(shown, "SecretBytes SecretText");
        assert!(bytes.ct_eq(b"seed") && !bytes.ct_eq(b"need") && !bytes.ct_eq(b"see"));
        assert_eq!((bytes.len(), bytes.is_empty()), (4, false));
    }
}

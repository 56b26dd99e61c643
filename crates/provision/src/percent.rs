use std::fmt::Write;

/// A percent sign without two hexadecimal digits, or bytes that are no UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PercentError;

/// Decodes `%XX`; where `plus_is_space`, a plus sign as a form has it.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String, PercentError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = bytes.next().and_then(nibble).ok_or(PercentError)?;
                let low = bytes.next().and_then(nibble).ok_or(PercentError)?;
                out.push(high << 4 | low);
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| PercentError)
}

/// Encodes all but the unreserved characters of RFC 3986, 2.3.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_refuses() {
        assert_eq!(decode("a%20b+c", false).unwrap(), "a b+c");
        assert_eq!(decode("a%20b+c", true).unwrap(), "a b c");
        for bad in ["%", "%1", "%1g", "%+1", "%%20", "%ff", "%C3"] {
            assert_eq!(decode(bad, false), Err(PercentError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(text in ".{0,40}") {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii() && !encoded.contains(['&', '=', ' ', '/', '?', '#', '+']));
            prop_assert_eq!(decode(&encoded, true).unwrap(), text);
        }
    }
}

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A percent sign without two hexadecimal digits, or bytes that are no UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PercentError;

/// Decodes `%XX`; where `plus_is_space`, a plus sign as a form has it.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String, PercentError> {
    // The library lets a percent sign without its digits stand.
    let is_encoded = |after: &str| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(PercentError);
    }
    // What is decoded may be a secret, which the caller erases: all of it is written to one place.
    let mut out = Vec::with_capacity(text.len());
    for (at, part) in text.split(|c| plus_is_space && c == '+').enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend(percent_decode_str(part));
    }
    String::from_utf8(out).map_err(|_| PercentError)
}

/// Encodes all but the unreserved characters of RFC 3986, 2.3.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
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

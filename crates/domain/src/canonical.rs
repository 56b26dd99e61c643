//! The canonical form of JSON (RFC 8785): what is signed has one spelling, whoever writes it.
//!
//! Texts, whole numbers, truth values, lists and objects; no fractions and no null, since no record of ours
//! has any, and so nothing of ECMAScript's way to write floating-point numbers is needed.

use std::cmp::Ordering;

use countersign_crypto::sha256;

/// The largest whole number that every reader of JSON keeps: 2^53 - 1 (RFC 8785, 3.2.2.3).
pub const LARGEST: i64 = (1 << 53) - 1;

/// A JSON value, without fractions and null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// A JSON string.
    Text(String),
    /// A whole number from -[`LARGEST`] to [`LARGEST`].
    Int(i64),
    /// A JSON `true` or `false`.
    Bool(bool),
    /// A list; its order stays.
    List(Vec<Json>),
    /// Names with values; their order is none.
    Object(Vec<(String, Json)>),
}

/// The value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that not every reader keeps.
    #[error("a whole number beyond 2^53")]
    Number,
    /// Two values under one name.
    #[error("a name stands twice in an object")]
    Twice,
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Json {
    /// An object of names and values.
    pub fn object<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Its canonical form, in UTF-8.
    pub fn canonical(&self) -> Result<String, CanonicalError> {
        let mut out = String::new();
        self.write(&mut out)?;
        Ok(out)
    }

    /// SHA-256 of its canonical form: what a signature, or a passcode, is bound to.
    ///
    /// # Errors
    ///
    /// Where it has no canonical form: a digest of nothing would fit everything.
    pub fn digest(&self) -> Result<[u8; 32], CanonicalError> {
        Ok(sha256(self.canonical()?.as_bytes()))
    }

    fn write(&self, out: &mut String) -> Result<(), CanonicalError> {
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Int(number) if number.abs() > LARGEST => return Err(CanonicalError::Number),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out)?;
                }
                out.push(']');
            }
            Self::Object(pairs) => {
                let mut sorted: Vec<&(String, Self)> = pairs.iter().collect();
                sorted.sort_by(|(one, _), (two, _)| by_utf16(one, two));
                if sorted.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
                    return Err(CanonicalError::Twice);
                }
                out.push('{');
                for (at, (name, value)) in sorted.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// The order of names: by their UTF-16 code units (RFC 8785, 3.2.3), which is not that of UTF-8.
fn by_utf16(one: &str, two: &str) -> Ordering {
    one.encode_utf16().cmp(two.encode_utf16())
}

/// A text as ECMAScript writes it (RFC 8785, 3.2.2.2).
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format_args!("\\u{:04x}", u32::from(c)).to_string()),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_in_the_order_of_utf_16() {
        // The sorting example of RFC 8785, 3.2.3: its names, with the places they get.
        let names = ["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"];
        let pairs = names.iter().map(|name| ((*name).to_owned(), Json::Int(1))).collect();
        let text = Json::Object(pairs).canonical().unwrap();
        let wanted = "{\"\\r\":1,\"1\":1,\"\u{80}\":1,\"\u{f6}\":1,\"\u{20ac}\":1,\"\u{1f600}\":1,\"\u{fb33}\":1}";
        assert_eq!(text, wanted);
    }

    #[test]
    fn texts_are_written_as_ecmascript_does() {
        let text = Json::from("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}\u{2028}").canonical().unwrap();
        assert_eq!(text, "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\u{2028}\"");
        let all = Json::List(vec![
            Json::Bool(true),
            Json::Bool(false),
            Json::Int(-7),
            Json::List(vec![]),
        ]);
        assert_eq!(all.canonical().unwrap(), "[true,false,-7,[]]");
    }

    #[test]
    fn what_has_no_one_spelling_is_refused() {
        assert_eq!(Json::Int(LARGEST + 1).canonical(), Err(CanonicalError::Number));
        assert!(Json::Int(-LARGEST).canonical().is_ok());
        let twice = Json::object([("a", Json::Int(1)), ("a", Json::Int(2))]);
        assert_eq!(twice.canonical(), Err(CanonicalError::Twice));
        assert_eq!(Json::object([]).canonical().unwrap(), "{}");
    }

    proptest! {
        /// The order in which a record is put together does not show.
        #[test]
        fn order_does_not_matter(mut names in proptest::collection::hash_set(".{0,6}", 0..8).prop_map(|s| s.into_iter().collect::<Vec<_>>())) {
            let object = |names: &[String]| {
                Json::Object(names.iter().map(|n| (n.clone(), Json::from(n.as_str()))).collect()).canonical()
            };
            let one = object(&names);
            names.reverse();
            prop_assert_eq!(one, object(&names));
        }
    }
}

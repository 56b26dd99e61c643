//! Tests of `TokenName`.

use super::*;

#[test]
fn names_are_short_and_honest() {
    assert_eq!(" iPhone 15 ".parse::<TokenName>().unwrap().as_str(), "iPhone 15");
    assert_eq!("  ".parse::<TokenName>(), Err(TokenNameError::Empty));
    assert_eq!("x".repeat(41).parse::<TokenName>(), Err(TokenNameError::TooLong));
    for text in ["a\u{202e}b", "a\u{0}b", "a\nb", "a\u{e000}b"] {
        assert_eq!(text.parse::<TokenName>(), Err(TokenNameError::BadCharacter));
    }
    // The first letter is Cyrillic.
    let mixed = "\u{410}pple".parse::<TokenName>();
    assert!(matches!(mixed, Err(TokenNameError::Ambiguous(_))), "{mixed:?}");
    assert_eq!("Телефон 2".parse::<TokenName>().unwrap().as_str(), "Телефон 2");
    // Mathematical and full-width letters, a ligature.
    for text in ["\u{1d412}am", "\u{ff33}am", "Sam \u{fb01}"] {
        let styled = text.parse::<TokenName>();
        assert!(matches!(styled, Err(TokenNameError::Ambiguous(_))), "{text}");
    }
    // What a row of an older version holds is shown all the same.
    assert_eq!(TokenName::stored("a\u{e000}b").unwrap().as_str(), "a\u{fffd}b");
    assert_eq!(TokenName::stored("\u{410}pple").unwrap().as_str(), "\u{410}pple");
    assert_eq!(TokenName::stored(" "), None);
}

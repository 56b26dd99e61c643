//! Tests of `credential`.

use super::*;
use countersign_crypto::SystemRng;
use proptest::prelude::*;

#[test]
fn forgives_what_people_type() {
    let wanted = CredentialId::parse("SYMC26070843", None).unwrap();
    for typed in ["symc 2607 0843", "SYMC-2607-0843", "SYMC26O7O843", " symc.26070843 "] {
        assert_eq!(
            CredentialId::parse(typed, Some(Manufacturer::Symantec)).unwrap(),
            wanted,
            "{typed}"
        );
    }
    assert_eq!(wanted.masked(), "SYMC••••0843");
    assert_eq!(
        (wanted.manufacturer(), wanted.kind()),
        (Manufacturer::Symantec, TokenKind::OtpSoft)
    );
}

#[test]
fn says_which_part_is_wrong() {
    use CredentialIdError as E;
    let cases = [
        ("", None, E::Empty),
        ("--", None, E::Empty),
        ("SYMC2607084", None, E::WrongLength),
        ("SYMC260708433", None, E::WrongLength),
        ("SYMC2607084x", None, E::BadCharacter),
        ("SYMC2607_843", None, E::BadCharacter),
        ("QQQQ26070843", None, E::UnknownPrefix),
        ("1234567", None, E::MakerNeeded),
        ("SYMC26070843", Some(Manufacturer::OneSpan), E::OtherMaker),
        ("1234567", Some(Manufacturer::Symantec), E::UnknownPrefix),
        ("SYMC２６０７０８４３", None, E::BadCharacter),
    ];
    for (typed, maker, error) in cases {
        assert_eq!(CredentialId::parse(typed, maker), Err(error), "{typed}");
    }
    assert_eq!(CredentialId::parse(&"1".repeat(100_000), None), Err(E::WrongLength));
}

#[test]
fn own_ids_carry_a_check_digit() {
    for _ in 0..200 {
        let id = CredentialId::random(TokenKind::OtpSoft, &mut SystemRng).unwrap();
        assert_eq!(id.as_str().len(), 12);
        assert_eq!(CredentialId::parse(id.as_str(), None).unwrap(), id);
        let mut wrong = id.as_str().as_bytes().to_vec();
        wrong[7] = if wrong[7] == b'9' { b'0' } else { wrong[7] + 1 };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(CredentialId::parse(&wrong, None), Err(CredentialIdError::BadCheckDigit));
    }
}

#[test]
fn fobs_of_digits_need_their_maker() {
    let id = CredentialId::parse("27-7123456-2", Some(Manufacturer::OneSpan)).unwrap();
    assert_eq!(id.as_str(), "2771234562");
    assert_eq!(id.kind(), TokenKind::OtpHard);
    assert_eq!(infer_format("avt").map(|f| f.kind), Some(TokenKind::OtpHard));
    assert_eq!(infer_format("27"), None);
}

proptest! {
    #[test]
    fn any_text_is_answered_and_a_parsed_id_is_stable(text in ".{0,64}") {
        if let Ok(id) = CredentialId::parse(&text, None) {
            prop_assert_eq!(CredentialId::parse(id.as_str(), None).unwrap(), id);
        }
    }
}

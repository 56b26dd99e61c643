//! Codes that are bound to what is signed: OCRA (RFC 6287) over a digest of the text that the token shows.
//!
//! The signing page gives that text as a picture. The app computes the question from what it shows, not from
//! what it is told, so a code says: this is what stood on my token. Whoever can't scan types eight digits of
//! the same digest and sees nothing; that code is bound all the same.

use countersign_crypto::{HmacKey, sha256};

use crate::{
    ModelCode, one_line,
    otp::{OtpParams, Step, TokenSeed, truncated},
};

/// First line of the text that a token shows and binds to.
const HEAD: &str = "countersign-sign 1";
/// Digits of such a code: one that is not bound has fewer.
pub const BOUND_DIGITS: u8 = 8;
/// Bytes of the question in the message (RFC 6287, 5.1).
const QUESTION_BYTES: usize = 128;
/// Bytes of the digest that are the question of a scanned text: 40 hexadecimal digits.
const SCANNED_BYTES: usize = 20;
/// How many typed challenges there are: the odd ones of eight digits. Suites write a number as hexadecimal digits
/// and fill up with zeros on the right, so that of a number and sixteen times it the codes are the same; of two odd
/// ones they never are.
const TYPED_RANGE: u64 = 50_000_000;

/// What an app shows and a code is bound to: which server, the digest of all that the page of signing shows, the
/// patient's initials, and the lines of each prescription.
pub fn signing_text<'a>(
    origin: &str,
    digest: &[u8; 32],
    initials: &str,
    lines: impl Iterator<Item = &'a str>,
) -> String {
    let mut text = format!("{HEAD}\n{origin}\n{}\n", data_encoding::HEXLOWER.encode(digest));
    text.push_str(&one_line(initials));
    for line in lines {
        text.push('\n');
        text.push_str(&one_line(line));
    }
    text
}

/// The initials of a name: all that a phone needs to show of a patient.
pub fn initials(name: &str) -> String {
    name.split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphabetic()))
        .map(|first| format!("{}.", first.to_uppercase()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The value to which a code can be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    scanned: [u8; SCANNED_BYTES],
    typed: u32,
}

/// In which ways the codes of a model of tokens can be bound: our app shows what is signed, our token for the
/// terminal takes a number, and nothing else has such codes.
pub(crate) fn can_bind(model: &ModelCode, binding: Binding) -> bool {
    let is = |code: &'static str| *model == ModelCode::known(code);
    match binding {
        Binding::Unbound => true,
        Binding::Shown => is(ModelCode::AUTHENTICATOR),
        Binding::Typed => is(ModelCode::AUTHENTICATOR) || is(ModelCode::TERMINAL),
    }
}

/// How a code was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// To nothing: the code of the time alone.
    Unbound,
    /// To the text, which the token has shown.
    Shown,
    /// To eight digits of its digest, that were typed into the token.
    Typed,
}

impl Binding {
    /// Stable word for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unbound => "none",
            Self::Shown => "content_shown",
            Self::Typed => "challenge_typed",
        }
    }
}

impl Challenge {
    /// The challenge of a text.
    pub fn of(text: &str) -> Self {
        let digest = sha256(text.as_bytes());
        let mut scanned = [0; SCANNED_BYTES];
        scanned.copy_from_slice(digest.get(..SCANNED_BYTES).unwrap_or(&[0; SCANNED_BYTES]));
        let rest = digest.iter().skip(SCANNED_BYTES).take(8);
        let number = rest.fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        Self { scanned, typed: u32::try_from(2 * (number % TYPED_RANGE) + 1).unwrap_or(1) }
    }

    /// The eight digits to type.
    pub fn digits(&self) -> String {
        format!("{:08}", self.typed)
    }

    /// The code for a step: 8 digits in ASCII. Nothing for a token whose codes follow a counter, or whose step a
    /// suite can't say.
    pub fn code(
        &self,
        key: &HmacKey,
        params: &OtpParams,
        step: Step,
        binding: Binding,
    ) -> Option<[u8; 8]> {
        match binding {
            Binding::Unbound => None,
            Binding::Shown => {
                let question = data_encoding::HEXUPPER.encode(&self.scanned);
                bound(key, params, step, "QH40", &question)
            }
            Binding::Typed => bound(key, params, step, "QN08", &numeric(self.typed)),
        }
    }
}

/// The code of 8 digits for a challenge of 8 digits that somebody typed into a token. Nothing where it is none, or
/// where [`Challenge::code`] has none.
pub fn typed_code(
    challenge: &str,
    seed: &TokenSeed,
    params: &OtpParams,
    step: Step,
) -> Option<String> {
    let digits: String = challenge.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let question = numeric(digits.parse().ok()?);
    let key = HmacKey::new(params.algorithm(), seed.expose());
    let code = bound(&key, params, step, "QN08", &question)?;
    Some(code.iter().map(|byte| char::from(*byte)).collect())
}

/// Numeric questions are hexadecimal digits without leading zeros (RFC 6287, reference code of appendix A).
fn numeric(number: u32) -> String {
    format!("{number:X}")
}

fn bound(
    key: &HmacKey,
    params: &OtpParams,
    step: Step,
    kind: &str,
    question: &str,
) -> Option<[u8; 8]> {
    let period = params.period();
    if params.is_event_based() || !(1..=59).contains(&period) {
        return None;
    }
    // No step before 1970 has a code.
    let time = u64::try_from(step.number()).ok()?;
    let hash = params.algorithm_code();
    let suite = format!("OCRA-1:HOTP-{hash}-{BOUND_DIGITS}:{kind}-T{period}S");
    ocra(key, &suite, question, Some(time), BOUND_DIGITS)
}

/// One value of OCRA (RFC 6287, 5.2) with a question in hexadecimal digits and, where the suite has one, a time.
/// Nothing where the question is none, or longer than the message has room for.
fn ocra(
    key: &HmacKey,
    suite: &str,
    question: &str,
    time: Option<u64>,
    digits: u8,
) -> Option<[u8; 8]> {
    let padded = format!("{question:0<256}");
    let question = data_encoding::HEXUPPER_PERMISSIVE.decode(padded.as_bytes()).ok()?;
    if question.len() != QUESTION_BYTES {
        return None;
    }
    let mut message = [suite.as_bytes(), &[0], &question].concat();
    message.extend(time.map(u64::to_be_bytes).iter().flatten());
    Some(truncated(key.tag(&message).as_ref(), digits))
}

#[cfg(test)]
mod tests {
    use countersign_crypto::{HmacAlgorithm, SecretBytes};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Timestamp,
        otp::{self, Drift, Found, OneTimePasscode},
    };

    fn key(algorithm: HmacAlgorithm, length: usize) -> HmacKey {
        let bytes: Vec<u8> = b"1234567890".iter().copied().cycle().take(length).collect();
        HmacKey::new(algorithm, &bytes)
    }

    fn text(code: Option<[u8; 8]>, digits: usize) -> String {
        code.unwrap().iter().take(digits).map(|byte| char::from(*byte)).collect()
    }

    /// Shows: N-03
    #[test]
    fn rfc_6287_appendix_c() {
        let expected = [
            "237653", "243178", "653583", "740991", "608993", "388898", "816933", "224598",
            "750600", "294470",
        ];
        for (digit, code) in (0u32..).zip(expected) {
            let question = format!("{:X}", digit * 11_111_111);
            let value =
                ocra(&key(HmacAlgorithm::Sha1, 20), "OCRA-1:HOTP-SHA1-6:QN08", &question, None, 6);
            assert_eq!(text(value, 6), code);
        }
        for (digit, code) in [(0u32, "95209754"), (1, "55907591")] {
            let question = format!("{:X}", digit * 11_111_111);
            let suite = "OCRA-1:HOTP-SHA512-8:QN08-T1M";
            let value =
                ocra(&key(HmacAlgorithm::Sha512, 64), suite, &question, Some(0x0132_d0b6), 8);
            assert_eq!(text(value, 8), code);
        }
        assert!(ocra(&key(HmacAlgorithm::Sha1, 20), "s", &"A".repeat(258), None, 8).is_none());
        assert!(ocra(&key(HmacAlgorithm::Sha1, 20), "s", "XYZ", None, 8).is_none());
    }

    fn own() -> (TokenSeed, OtpParams) {
        let bytes: Vec<u8> = b"1234567890".iter().copied().cycle().take(32).collect();
        (TokenSeed::new(SecretBytes::new(bytes)).unwrap(), OtpParams::OWN)
    }

    fn given(challenge: &Challenge, binding: Binding, step: Step) -> OneTimePasscode {
        let (seed, params) = own();
        let code = challenge.code(
            &HmacKey::new(params.algorithm(), seed.expose()),
            &params,
            step,
            binding,
        );
        text(code, 8).parse().unwrap()
    }

    #[test]
    fn a_bound_code_is_good_for_its_text_its_step_and_once() {
        let (seed, params) = own();
        let digest = [7; 32];
        let said = |drug: &str| signing_text("https://x", &digest, "R. L.", [drug].into_iter());
        let (this, other) = (
            Challenge::of(&said("Oxycodone 5 mg, 30 tablets")),
            Challenge::of(&said("Oxycodone 5 mg, 90 tablets")),
        );
        let now = Timestamp::from_seconds(1_700_000_010);
        let here = params.step_at(now);
        let find = |code: &OneTimePasscode, last| {
            otp::find(&seed, &params, code, last, Drift::default(), now)
        };
        for binding in [Binding::Shown, Binding::Typed] {
            let code = given(&this, binding, here);
            assert_eq!(find(&code, None), Found::Nothing, "it is no passcode to log in with");
            let bound = code.clone().bound_to(this);
            assert!(matches!(find(&bound, None), Found::Fresh { step, .. } if step == here));
            assert_eq!(bound.binding(&seed, &params, here), binding);
            assert_eq!(find(&bound, Some(here)), Found::Used { step: here });
            assert_eq!(find(&code.bound_to(other), None), Found::Nothing);
            let late = given(&this, binding, here.plus(-5)).bound_to(this);
            assert_eq!(find(&late, None), Found::Nothing);
            assert_eq!(
                otp::late_step(&seed, &params, &late, Drift::default(), now).unwrap().age_seconds,
                150
            );
        }
        let typed = typed_code(&format!(" {}", this.digits()), &seed, &params, here).unwrap();
        assert_eq!(
            find(&typed.parse::<OneTimePasscode>().unwrap().bound_to(this), None),
            find(&given(&this, Binding::Typed, here).bound_to(this), None)
        );
        for none in ["1234567", "123456789", "1234567a", ""] {
            assert!(typed_code(none, &seed, &params, here).is_none(), "{none}");
        }
        // The code of the time alone is still good, and says that it is bound to nothing.
        let plain: OneTimePasscode = otp::passcode(&seed, &params, here).parse().unwrap();
        let plain = plain.bound_to(this);
        assert!(matches!(find(&plain, None), Found::Fresh { .. }));
        assert_eq!(plain.binding(&seed, &params, here), Binding::Unbound);
    }

    #[test]
    fn a_token_of_eight_digits_a_counter_or_long_steps_has_no_bound_codes() {
        let (seed, _) = own();
        let this = Challenge::of("x");
        let now = Timestamp::from_seconds(1_700_000_010);
        let odd = [
            OtpParams::new(HmacAlgorithm::Sha1, 8, 30).unwrap(),
            OtpParams::new(HmacAlgorithm::Sha1, 6, 60).unwrap(),
            OtpParams::event_based(HmacAlgorithm::Sha1, 6).unwrap(),
        ];
        for params in odd {
            let step = params.step_at(now);
            let key = HmacKey::new(params.algorithm(), seed.expose());
            for binding in [Binding::Shown, Binding::Typed] {
                let code = this.code(&key, &params, step, binding);
                if params.digits() != 8 {
                    assert!(code.is_none(), "{params:?}");
                    continue;
                }
                let code: OneTimePasscode = text(code, 8).parse().unwrap();
                let found =
                    otp::find(&seed, &params, &code.bound_to(this), None, Drift::default(), now);
                assert_eq!(found, Found::Nothing, "{params:?}");
            }
        }
    }

    #[test]
    fn a_text_says_no_more_than_it_must_and_each_part_is_one_line() {
        assert_eq!(initials("Rosa  Maria Lindqvist"), "R. M. L.");
        assert_eq!(initials("\u{e9}lan d'Arc 3rd"), "\u{c9}. D. R.");
        assert_eq!(initials(""), "");
        let text = signing_text(
            "https://x",
            &[0xab; 32],
            "A\nB",
            ["one\r\ntwo", "th\u{202e}ree"].into_iter(),
        );
        assert_eq!(
            text,
            format!("countersign-sign 1\nhttps://x\n{}\nA B\none  two\nth ree", "ab".repeat(32))
        );
        assert_eq!(Challenge::of(&text).digits().len(), 8);
    }

    proptest! {
        #[test]
        fn whatever_is_changed_in_a_text_changes_the_code(at in 0usize..120, with in "[A-Za-z0-9]") {
            let text = signing_text("https://erx.example", &[3; 32], "R. L.", ["Oxycodone 5 mg, 30 tablets"].into_iter());
            let mut changed: Vec<char> = text.chars().collect();
            let at = at.min(changed.len() - 1);
            changed[at] = with.chars().next().unwrap();
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(Challenge::of(&text) == Challenge::of(&changed), text == changed);
        }
    }
}

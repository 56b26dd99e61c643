//! What anyone may ask of a token without having proved anything: "does this code work?" and "bring
//! it into step". Some protocols of token apps have such pages.
//!
//! Neither may help anybody guess, nor harm the owner. A right code is consumed, so that to learn here
//! that it is right is to lose it; only the window is looked at, so that nothing is said of codes that
//! are good later. A wrong one counts nowhere: else a stranger could lock a token by its ID. How often
//! may be asked is for the caller to limit.

use crate::{
    Policy, Refusal, Timestamp, Token, TokenState,
    otp::{self, Found, OneTimePasscode, Step},
    token::PasscodeCheck,
};

/// Looks whether a code works, and consumes it if so.
pub fn check_unauthenticated(
    token: &mut Token,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found =
        otp::find(token.seed(), &token.params(), code, token.last_step(), token.drift(), now);
    serves(token, now, policy)?;
    match found {
        Found::Fresh { step, drift } => {
            token.bring_into_step(step, drift);
            Ok(step)
        }
        Found::Used { step } => Err(token.used(step, now)),
        Found::Nothing => Err(Refusal::WrongPasscode),
    }
}

/// Brings a token into step by two consecutive codes, and consumes both.
pub fn sync_unauthenticated(
    token: &mut Token,
    first: &OneTimePasscode,
    second: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> Result<Step, Refusal> {
    let found =
        otp::find_pair(token.seed(), &token.params(), first, second, token.last_step(), now);
    serves(token, now, policy)?;
    let (step, drift) = found.ok_or(Refusal::NotConsecutive)?;
    token.bring_into_step(step, drift);
    Ok(step)
}

/// A token that is paused or off says nothing, and neither does one that has run out.
fn serves(token: &Token, now: Timestamp, policy: &Policy) -> Result<(), Refusal> {
    match token.state() {
        TokenState::Active { .. } => {}
        TokenState::Unassociated { expires } if now < expires => {}
        TokenState::Unassociated { .. } => return Err(Refusal::UnknownCredential),
        TokenState::Disabled { .. } => return Err(Refusal::TokenNotActive),
    }
    match token.failures().blocked(&policy.token, now) {
        Some(blocked) => Err(Refusal::TokenBlocked(blocked)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CredentialId, Device, DisableReason, Failures, ModelCode, PasscodeFailures, PersonId,
        PracticeId, ProvisionedToken, TokenId, TokenParts, add_token, check_passcode,
        otp::{OtpParams, TokenSeed, passcode},
        token::NewToken,
    };
    use countersign_crypto::{HmacAlgorithm, SystemRng};

    const POLICY: Policy = Policy::STANDARD;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_010 + seconds)
    }

    fn waiting(params: OtpParams) -> TokenParts {
        let rng = &mut SystemRng;
        let token = Token::provisioned(ProvisionedToken {
            id: TokenId::new(at(0), rng).unwrap(),
            credential: CredentialId::random_with_prefix("UBHE", rng).unwrap().unwrap(),
            params,
            seed: TokenSeed::generate(params.algorithm(), rng).unwrap(),
            expires: at(86_400),
            created: at(0),
            device: Device::default(),
            model: ModelCode::known(ModelCode::VIP_ACCESS),
        });
        let mut token = token.unwrap();
        token.consume(Step::new(0));
        token.into()
    }

    fn bound(mut parts: TokenParts) -> TokenParts {
        let rng = &mut SystemRng;
        parts.bind(PracticeId::new(at(0), rng).unwrap(), PersonId::new(at(0), rng).unwrap(), at(0));
        parts
    }

    fn counting() -> TokenParts {
        waiting(OtpParams::event_based(HmacAlgorithm::Sha1, 6).unwrap())
    }

    fn event_based() -> Token {
        Token::from_parts(counting()).unwrap()
    }

    fn code(token: &Token, step: i64) -> OneTimePasscode {
        passcode(token.seed(), &token.params(), Step::new(step)).parse().unwrap()
    }

    #[test]
    fn a_right_code_is_lost_by_asking_and_a_wrong_one_counts_nowhere() {
        let mut token = event_based();
        let first = code(&token, 1);
        assert_eq!(check_unauthenticated(&mut token, &first, at(0), &POLICY), Ok(Step::new(1)));
        let again = check_unauthenticated(&mut token, &first, at(0), &POLICY);
        assert_eq!(again, Err(Refusal::EventPasscodeUsed));
        for step in 100..150 {
            let guess = code(&token, step);
            let answer = check_unauthenticated(&mut token, &guess, at(0), &POLICY);
            assert_eq!(answer, Err(Refusal::WrongPasscode));
        }
        assert_eq!((token.failures(), token.last_used()), (Failures::NONE, None));
        let mut token = Token::from_parts(bound(token.into())).unwrap();
        let mut owner = PasscodeFailures::NONE;
        let used = check_passcode(&mut token, &mut owner, &first, at(0), &POLICY);
        assert_eq!(used, Err(Refusal::EventPasscodeUsed));
    }

    #[test]
    fn only_what_waits_or_is_active_is_served() {
        for (state, expected) in [
            (TokenState::Unassociated { expires: at(0) }, Refusal::UnknownCredential),
            (
                TokenState::Disabled { reason: DisableReason::Lost, since: at(0) },
                Refusal::TokenNotActive,
            ),
        ] {
            let parts = match state {
                TokenState::Disabled { .. } => bound(counting()),
                _ => counting(),
            };
            let mut token = Token::from_parts(TokenParts { state, ..parts }).unwrap();
            let (first, second) = (code(&token, 1), code(&token, 2));
            let check = check_unauthenticated(&mut token, &first, at(0), &POLICY);
            assert_eq!(check, Err(expected.clone()));
            let sync = sync_unauthenticated(&mut token, &first, &second, at(0), &POLICY);
            assert_eq!(sync, Err(expected));
            assert_eq!(token.last_step(), Some(Step::new(0)));
        }
        let mut parts = counting();
        for _ in 0..3 {
            parts.failures = parts.failures.failed(&POLICY.token, at(0));
        }
        let mut token = Token::from_parts(parts).unwrap();
        let first = code(&token, 1);
        let paused = check_unauthenticated(&mut token, &first, at(0), &POLICY);
        assert!(matches!(paused, Err(Refusal::TokenBlocked(_))));
    }

    #[test]
    fn two_codes_bring_it_into_step() {
        let mut token = event_based();
        let (first, second, third) = (code(&token, 40), code(&token, 41), code(&token, 42));
        let wrong = check_unauthenticated(&mut token, &first, at(0), &POLICY);
        assert_eq!(wrong, Err(Refusal::WrongPasscode));
        let swapped = sync_unauthenticated(&mut token, &second, &first, at(0), &POLICY);
        assert_eq!(swapped, Err(Refusal::NotConsecutive));
        let step = sync_unauthenticated(&mut token, &first, &second, at(0), &POLICY);
        assert_eq!(step, Ok(Step::new(41)));
        let new = NewToken {
            model_allowed: true,
            practice: PracticeId::new(at(0), &mut SystemRng).unwrap(),
            prescriber: PersonId::new(at(0), &mut SystemRng).unwrap(),
            name: "phone".parse().unwrap(),
            active: 1,
        };
        let mut owner = PasscodeFailures::NONE;
        add_token(&mut token, &mut owner, &new, &third, at(0), &POLICY).unwrap();
        assert!(token.is_active());
    }
}

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{
    Blocked, CredentialId, Device, Failures, ModelCode, PasscodeFailures, PersonId, Policy,
    PracticeId, Refusal, SameBrowser, TextError, Timestamp, TokenId, check_line,
    ocra::Binding,
    one_script,
    otp::{self, Drift, Found, OneTimePasscode, OtpParams, Step, TokenSeed},
    shown_line,
};

/// The state of a token. The data of a state lives in it, so that no second flag can disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Made by an authority, not added by anyone yet.
    Unassociated {
        /// When it is discarded.
        expires: Timestamp,
    },
    /// Its passcodes are accepted.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// Its passcodes are not accepted.
    Disabled {
        /// Why.
        reason: DisableReason,
        /// Since when.
        since: Timestamp,
    },
}

/// Why a token is disabled. Only the first can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisableReason {
    /// Left at home; comes back with a passcode of that very token.
    TemporarilyUnavailable,
    /// Lost.
    Lost,
    /// Stolen.
    Stolen,
    /// Somebody else may know its seed or codes.
    Compromised,
    /// Broken.
    Damaged,
    /// Another token took its place.
    Replaced,
    /// Too many wrong passcodes in a row (SP 800-63B-4, 3.2.2).
    TooManyFailures,
    /// The operator stopped it in an emergency.
    Emergency,
    /// The account it belongs to was closed.
    AccountClosed,
    /// Past the end of life that its maker states: an empty battery, a worn clock.
    EndOfLife,
}

impl DisableReason {
    /// What a person can choose, in the order of the form.
    pub const CHOICES: [Self; 6] = [
        Self::TemporarilyUnavailable,
        Self::Lost,
        Self::Stolen,
        Self::Compromised,
        Self::Damaged,
        Self::Replaced,
    ];

    /// Stable word for forms and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Compromised => "compromised",
            Self::Damaged => "damaged",
            Self::Replaced => "replaced",
            Self::TooManyFailures => "too_many_failures",
            Self::Emergency => "emergency",
            Self::AccountClosed => "account_closed",
            Self::EndOfLife => "end_of_life",
        }
    }

    /// Words for pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TemporarilyUnavailable => "Temporarily unavailable",
            Self::Lost => "Lost",
            Self::Stolen => "Stolen",
            Self::Compromised => "Compromised",
            Self::Damaged => "Damaged",
            Self::Replaced => "Replaced",
            Self::TooManyFailures => "Too many wrong passcodes",
            Self::Emergency => "Stopped by the operator",
            Self::AccountClosed => "Account closed",
            Self::EndOfLife => "Past its end of life",
        }
    }

    /// Whether the token can be enabled again.
    pub const fn is_reversible(self) -> bool {
        matches!(self, Self::TemporarilyUnavailable)
    }

    /// Reasons that the passphrase alone is enough for (SP 800-63B-4, 4.3: one factor reports a loss).
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Stolen | Self::Compromised)
    }

    /// The reason with that word, whoever may give it.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::TooManyFailures, Self::Emergency, Self::AccountClosed, Self::EndOfLife]
            .into_iter()
            .chain(Self::CHOICES)
            .find(|reason| reason.code() == code)
    }
}

/// Why a token name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenNameError {
    /// Nothing but blanks.
    #[error(
        "Give the token a name that you will recognize, such as \u{201c}iPhone\u{201d} or \u{201c}key fob\u{201d}."
    )]
    Empty,
    /// More than 40 characters.
    #[error("Use at most 40 characters.")]
    TooLong,
    /// A character that can't be shown.
    #[error("Use letters, digits, spaces and common signs only.")]
    BadCharacter,
    /// Letters of scripts that are not used together: one token could look like another.
    #[error(transparent)]
    MixedScripts(TextError),
}

/// The name a prescriber gave a token: 1 to 40 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a row that was written under an older rule: shown as far as it can be, and never a reason why
    /// its owner sees no tokens.
    pub fn stored(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| {
            let shown = shown_line(text, 40);
            (!shown.is_empty()).then_some(Self(shown))
        })
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;
    fn from_str(text: &str) -> Result<Self, TokenNameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenNameError::Empty);
        }
        // 40 characters have at most 160 bytes; a long input is refused before it is read.
        if text.len() > 160 || text.chars().count() > 40 {
            return Err(TokenNameError::TooLong);
        }
        // Characters that reorder or hide text could make one token look like another.
        if check_line(text, 40).is_err() {
            return Err(TokenNameError::BadCharacter);
        }
        one_script(text).map_err(TokenNameError::MixedScripts)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token with everything that a decision about it needs. The store reads and writes it whole.
#[derive(Debug, Clone)]
pub struct Token {
    /// Our own identifier.
    pub id: TokenId,
    /// Its practice, once added.
    pub practice: Option<PracticeId>,
    /// Its prescriber, once added. Never changes afterwards (21 CFR 1311.102(a): sole possession).
    pub prescriber: Option<PersonId>,
    /// What is printed on it or shown by it.
    pub credential: CredentialId,
    /// What its owner calls it.
    pub name: TokenName,
    /// Hash, digits and period.
    pub params: OtpParams,
    /// The shared secret.
    pub seed: TokenSeed,
    /// Whether its passcodes count.
    pub state: TokenState,
    /// The last step accepted, for whatever purpose.
    pub last_step: Option<Step>,
    /// How far its clock is off.
    pub drift: Drift,
    /// Wrong passcodes in a row.
    pub failures: Failures,
    /// When it was made.
    pub created: Timestamp,
    /// When it was added.
    pub added: Option<Timestamp>,
    /// When a passcode of it was last accepted.
    pub last_used: Option<Timestamp>,
    /// Where it lives.
    pub device: Device,
    /// Which model it is of.
    pub model: ModelCode,
    /// When its seed was handed to another app. From then on nobody knows how many copies there are.
    pub seed_left: Option<Timestamp>,
    /// When both pieces of its activation had come, over two channels (21 CFR 1311.105(c)). Before, it
    /// logs in and does not sign.
    pub activated: Option<Timestamp>,
    /// Until when its owner may sign with it in the practice of the token, as permissions,
    /// registrations and licences stand; none where it may not sign. Follows from other rows.
    pub sign_until: Option<Timestamp>,
}

impl Token {
    /// Whether a signature may come of its passcode now, as far as activation and access control go.
    pub fn may_sign(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.activated.is_none() {
            return Err(Refusal::NotActivated);
        }
        if self.sign_until.is_none_or(|until| now >= until) {
            return Err(Refusal::NotPermitted);
        }
        Ok(())
    }

    /// Whether its passcodes count, apart from pauses.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, TokenState::Active { .. })
    }

    /// Whether its owner can enable it again.
    pub const fn is_temporarily_disabled(&self) -> bool {
        matches!(self.state, TokenState::Disabled { reason, .. } if reason.is_reversible())
    }

    /// Whether it lives in the browser with this mark. A browser or token without one is no match.
    pub fn is_in_browser(&self, mark: Option<&[u8; 32]>) -> bool {
        mark.is_some() && self.device.browser.as_ref() == mark
    }

    fn find(&self, code: &OneTimePasscode, now: Timestamp) -> Found {
        let code = code.of_model(&self.model);
        otp::find(&self.seed, &self.params, &code, self.last_step, self.drift, now)
    }

    /// How a code is bound that was accepted just now.
    pub fn binding(&self, code: &OneTimePasscode) -> Binding {
        let Some(step) = self.last_step else { return Binding::Unbound };
        code.of_model(&self.model).binding(&self.seed, &self.params, step)
    }

    fn accept(&mut self, step: Step, drift: Drift, now: Timestamp) {
        self.last_step = Some(step);
        self.drift = drift;
        self.failures = Failures::NONE;
        self.last_used = Some(now);
    }

    /// The refusal of the code of a step that was accepted, or that is older than one.
    ///
    /// The very step again is a second click, or the same code for another purpose. An older one is a
    /// sign of a twin: two devices that use one credential. It shows where their clocks or counters
    /// differ and the one behind is used second; twins in step can't be told from one device.
    pub(crate) fn used(&self, step: Step, now: Timestamp) -> Refusal {
        if self.last_step.is_some_and(|last| step < last) {
            return Refusal::PasscodeBehind;
        }
        if self.params.is_event_based() {
            return Refusal::EventPasscodeUsed;
        }
        Refusal::PasscodeUsed { wait_seconds: self.seconds_to_fresh_code(now) }
    }

    /// Seconds until the token shows a code that was not used yet. No wait brings one on an
    /// event-based token: 0.
    pub fn seconds_to_fresh_code(&self, now: Timestamp) -> i64 {
        if self.params.is_event_based() {
            return 0;
        }
        let shown = self.params.step_at(now).number() + self.drift.current();
        let used = self.last_step.map_or(shown, Step::number);
        let steps_to_wait = (used - shown + 1).clamp(0, otp::DRIFT_CAP_STEPS + 1);
        let period = i64::from(self.params.period());
        if steps_to_wait == 0 {
            0
        } else {
            self.params.seconds_left(now) + (steps_to_wait - 1) * period
        }
    }

    fn count_failure(
        &mut self,
        owner: &mut PasscodeFailures,
        kind: Failure,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Refusal> {
        self.failures = self.failures.failed(&policy.token, now);
        *owner = kind.counted(owner, policy, now);
        if self.failures.exhausted(&policy.token) {
            self.state =
                TokenState::Disabled { reason: DisableReason::TooManyFailures, since: now };
            return Some(Refusal::TokenExhausted);
        }
        None
    }
}

/// Refuses a token that is used from the browser which holds it: what prescribes and what shows the
/// passcode must be two devices (21 CFR 1311.115(a)(3)). `Ok(true)` where policy lets that pass; it
/// is then to be said and recorded.
pub fn same_browser(
    token: &Token,
    mark: Option<&[u8; 32]>,
    policy: &Policy,
) -> Result<bool, Refusal> {
    match (token.is_in_browser(mark), policy.same_browser) {
        (false, _) => Ok(false),
        (true, SameBrowser::Warn) => Ok(true),
        (true, SameBrowser::Deny) => Err(Refusal::SameBrowser),
    }
}

/// What was wrong with a passcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It is of no step of the window.
    Wrong,
    /// It was used before.
    Used,
}

impl Failure {
    fn counted(
        self,
        owner: &PasscodeFailures,
        policy: &Policy,
        now: Timestamp,
    ) -> PasscodeFailures {
        match self {
            Self::Wrong => owner.wrong(&policy.prescriber, now),
            Self::Used => owner.used(&policy.prescriber, now),
        }
    }
}

/// Outcome of a passcode check: the step consumed, or why not.
pub type PasscodeCheck = Result<Step, Refusal>;

/// Outcome of adding a token.
pub type AddCheck = Result<(), Refusal>;

fn pauses(
    token: &Token,
    owner: &PasscodeFailures,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(blocked) = owner.blocked(&policy.prescriber, now) {
        return Err(Refusal::PasscodesBlocked(blocked));
    }
    if let Some(blocked) = token.failures.blocked(&policy.token, now) {
        return Err(Refusal::TokenBlocked(blocked));
    }
    Ok(())
}

/// Checks a passcode of the chosen token and consumes its step.
///
/// A failure counts on this token and on its prescriber (`owner`), and on nothing else. The codes of
/// the window are computed before any state is looked at, so that time tells nothing.
pub fn check_passcode(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    settle(token, owner, found, now, policy)
}

fn settle(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    found: Found,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    pauses(token, owner, policy, now)?;
    match found {
        Found::Fresh { step, drift } => {
            token.accept(step, drift, now);
            *owner = owner.right();
            Ok(step)
        }
        // A replay is a failure too (question A16): it may be somebody who looked over a shoulder.
        Found::Used { step } => {
            let used = token.used(step, now);
            Err(token.count_failure(owner, Failure::Used, policy, now).unwrap_or(used))
        }
        Found::Nothing => {
            let ended = token.count_failure(owner, Failure::Wrong, policy, now);
            Err(ended.unwrap_or(Refusal::WrongPasscode))
        }
    }
}

/// Checks a passcode against all usable tokens of one prescriber; says which one matched.
///
/// One failure counts once, on the prescriber: no token is named, so none is blamed. Were that all,
/// guessing could go on for ever without ending a token (SP 800-63B-4, 3.2.2), so after as many
/// failures in a row as pause the prescriber, or so many in a day, the token must be named.
pub fn check_any(
    tokens: &mut [Token],
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> Result<(TokenId, Step), Refusal> {
    if let Some(blocked) = owner.blocked(&policy.prescriber, now) {
        return Err(Refusal::PasscodesBlocked(blocked));
    }
    if owner.token_must_be_named(&policy.prescriber, now) {
        return Err(Refusal::ChooseToken);
    }
    let mut usable = 0;
    let mut first_free: Option<Blocked> = None;
    let mut fresh = None;
    let mut used = None;
    for (index, token) in tokens.iter().enumerate() {
        let found = token.find(code, now);
        if !token.is_active() {
            continue;
        }
        if let Some(blocked) = token.failures.blocked(&policy.token, now) {
            if first_free.is_none_or(|known| blocked.until < known.until) {
                first_free = Some(blocked);
            }
            continue;
        }
        usable += 1;
        match found {
            Found::Fresh { step, drift } if fresh.is_none() => fresh = Some((index, step, drift)),
            Found::Used { step } => used = Some(token.used(step, now)),
            _ => {}
        }
    }
    if usable == 0 {
        return Err(first_free.map_or(Refusal::NoUsableToken, Refusal::AllTokensBlocked));
    }
    if let Some((token, step, drift)) = fresh
        .and_then(|(index, step, drift)| tokens.get_mut(index).map(|token| (token, step, drift)))
    {
        token.accept(step, drift, now);
        *owner = owner.right();
        Ok((token.id, step))
    } else {
        let kind = if used.is_some() { Failure::Used } else { Failure::Wrong };
        *owner = kind.counted(owner, policy, now);
        Err(used.unwrap_or(Refusal::WrongPasscode))
    }
}

/// Looks for what went wrong with a wrong passcode, for someone who has proved the passphrase.
///
/// A code of another token is burned there: to name the token must not help anyone use the code.
pub fn explain_wrong_passcode(
    tokens: &mut [Token],
    chosen: TokenId,
    code: &OneTimePasscode,
    now: Timestamp,
) -> Option<Refusal> {
    let mut late = None;
    let mut other = None;
    for token in tokens.iter_mut().filter(|token| token.is_active()) {
        if token.id == chosen {
            late = late_code(token, code, now);
        } else if let Found::Fresh { step, .. } = token.find(code, now) {
            token.last_step = Some(step);
            other = Some(Refusal::OtherToken { name: token.name.as_str().to_owned() });
        }
    }
    other.or(late)
}

/// What there is to say of a code that is older than the window.
fn late_code(token: &Token, code: &OneTimePasscode, now: Timestamp) -> Option<Refusal> {
    let (seed, params) = (&token.seed, &token.params);
    let code = code.of_model(&token.model);
    otp::late_step(seed, params, &code, token.drift, now).map(|late| match token.last_step {
        Some(last) if late.step < last => Refusal::PasscodeBehind,
        Some(last) if late.step == last => token.used(last, now),
        _ => Refusal::LatePasscode { age_seconds: late.age_seconds },
    })
}

/// Resynchronizes a token by two consecutive codes. It is no login: the next code must follow, so
/// that two codes seen over a shoulder stay worthless.
pub fn check_resync(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    first: &OneTimePasscode,
    second: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = otp::find_pair(&token.seed, &token.params, first, second, token.last_step, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    pauses(token, owner, policy, now)?;
    if let Some((step, drift)) = found {
        token.accept(step, drift, now);
        *owner = owner.right();
        Ok(step)
    } else {
        let ended = token.count_failure(owner, Failure::Wrong, policy, now);
        Err(ended.unwrap_or(Refusal::NotConsecutive))
    }
}

/// Tests a token: a right code is consumed. A wrong one counts for the day of its owner, and pauses or
/// ends no token.
pub fn test_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    pauses(token, owner, policy, now)?;
    match found {
        Found::Fresh { step, drift } => {
            token.last_step = Some(step);
            token.drift = drift;
            token.last_used = Some(now);
            Ok(step)
        }
        Found::Used { step } => Err(token.used(step, now)),
        Found::Nothing => {
            *owner = owner.wrong_in_a_test(now);
            Err(late_code(token, code, now).unwrap_or(Refusal::WrongPasscode))
        }
    }
}

/// Who adds a token, and what they said of it.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The practice.
    pub practice: PracticeId,
    /// The prescriber.
    pub prescriber: PersonId,
    /// The name.
    pub name: TokenName,
    /// How many active tokens there are already.
    pub active: u32,
    /// Whether the token's model is allowed for signing.
    pub model_allowed: bool,
}

/// Adds a provisioned token to a prescriber, if its own passcode verifies.
///
/// The caller has made sure that the same session proved a fresh passcode of an active token, or
/// does so in the same transaction. The step is consumed: the code that adds can't be a login code.
pub fn add_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    new: &NewToken,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> AddCheck {
    let mut found = token.find(code, now);
    match token.prescriber {
        Some(id) if id == new.prescriber => return Err(Refusal::AlreadyYours),
        Some(_) => return Err(Refusal::BoundToAnother),
        None => {}
    }
    match token.state {
        TokenState::Unassociated { expires } if now < expires => {}
        _ => return Err(Refusal::UnknownCredential),
    }
    if !new.model_allowed {
        return Err(Refusal::ModelNotAllowed);
    }
    if new.active >= policy.max_active_tokens {
        return Err(Refusal::TokenLimit { most: policy.max_active_tokens });
    }
    let mut params = token.params;
    if found == Found::Nothing
        && let Some(by_sha1) = found_by_sha1(token, code, now)
    {
        (params, found) = by_sha1;
    }
    let wrong = matches!(found, Found::Nothing);
    if let Err(refusal) = settle(token, owner, found, now, policy) {
        if wrong && refusal == Refusal::WrongPasscode {
            return Err(late_code(token, code, now).unwrap_or(refusal));
        }
        return Err(refusal);
    }
    token.params = params;
    token.practice = Some(new.practice);
    token.prescriber = Some(new.prescriber);
    token.name = new.name.clone();
    token.state = TokenState::Active { since: now };
    token.added = Some(now);
    // To show that it is at hand is no use of it.
    token.last_used = None;
    Ok(())
}

/// Many apps ignore the hash that an `otpauth` address names and compute SHA-1. The first code tells;
/// afterwards the hash is fixed. Looked for only where the seed went to such an app.
fn found_by_sha1(
    token: &Token,
    code: &OneTimePasscode,
    now: Timestamp,
) -> Option<(OtpParams, Found)> {
    token.seed_left?;
    let params = token.params.with_sha1();
    let found = otp::find(&token.seed, &params, code, token.last_step, token.drift, now);
    (params != token.params && matches!(found, Found::Fresh { .. })).then_some((params, found))
}

/// Adds a token in the place of an older one, which is disabled for good. Either both or neither.
///
/// The older one makes room: somebody with as many tokens as allowed can still change phones.
pub fn replace_token(
    old: &mut Token,
    token: &mut Token,
    owner: &mut PasscodeFailures,
    new: &NewToken,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> AddCheck {
    // Tried on a copy: what may still be refused must not show on the older one.
    let mut gone = old.clone();
    // The new one is there when this counts, so the older one is not the last.
    disable_token(&mut gone, DisableReason::Replaced, 1, false, now)?;
    let active = new.active.saturating_sub(u32::from(old.is_active()));
    add_token(token, owner, &NewToken { active, ..new.clone() }, code, now, policy)?;
    *old = gone;
    Ok(())
}

/// Disables a token. `other_active` is how many more active tokens its owner has; without one the
/// loss must be `confirmed` in writing.
pub fn disable_token(
    token: &mut Token,
    reason: DisableReason,
    other_active: u32,
    confirmed: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    match token.state {
        TokenState::Active { .. } => {
            if other_active == 0 && !confirmed && reason != DisableReason::Emergency {
                return Err(Refusal::LastToken);
            }
        }
        // What was left at home may turn out to be lost.
        TokenState::Disabled { reason: was, .. }
            if was.is_reversible() && !reason.is_reversible() => {}
        TokenState::Disabled { .. } | TokenState::Unassociated { .. } => {
            return Err(Refusal::NoChange);
        }
    }
    token.state = TokenState::Disabled { reason, since: now };
    Ok(())
}

/// Enables a temporarily disabled token by a passcode of that very token.
pub fn enable_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    active: u32,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    match token.state {
        TokenState::Disabled { reason, .. } if reason.is_reversible() => {}
        TokenState::Disabled { .. } => return Err(Refusal::NotReversible),
        TokenState::Active { .. } | TokenState::Unassociated { .. } => {
            return Err(Refusal::NoChange);
        }
    }
    if active >= policy.max_active_tokens {
        return Err(Refusal::TokenLimit { most: policy.max_active_tokens });
    }
    let step = settle(token, owner, found, now, policy)?;
    token.state = TokenState::Active { since: now };
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenKind, otp::passcode};
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    const POLICY: Policy = Policy::STANDARD;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_010 + seconds)
    }

    fn token(state: TokenState) -> Token {
        let rng = &mut SystemRng;
        let now = at(0);
        let owned = !matches!(state, TokenState::Unassociated { .. });
        Token {
            id: TokenId::new(now, rng).unwrap(),
            practice: owned.then(|| PracticeId::new(now, rng).unwrap()),
            prescriber: owned.then(|| PersonId::new(now, rng).unwrap()),
            credential: CredentialId::random(TokenKind::OtpSoft, rng).unwrap(),
            name: "phone".parse().unwrap(),
            params: OtpParams::OWN,
            seed: TokenSeed::generate(OtpParams::OWN.algorithm(), rng).unwrap(),
            state,
            last_step: None,
            drift: Drift::default(),
            failures: Failures::NONE,
            created: now,
            added: owned.then_some(now),
            last_used: None,
            device: Device::default(),
            model: ModelCode::known(ModelCode::AUTHENTICATOR),
            seed_left: None,
            activated: None,
            sign_until: None,
        }
    }

    /// Shows: R-1311.115-a3, A1
    #[test]
    fn a_token_is_kept_apart_from_the_browser_that_prescribes() {
        let mut token = active();
        let warn = Policy { same_browser: SameBrowser::Warn, ..POLICY };
        let (here, elsewhere) = ([1; 32], [2; 32]);
        // Neither a token nor a browser without a mark is ever taken for the same.
        for mark in [None, Some(&here)] {
            assert_eq!(same_browser(&token, mark, &POLICY), Ok(false));
        }
        token.device.browser = Some(here);
        for mark in [None, Some(&elsewhere)] {
            assert_eq!(same_browser(&token, mark, &POLICY), Ok(false));
            assert_eq!(same_browser(&token, mark, &warn), Ok(false));
        }
        assert_eq!(same_browser(&token, Some(&here), &POLICY), Err(Refusal::SameBrowser));
        assert_eq!(same_browser(&token, Some(&here), &warn), Ok(true));
    }

    fn active() -> Token {
        token(TokenState::Active { since: at(0) })
    }

    fn code(token: &Token, now: Timestamp) -> OneTimePasscode {
        passcode(&token.seed, &token.params, token.params.step_at(now)).parse().unwrap()
    }

    fn wrong(token: &Token, now: Timestamp) -> OneTimePasscode {
        let here = token.params.step_at(now).number();
        let near: Vec<String> = (here - 130..here + 130)
            .map(|step| passcode(&token.seed, &token.params, Step::new(step)))
            .collect();
        (0..1_000_000)
            .map(|n| format!("{n:06}"))
            .find(|c| !near.contains(c))
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Shows: N-08, A15, A16
    #[test]
    fn a_code_works_once_whatever_it_is_for() {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        let code = code(&t, at(0));
        check_passcode(&mut t, &mut owner, &code, at(0), &POLICY).unwrap();
        for seconds in [0, 5, 29] {
            let again =
                check_passcode(&mut t, &mut owner, &code, at(seconds), &POLICY).unwrap_err();
            assert_eq!(again.code(), "passcode_used");
        }
        assert_eq!(t.failures.count, 3, "replays are failures");
        let mut t2 = t.clone();
        t2.failures = Failures::NONE;
        assert_eq!(
            test_token(&mut t2, &mut owner, &code, at(5), &POLICY).unwrap_err().code(),
            "passcode_used"
        );
    }

    /// Shows: N-04, N-10
    #[test]
    fn a_twin_shows_by_a_code_from_before_the_last() {
        // One device with a right clock, its twin a step behind.
        let mut t = active();
        let mut owner = PasscodeFailures::NONE;
        let (here, behind) = (code(&t, at(0)), code(&t, at(-30)));
        check_passcode(&mut t, &mut owner, &here, at(0), &POLICY).unwrap();
        let twin = check_passcode(&mut t, &mut owner, &behind, at(1), &POLICY);
        assert_eq!(twin, Err(Refusal::PasscodeBehind));
        assert_eq!((t.failures.count, owner.in_a_row.count), (1, 1), "it counts like any replay");
        let mut tokens = [t.clone()];
        let any =
            check_any(&mut tokens, &mut PasscodeFailures::NONE.clone(), &behind, at(1), &POLICY);
        assert_eq!(any, Err(Refusal::PasscodeBehind));
        assert_eq!(
            test_token(&mut t.clone(), &mut owner, &behind, at(1), &POLICY),
            Err(Refusal::PasscodeBehind)
        );
        // The same code again is a second click, or the same code for another purpose.
        let again = check_passcode(&mut t, &mut owner, &here, at(20), &POLICY).unwrap_err();
        assert_eq!(again.code(), "passcode_used");

        // A twin that is minutes behind is out of the window; who has proved the passphrase is told.
        let far = code(&t, at(-300));
        let id = t.id;
        assert_eq!(
            explain_wrong_passcode(&mut [t.clone()], id, &far, at(1)),
            Some(Refusal::PasscodeBehind)
        );
        // Nobody else has used a code since: only a slow clock.
        let mut fresh = active();
        let slow = code(&fresh, at(-300));
        fresh.last_step = Some(fresh.params.step_at(at(-330)));
        let id = fresh.id;
        let told = explain_wrong_passcode(&mut [fresh], id, &slow, at(0));
        assert_eq!(told, Some(Refusal::LatePasscode { age_seconds: 300 }));
    }

    #[test]
    fn a_twin_of_a_counter_shows_when_it_lags() {
        let mut t = active();
        t.params = OtpParams::event_based(t.params.algorithm(), 6).unwrap();
        let press = |counter| -> OneTimePasscode {
            passcode(&t.seed, &t.params, Step::new(counter)).parse().unwrap()
        };
        let (first, second) = (press(1), press(2));
        let mut owner = PasscodeFailures::NONE;
        check_passcode(&mut t, &mut owner, &second, at(0), &POLICY).unwrap();
        let twin = check_passcode(&mut t, &mut owner, &first, at(100), &POLICY);
        assert_eq!(twin, Err(Refusal::PasscodeBehind));
        let again = check_passcode(&mut t, &mut owner, &second, at(200), &POLICY);
        assert_eq!(again, Err(Refusal::EventPasscodeUsed));
    }

    proptest! {
        /// One device, whatever its clock, never goes back: it is never taken for two.
        #[test]
        fn one_device_is_no_twin(
            ahead in -50i64..50,
            waits in prop::collection::vec(0i64..200, 1..40),
        ) {
            let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
            let mut now = at(0);
            for wait in waits {
                now = now.plus_seconds(wait);
                let shown = code(&t, now.plus_seconds(ahead));
                if let Err(refusal) = check_passcode(&mut t, &mut owner, &shown, now, &POLICY) {
                    prop_assert_ne!(refusal, Refusal::PasscodeBehind);
                }
            }
        }
    }

    #[test]
    fn wrong_codes_slow_lock_and_end_only_that_token() {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        let mut now = at(0);
        let mut refusals = vec![];
        for _ in 0..1_000 {
            let guess = wrong(&t, now);
            let refusal = check_passcode(&mut t, &mut owner, &guess, now, &POLICY).unwrap_err();
            refusals.push(refusal.code());
            if refusal == Refusal::TokenExhausted {
                break;
            }
            owner = PasscodeFailures::NONE;
            now = now.plus_seconds(29);
        }
        assert_eq!(refusals.last(), Some(&"token_exhausted"));
        assert_eq!(refusals.iter().filter(|code| **code != "token_blocked").count(), 30);
        let guess = code(&t, now.plus_seconds(100_000));
        let refusal =
            check_passcode(&mut t, &mut owner, &guess, now.plus_seconds(100_000), &POLICY);
        assert_eq!(refusal, Err(Refusal::TokenNotActive));
    }

    #[test]
    fn tries_during_a_pause_change_nothing_even_right_ones() {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        for _ in 0..3 {
            let guess = wrong(&t, at(0));
            check_passcode(&mut t, &mut owner, &guess, at(0), &POLICY).unwrap_err();
        }
        let before = (t.failures, owner, t.last_step);
        for guess in [code(&t, at(1)), wrong(&t, at(1))] {
            let refusal = check_passcode(&mut t, &mut owner, &guess, at(1), &POLICY).unwrap_err();
            assert_eq!(refusal.blocked().unwrap().until, at(30));
            assert_eq!((t.failures, owner, t.last_step), before);
        }
        let right = code(&t, at(30));
        check_passcode(&mut t, &mut owner, &right, at(30), &POLICY).unwrap();
        assert_eq!((t.failures, owner.in_a_row), (Failures::NONE, Failures::NONE));
    }

    /// Shows: N-11, N-12
    #[test]
    fn any_of_my_tokens_counts_once_and_blames_none() {
        let mut tokens = [
            active(),
            active(),
            token(TokenState::Disabled { reason: DisableReason::Lost, since: at(0) }),
        ];
        let mut owner = PasscodeFailures::NONE;
        let guess = code(&tokens[1], at(0));
        assert_eq!(
            check_any(&mut tokens, &mut owner, &guess, at(0), &POLICY).unwrap().0,
            tokens[1].id
        );
        let lost = code(&tokens[2], at(0));
        assert_eq!(
            check_any(&mut tokens, &mut owner, &lost, at(0), &POLICY),
            Err(Refusal::WrongPasscode)
        );
        assert_eq!(owner.in_a_row.count, 1);
        assert!(tokens.iter().all(|t| t.failures == Failures::NONE));
        assert_eq!(
            check_any(&mut tokens[2..], &mut owner, &lost, at(0), &POLICY),
            Err(Refusal::NoUsableToken)
        );
        for _ in 1..POLICY.prescriber.throttle_from {
            let _ = check_any(&mut tokens, &mut owner, &lost, at(0), &POLICY);
        }
        let later = at(3_600);
        let right = code(&tokens[1], later);
        assert_eq!(
            check_any(&mut tokens, &mut owner, &right, later, &POLICY),
            Err(Refusal::ChooseToken)
        );
        check_passcode(&mut tokens[1], &mut owner, &right, later, &POLICY).unwrap();
        assert_eq!((owner.in_a_row, owner.in_a_day), (Failures::NONE, 8));
    }

    #[test]
    fn any_of_my_tokens_names_the_pause_that_ends_first() {
        let mut tokens = [active(), active(), active()];
        tokens[2].state = TokenState::Disabled { reason: DisableReason::Lost, since: at(0) };
        let paused = |until| Failures { count: 6, blocked_until: Some(until) };
        (tokens[0].failures, tokens[1].failures) = (paused(at(900)), paused(at(120)));
        tokens[2].failures = paused(at(60));
        let mut owner = PasscodeFailures::NONE;
        let right = code(&tokens[1], at(0));
        let refusal = check_any(&mut tokens, &mut owner, &right, at(0), &POLICY).unwrap_err();
        assert_eq!(refusal, Refusal::AllTokensBlocked(Blocked { until: at(120), locked: true }));
        assert_eq!(refusal.blocked().unwrap().until, at(120));
        assert_eq!(owner, PasscodeFailures::NONE, "a try during the pause counts nowhere");
        let right = code(&tokens[1], at(120));
        check_any(&mut tokens, &mut owner, &right, at(120), &POLICY).unwrap();
    }

    #[test]
    fn a_code_of_another_token_is_named_and_burned() {
        let mut tokens = [active(), active()];
        tokens[1].name = "key fob".parse().unwrap();
        let guess = code(&tokens[1], at(0));
        let chosen = tokens[0].id;
        let hint = explain_wrong_passcode(&mut tokens, chosen, &guess, at(0)).unwrap();
        assert_eq!(hint, Refusal::OtherToken { name: "key fob".into() });
        let mut owner = PasscodeFailures::NONE;
        let refusal =
            check_passcode(&mut tokens[1], &mut owner, &guess, at(0), &POLICY).unwrap_err();
        assert_eq!(refusal.code(), "passcode_used");
        let late = code(&tokens[0], at(-120));
        let hint = explain_wrong_passcode(&mut tokens, chosen, &late, at(0)).unwrap();
        assert_eq!(hint, Refusal::LatePasscode { age_seconds: 120 });
        let early = code(&tokens[0], at(120));
        assert_eq!(explain_wrong_passcode(&mut tokens, chosen, &early, at(0)), None);
    }

    fn new_token(active: u32) -> NewToken {
        let rng = &mut SystemRng;
        NewToken {
            practice: PracticeId::new(at(0), rng).unwrap(),
            prescriber: PersonId::new(at(0), rng).unwrap(),
            name: "iPhone".parse().unwrap(),
            active,
            model_allowed: true,
        }
    }

    #[test]
    fn a_model_that_is_not_allowed_is_not_added() {
        let (mut t, mut owner) =
            (token(TokenState::Unassociated { expires: at(60) }), PasscodeFailures::NONE);
        let right = code(&t, at(0));
        let new = NewToken { model_allowed: false, ..new_token(0) };
        let answer = add_token(&mut t, &mut owner, &new, &right, at(0), &POLICY);
        assert_eq!(answer, Err(Refusal::ModelNotAllowed));
        assert_eq!((t.prescriber, t.last_step, owner), (None, None, PasscodeFailures::NONE));
    }

    #[test]
    fn an_app_that_ignores_the_hash_is_found_by_its_first_code_only() {
        let waiting = || token(TokenState::Unassociated { expires: at(3_600) });
        let by_sha1 = |t: &Token, now| -> OneTimePasscode {
            let params = t.params.with_sha1();
            passcode(&t.seed, &params, params.step_at(now)).parse().unwrap()
        };
        // The seed has not left: a code by SHA-1 is a wrong one.
        let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
        let other = by_sha1(&t, at(0));
        let answer = add_token(&mut t, &mut owner, &new_token(0), &other, at(0), &POLICY);
        assert_eq!(answer, Err(Refusal::WrongPasscode));
        assert_eq!(t.params, OtpParams::OWN);

        let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
        t.seed_left = Some(at(0));
        let guess = wrong(&t, at(0));
        let answer = add_token(&mut t, &mut owner, &new_token(0), &guess, at(0), &POLICY);
        assert_eq!(answer, Err(Refusal::WrongPasscode));
        assert_eq!((t.params, t.failures.count), (OtpParams::OWN, 1));
        let other = by_sha1(&t, at(0));
        add_token(&mut t, &mut owner, &new_token(0), &other, at(0), &POLICY).unwrap();
        assert_eq!(t.params, OtpParams::OWN.with_sha1());
        assert!(t.is_active() && t.last_step.is_some());

        // An app that does as it is told keeps its hash, and later codes change nothing.
        let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
        t.seed_left = Some(at(0));
        let right = code(&t, at(0));
        add_token(&mut t, &mut owner, &new_token(0), &right, at(0), &POLICY).unwrap();
        let other = by_sha1(&t, at(60));
        assert_eq!(
            check_passcode(&mut t, &mut owner, &other, at(60), &POLICY),
            Err(Refusal::WrongPasscode)
        );
        assert_eq!(t.params, OtpParams::OWN);
    }

    #[test]
    fn a_token_takes_the_place_of_another_or_nothing_changes() {
        let most = POLICY.max_active_tokens;
        let reason = DisableReason::Replaced;
        let (mut old, mut owner) = (active(), PasscodeFailures::NONE);
        let mut t = token(TokenState::Unassociated { expires: at(3_600) });
        let mut replace = |old: &mut Token, t: &mut Token, code: &OneTimePasscode, new| {
            replace_token(old, t, &mut owner, &new, code, at(0), &POLICY)
        };
        let guess = wrong(&t, at(0));
        let answer = replace(&mut old, &mut t, &guess, new_token(most));
        assert_eq!(answer, Err(Refusal::WrongPasscode));
        assert!(old.is_active() && t.prescriber.is_none());
        let right = code(&t, at(0));
        let forbidden = NewToken { model_allowed: false, ..new_token(1) };
        let answer = replace(&mut old, &mut t, &right, forbidden);
        assert_eq!(answer, Err(Refusal::ModelNotAllowed));
        assert!(old.is_active() && t.prescriber.is_none());
        // The older one makes room for the new one.
        replace(&mut old, &mut t, &right, new_token(most)).unwrap();
        assert_eq!(old.state, TokenState::Disabled { reason, since: at(0) });
        assert!(t.is_active());
        // What is gone can't be replaced again.
        let mut t = token(TokenState::Unassociated { expires: at(3_600) });
        let right = code(&t, at(0));
        let answer = replace(&mut old, &mut t, &right, new_token(1));
        assert_eq!(answer, Err(Refusal::NoChange));
        assert!(t.prescriber.is_none() && t.last_step.is_none());
    }

    #[test]
    fn adding_needs_the_new_tokens_own_code_and_burns_it() {
        let mut owner = PasscodeFailures::NONE;
        let new = new_token(1);
        let mut t = token(TokenState::Unassociated { expires: at(60) });
        let guess = wrong(&t, at(0));
        assert_eq!(
            add_token(&mut t, &mut owner, &new, &guess, at(0), &POLICY),
            Err(Refusal::WrongPasscode)
        );
        assert!(t.prescriber.is_none());
        let late = code(&t, at(-90));
        let refusal = add_token(&mut t, &mut owner, &new, &late, at(0), &POLICY);
        assert_eq!(refusal, Err(Refusal::LatePasscode { age_seconds: 90 }));
        let right = code(&t, at(0));
        add_token(&mut t, &mut owner, &new, &right, at(0), &POLICY).unwrap();
        assert!(t.is_active() && t.prescriber == Some(new.prescriber));
        let login = check_passcode(&mut t, &mut owner, &right, at(1), &POLICY).unwrap_err();
        assert!(matches!(login, Refusal::PasscodeUsed { wait_seconds: 1..=30 }));
        assert_eq!(
            add_token(&mut t, &mut owner, &new, &right, at(1), &POLICY),
            Err(Refusal::AlreadyYours)
        );
        assert_eq!(
            add_token(&mut t, &mut owner, &new_token(0), &right, at(1), &POLICY),
            Err(Refusal::BoundToAnother)
        );
    }

    #[test]
    fn adding_is_refused_when_late_or_too_many() {
        let mut owner = PasscodeFailures::NONE;
        let mut t = token(TokenState::Unassociated { expires: at(60) });
        let right = code(&t, at(60));
        assert_eq!(
            add_token(&mut t, &mut owner, &new_token(0), &right, at(60), &POLICY),
            Err(Refusal::UnknownCredential)
        );
        let right = code(&t, at(0));
        let refusal = add_token(&mut t, &mut owner, &new_token(5), &right, at(0), &POLICY);
        assert_eq!(refusal, Err(Refusal::TokenLimit { most: 5 }));
    }

    #[test]
    fn only_the_temporary_reason_comes_back_and_only_by_its_own_code() {
        for reason in DisableReason::CHOICES {
            let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
            disable_token(&mut t, reason, 1, false, at(0)).unwrap();
            let right = code(&t, at(0));
            assert_eq!(
                check_passcode(&mut t, &mut owner, &right, at(0), &POLICY),
                Err(Refusal::TokenNotActive)
            );
            let guess = wrong(&t, at(0));
            let result = enable_token(&mut t, &mut owner, 1, &guess, at(0), &POLICY);
            assert!(result.is_err());
            let result = enable_token(&mut t, &mut owner, 1, &right, at(0), &POLICY);
            assert_eq!(
                result.is_ok(),
                reason == DisableReason::TemporarilyUnavailable,
                "{reason:?}"
            );
            if !reason.is_reversible() {
                assert_eq!(result, Err(Refusal::NotReversible));
                assert_eq!(
                    disable_token(&mut t, DisableReason::TemporarilyUnavailable, 1, false, at(0)),
                    Err(Refusal::NoChange)
                );
            }
        }
    }

    #[test]
    fn the_last_token_needs_a_confirmation() {
        let mut t = active();
        assert_eq!(
            disable_token(&mut t, DisableReason::Lost, 0, false, at(0)),
            Err(Refusal::LastToken)
        );
        disable_token(&mut t, DisableReason::TemporarilyUnavailable, 0, true, at(0)).unwrap();
        disable_token(&mut t, DisableReason::Lost, 0, false, at(0)).unwrap();
        assert!(!t.is_temporarily_disabled());
    }

    #[test]
    fn resync_fixes_a_wrong_clock_and_is_no_login() {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        let (first, second) = (code(&t, at(1_200)), code(&t, at(1_230)));
        check_resync(&mut t, &mut owner, &first, &second, at(0), &POLICY).unwrap();
        assert_eq!(t.drift.current(), 41);
        let again = check_resync(&mut t, &mut owner, &first, &second, at(0), &POLICY);
        assert_eq!(again, Err(Refusal::NotConsecutive));
        let next = code(&t, at(1_260));
        check_passcode(&mut t, &mut owner, &next, at(30), &POLICY).unwrap();
    }

    #[test]
    fn a_test_counts_for_the_day_and_pauses_no_token() {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        for _ in 0..10 {
            let guess = wrong(&t, at(0));
            let answer = test_token(&mut t, &mut owner, &guess, at(0), &POLICY);
            assert_eq!(answer, Err(Refusal::WrongPasscode));
        }
        assert_eq!((t.failures, owner.in_a_row.count), (Failures::NONE, 0));
        let right = code(&t, at(0));
        let answer = test_token(&mut t, &mut owner, &right, at(0), &POLICY).unwrap_err();
        assert_eq!(answer.blocked().map(|it| it.until), Some(at(60)), "{answer}");
        let right = code(&t, at(60));
        test_token(&mut t, &mut owner, &right, at(60), &POLICY).unwrap();
        assert_eq!(owner.in_a_day, 10);
    }

    /// Whatever a code is given for, a wrong one counts for the day, and the pause holds for all.
    #[test]
    fn every_use_of_a_code_counts_for_the_day() {
        type Use = fn(&mut Token, &mut PasscodeFailures, &OneTimePasscode, Timestamp) -> Refusal;
        let uses: [(&str, TokenState, Use); 6] = [
            ("chosen", TokenState::Active { since: at(0) }, |t, owner, code, now| {
                check_passcode(t, owner, code, now, &POLICY).unwrap_err()
            }),
            ("any", TokenState::Active { since: at(0) }, |t, owner, code, now| {
                check_any(std::slice::from_mut(t), owner, code, now, &POLICY).unwrap_err()
            }),
            ("resync", TokenState::Active { since: at(0) }, |t, owner, code, now| {
                check_resync(t, owner, code, code, now, &POLICY).unwrap_err()
            }),
            ("test", TokenState::Active { since: at(0) }, |t, owner, code, now| {
                test_token(t, owner, code, now, &POLICY).unwrap_err()
            }),
            (
                "enable",
                TokenState::Disabled {
                    reason: DisableReason::TemporarilyUnavailable,
                    since: at(0),
                },
                |t, owner, code, now| enable_token(t, owner, 0, code, now, &POLICY).unwrap_err(),
            ),
            ("add", TokenState::Unassociated { expires: at(86_400) }, |t, owner, code, now| {
                add_token(t, owner, &new_token(0), code, now, &POLICY).unwrap_err()
            }),
        ];
        for (name, state, try_code) in uses {
            let mut owner = PasscodeFailures::NONE;
            for count in 1..=10 {
                // A right code in between clears what is in a row, and each token is another one.
                owner = owner.right();
                let mut t = token(state);
                let guess = wrong(&t, at(count));
                try_code(&mut t, &mut owner, &guess, at(count));
                assert_eq!(i64::from(owner.in_a_day), count, "{name}");
            }
            let mut t = token(state);
            let right = code(&t, at(11));
            let refusal = try_code(&mut t, &mut owner, &right, at(11));
            let until = refusal.blocked().map(|blocked| blocked.until);
            assert_eq!(until, Some(at(70)), "{name}: {refusal}");
        }
    }

    #[test]
    fn after_ten_wrong_codes_in_a_day_the_token_must_be_named() {
        let mut tokens = [active(), active()];
        let mut owner =
            PasscodeFailures { in_a_day: 10, day_began: Some(at(0)), ..PasscodeFailures::NONE };
        let right = code(&tokens[1], at(100));
        let answer = check_any(&mut tokens, &mut owner, &right, at(100), &POLICY);
        assert_eq!(answer, Err(Refusal::ChooseToken));
        check_passcode(&mut tokens[1], &mut owner, &right, at(100), &POLICY).unwrap();
        let tomorrow = at(86_400);
        let right = code(&tokens[1], tomorrow);
        check_any(&mut tokens, &mut owner, &right, tomorrow, &POLICY).unwrap();
    }

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
        assert!(matches!(mixed, Err(TokenNameError::MixedScripts(_))), "{mixed:?}");
        assert_eq!("Телефон 2".parse::<TokenName>().unwrap().as_str(), "Телефон 2");
        // What a row of an older version holds is shown all the same.
        assert_eq!(TokenName::stored("a\u{e000}b").unwrap().as_str(), "a\u{fffd}b");
        assert_eq!(TokenName::stored("\u{410}pple").unwrap().as_str(), "\u{410}pple");
        assert_eq!(TokenName::stored(" "), None);
    }

    proptest! {
        /// Shows: N-25
        #[test]
        fn no_path_out_of_a_final_state(actions in proptest::collection::vec(0u8..6, 1..30)) {
            let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
            disable_token(&mut t, DisableReason::Stolen, 0, true, at(0)).unwrap();
            let state = t.state;
            for (n, action) in actions.into_iter().enumerate() {
                let now = at(i64::try_from(n).unwrap() * 30);
                let right = code(&t, now);
                let next = code(&t, now.plus_seconds(30));
                match action {
                    0 => { let _ = check_passcode(&mut t, &mut owner, &right, now, &POLICY); }
                    1 => { let _ = enable_token(&mut t, &mut owner, 0, &right, now, &POLICY); }
                    2 => { let _ = check_resync(&mut t, &mut owner, &right, &next, now, &POLICY); }
                    3 => { let _ = disable_token(&mut t, DisableReason::TemporarilyUnavailable, 1, true, now); }
                    4 => { let _ = add_token(&mut t, &mut owner, &new_token(0), &right, now, &POLICY); }
                    _ => { let _ = test_token(&mut t, &mut owner, &right, now, &POLICY); }
                }
                prop_assert_eq!(t.state, state);
            }
        }
    }
}

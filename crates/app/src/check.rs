//! Passcode checks for integrating systems: the hot path.

use std::collections::{HashMap, hash_map::Entry};

use countersign_crypto::sha256;
use countersign_domain::{
    Actor, CredentialId, Event, EventKind, PasscodeCheck, PasscodeFailures, PersonId, Policy,
    Purpose, Refusal, Timestamp, Token, check_passcode,
    otp::{OneTimePasscode, find},
};
use countersign_store::{ApiKey, Tx};
use data_encoding::HEXLOWER;

use super::{
    App, At, Error,
    in_doubt::{ConsumedSteps, InDoubtSteps},
    log,
};

/// A check asked for by an integrating system.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    key_hash: [u8; 32],
    credential: Option<CredentialId>,
    passcode: OneTimePasscode,
    purpose: Purpose,
    content: Option<[u8; 32]>,
    at: At,
    policy: Policy,
    /// A notice of non-compliance concerns this build: no passcode signs. It reads no row: where such a notice is
    /// open, the token's own row says that it does not sign.
    noncompliant: bool,
    in_doubt: InDoubtSteps,
    consumed: ConsumedSteps,
}

impl CheckRequest {
    fn about_content(&self, event: Event) -> Event {
        match &self.content {
            Some(digest) => event.detail(&format!("content {}", HEXLOWER.encode(digest))),
            None => event,
        }
    }
}

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAnswer {
    /// The key is not known, or was revoked.
    UnknownKey,
    /// The passcode holds and is used up.
    Verified,
    /// It does not; never says why.
    NotVerified,
}

impl App {
    /// Checks a passcode for the system that holds `key`. A malformed credential ID is given as
    /// `None` and answered like an unknown one. `content` is the SHA-256 of what the passcode was given for: it
    /// stands in the record, so that a code that is used up vouches for that and nothing else.
    pub async fn check_passcode(
        &self,
        key: &str,
        credential: Option<CredentialId>,
        passcode: OneTimePasscode,
        purpose: Purpose,
        content: Option<[u8; 32]>,
        at: At,
    ) -> Result<CheckAnswer, Error> {
        let (watch, consumed) = self.in_doubt.watch();
        let request = CheckRequest {
            key_hash: sha256(key.as_bytes()),
            credential,
            passcode,
            purpose,
            content,
            at,
            policy: self.options.policy,
            noncompliant: self.is_noncompliant(),
            in_doubt: self.in_doubt.clone(),
            consumed,
        };
        let answer = self.checks.submit(request).await;
        watch.settle(&answer);
        Ok(answer?)
    }
}

/// Decides a group of checks in one transaction, in the order they came.
pub(super) fn run(
    tx: &mut Tx<'_>,
    requests: &[CheckRequest],
) -> Result<Vec<CheckAnswer>, countersign_store::Error> {
    let mut keys: HashMap<[u8; 32], Option<ApiKey>> = HashMap::new();
    for request in requests {
        if let Entry::Vacant(entry) = keys.entry(request.key_hash) {
            entry.insert(tx.api_key(&request.key_hash)?);
        }
    }
    // Who has no key learns nothing of tokens, not even by the time it takes.
    let known = requests.iter().filter(|r| keys.get(&r.key_hash).is_some_and(Option::is_some));
    let mut wanted: Vec<&CredentialId> = known.filter_map(|r| r.credential.as_ref()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut rows = HashMap::with_capacity(wanted.len());
    let mut owners: HashMap<PersonId, Owner> = HashMap::with_capacity(wanted.len());
    let (owned, models) = tx.owned_tokens(&wanted)?;
    for (id, (row, failures)) in owned {
        if let Some(prescriber) = row.token.prescriber() {
            owners.insert(prescriber, Owner { before: failures, now: failures });
        }
        rows.insert(id, row);
    }
    if let Some(first) = requests.first() {
        first.in_doubt.apply(rows.values_mut().map(|row| &mut row.token));
    }
    let times: Vec<_> = requests.iter().map(|request| request.at.now).collect();
    let mut links = tx.links(&times)?.into_iter();
    let mut events = Vec::with_capacity(requests.len());
    let mut answers = Vec::with_capacity(requests.len());
    let mut touched: Vec<&CredentialId> = Vec::with_capacity(requests.len());
    for request in requests {
        let place = links.next();
        let Some(key) = keys.get(&request.key_hash).copied().flatten() else {
            answers.push(CheckAnswer::UnknownKey);
            continue;
        };
        let link = place.ok_or_else(|| Tx::broken("an event has no place"))?;
        let now = request.at.now;
        let actor = Actor::ApiKey(key.id);
        let known = request
            .credential
            .as_ref()
            .and_then(|id| rows.get_mut(id).map(|row| (id, row)))
            .and_then(|(id, row)| {
                let prescriber = row.token.prescriber()?;
                owners.get_mut(&prescriber).map(|owner| (id, row, prescriber, owner))
            });
        // Its owner may prescribe in several practices (question A11). For an ID that nobody has the same
        // is asked about nobody, so that time does not tell the two apart.
        let here = match &known {
            Some((_, row, ..)) if row.token.practice() == Some(key.practice) => true,
            Some((_, _, prescriber, _)) => tx.prescribes(*prescriber, key.practice)?,
            None => match PersonId::from_slice(&[0; 16]) {
                Ok(nobody) => tx.prescribes(nobody, key.practice)?,
                Err(_) => false,
            },
        };
        let Some((credential, row, prescriber, owner)) = known.filter(|_| here) else {
            let refusal = Refusal::UnknownCredential;
            let mut event =
                Event::refused(EventKind::PasscodeTried, actor, &refusal, request.at.support)
                    .purpose(request.purpose);
            event.practice = Some(key.practice);
            event = request.about_content(event);
            log(&event);
            events.push((event, link));
            answers.push(CheckAnswer::NotVerified);
            let foreign = request.credential.as_ref().and_then(|id| rows.get(id));
            spend_like_a_failure(tx, request, foreign.map(|row| &row.token))?;
            if let (Some(id), true) = (&request.credential, tx.writes_unchanged_rows()) {
                // A foreign one's row, as it is: its owner loses nothing, and time says nothing.
                touched.push(id);
            }
            continue;
        };
        let result: PasscodeCheck =
            check_passcode(&mut row.token, &mut owner.now, &request.passcode, now, &request.policy);
        request.consumed.set(result.iter().map(|step| (row.token.id(), *step)));
        let there = row.token.practice() != Some(key.practice) && request.purpose == Purpose::Sign;
        let until = if there { tx.may_sign_until(prescriber, key.practice)? } else { None };
        let result = result.and_then(|step| {
            if request.noncompliant && request.purpose == Purpose::Sign {
                return Err(Refusal::NotPermitted);
            }
            if there {
                // The row says until when it signs in its own practice; each has a permission of its own.
                models.check(&row.token.in_other_practice(until), request.purpose, now)?;
            } else {
                models.check(&row.token, request.purpose, now)?;
            }
            Ok(step)
        });
        let event = Event::of(EventKind::PasscodeTried, actor, &result, request.at.support)
            .about(key.practice, prescriber)
            .token(row.token.id())
            .purpose(request.purpose);
        let event = request.about_content(event);
        if let Err(refusal) = &result {
            log(&event);
            if *refusal == Refusal::TokenExhausted {
                tx.stale_passcodes(prescriber)?;
            }
        }
        // The newest of the token's events is the one that is pushed last.
        let twin = event.twin();
        events.push((event, link.after(row)));
        if let Some(twin) = twin {
            let place = tx.links(&[now])?.pop();
            let link = place.ok_or_else(|| Tx::broken("an event has no place"))?;
            events.push((twin, link.after(row)));
        }
        answers.push(if result.is_ok() { CheckAnswer::Verified } else { CheckAnswer::NotVerified });
        touched.push(credential);
    }
    touched.sort_unstable();
    touched.dedup();
    let changed: Vec<_> = touched.iter().filter_map(|id| rows.get(id)).collect();
    for (prescriber, owner) in owners {
        if owner.before != owner.now {
            tx.save_prescriber_failures(prescriber, &owner.now)?;
        }
    }
    tx.record_checks(&changed, &events)?;
    Ok(answers)
}

/// Does for an unknown or foreign ID what a wrong passcode of a known one costs: a token and its owner
/// are read (a foreign one's have been), the codes of a window compared, rows
/// written that say nothing. Time must not say which it was.
fn spend_like_a_failure(
    tx: &mut Tx<'_>,
    request: &CheckRequest,
    foreign: Option<&Token>,
) -> Result<(), countersign_store::Error> {
    let now = request.at.now;
    let read = if foreign.is_none() { tx.some_owned_token()? } else { None };
    if let Some(token) = foreign.or(read.as_ref().map(|(row, _)| &row.token)) {
        let (seed, params) = (token.seed(), &token.params());
        // Kept from being optimized away: the answer goes nowhere else.
        std::hint::black_box(find(
            seed,
            params,
            &request.passcode,
            token.last_step(),
            token.drift(),
            now,
        ));
    }
    tx.write_like_a_failure(now)
}

/// Does for a name that nobody has what a wrong passcode of somebody costs.
pub(super) fn spend(
    tx: &mut Tx<'_>,
    code: &OneTimePasscode,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    if let Some((row, _)) = tx.some_owned_token()? {
        let token = &row.token;
        let found =
            find(token.seed(), &token.params(), code, token.last_step(), token.drift(), now);
        // Kept from being optimized away: the answer goes nowhere else.
        std::hint::black_box(found);
    }
    tx.write_like_a_failure(now)
}

struct Owner {
    before: PasscodeFailures,
    now: PasscodeFailures,
}

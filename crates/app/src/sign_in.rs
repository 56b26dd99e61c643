use std::{convert::Infallible, sync::Arc};

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, DisableReason, Event, EventKind, Passphrase, PassphraseHash, PersonId, Purpose, Refusal,
    SignInName, TokenId, check_any, check_passcode, check_resync, command::commands, enable_token,
    explain_wrong_passcode, otp::OneTimePasscode, same_browser,
};
use countersign_store::{Person, Session, Stage};

use super::{
    Account, Answer, App, At, DisableForm, Error, SessionSecret,
    attempts::{Source, know_browser},
    command::{Caller, Decision},
    hashing::Place,
    log, new_session,
    to_completion::to_completion,
};

/// What step 1 sends.
#[derive(Debug, Clone)]
pub struct SignInForm {
    /// NPI or e-mail address, its shape verified.
    pub name: SignInName,
    /// The passphrase as typed.
    pub passphrase: SecretText,
}

/// A log-in with both factors.
pub struct LoggedIn {
    /// The secret of the session.
    pub session: SessionSecret,
    /// A secret by which the browser is known from now on; none where it has one already.
    pub browser: Option<SessionSecret>,
}

/// Which token a passcode is said to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// Any of the prescriber's own.
    Any,
    /// This one.
    Token(TokenId),
}

impl App {
    /// Step 1: NPI and passphrase. Wrong NPI, wrong passphrase and closed account are answered
    /// alike, after the same work: two look-ups, one write, one hash, one write.
    ///
    /// Runs to its end even if the client leaves: a try that is counted is recorded.
    pub async fn sign_in(
        self: &Arc<Self>,
        form: SignInForm,
        old: Option<Session>,
        at: At,
    ) -> Result<SessionSecret, Error> {
        let app = Arc::clone(self);
        to_completion("sign_in", at, async move { app.try_sign_in(form, old, at).await }).await
    }

    async fn try_sign_in(
        &self,
        form: SignInForm,
        old: Option<Session>,
        at: At,
    ) -> Result<SessionSecret, Error> {
        let policy = self.options.policy;
        let source = self.sign_in_source(&form.name, old.as_ref(), at).await?;
        let said = format!("{}{}", form.name.masked(), source.label());
        let turn = self.attempt_queues.wait(&source).await?;
        let place = self.hashing.reserve()?;
        let attempt = match self.begin_attempt(turn).await? {
            Ok(attempt) => attempt,
            Err(blocked) => {
                let refusal = Refusal::Paused(blocked);
                let (kind, support) = (EventKind::PassphraseTried, at.support);
                let event = Event::refused(kind, Actor::Unknown, &refusal, support).detail(&said);
                log(&event);
                self.store.write("sign_in_paused", move |tx| tx.append(&event, at.now)).await?;
                return Err(refusal.into());
            }
        };
        // Read now that its turn has come: it may have waited.
        let name = form.name;
        let prescriber =
            self.store.read("sign_in_person", move |tx| tx.person_by_name(&name)).await?;
        let (verified, rehash) =
            self.verify_passphrase(place, form.passphrase, prescriber.as_ref()).await?;
        let ended = self.clock.now();
        let answer = self
            .store
            .write("sign_in_end", move |tx| {
                let result = match prescriber.as_ref().filter(|_| verified) {
                    // Asked again under a lock: while the hash ran it may have been closed, or got another passphrase.
                    Some(found) if tx.lock_open_account(found.id)? => {
                        let held = tx.person(found.id)?.and_then(|now| now.passphrase);
                        let row = |hash: &PassphraseHash| hash.to_row();
                        let same = held.as_ref().map(row) == found.passphrase.as_ref().map(row);
                        if same { Ok(found) } else { Err(Refusal::SignIn) }
                    }
                    Some(_) => Err(Refusal::AccountClosed),
                    None => Err(Refusal::SignIn),
                };
                let counter = attempt.end(tx, result.is_ok(), ended)?;
                let mut said = said.clone();
                if let Source::KnownBrowser { browser, person } = &source
                    && counter.failures.count >= policy.passphrase.lock_from
                {
                    // The next attempt from there counts like anybody's.
                    tx.forget_browser(browser, *person)?;
                    said.push_str(", no longer known");
                }
                let actor = result.as_ref().map_or(Actor::Unknown, |p| Actor::Person(p.id));
                let mut event =
                    Event::of(EventKind::PassphraseTried, actor, &result, at.support).detail(&said);
                if let Some(known) = &prescriber {
                    event = event.about(known.practice, known.id);
                }
                tx.append(&event, at.now)?;
                // The record knows why; the answer is the same for all.
                let Ok(found) = result else { return Ok((Err(Refusal::SignIn), event)) };
                if let Some(hash) = &rehash {
                    tx.save_passphrase(found.id, hash)?;
                }
                let stage = Stage::Passphrase { prescriber: found.id };
                let secret = new_session(tx, old.as_ref(), found.practice, stage, &policy, at.now)?;
                Ok((Ok(secret), event))
            })
            .await?;
        let (answer, event) = answer;
        log(&event);
        Ok(answer?)
    }

    /// Whether the passphrase is theirs; and a stronger hash of it, where the old one is weaker.
    async fn verify_passphrase(
        &self,
        place: Place<'_>,
        typed: SecretText,
        prescriber: Option<&Person>,
    ) -> Result<(bool, Option<PassphraseHash>), Error> {
        let iterations = self.options.iterations;
        // Who has chosen none yet is answered like somebody unknown.
        let hash = prescriber
            .and_then(|person| person.passphrase.clone())
            .unwrap_or_else(|| PassphraseHash::decoy(iterations));
        let rng = self.rng;
        place
            .run(move || {
                // What can't be a passphrase costs the same time as one that is wrong.
                let phrase = Passphrase::parse(&typed);
                let stand_in =
                    || Passphrase::parse(&SecretText::new("a stand-in of the right length".into()));
                let Ok(spent) = phrase.clone().or_else(|_| stand_in()) else {
                    return Ok((false, None));
                };
                let right = hash.verify(&spent) & phrase.is_ok();
                let rehash = (right && hash.is_weaker_than(iterations))
                    .then(|| PassphraseHash::create(&spent, iterations, rng().as_mut()))
                    .transpose()?;
                Ok((right, rehash))
            })
            .await?
    }

    /// Step 2: a passcode of an active token. The session gets a new secret and is full, and the browser is
    /// known to the account from now on.
    pub async fn prove_passcode(
        &self,
        session: Session,
        chosen: Chosen,
        code: OneTimePasscode,
        at: At,
    ) -> Result<Answer<LoggedIn, Refusal>, Error> {
        let (caller, practice) = (Caller::of(&session), session.practice);
        self.run(commands::PROVE_PASSCODE, caller, at, move |cx| {
            let (who, policy) = (cx.who()?, cx.policy);
            let (account, tx) = cx.account()?;
            let result = verify(account, chosen, &code, at, &policy);
            let event = passcode_event(&result, who.id, practice, chosen, Purpose::Login, at);
            let answer = match result {
                Ok(_) => {
                    let stage = Stage::Full { prescriber: who.id, passcode_at: at.now };
                    let browser = know_browser(tx, who.id, at)?;
                    let session =
                        new_session(tx, Some(&session), practice, stage, &policy, at.now)?;
                    Ok(LoggedIn { session, browser })
                }
                Err(refusal) => Err(refusal),
            };
            cx.event = event;
            cx.note_browser();
            Ok(Decision::of(answer))
        })
        .await
    }

    /// Brings a token back in step by two consecutive codes.
    pub async fn resync(
        &self,
        session: &Session,
        token: TokenId,
        codes: (OneTimePasscode, OneTimePasscode),
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let command = commands::RESYNC_TOKEN;
        self.change_token(command, session, token, at, move |token, owner, _, policy| {
            check_resync(token, owner, &codes.0, &codes.1, at.now, policy).map(drop)
        })
        .await
    }

    /// Reports a token lost: the passphrase alone is enough (SP 800-63B-4, 4.3).
    pub async fn report_lost(
        &self,
        session: &Session,
        token: TokenId,
        reason: DisableReason,
        confirmed: bool,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        self.disable(session, token, DisableForm { reason, confirmed, confirm: None }, at).await
    }

    /// Enables a temporarily disabled token by its own passcode; passphrase and passcode together
    /// are two factors, so this works at sign-in too.
    pub async fn enable(
        &self,
        session: &Session,
        token: TokenId,
        code: OneTimePasscode,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let command = commands::ENABLE_TOKEN;
        self.change_token(command, session, token, at, move |token, owner, active, policy| {
            same_browser(token, at.browser.as_ref(), policy)?;
            enable_token(token, owner, active, &code, at.now, policy).map(drop)
        })
        .await
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session, at: At) -> Result<(), Error> {
        let ended = session.clone();
        let done = self.run(commands::SIGN_OUT, Caller::of(session), at, move |cx| {
            cx.tx.end_session(ended.id)?;
            Ok(Decision::<(), Infallible>::Done(()))
        });
        match done.await {
            // Two requests at once end it once.
            Ok(_) | Err(Error::SignedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The prescriber with this id.
    pub async fn prescriber(&self, id: PersonId) -> Result<Person, Error> {
        let found = self.store.read("prescriber", move |tx| tx.person(id)).await?;
        found.ok_or(Error::NotFound)
    }
}

/// Checks a passcode for someone who has proved the passphrase, with the reason where it is wrong.
pub(super) fn verify(
    account: &mut Account,
    chosen: Chosen,
    code: &OneTimePasscode,
    at: At,
    policy: &countersign_domain::Policy,
) -> Result<TokenId, Refusal> {
    match chosen {
        Chosen::Any => {
            let (id, _) = check_any(&mut account.tokens, &mut account.owner, code, at.now, policy)?;
            if let Some((token, _)) = account.token(id) {
                // The code is spent all the same: nobody may learn here, try by try, which is right.
                same_browser(token, at.browser.as_ref(), policy)?;
            }
            Ok(id)
        }
        Chosen::Token(id) => {
            // A token that is not theirs is answered as one that is not active.
            let (token, owner) = account.token(id).ok_or(Refusal::TokenNotActive)?;
            // Whatever the code is: so the answer tells nothing of it, and no try is counted.
            same_browser(token, at.browser.as_ref(), policy)?;
            match check_passcode(token, owner, code, at.now, policy) {
                Ok(_) => Ok(id),
                Err(Refusal::WrongPasscode) => {
                    Err(explain_wrong_passcode(&mut account.tokens, id, code, at.now)
                        .unwrap_or(Refusal::WrongPasscode))
                }
                Err(refusal) => Err(refusal),
            }
        }
    }
}

/// The event of a passcode given by a prescriber.
pub(super) fn passcode_event(
    result: &Result<TokenId, Refusal>,
    prescriber: PersonId,
    practice: countersign_domain::PracticeId,
    chosen: Chosen,
    purpose: Purpose,
    at: At,
) -> Event {
    let token = match (result, chosen) {
        (Ok(id), _) => Some(*id),
        (Err(Refusal::TokenNotActive), _) | (Err(_), Chosen::Any) => None,
        (Err(_), Chosen::Token(id)) => Some(id),
    };
    Event::of(EventKind::PasscodeTried, Actor::Person(prescriber), result, at.support)
        .about(practice, prescriber)
        .token(token)
        .purpose(purpose)
}

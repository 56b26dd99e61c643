//! A forgotten passphrase: two tokens and a code that comes another way (SP 800-63B, 6.1.2.3). Whoever has
//! less proves their identity again; no question, and no administrator, resets anything.

use std::sync::Arc;

use countersign_domain::{
    Actor, Event, EventKind, Outcome, Passphrase, PersonId, Refusal, SignInName,
    otp::OneTimePasscode, proofing::Channel,
};
use countersign_store::{Session, Stage};

use super::{
    App, At, Chosen, Error, Hindrance, SessionSecret,
    activation::{About, channels, on_the_way, put_on_the_way, take_code, typed},
    attempts::{Source, forget_browsers_and_attempts},
    new_session,
    notices::{Note, Notice},
    record,
    sign_in::verify,
    to_completion::to_completion,
};

/// What somebody sends who has forgotten the passphrase.
#[derive(Debug, Clone)]
pub struct ForgotForm {
    /// What they sign in with.
    pub name: SignInName,
    /// A code of each of two tokens.
    pub codes: [OneTimePasscode; 2],
    /// How the third code comes.
    pub channel: Channel,
}

/// What a code for a new passphrase is about.
fn subject(person: PersonId) -> [u8; 16] {
    super::subject_of("reset", person)
}

impl App {
    /// Begins: with codes of two different tokens. An unknown name, wrong codes and a missing way are
    /// answered alike. Runs to its end even if the client leaves.
    pub async fn begin_reset(
        self: &Arc<Self>,
        form: ForgotForm,
        old: Option<Session>,
        at: At,
    ) -> Result<SessionSecret, Error> {
        let app = Arc::clone(self);
        to_completion("begin_reset", at, async move { app.try_reset(form, old, at).await }).await
    }

    async fn try_reset(
        &self,
        form: ForgotForm,
        old: Option<Session>,
        at: At,
    ) -> Result<SessionSecret, Error> {
        let policy = self.options.policy;
        // A counter of its own: who has forgotten the passphrase keeps nobody from logging in, nor the other
        // way round.
        let turn = self.attempt_queues.wait(&Source::Forgotten(form.name.clone())).await?;
        let attempt = match self.begin_attempt(turn).await? {
            Ok(attempt) => attempt,
            Err(blocked) => return Err(Refusal::Paused(blocked).into()),
        };
        let (name, mailer, ended) = (form.name.clone(), self.mailer(), self.clock.now());
        let known = self.store.read("reset_person", move |tx| tx.person_by_name(&name)).await?;
        let Some(who) = known.filter(|found| !found.closed) else {
            let masked = form.name.masked();
            self.store
                .write("begin_reset", move |tx| {
                    attempt.end(tx, false, ended)?;
                    let refusal = Refusal::NotReset;
                    let event = Event::refused(
                        EventKind::PassphraseChosen,
                        Actor::Unknown,
                        &refusal,
                        at.support,
                    );
                    tx.append(&event.detail(&masked), at.now)?;
                    // What a known name costs: a token is read, its codes compared, a row written.
                    super::check::spend(tx, &form.codes[0], at.now)?;
                    super::check::spend(tx, &form.codes[1], at.now)
                })
                .await?;
            return Err(Refusal::NotReset.into());
        };
        let person = who.id;
        self.decide_in("begin_reset", person, None, at.now, move |account, tx| {
            // On a copy: a stranger who knows an NPI must neither use up a try of its tokens nor learn
            // which of two codes was right. Tries are counted for the name.
            let mut tried = account.clone();
            let first = verify(&mut tried, Chosen::Any, &form.codes[0], at, &policy);
            let second = verify(&mut tried, Chosen::Any, &form.codes[1], at, &policy);
            let mut event = Event::success(EventKind::PassphraseChosen, Actor::Unknown, at.support)
                .about(who.practice, person)
                .detail("two tokens");
            let two = matches!((&first, &second), (Ok(one), Ok(two)) if one != two);
            let profile = tx.profile(&who)?.unwrap_or_default();
            let about = About { subject: subject(person), practice: who.practice, kind: "reset" };
            let sent = if two {
                *account = tried;
                let ways = channels(&profile, true);
                put_on_the_way(tx, &mailer, &who, &profile, &ways, about, form.channel, at)?
            } else {
                Err(Hindrance::WrongCode)
            };
            attempt.end(tx, sent.is_ok(), ended)?;
            if let Err(hindrance) = &sent {
                event.outcome = Outcome::Refused;
                return Ok((Err(Refusal::NotReset), event.reason(hindrance.code())));
            }
            let notice = Notice {
                note: Note::RecoveryBegun,
                practice: who.practice,
                detail: "",
                path: "/portal/login",
            };
            mailer.tell(tx, &who, &notice, &[], at.now)?;
            let stage = Stage::Resetting { prescriber: person };
            let secret = new_session(tx, old.as_ref(), who.practice, stage, &policy, at.now)?;
            Ok((Ok(secret), event))
        })
        .await
    }

    /// Where the code went, while it can be typed.
    pub async fn reset_code(&self, person: PersonId, at: At) -> Result<Option<Channel>, Error> {
        let found = self
            .store
            .read("reset_code", move |tx| on_the_way(tx, person, &subject(person), at.now))
            .await?;
        Ok(found.map(|(channel, _)| channel))
    }

    /// Takes the code and the new passphrase. All sessions of the account end.
    pub async fn end_reset(
        &self,
        session: &Session,
        person: PersonId,
        code: &str,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let hash = self.hash_new(passphrase).await?;
        let (session, code, mailer) = (session.id, typed(code), self.mailer());
        let done = self
            .store
            .write("end_reset", move |tx| {
                tx.lock_prescriber(person)?;
                if tx.lock_session(session)?.is_none() {
                    return Ok(None);
                }
                let Some(who) = tx.person(person)? else { return Ok(None) };
                let result = take_code(tx, person, &subject(person), &code, at.now)?;
                let mut event =
                    Event::success(EventKind::PassphraseChosen, Actor::Person(person), at.support)
                        .about(who.practice, person);
                match &result {
                    Ok(sent) => {
                        event = event.detail(&format!("two tokens and {}", sent.channel.code()));
                        tx.save_passphrase(person, &hash)?;
                        tx.end_sessions_of(person)?;
                        forget_browsers_and_attempts(tx, &who, at.now)?;
                        let notice = Notice {
                            note: Note::PassphraseChanged,
                            practice: who.practice,
                            detail: "",
                            path: "/portal",
                        };
                        mailer.tell(tx, &who, &notice, &[], at.now)?;
                    }
                    Err(hindrance) => {
                        event.outcome = Outcome::Refused;
                        event = event.reason(hindrance.code());
                    }
                }
                record(tx, &event, at.now)?;
                Ok(Some(result.map(drop)))
            })
            .await?;
        done.ok_or(Error::SignedOut)
    }
}

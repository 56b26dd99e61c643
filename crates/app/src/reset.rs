//! A forgotten passphrase: two tokens and a code that comes another way (SP 800-63B, 6.1.2.3). Whoever has
//! less proves their identity again; no question, and no administrator, resets anything.

use std::sync::Arc;

use countersign_domain::{
    Passphrase, PersonId, Refusal, SignInName, command::commands, otp::OneTimePasscode,
    proofing::Channel,
};
use countersign_store::{Session, Stage};

use super::{
    Answer, App, At, Chosen, Error, Hindrance, RefusalCode, SessionSecret,
    activation::{About, channels, on_the_way, put_on_the_way, take_code, typed},
    attempts::{Source, forget_browsers_and_attempts},
    command::{Caller, Decision},
    new_session,
    notices::{Note, Notice},
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
        // A counter of its own: who has forgotten the passphrase keeps nobody from logging in, nor the other
        // way round.
        let turn = self.attempt_queues.wait(&Source::Forgotten(form.name.clone())).await?;
        let attempt = match self.begin_attempt(turn).await? {
            Ok(attempt) => attempt,
            Err(blocked) => return Err(Refusal::Paused(blocked).into()),
        };
        let (name, ended) = (form.name.clone(), self.clock.now());
        let known = self.store.read("reset_person", move |tx| tx.person_by_name(&name)).await?;
        let known = known.filter(|found| !found.closed);
        let masked = form.name.masked();
        let begun = self.run(commands::BEGIN_RESET, Caller::Anybody, at, move |cx| {
            let Some(who) = &known else {
                attempt.end(cx.tx, false, ended)?;
                cx.detail(&masked);
                // What a known name costs: a token is read, its codes compared, a row written.
                super::check::spend(cx.tx, &form.codes[0], at.now)?;
                super::check::spend(cx.tx, &form.codes[1], at.now)?;
                return Ok(Decision::Refused(NotReset(Refusal::NotReset.code())));
            };
            cx.event = cx.event.clone().about(who.practice, who.id).detail("two tokens");
            let (policy, mailer) = (cx.policy, cx.mailer);
            let (account, tx) = cx.account_of(who.id)?;
            // On a copy: somebody who knows an NPI must neither use up a try of its tokens nor learn
            // which of two codes was right. Tries are counted for the name.
            let mut tried = account.clone();
            let first = verify(&mut tried, Chosen::Any, &form.codes[0], at, &policy);
            let second = verify(&mut tried, Chosen::Any, &form.codes[1], at, &policy);
            let two = matches!((&first, &second), (Ok(one), Ok(two)) if one != two);
            let profile = tx.profile(who)?.unwrap_or_default();
            let about = About { subject: subject(who.id), practice: who.practice, kind: "reset" };
            let sent = if two {
                *account = tried;
                let ways = channels(&profile, true);
                put_on_the_way(tx, mailer, who, &profile, &ways, about, form.channel, at)?
            } else {
                Err(Hindrance::WrongCode)
            };
            attempt.end(tx, sent.is_ok(), ended)?;
            if let Err(hindrance) = &sent {
                return Ok(Decision::Refused(NotReset(hindrance.code())));
            }
            let notice = Notice {
                note: Note::RecoveryBegun,
                practice: who.practice,
                detail: "",
                path: "/portal/login",
            };
            mailer.tell(tx, who, &notice, &[], at.now)?;
            let stage = Stage::Resetting { prescriber: who.id };
            let secret = new_session(tx, old.as_ref(), who.practice, stage, &policy, at.now)?;
            Ok(Decision::Done(secret))
        });
        match begun.await? {
            Answer::Done(secret) => Ok(secret),
            Answer::Refused(_) | Answer::NotConfirmed(_) => Err(Refusal::NotReset.into()),
        }
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
        code: &str,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        let hash = self.hash_new(passphrase).await?;
        let code = typed(code);
        self.run(commands::END_RESET, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            cx.event.practice = Some(who.practice);
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let sent = match take_code(tx, who.id, &subject(who.id), &code, at.now)? {
                Ok(sent) => sent,
                Err(hindrance) => return Ok(Decision::Refused(hindrance)),
            };
            tx.save_passphrase(who.id, &hash)?;
            tx.end_sessions_of(who.id)?;
            forget_browsers_and_attempts(tx, &who, at.now)?;
            let notice = Notice {
                note: Note::PassphraseChanged,
                practice: who.practice,
                detail: "",
                path: "/portal",
            };
            mailer.tell(tx, &who, &notice, &[], at.now)?;
            cx.detail(&format!("two tokens and {}", sent.channel.code()));
            Ok(Decision::Done(()))
        })
        .await
    }
}

/// Why no new passphrase is begun, for the record: whoever asks is told nothing of it.
struct NotReset(&'static str);

impl RefusalCode for NotReset {
    fn refusal_code(&self) -> &'static str {
        self.0
    }
}

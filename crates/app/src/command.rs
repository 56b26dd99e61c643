//! The one way through for whatever changes a state.
//!
//! [`App::run`] owns what every command has in common: the order of locks, the guard inside the transaction, a fresh
//! passcode where the command asks for one, exactly one event of its own with outcome and reason, passcode steps whose fate
//! is unknown, the notice to the owner, and the line in the log with its duration. What a command does stands in the
//! closure that it is given.
//!
//! What writes without being a command, and why:
//!
//! - attempts at a passphrase (`begin_attempt`, `end_attempt`, and how a sign-in pauses or ends): they are counted before
//!   and after the slow hash, so that no decision is reached by an attempt that is not counted; the sign-in puts its event
//!   on record itself;
//! - the lane of passcode checks (`check_passcode`): many checks share one transaction, which the rate of sign-ins of other
//!   systems needs;
//! - what notes that a session is in use (`session_seen`): every page does, and no state changes;
//! - ways that begin or end elsewhere (`begin_smart`, `take_smart_try`, `end_proofing_try`, `grant_access`): they remember
//!   or use up a secret; what follows from it is a command;
//! - delivery (`take_messages`, `message_tried`, `take_transmissions`, `prescription_tried`): who works on what, how often it
//!   was tried, and what came of it;
//! - tidying and upkeep by the clock (`purge`, `remove_logs`, `watch`, `make_log`, `monthly_log`, `see_log`): each row that
//!   goes or is made has its event where the trail needs one, and one pass handles many of them;
//! - what a demonstration makes up before anybody uses it (`install_demo_person` and those like it).

mod answer;
mod caller;

use countersign_domain::{
    Event, Outcome, PersonId, Policy, Purpose, Refusal, SessionRowId, Timestamp, Token, TokenId,
    command::{Command, Guard},
    otp::Step,
};
use countersign_store::{Person, Tx};
use tokio::time::Instant;

use crate::{
    Account, App, At, Confirm, Error,
    decide::{log_command, record},
    in_doubt::{ConsumedSteps, InDoubtSteps},
    notices::Mailer,
    sign_in::{passcode_event, verify},
    tell_owner,
};

pub(crate) use answer::Decision;
pub use answer::{Answer, NotDone, RefusalCode};
pub(crate) use caller::{Caller, person_of};

/// What a command works with: its transaction, and what goes on record.
pub(crate) struct CommandContext<'c, 't> {
    pub(crate) tx: &'c mut Tx<'t>,
    pub(crate) at: At,
    pub(crate) policy: Policy,
    pub(crate) mailer: &'c Mailer,
    /// The event of the command, about the caller and their practice. The command says what else it is about; the
    /// outcome follows from its decision.
    pub(crate) event: Event,
    session: Option<SessionRowId>,
    person: Option<PersonId>,
    passcode_at: Option<Timestamp>,
    in_doubt: &'c InDoubtSteps,
    consumed: Vec<(TokenId, Step)>,
    account: Option<LoadedAccount>,
    notes_browser: bool,
}

/// The tokens of somebody as they are now, and as they were when they were read.
struct LoadedAccount {
    person: PersonId,
    before: Account,
    now: Account,
}

type Stored<T> = Result<T, countersign_store::Error>;

impl<'t> CommandContext<'_, 't> {
    /// The tokens and failure counters of the caller, and the transaction beside them. What is changed is written at the
    /// end of the command.
    pub(crate) fn account(&mut self) -> Stored<(&mut Account, &mut Tx<'t>)> {
        let person = self.person.ok_or_else(|| Tx::broken("a command without an account"))?;
        self.account_of(person)
    }

    /// The same of somebody who is not the caller. Their account is locked first: a command asks for it before it locks
    /// anything else.
    pub(crate) fn account_of(&mut self, person: PersonId) -> Stored<(&mut Account, &mut Tx<'t>)> {
        if self.account.as_ref().is_some_and(|loaded| loaded.person != person) {
            return Err(Tx::broken("a command about two accounts"));
        }
        if self.account.is_none() {
            let owner = self.tx.lock_prescriber(person)?;
            let rows = self.tx.tokens_of(person)?;
            let now = Account::new(owner, rows, self.in_doubt.clone());
            self.account = Some(LoadedAccount { person, before: now.clone(), now });
        }
        match &mut self.account {
            Some(loaded) => Ok((&mut loaded.now, self.tx)),
            None => Err(Tx::broken("an account that is not there")),
        }
    }

    /// Uses up the steps of a token whose fate is unknown: for a token that is looked at without the account of its owner.
    pub(crate) fn apply_in_doubt(&self, token: &mut Token) {
        self.in_doubt.apply(std::iter::once(token));
    }

    /// Notes the step that such a token has consumed.
    pub(crate) fn note_consumed(&mut self, token: TokenId, step: Step) {
        self.consumed.push((token, step));
    }

    /// The account of the caller.
    pub(crate) fn who(&mut self) -> Stored<Person> {
        let person = self.person.ok_or_else(|| Tx::broken("a command without an account"))?;
        self.tx.person(person)?.ok_or_else(|| Tx::broken("a session of nobody"))
    }

    /// Checks a passcode for the caller, and puts it on record. A right one renews the session.
    pub(crate) fn prove(
        &mut self,
        confirm: &Confirm,
        purpose: Purpose,
    ) -> Stored<Result<TokenId, Refusal>> {
        let (at, policy, session) = (self.at, self.policy, self.session);
        let practice = self.event.practice;
        let person = self.person.ok_or_else(|| Tx::broken("a passcode of nobody"))?;
        let (account, tx) = self.account()?;
        let proved = verify(account, confirm.chosen, &confirm.code, at, &policy);
        let practice = practice.ok_or_else(|| Tx::broken("a passcode in no practice"))?;
        let event = passcode_event(&proved, person, practice, confirm.chosen, purpose, at);
        record(tx, &account.noted_browser(event, at), at.now)?;
        if let (Ok(_), Some(session)) = (&proved, session) {
            tx.renew_passcode(session, at.now)?;
        }
        Ok(proved)
    }

    /// Says about whom the event is.
    pub(crate) fn about(&mut self, person: impl Into<Option<PersonId>>) {
        self.event.prescriber = person.into();
    }

    /// Says about which token the event is.
    pub(crate) fn about_token(&mut self, token: impl Into<Option<TokenId>>) {
        self.event.token = token.into();
    }

    /// Adds words to the event. They are checked where they came in.
    pub(crate) fn detail(&mut self, words: &str) {
        self.event = self.event.clone().detail(words);
    }

    /// Adds a reason to the event of what was done. That of a refusal comes by itself.
    pub(crate) fn reason(&mut self, code: &'static str) {
        self.event = self.event.clone().reason(code);
    }

    /// The event says where policy let a token pass in the browser that holds it.
    pub(crate) const fn note_browser(&mut self) {
        self.notes_browser = true;
    }

    /// Another event of the same caller, about the same.
    pub(crate) fn event_of(&self, kind: countersign_domain::EventKind) -> Event {
        Event {
            kind,
            outcome: Outcome::Success,
            reason: None,
            token: None,
            detail: None,
            purpose: None,
            ..self.event.clone()
        }
    }

    /// Writes what was changed of the account that was loaded, and forgets it.
    fn save_account(&mut self) -> Stored<()> {
        let Some(LoadedAccount { person, before, now }) = self.account.take() else {
            return Ok(());
        };
        self.consumed.extend(now.consumed_since(&before));
        now.save_changes(&before, person, self.tx)?;
        if now.active() < before.active() {
            // A passcode of a token that is gone vouches for nothing more, in no session.
            self.tx.stale_passcodes(person)?;
        }
        now.tell_new_pause(&before, person, self.mailer, self.tx, self.at.now)
    }

    /// Asks for the passcode of the caller where the command wants one.
    fn step_up(
        &mut self,
        command: &Command,
        confirm: Option<&Confirm>,
    ) -> Stored<Result<(), Refusal>> {
        let stale = crate::needs_step_up(self.passcode_at, &self.policy, self.at.now);
        if !command.step_up.asks(stale) {
            return Ok(Ok(()));
        }
        let Some(confirm) = confirm else { return Ok(Err(Refusal::StepUpNeeded)) };
        let purpose = match command.may {
            Guard::Roles(_) => Purpose::Approve,
            _ => Purpose::ManageTokens,
        };
        let proved = self.prove(confirm, purpose)?;
        self.save_account()?;
        Ok(proved.map(drop))
    }
}

/// How a transaction of a command ended.
enum Ended<D, R> {
    Decided(Decision<D, R>, Event),
    SignedOut,
    NotAllowed,
}

impl App {
    /// Runs a command in one transaction: what it changed is written, its event is appended, and its answer leaves when
    /// both are durable.
    ///
    /// # Errors
    ///
    /// [`Error::SignedOut`] where the session ended, [`Error::NotFound`] where the caller may not or what it is about is
    /// not there, and what the database says.
    pub(crate) async fn run<D, R, F>(
        &self,
        command: Command,
        caller: Caller,
        at: At,
        decide: F,
    ) -> Result<Answer<D, R>, Error>
    where
        D: Send + 'static,
        R: RefusalCode + Send + 'static,
        F: FnMut(&mut CommandContext<'_, '_>) -> Stored<Decision<D, R>> + Send + 'static,
    {
        self.run_checked(command, caller, at, |_, _| Ok(None), decide).await
    }

    /// The same, with a look before a passcode is asked for: what can't be done costs none.
    pub(crate) async fn run_checked<D, R, C, F>(
        &self,
        command: Command,
        caller: Caller,
        at: At,
        mut check: C,
        mut decide: F,
    ) -> Result<Answer<D, R>, Error>
    where
        D: Send + 'static,
        R: RefusalCode + Send + 'static,
        C: FnMut(&mut CommandContext<'_, '_>, Option<&Confirm>) -> Stored<Option<Decision<D, R>>>
            + Send
            + 'static,
        F: FnMut(&mut CommandContext<'_, '_>) -> Stored<Decision<D, R>> + Send + 'static,
    {
        let began = Instant::now();
        let (policy, mailer, in_doubt) =
            (self.options.policy, self.mailer(), self.in_doubt.clone());
        let (guard, consumed) = self.in_doubt.watch();
        let result = self
            .store
            .write(command.name, move |tx| {
                let (person, session) = caller.locks();
                // Person, then session, then token: the order in which everyone locks.
                if let Some(person) = person {
                    tx.lock_prescriber(person)?;
                }
                let passcode_at = match session {
                    Some(id) => match tx.lock_session(id)? {
                        Some(passcode_at) => passcode_at,
                        None => return Ok(Ended::SignedOut),
                    },
                    None => None,
                };
                let (practice, about) = caller.subject();
                let mut event = Event::success(command.event, caller.actor(), at.support);
                (event.practice, event.prescriber) = (practice, about);
                if !caller.may(&command, tx)? {
                    // Somebody of the practice without the role is on record; who is signed in nowhere is not.
                    if let Caller::Member(_) = &caller {
                        event.outcome = Outcome::Refused;
                        event = event.reason("not_allowed");
                        tx.append(&event, at.now)?;
                    }
                    return Ok(Ended::NotAllowed);
                }
                let mut context = CommandContext {
                    tx,
                    at,
                    policy,
                    mailer: &mailer,
                    event,
                    session,
                    person,
                    passcode_at,
                    in_doubt: &in_doubt,
                    consumed: Vec::new(),
                    account: None,
                    notes_browser: false,
                };
                let confirm = caller.confirm();
                let decision = match check(&mut context, confirm)? {
                    Some(decision) => decision,
                    None => match context.step_up(&command, confirm)? {
                        Err(refusal) => Decision::NotConfirmed(refusal),
                        Ok(()) => decide(&mut context)?,
                    },
                };
                conclude(context, decision, &consumed)
            })
            .await;
        guard.settle(&result);
        match result? {
            Ended::SignedOut => Err(Error::SignedOut),
            Ended::NotAllowed | Ended::Decided(Decision::NotFound, _) => Err(Error::NotFound),
            Ended::Decided(decision, event) => {
                log_command(&command, &event, began.elapsed());
                match decision {
                    Decision::Done(done) => Ok(Answer::Done(done)),
                    Decision::Refused(refusal) => Ok(Answer::Refused(refusal)),
                    Decision::NotConfirmed(refusal) => Ok(Answer::NotConfirmed(refusal)),
                    Decision::NotFound => Err(Error::NotFound),
                }
            }
        }
    }
}

/// Writes what a command has changed, and its event.
fn conclude<D, R: RefusalCode>(
    mut context: CommandContext<'_, '_>,
    decision: Decision<D, R>,
    consumed: &ConsumedSteps,
) -> Stored<Ended<D, R>> {
    let refusal = match &decision {
        Decision::Done(_) => None,
        Decision::Refused(refusal) => Some(refusal.refusal_code()),
        Decision::NotConfirmed(refusal) => Some(refusal.code()),
        Decision::NotFound => {
            // What is not there has no record, and what is somebody else's must not be told by one.
            context.save_account()?;
            consumed.set(context.consumed.drain(..));
            return Ok(Ended::Decided(decision, context.event));
        }
    };
    let mut event = context.event.clone();
    if let Some(code) = refusal {
        event.outcome = Outcome::Refused;
        event = event.reason(code);
    }
    if let Some(loaded) = context.account.as_ref().filter(|_| context.notes_browser) {
        event = loaded.now.noted_browser(event, context.at);
    }
    context.save_account()?;
    consumed.set(context.consumed.drain(..));
    record(context.tx, &event, context.at.now)?;
    tell_owner(context.mailer, &event, context.tx, context.at.now)?;
    Ok(Ended::Decided(decision, event))
}

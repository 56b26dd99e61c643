use std::sync::PoisonError;

use countersign_domain::{
    Actor, CredentialId, Device, DeviceClass, DeviceEvidence, DisableReason, Event, EventKind,
    ModelCode, NewToken, Outcome, PersonId, PracticeId, Purpose, Refusal, TokenId, TokenKind,
    TokenModel, TokenName, TokenState, access::Cause, add_token, console::ConsoleChange,
    disable_token, otp::OneTimePasscode, replace_token, same_browser, test_token,
};
use countersign_store::{AuditRow, CasePurpose, CaseState, Person, ReadMark, Session, Stage, Tx};

use super::{
    Account, Act, App, At, By, Chosen, Error, TokenRow,
    access::suspend,
    cases::window,
    needs_step_up, record,
    sign_in::{passcode_event, verify},
};

/// A prescriber's tokens and what happened to them lately.
pub struct Overview {
    /// Who.
    pub prescriber: Person,
    /// All tokens ever bound, oldest first.
    pub tokens: Vec<countersign_domain::Token>,
    /// Newest first.
    pub events: Vec<AuditRow>,
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// The models that their practice does not let sign.
    pub refused_models: Vec<ModelCode>,
}

/// A fresh passcode of an active token, given with a change.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// Which token it comes from.
    pub chosen: Chosen,
    /// The passcode.
    pub code: OneTimePasscode,
}

/// What "Add Two Factor Authentication Token" sends.
#[derive(Debug, Clone)]
pub struct AddForm {
    /// Serial number or credential ID.
    pub credential: CredentialId,
    /// Token type, where it was chosen.
    pub kind: Option<TokenKind>,
    /// Token name.
    pub name: TokenName,
    /// The new token's own passcode.
    pub code: OneTimePasscode,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
    /// The token in whose place this one comes. It is at hand, and confirms by its own code.
    pub replaces: Option<TokenId>,
}

/// What the form that renames a token sends.
#[derive(Debug, Clone)]
pub struct RenameForm {
    /// The new name.
    pub name: TokenName,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
}

/// What the page that disables a token sends.
#[derive(Debug, Clone)]
pub struct DisableForm {
    /// Why.
    pub reason: DisableReason,
    /// Whether the loss of the last token was confirmed in writing.
    pub confirmed: bool,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
}

/// What became of a change that asks for a fresh passcode once the last one is old.
#[derive(Debug)]
pub enum Change<T> {
    /// It was made.
    Done(T),
    /// The passcode was accepted, or none was needed; the change itself was refused.
    Refused(Refusal),
    /// The passcode is missing or was refused; the change was not looked at.
    NotConfirmed(Refusal),
}

impl<T> Change<T> {
    /// Whether it was made, for its event.
    pub(super) fn outcome(&self) -> Result<(), Refusal> {
        match self {
            Self::Done(_) => Ok(()),
            Self::Refused(refusal) | Self::NotConfirmed(refusal) => Err(refusal.clone()),
        }
    }
}

impl<T> From<Result<T, Refusal>> for Change<T> {
    fn from(result: Result<T, Refusal>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

impl App {
    /// What the dashboard and the token pages show.
    pub async fn overview(&self, prescriber: PersonId) -> Result<Overview, Error> {
        let found = self
            .store
            .read("overview", move |tx| {
                let Some(prescriber) = tx.person(prescriber)? else { return Ok(None) };
                let tokens =
                    tx.tokens_of(prescriber.id)?.into_iter().map(|row| row.token).collect();
                let events = tx.events_of(prescriber.id, 200)?;
                let models = tx.token_models()?;
                let refused = tx.refused_models(prescriber.practice)?;
                let refused_models = refused.into_iter().map(|(model, ..)| model).collect();
                Ok(Some(Overview { prescriber, tokens, events, models, refused_models }))
            })
            .await?;
        let mut found = found.ok_or(Error::NotFound)?;
        self.burned.apply(found.tokens.iter_mut());
        Ok(found)
    }

    /// The newest events of one of a prescriber's tokens, and the one that added it.
    pub async fn token_events(
        &self,
        prescriber: PersonId,
        token: TokenId,
    ) -> Result<Vec<AuditRow>, Error> {
        let events = move |tx: &mut Tx<'_>| tx.events_of_token(prescriber, token, 50);
        Ok(self.store.read("token_events", events).await?)
    }

    /// Whether a change of tokens needs a passcode first: none since the policy's limit.
    pub fn needs_step_up(&self, session: &Session, at: At) -> bool {
        let passcode_at = match session.stage {
            Stage::Full { passcode_at, .. } => Some(passcode_at),
            Stage::Launched
            | Stage::Passphrase { .. }
            | Stage::Enrolling { .. }
            | Stage::Resetting { .. } => None,
        };
        needs_step_up(passcode_at, &self.options.policy, at.now)
    }

    /// Adds a token that shows its own passcode, vouched for by a fresh passcode of an active one.
    pub async fn add_token(
        &self,
        session: &Session,
        prescriber: PersonId,
        form: AddForm,
        at: At,
    ) -> Result<Change<TokenId>, Error> {
        let policy = self.options.policy;
        let session_id = session.id;
        let practice = session.practice;
        let on = self.options.manufacturers.contains(&form.credential.manufacturer());
        self.decide("add_token", prescriber, session.id, at.now, move |account, tx| {
            let stale = account.needs_step_up(&policy, at.now);
            let mut bound = Bound::default();
            let mut work = || -> Result<Change<TokenId>, countersign_store::Error> {
                let found = tx.token_by_credential(&form.credential)?;
                let new = found.as_ref().map(|row| row.token.id);
                let confirm = form.confirm.as_ref();
                if let Some(old) = form.replaces {
                    match confirm.map(|confirm| confirm.chosen) {
                        Some(Chosen::Token(id)) if id == old => {}
                        Some(_) => return Ok(Change::NotConfirmed(Refusal::ConfirmWithOld)),
                        None => return Ok(Change::NotConfirmed(Refusal::StepUpNeeded)),
                    }
                }
                let stale = stale || form.replaces.is_some();
                // Before anything is said of the ID: a stale session learns nothing of it.
                let vouched = step_up(account, tx, stale, confirm, new, session_id, at, &policy)?;
                if let Err(refusal) = vouched {
                    return Ok(Change::NotConfirmed(refusal));
                }
                if form.kind.is_some_and(|kind| kind != form.credential.kind()) || !on {
                    let label = form.credential.kind().label();
                    return Ok(Change::Refused(Refusal::TypeMismatch { label }));
                }
                let Some(TokenRow { token: new, mark, .. }) = found else {
                    return Ok(Change::Refused(Refusal::UnknownCredential));
                };
                if account.active() == 0 {
                    return Ok(Change::NotConfirmed(Refusal::NoUsableToken));
                }
                bind(account, tx, &form, new, mark, (practice, prescriber), at, &policy, &mut bound)
            };
            let change = work()?;
            let event = added_event(&change, &form, &bound, practice, prescriber, at);
            Ok((Ok(change), event))
        })
        .await
    }

    /// Adds a first token, or another in the same quarter of an hour: vouched for by a complete proofing in
    /// place of a passcode (SP 800-63B, 6.1.1 and 6.1.2.3). After a recovery the case is used up by it.
    pub async fn add_first_token(
        &self,
        session: &Session,
        prescriber: PersonId,
        form: AddForm,
        at: At,
    ) -> Result<Change<TokenId>, Error> {
        let policy = self.options.policy;
        let (practice, stage) = (session.practice, session.stage);
        let on = self.options.manufacturers.contains(&form.credential.manufacturer());
        self.decide("add_first_token", prescriber, session.id, at.now, move |account, tx| {
            let mut bound = Bound::default();
            let mut work = || -> Result<Change<TokenId>, countersign_store::Error> {
                let Some(mut case) = window(tx, prescriber, stage, at.now)? else {
                    return Ok(Change::NotConfirmed(Refusal::NoWindow));
                };
                if form.kind.is_some_and(|kind| kind != form.credential.kind()) || !on {
                    let label = form.credential.kind().label();
                    return Ok(Change::Refused(Refusal::TypeMismatch { label }));
                }
                let found = tx.token_by_credential(&form.credential)?;
                let Some(TokenRow { token: new, mark, .. }) = found else {
                    return Ok(Change::Refused(Refusal::UnknownCredential));
                };
                let owner = (practice, prescriber);
                let change = bind(account, tx, &form, new, mark, owner, at, &policy, &mut bound)?;
                if let (Change::Done(_), CasePurpose::Recovery) = (&change, case.purpose) {
                    // Once: the window of a recovery ends with its token.
                    case.state = CaseState::Closed;
                    case.window_until = None;
                    tx.save_case(&case)?;
                }
                Ok(change)
            };
            let change = work()?;
            let event = added_event(&change, &form, &bound, practice, prescriber, at);
            let event = if event.reason.is_none() { event.reason("proofed") } else { event };
            Ok((Ok(change), event))
        })
        .await
    }

    /// Disables a token of somebody of the practice, for them: whoever looks after the practice may take
    /// away, and never adds (the owner alone does, with a passcode).
    pub async fn disable_for(
        &self,
        act: Act,
        person: PersonId,
        token: TokenId,
        reason: DisableReason,
        words: String,
        at: At,
    ) -> Result<Result<Result<(), Refusal>, Refusal>, Error> {
        let (by, practice) = (Actor::Person(act.desk.person), act.desk.practice.id);
        let mailer = self.mailer();
        // A loss must never wait for a passcode.
        let change = if reason.is_loss() {
            ConsoleChange::DisableLostToken
        } else {
            ConsoleChange::DisableToken
        };
        self.console(act, change, at, move |tx, event| {
            if !tx.is_member(person, practice)? {
                return Ok(None);
            }
            // Prescriber, then session, then token: the order in which everyone locks.
            tx.lock_prescriber(person)?;
            let rows = tx.tokens_of(person)?;
            let found = rows.into_iter().find(|row| row.token.id == token);
            // Tokens that another practice gave out are that practice's to disable.
            let found = found.filter(|row| row.token.practice == Some(practice));
            let Some(TokenRow { token: mut it, mark, .. }) = found else { return Ok(None) };
            let result = disable_token(&mut it, reason, 1, true, at.now);
            let mut event = event.about(practice, person).token(token).detail(&words);
            match &result {
                Ok(()) => {
                    tx.save_token(&it, mark)?;
                    tx.stale_passcodes(person)?;
                    event = event.reason(reason.code());
                    if reason.is_loss() {
                        tx.end_sessions_of(person)?;
                        let what = reason.label();
                        suspend(tx, &mailer, person, Cause::FactorLost, by, what, at)?;
                    }
                }
                Err(refusal) => {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal.code());
                }
            }
            Ok(Some((result, event)))
        })
        .await
    }

    /// Disables a token for a reason.
    pub async fn disable(
        &self,
        session: &Session,
        prescriber: PersonId,
        token: TokenId,
        form: DisableForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let session_id = session.id;
        let practice = session.practice;
        let alone = !matches!(session.stage, Stage::Full { .. });
        let mailer = self.mailer();
        self.decide("disable_token", prescriber, session.id, at.now, move |account, tx| {
            // A loss must never wait for a passcode; everything else does.
            let needed = account.needs_step_up(&policy, at.now) && !form.reason.is_loss();
            let vouched =
                step_up(account, tx, needed, form.confirm.as_ref(), None, session_id, at, &policy)?;
            let active = account.active();
            let change: Change<()> = match vouched {
                Err(refusal) => Change::NotConfirmed(refusal),
                Ok(()) => match account.token(token) {
                    None => Change::Refused(Refusal::TokenNotActive),
                    Some((token, _)) => {
                        let others = active.saturating_sub(u32::from(token.is_active()));
                        disable_token(token, form.reason, others, form.confirmed, at.now).into()
                    }
                },
            };
            let done = change.outcome();
            let mut event =
                Event::of(EventKind::TokenDisabled, Actor::Person(prescriber), &done, at.support)
                    .about(practice, prescriber)
                    .token(theirs(account, token));
            if done.is_ok() {
                if form.reason.is_loss() {
                    // Whoever holds the token may hold a session too.
                    tx.end_other_sessions(prescriber, session_id)?;
                    let (actor, what) = (Actor::Person(prescriber), form.reason.label());
                    suspend(tx, &mailer, prescriber, Cause::FactorLost, actor, what, at)?;
                }
                event = event.reason(form.reason.code());
                if alone {
                    event = event.detail("reported with the passphrase alone");
                }
            }
            Ok((Ok(change), event))
        })
        .await
    }

    /// Gives a token another name.
    pub async fn rename(
        &self,
        session: &Session,
        prescriber: PersonId,
        token: TokenId,
        form: RenameForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let session_id = session.id;
        let practice = session.practice;
        self.decide("rename_token", prescriber, session.id, at.now, move |account, tx| {
            let needed = account.needs_step_up(&policy, at.now);
            let vouched =
                step_up(account, tx, needed, form.confirm.as_ref(), None, session_id, at, &policy)?;
            let change = match vouched {
                Err(refusal) => Change::NotConfirmed(refusal),
                Ok(()) => match account.token(token) {
                    None => Change::Refused(Refusal::TokenNotActive),
                    Some((token, _)) => {
                        token.name = form.name.clone();
                        Change::Done(())
                    }
                },
            };
            let event = Event::of(
                EventKind::TokenRenamed,
                Actor::Person(prescriber),
                &change.outcome(),
                at.support,
            )
            .about(practice, prescriber)
            .token(theirs(account, token));
            Ok((Ok(change), event))
        })
        .await
    }

    /// Tests a token: a right code is used up, a wrong one counts for the day of its owner and not for the
    /// token. Ten in ten minutes.
    pub async fn test(
        &self,
        session: &Session,
        prescriber: PersonId,
        token: TokenId,
        code: OneTimePasscode,
        at: At,
    ) -> Result<(), Error> {
        let policy = self.options.policy;
        let by = By { session, prescriber };
        let allowed = self.count_test(prescriber, at);
        self.change_token(EventKind::TokenTested, &by, token, None, at, move |token, owner, _| {
            if !allowed {
                return Err(Refusal::TooManyTests);
            }
            test_token(token, owner, &code, at.now, &policy).map(drop)
        })
        .await
    }

    fn count_test(&self, prescriber: PersonId, at: At) -> bool {
        const SECONDS: i64 = 600;
        const MOST: u32 = 10;
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        tests.retain(|_, (since, _)| at.now < since.plus_seconds(SECONDS));
        let (_, count) = tests.entry(prescriber).or_insert((at.now, 0));
        *count += 1;
        *count <= MOST
    }

    /// Records that a person has seen the device which a token lives on. `false` if there is no such
    /// token.
    pub async fn attest_device(
        &self,
        credential: CredentialId,
        class: DeviceClass,
        by: String,
        at: At,
    ) -> Result<bool, Error> {
        let done = self
            .store
            .write("attest_device", move |tx| {
                let Some(TokenRow { token, .. }) = tx.token_by_credential(&credential)? else {
                    return Ok(false);
                };
                let device = Device { class, evidence: DeviceEvidence::Attested, ..token.device };
                tx.save_device(token.id, &device)?;
                let was = token.device;
                let detail = format!(
                    "{} by {by}; was {}, {}",
                    class.code(),
                    was.class.code(),
                    was.evidence.code()
                );
                let mut event =
                    Event::success(EventKind::DeviceAttested, Actor::Operator, at.support)
                        .token(token.id)
                        .detail(&detail);
                event.practice = token.practice;
                event.prescriber = token.prescriber;
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }

    /// Stops a token in an emergency, by the operator's hand. `false` if there is no such token.
    pub async fn emergency_disable(&self, credential: CredentialId, at: At) -> Result<bool, Error> {
        let mailer = self.mailer();
        let done = self
            .store
            .write("emergency_disable", move |tx| {
                // Prescriber, then session, then token: the order in which everyone locks.
                tx.lock_owner(&credential)?;
                let event = Event::success(EventKind::TokenDisabled, Actor::Operator, at.support);
                let Some(TokenRow { mut token, mark, .. }) = tx.token_by_credential(&credential)? else {
                    let refusal = Refusal::UnknownCredential;
                    let event = Event::refused(event.kind, event.actor, &refusal, at.support);
                    tx.append(&event.detail(&credential.masked()), at.now)?;
                    return Ok(false);
                };
                let mut event = event.token(token.id).reason(DisableReason::Emergency.code());
                event.practice = token.practice;
                event.prescriber = token.prescriber;
                // What is final already keeps its reason and its date.
                if !matches!(token.state, TokenState::Disabled { reason, .. } if !reason.is_reversible()) {
                    // A token that nobody added yet is stopped just the same.
                    token.state =
                        TokenState::Disabled { reason: DisableReason::Emergency, since: at.now };
                    tx.save_token(&token, mark)?;
                }
                if let Some(prescriber) = token.prescriber {
                    // Whoever made the emergency may hold a session.
                    tx.end_sessions_of(prescriber)?;
                    let what = DisableReason::Emergency.label();
                    let cause = Cause::FactorLost;
                    suspend(tx, &mailer, prescriber, cause, Actor::Operator, what, at)?;
                }
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }
}

/// What came of binding a token, for its event.
#[derive(Default)]
struct Bound {
    added: Option<TokenId>,
    /// It lives in the browser that asks.
    here: bool,
}

/// Binds a token that is there to its owner, by the code that it shows.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a fact of the request; a struct would only rename them"
)]
fn bind(
    account: &mut Account,
    tx: &mut Tx<'_>,
    form: &AddForm,
    mut new: countersign_domain::Token,
    mark: ReadMark,
    (practice, prescriber): (PracticeId, PersonId),
    at: At,
    policy: &countersign_domain::Policy,
    bound: &mut Bound,
) -> Result<Change<TokenId>, countersign_store::Error> {
    // A fob of another practice's stock is answered like one that nobody knows.
    if tx.stock_of(new.id)?.is_some_and(|stock| stock != practice) {
        return Ok(Change::Refused(Refusal::UnknownCredential));
    }
    match same_browser(&new, at.browser.as_ref(), policy) {
        Ok(passed) => bound.here = passed,
        Err(refusal) => return Ok(Change::Refused(refusal)),
    }
    account.apply_burned(&mut new);
    let refused_here = tx.refused_models(practice)?;
    let allowed = tx.signing_models()?.allow(&new.model)
        && !refused_here.iter().any(|(model, ..)| *model == new.model);
    let by = NewToken {
        practice,
        prescriber,
        name: form.name.clone(),
        active: account.active(),
        model_allowed: allowed,
    };
    let before = new.clone();
    let code = &form.code;
    let answer = match form.replaces {
        None => add_token(&mut new, &mut account.owner, &by, code, at.now, policy),
        Some(gone) => match account.token(gone) {
            None => Err(Refusal::TokenNotActive),
            Some((old, owner)) => replace_token(old, &mut new, owner, &by, code, at.now, policy),
        },
    };
    match answer {
        Ok(()) => {
            if let Some(gone) = form.replaces {
                let event =
                    Event::success(EventKind::TokenDisabled, Actor::Person(prescriber), at.support)
                        .about(practice, prescriber)
                        .token(gone)
                        .reason(DisableReason::Replaced.code());
                tx.append(&event, at.now)?;
            }
            account.consumed_elsewhere = new.last_step.map(|step| (new.id, step));
            tx.associate_token(&new, mark)?;
            bound.added = Some(new.id);
            Ok(Change::Done(new.id))
        }
        Err(refusal) => {
            // A wrong code counts on the new token too, or its six digits could be guessed here.
            if before.failures != new.failures || before.state != new.state {
                tx.save_token(&new, mark)?;
            }
            Ok(Change::Refused(refusal))
        }
    }
}

/// The event of a token that was added, or refused.
fn added_event(
    change: &Change<TokenId>,
    form: &AddForm,
    bound: &Bound,
    practice: PracticeId,
    prescriber: PersonId,
    at: At,
) -> Event {
    let event =
        Event::of(EventKind::TokenAdded, Actor::Person(prescriber), &change.outcome(), at.support)
            .about(practice, prescriber)
            .token(bound.added)
            .purpose(Purpose::AddToken)
            .detail(&form.credential.masked());
    if bound.here && bound.added.is_some() { event.reason(Refusal::SAME_BROWSER) } else { event }
}

/// The id, if the token is the prescriber's own: an event never names somebody else's.
fn theirs(account: &Account, id: TokenId) -> Option<TokenId> {
    account.tokens.iter().any(|token| token.id == id).then_some(id)
}

/// Where a fresh passcode is needed, checks the one given, and renews the session by it.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a fact of the request; a struct would only rename them"
)]
pub(super) fn step_up(
    account: &mut Account,
    tx: &mut Tx<'_>,
    needed: bool,
    confirm: Option<&Confirm>,
    new: Option<TokenId>,
    session: countersign_domain::SessionRowId,
    at: At,
    policy: &countersign_domain::Policy,
) -> Result<Result<(), Refusal>, countersign_store::Error> {
    if !needed {
        return Ok(Ok(()));
    }
    let Some(confirm) = confirm else { return Ok(Err(Refusal::StepUpNeeded)) };
    if new.is_some_and(|id| confirm.chosen == Chosen::Token(id)) {
        return Ok(Err(Refusal::SelfVouching));
    }
    let result = verify(account, confirm.chosen, &confirm.code, at, policy);
    if let Some(owner) =
        account.tokens.first().and_then(|token| token.prescriber.zip(token.practice))
    {
        let event =
            passcode_event(&result, owner.0, owner.1, confirm.chosen, Purpose::ManageTokens, at);
        record(tx, &account.noted_browser(event, at), at.now)?;
    }
    if result.is_ok() {
        tx.renew_passcode(session, at.now)?;
    }
    Ok(result.map(drop))
}

//! Adding a token.

use countersign_domain::{
    Actor, CredentialId, DisableReason, Event, EventKind, NewToken, PersonId, PracticeId, Purpose,
    Refusal, TokenId, TokenKind, TokenName, add_token, otp::OneTimePasscode, replace_token,
    same_browser,
};
use countersign_store::{CasePurpose, ReadMark, Session, TokenRow, Tx};

use super::{Change, Confirm, step_up};
use crate::{Account, App, At, Chosen, Error, cases::window};

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

impl App {
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
                let new = found.as_ref().map(|row| row.token.id());
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
                    case.state.close();
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
    if tx.stock_of(new.id())?.is_some_and(|stock| stock != practice) {
        return Ok(Change::Refused(Refusal::UnknownCredential));
    }
    match same_browser(&new, at.browser.as_ref(), policy) {
        Ok(passed) => bound.here = passed,
        Err(refusal) => return Ok(Change::Refused(refusal)),
    }
    account.apply_in_doubt(&mut new);
    let refused_here = tx.refused_models(practice)?;
    let allowed = tx.signing_models()?.allow(new.model())
        && !refused_here.iter().any(|(model, ..)| model == new.model());
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
            account.consumed_elsewhere = new.last_step().map(|step| (new.id(), step));
            tx.associate_token(&new, mark)?;
            bound.added = Some(new.id());
            Ok(Change::Done(new.id()))
        }
        Err(refusal) => {
            // A wrong code counts on the new token too, or its six digits could be guessed here.
            if before.failures() != new.failures() || before.state() != new.state() {
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

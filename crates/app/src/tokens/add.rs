//! Adding a token.

use countersign_domain::{
    CredentialId, DisableReason, EventKind, NewToken, PracticeId, Purpose, Refusal, TokenId,
    TokenKind, TokenName, add_token, command::commands, otp::OneTimePasscode, replace_token,
    same_browser,
};
use countersign_store::{CasePurpose, Session, TokenRow};

use super::Confirm;
use crate::{
    Answer, App, Chosen, Error,
    cases::window,
    command::{Caller, CommandContext, Decision},
    context::At,
};

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
        form: AddForm,
        at: At,
    ) -> Result<Answer<TokenId, Refusal>, Error> {
        let practice = session.practice;
        let on = self.options.manufacturers.contains(&form.credential.manufacturer());
        let replaces = form.replaces;
        let command =
            if replaces.is_some() { commands::REPLACE_TOKEN } else { commands::ADD_TOKEN };
        let credential = form.credential.clone();
        // Before anything is said of the ID: a stale session learns nothing of it.
        let check = move |cx: &mut CommandContext<'_, '_>, confirm: Option<&Confirm>| {
            say_added(cx, &credential);
            let chosen = confirm.map(|confirm| confirm.chosen);
            let refusal = match (replaces, chosen) {
                (Some(old), Some(Chosen::Token(id))) if id == old => None,
                (Some(_), Some(_)) => Some(Refusal::ConfirmWithOld),
                (_, None) | (None, Some(Chosen::Any)) => None,
                (None, Some(Chosen::Token(id))) => {
                    let new = cx.tx.token_by_credential(&credential)?;
                    new.is_some_and(|row| row.token.id() == id).then_some(Refusal::SelfVouching)
                }
            };
            Ok(refusal.map(Decision::NotConfirmed))
        };
        let caller = Caller::confirmed(session, form.confirm.clone());
        self.run_checked(command, caller, at, check, move |cx| {
            if let Some(refusal) = wrong_kind(&form, on) {
                return Ok(Decision::Refused(refusal));
            }
            let Some(row) = cx.tx.token_by_credential(&form.credential)? else {
                return Ok(Decision::Refused(Refusal::UnknownCredential));
            };
            if cx.account()?.0.active() == 0 {
                return Ok(Decision::NotConfirmed(Refusal::NoUsableToken));
            }
            bind(cx, &form, row, practice)
        })
        .await
    }

    /// Adds a first token, or another in the same quarter of an hour: vouched for by a complete proofing in
    /// place of a passcode (SP 800-63B, 6.1.1 and 6.1.2.3). After a recovery the case is used up by it.
    pub async fn add_first_token(
        &self,
        session: &Session,
        form: AddForm,
        at: At,
    ) -> Result<Answer<TokenId, Refusal>, Error> {
        let (practice, stage) = (session.practice, session.stage);
        let on = self.options.manufacturers.contains(&form.credential.manufacturer());
        self.run(commands::ADD_FIRST_TOKEN, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            say_added(cx, &form.credential);
            let Some(mut case) = window(cx.tx, who.id, stage, at.now)? else {
                return Ok(Decision::NotConfirmed(Refusal::NoWindow));
            };
            if let Some(refusal) = wrong_kind(&form, on) {
                return Ok(Decision::Refused(refusal));
            }
            let Some(row) = cx.tx.token_by_credential(&form.credential)? else {
                return Ok(Decision::Refused(Refusal::UnknownCredential));
            };
            let decision = bind(cx, &form, row, practice)?;
            if let (Decision::Done(_), CasePurpose::Recovery) = (&decision, case.purpose) {
                // Once: the window of a recovery ends with its token.
                case.state.close();
                cx.tx.save_case(&case)?;
            }
            if cx.event.reason.is_none() {
                cx.reason("proofed");
            }
            Ok(decision)
        })
        .await
    }
}

/// Why a token of this kind is not added here, where it is not.
fn wrong_kind(form: &AddForm, manufacturer_on: bool) -> Option<Refusal> {
    let kind = form.credential.kind();
    let wrong = form.kind.is_some_and(|chosen| chosen != kind) || !manufacturer_on;
    wrong.then(|| Refusal::TypeMismatch { label: kind.label() })
}

/// Says what the event of a token that is added is about.
fn say_added(cx: &mut CommandContext<'_, '_>, credential: &CredentialId) {
    cx.event.purpose = Some(Purpose::AddToken);
    cx.detail(&credential.masked());
}

/// Binds a token that is there to its owner, by the code that it shows.
fn bind(
    cx: &mut CommandContext<'_, '_>,
    form: &AddForm,
    TokenRow { token: mut new, mark, .. }: TokenRow,
    practice: PracticeId,
) -> Result<Decision<TokenId, Refusal>, countersign_store::Error> {
    let (prescriber, policy, at) = (cx.who()?.id, cx.policy, cx.at);
    let replaced = cx.event_of(EventKind::TokenDisabled);
    let (account, tx) = cx.account()?;
    // A hardware token of another practice's stock is answered like one that nobody knows.
    if tx.stock_of(new.id())?.is_some_and(|stock| stock != practice) {
        return Ok(Decision::Refused(Refusal::UnknownCredential));
    }
    let in_this_browser = match same_browser(&new, at.browser.as_ref(), &policy) {
        Ok(passed) => passed,
        Err(refusal) => return Ok(Decision::Refused(refusal)),
    };
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
        None => add_token(&mut new, &mut account.owner, &by, code, at.now, &policy),
        Some(gone) => match account.token(gone) {
            None => Err(Refusal::TokenNotActive),
            Some((old, owner)) => replace_token(old, &mut new, owner, &by, code, at.now, &policy),
        },
    };
    if let Err(refusal) = answer {
        // A wrong code counts on the new token too, or its six digits could be guessed here.
        if before.failures() != new.failures() || before.state() != new.state() {
            tx.save_token(&new, mark)?;
        }
        return Ok(Decision::Refused(refusal));
    }
    if let Some(gone) = form.replaces {
        let event = replaced.token(gone).reason(DisableReason::Replaced.code());
        tx.append(&event, at.now)?;
    }
    account.consumed_elsewhere = new.last_step().map(|step| (new.id(), step));
    tx.associate_token(&new, mark)?;
    cx.about_token(new.id());
    if in_this_browser {
        cx.reason(Refusal::SAME_BROWSER);
    }
    Ok(Decision::Done(new.id()))
}

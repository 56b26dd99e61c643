//! The second person executes a change request.

use std::{collections::BTreeSet, sync::Arc};

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, AuthorityId, Event, EventKind, PersonId, PracticeId, RequestId, Timestamp,
    access::{AccessRefusal, Confirmed, Matter, Permission, Request, Setting},
    command::commands,
};
use countersign_store::{AccessChange, Authority, Practice, RequestRow, RequestStage, Tx};

use super::{
    matter::read_request,
    papers::{changed_paper, say_paper},
    preconditions::{changes_nothing, lacks_internal_code, leaves_nobody},
    requests::overtake_if_gone,
    revocation::say_permission,
};
use crate::command::{Caller, CommandContext, Decision};
use crate::{Act, Answer};
use crate::{
    App, At, Confirm, Error, attempts::Source, notices::Mailer, to_completion::to_completion,
};

/// What the second person sends.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The digest of what was shown.
    pub shown: [u8; 32],
    /// The passphrase as typed.
    pub passphrase: SecretText,
}

impl App {
    /// The second person executes a change, with passphrase and passcode bound to what was shown
    /// (21 CFR 1311.125(c)). Runs to its end even if the client leaves.
    pub async fn execute_request(
        self: &Arc<Self>,
        act: Act,
        id: RequestId,
        execution: Execution,
        at: At,
    ) -> Result<Answer<(), AccessRefusal>, Error> {
        let app = Arc::clone(self);
        to_completion("execute_request", at, async move {
            app.try_execute(act, id, execution, at).await
        })
        .await
    }

    async fn try_execute(
        &self,
        act: Act,
        id: RequestId,
        execution: Execution,
        at: At,
    ) -> Result<Answer<(), AccessRefusal>, Error> {
        let (person, practice) = (act.membership.person, act.membership.practice.clone());
        let source = Source::Session { person, practice: act.session.practice };
        let attempt = self.attempt_passphrase(person, execution.passphrase, &source).await?;
        let (shown, place) = (execution.shown, practice.clone());
        // Before the passcode is looked at: what can't be done costs no passcode.
        let check = move |cx: &mut CommandContext<'_, '_>, _: Option<&Confirm>| {
            let Some(row) = cx.tx.request(place.id, id)? else {
                return Ok(Some(Decision::NotFound));
            };
            cx.about(row.person);
            cx.detail(&row.reason);
            let Some(request) = read_request(cx.tx, &row, at.now)? else {
                return Ok(Some(Decision::NotFound));
            };
            if let Err(refusal) = attempt.recheck_under_lock(cx.tx, person)? {
                return Ok(Some(Decision::NotConfirmed(refusal)));
            }
            let tried = trial(cx.tx, &place, &row, &request, person, shown, at.now)?;
            Ok(tried.err().map(Decision::Refused))
        };
        let caller = Caller::Member(Box::new(act));
        self.run_checked(commands::EXECUTE_REQUEST, caller, at, check, move |cx| {
            let Some(row) = cx.tx.request(practice.id, id)? else { return Ok(Decision::NotFound) };
            let Some(request) = read_request(cx.tx, &row, at.now)? else {
                return Ok(Decision::NotFound);
            };
            let tried = trial(cx.tx, &practice, &row, &request, person, shown, at.now)?;
            let permission = match tried {
                Ok(permission) => permission,
                Err(refusal) => return Ok(Decision::Refused(refusal)),
            };
            cx.tx.decide_request(id, RequestStage::Executed, Some(person), at.now)?;
            if !carry_out(cx.tx, cx.mailer, &practice, &row, permission, person, at)? {
                cx.reason("record_only");
            }
            Ok(Decision::Done(()))
        })
        .await
    }
}

/// What becomes of the permission, where it is about one, if this person executes the change now; nothing
/// is written.
pub(super) fn trial(
    tx: &mut Tx<'_>,
    practice: &Practice,
    row: &RequestRow,
    request: &Request,
    person: PersonId,
    shown: [u8; 32],
    now: Timestamp,
) -> Result<Result<Option<Permission>, AccessRefusal>, countersign_store::Error> {
    let by = tx.acting(person, practice.id, now)?;
    let (setting, mut request) = (practice.setting, request.clone());
    let about = row.person.zip(row.authority);
    let about = about.filter(|_| matches!(request.matter, Matter::Permission { .. }));
    let Some((holder, authority)) = about else {
        if request.is_open(now) && changes_nothing(tx, row)? {
            return Ok(Err(AccessRefusal::NoChange));
        }
        if request.is_open(now) && leaves_nobody(tx, row)? {
            return Ok(Err(AccessRefusal::LastOne));
        }
        return Ok(request.carry_out(&by, Confirmed(shown), setting, now).map(|()| None));
    };
    if request.is_open(now) && lacks_internal_code(tx, row)? {
        return Ok(Err(AccessRefusal::NoInternalCode));
    }
    let solo = setting == Setting::Practitioners && registrants(tx, practice.id, now)? == 1;
    let mut permission = tx.permission(holder, practice.id, authority)?;
    let done = request.execute(&mut permission, &by, Confirmed(shown), setting, solo, now);
    Ok(done.map(|()| Some(permission)))
}

/// Does what a change says, once the second person has executed it. `false` where something newer was decided, and
/// the record alone is confirmed.
fn carry_out(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    place: &Practice,
    row: &RequestRow,
    permission: Option<Permission>,
    by: PersonId,
    at: At,
) -> Result<bool, countersign_store::Error> {
    let (practice, actor) = (row.practice, Actor::Person(by));
    let mut event = Event::success(EventKind::RoleChanged, actor, at.support);
    event.practice = Some(practice);
    event.prescriber = row.person;
    match (&row.change, row.person) {
        (AccessChange::Grant { .. } | AccessChange::Revoke { .. }, Some(holder)) => {
            let (Some(authority), Some(permission)) = (row.authority, permission) else {
                return Err(Tx::broken("a change without a registration"));
            };
            if tx.permission(holder, practice, authority)? == permission {
                return Ok(false);
            }
            tx.save_permission(holder, practice, authority, &permission)?;
            let cause = match permission {
                Permission::Revoked { cause, .. } => Some(cause),
                Permission::Granted { .. } | Permission::None => None,
            };
            say_permission(tx, mailer, holder, practice, authority, cause, actor, at)?;
        }
        (AccessChange::Role { role, unit, give }, Some(person)) => {
            tx.end_role(person, practice, *role, at.now)?;
            if *give {
                tx.give_role(person, practice, *role, unit, at.now)?;
            }
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{} {unit}", role.code())), at.now)?;
            overtake_if_gone(tx, person, practice, at)?;
        }
        (AccessChange::Provider { issuer, accepted, give }, _) => {
            if *give {
                tx.accept_provider(practice, issuer, accepted, at.now)?;
            } else {
                tx.drop_provider(practice, issuer, at.now)?;
            }
            event.kind = EventKind::ProviderChanged;
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{issuer} {accepted}")), at.now)?;
        }
        (AccessChange::Paper { paper, before }, person) => {
            let known = match row.authority {
                Some(id) => tx.authority(practice, id)?,
                None => None,
            };
            let it = Authority {
                id: match row.authority {
                    Some(id) => id,
                    None => AuthorityId::new(at.now, tx.rng())?,
                },
                practice,
                person,
                stops_at: paper.expires().end(&place.zone),
                paper: paper.clone(),
                withdrawn: None,
                warned: None,
            };
            if known.is_some() {
                tx.save_authority(&it)?;
            } else {
                tx.create_authority(&it, at.now)?;
            }
            event.kind = EventKind::AuthorityChanged;
            let detail = changed_paper(&it.paper, before, &it.says(), &row.reason);
            tx.append(&event.detail(&detail), at.now)?;
            say_paper(tx, mailer, &it, by, at)?;
        }
        _ => return Err(Tx::broken("a change about nobody")),
    }
    Ok(true)
}

/// How many people of a practice have a registration in force there: with one alone the practice is a
/// solo one (question A9).
fn registrants(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    now: Timestamp,
) -> Result<usize, countersign_store::Error> {
    let all = tx.all_authorities(practice)?;
    let people: BTreeSet<PersonId> = all
        .iter()
        .filter(|it| it.paper.dea().is_some() && it.holds(now))
        .filter_map(|it| it.person)
        .collect();
    Ok(people.len())
}

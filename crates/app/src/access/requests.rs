//! Changes that two people make: entered, rejected, withdrawn, and closed where a newer decision overtook them.

use countersign_domain::{
    Actor, AuthorityId, Event, EventKind, Outcome, PersonId, PracticeId, RequestId, Role,
    access::{AccessRefusal, Change, Permission, enter},
    command::{Command, commands},
};
use countersign_store::{AccessChange, Paper, RequestRow, RequestStage, Tx};

use super::{
    Decided,
    matter::{matter, read_request},
    papers::paper_in_words,
    preconditions::{changes_nothing, lacks_internal_code, leaves_nobody, waits_already},
    revocation::take_away,
};
use crate::{
    Act, Answer, App, At, Error,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A permission is given or taken.
    Permission {
        /// Whose.
        person: PersonId,
        /// For which registration.
        authority: AuthorityId,
        /// What becomes of it.
        change: Change,
    },
    /// A role that takes two is given or taken.
    Role {
        /// Whose.
        person: PersonId,
        /// Which.
        role: Role,
        /// In which unit.
        unit: String,
        /// Given, or taken.
        give: bool,
    },
    /// A proofing provider comes on the list, or goes.
    Provider {
        /// Its issuer address.
        issuer: String,
        /// The values of `acr` or `ial` that stand for IAL2.
        accepted: String,
        /// Put on the list, or taken off.
        give: bool,
    },
    /// A registration or licence holds longer, or for more.
    Paper {
        /// Whose; none for the institution's own.
        person: Option<PersonId>,
        /// Which; none for a new one.
        authority: Option<AuthorityId>,
        /// What it is to be.
        paper: Paper,
        /// What it says until now; empty for a new one.
        before: String,
    },
}

impl Wanted {
    fn access_change(&self) -> AccessChange {
        match self {
            Self::Permission { change: Change::Grant { verified }, .. } => {
                AccessChange::Grant { verified: *verified, registration: String::new() }
            }
            Self::Permission { change: Change::Revoke(cause), .. } => {
                AccessChange::Revoke { cause: *cause }
            }
            Self::Role { role, unit, give, .. } => {
                AccessChange::Role { role: *role, unit: unit.clone(), give: *give }
            }
            Self::Provider { issuer, accepted, give } => AccessChange::Provider {
                issuer: issuer.clone(),
                accepted: accepted.clone(),
                give: *give,
            },
            Self::Paper { paper, before, .. } => {
                AccessChange::Paper { paper: paper.clone(), before: before.clone() }
            }
        }
    }

    const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Permission { person, .. } | Self::Role { person, .. } => Some(*person),
            Self::Paper { person, .. } => *person,
            Self::Provider { .. } => None,
        }
    }

    const fn authority(&self) -> Option<AuthorityId> {
        match self {
            Self::Permission { authority, .. } => Some(*authority),
            Self::Paper { authority, .. } => *authority,
            Self::Role { .. } | Self::Provider { .. } => None,
        }
    }

    /// The command that enters it.
    const fn command(&self) -> Command {
        match self {
            Self::Permission { change: Change::Revoke(_), .. } => commands::TAKE_PERMISSION,
            _ => commands::ENTER_REQUEST,
        }
    }

    /// What a notice says of it.
    fn said(&self, name: &str) -> String {
        match self {
            Self::Permission { change: Change::Grant { .. }, .. } => {
                format!("{name}: grant permission to sign")
            }
            Self::Permission { .. } => format!("{name}: revoke permission to sign"),
            Self::Role { role, give: true, .. } => {
                format!("{name}: assign the role {}", role.label().to_lowercase())
            }
            Self::Role { role, .. } => {
                format!("{name}: remove the role {}", role.label().to_lowercase())
            }
            Self::Provider { issuer, give: true, .. } => {
                format!("accept the identity proofing provider {issuer}")
            }
            Self::Provider { issuer, .. } => {
                format!("stop accepting the identity proofing provider {issuer}")
            }
            Self::Paper { paper, .. } => {
                let whose = if name.is_empty() { "the institution" } else { name };
                format!("{} of {whose}: {}", paper.label(), paper_in_words(&paper.says()))
            }
        }
    }
}

impl App {
    /// Enters a change, in the person's own time; somebody else executes it.
    pub async fn enter_request(
        &self,
        act: Act,
        wanted: Wanted,
        reason: String,
        at: At,
    ) -> Result<Answer<RequestId, AccessRefusal>, Error> {
        let (person, practice) = (act.membership.person, act.membership.practice.id);
        self.run(wanted.command(), Caller::Member(Box::new(act)), at, move |cx| {
            let entered = put_request(cx.tx, cx.mailer, practice, person, &wanted, &reason, at)?;
            let Some((entered, event)) = entered else { return Ok(Decision::NotFound) };
            cx.event = event;
            Ok(Decision::of(entered))
        })
        .await
    }

    /// The second person turns a change down, for a reason. Of a permission that was taken away this says that the
    /// report was a mistake: it stays away, and what is due about the report is settled.
    pub async fn reject_request(
        &self,
        act: Act,
        id: RequestId,
        reason: String,
        at: At,
    ) -> Result<Answer<(), AccessRefusal>, Error> {
        let (person, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::REJECT_REQUEST, Caller::Member(Box::new(act)), at, move |cx| {
            let Some(row) = cx.tx.request(practice, id)? else { return Ok(Decision::NotFound) };
            let found = read_request(cx.tx, &row, at.now)?;
            let Some(mut request) = found else { return Ok(Decision::NotFound) };
            cx.detail(&format!("{}: {reason}", row.reason));
            cx.about(row.person);
            let tx = &mut *cx.tx;
            let by = tx.acting(person, practice, at.now)?;
            let of = row.person.zip(row.authority);
            let mut permission = match (&row.change, of) {
                (AccessChange::Revoke { .. }, Some((holder, authority))) => {
                    tx.permission(holder, practice, authority)?
                }
                _ => Permission::None,
            };
            let before = permission;
            if let Err(refusal) = request.reject(&mut permission, &by, &reason, at.now) {
                return Ok(Decision::Refused(refusal));
            }
            tx.decide_request(id, RequestStage::Rejected, Some(person), at.now)?;
            if let Some((holder, authority)) = of
                && permission != before
            {
                tx.save_permission(holder, practice, authority, &permission)?;
                let changed = EventKind::PermissionChanged;
                let changed = Event::success(changed, Actor::Person(person), at.support)
                    .about(practice, holder)
                    .reason("report_mistaken")
                    .detail(&reason);
                tx.append(&changed, at.now)?;
            }
            if let (AccessChange::Revoke { .. }, Some(holder)) = (&row.change, row.person) {
                settle_loss(tx, practice, holder, person, &reason, at)?;
            }
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Whoever entered a change withdraws it.
    pub async fn withdraw_request(
        &self,
        act: Act,
        id: RequestId,
        at: At,
    ) -> Result<Answer<(), AccessRefusal>, Error> {
        let (person, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::WITHDRAW_REQUEST, Caller::Member(Box::new(act)), at, move |cx| {
            let Some(row) = cx.tx.request(practice, id)? else { return Ok(Decision::NotFound) };
            let found = read_request(cx.tx, &row, at.now)?;
            let Some(mut request) = found else { return Ok(Decision::NotFound) };
            cx.detail(&row.reason);
            cx.about(row.person);
            let by = cx.tx.acting(person, practice, at.now)?;
            if let Err(refusal) = request.withdraw(&by, at.now) {
                return Ok(Decision::Refused(refusal));
            }
            cx.tx.decide_request(id, RequestStage::Withdrawn, Some(person), at.now)?;
            Ok(Decision::Done(()))
        })
        .await
    }
}

/// Enters a change for a second person; what takes a permission away works at once. Nothing where it is about
/// nobody of the practice.
pub(crate) fn put_request(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: PracticeId,
    person: PersonId,
    wanted: &Wanted,
    reason: &str,
    at: At,
) -> Result<Decided<RequestId>, countersign_store::Error> {
    let by = tx.acting(person, practice, at.now)?;
    let id = RequestId::new(at.now, tx.rng())?;
    let mut change = wanted.access_change();
    if let (AccessChange::Grant { registration, .. }, Some(authority)) =
        (&mut change, wanted.authority())
    {
        *registration = tx.authority(practice, authority)?.map(|it| it.says()).unwrap_or_default();
    }
    let row = RequestRow {
        id,
        practice,
        person: wanted.person(),
        authority: wanted.authority(),
        change,
        reason: reason.to_owned(),
        entered_by: person,
        entered: at.now,
        stage: RequestStage::Entered,
        decided: None,
    };
    let Some(matter) = matter(tx, &row, at.now)? else { return Ok(None) };
    let entered = match enter(id, matter, reason, by, at.now) {
        Ok(_) if changes_nothing(tx, &row)? => Err(AccessRefusal::NoChange),
        Ok(_) if leaves_nobody(tx, &row)? => Err(AccessRefusal::LastOne),
        Ok(_) if lacks_internal_code(tx, &row)? => Err(AccessRefusal::NoInternalCode),
        Ok(_) if waits_already(tx, &row, at.now)? => Err(AccessRefusal::WaitsAlready),
        other => other,
    };
    let mut event =
        Event::success(EventKind::RequestEntered, Actor::Person(person), at.support).detail(reason);
    event.practice = Some(practice);
    event.prescriber = row.person;
    let request = match entered {
        Ok(request) => request,
        Err(refusal) => {
            event.outcome = Outcome::Refused;
            return Ok(Some((Err(refusal), event.reason(refusal.code()))));
        }
    };
    tx.create_request(&RequestRow { reason: request.reason, ..row })?;
    // What takes away works at once; the second person confirms the record.
    if let Wanted::Permission { person: holder, authority, change: Change::Revoke(cause) } = wanted
    {
        let actor = Actor::Person(person);
        take_away(tx, mailer, *holder, practice, *authority, *cause, actor, at)?;
    }
    let name = wanted.person().map(|id| tx.person(id)).transpose()?.flatten();
    let notice = Notice {
        note: Note::RequestWaiting,
        practice,
        detail: &wanted.said(name.as_ref().map_or("", |found| &found.name)),
        path: &format!("/practice/{practice}/requests/{id}"),
    };
    mailer.tell_designated(tx, &notice, Some(person), at.now)?;
    Ok(Some((Ok(id), event)))
}

/// Settles what is due about a reported loss of somebody, once no report about them waits any more.
fn settle_loss(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    holder: PersonId,
    by: PersonId,
    reason: &str,
    at: At,
) -> Result<(), countersign_store::Error> {
    let waits = tx
        .open_requests_about(holder)?
        .into_iter()
        .any(|row| row.practice == practice && matches!(row.change, AccessChange::Revoke { .. }));
    if waits {
        return Ok(());
    }
    let note = format!("Not confirmed: {reason}");
    for it in tx.deadlines(practice, 200)? {
        let about = it.person == Some(holder) && it.kind == "loss_reported";
        if about
            && it.done.is_none()
            && tx.deadline_done(practice, it.id, Some(by), &note, at.now)?
        {
            let event = Event::success(EventKind::DeadlineDone, Actor::Person(by), at.support)
                .about(practice, holder)
                .detail(&note);
            tx.append(&event, at.now)?;
        }
    }
    Ok(())
}

/// Closes the changes about somebody that a newer decision has overtaken: those that would give, and of the whole
/// practice where the person is no longer of it.
pub(super) fn overtake(
    tx: &mut Tx<'_>,
    person: PersonId,
    at: At,
    which: impl Fn(&RequestRow) -> bool,
) -> Result<(), countersign_store::Error> {
    for row in tx.open_requests_about(person)?.into_iter().filter(|row| which(row)) {
        tx.decide_request(row.id, RequestStage::Overtaken, None, at.now)?;
        let event = Event::success(EventKind::RequestOvertaken, Actor::System, at.support)
            .about(row.practice, person)
            .detail(&row.reason);
        tx.append(&event, at.now)?;
    }
    Ok(())
}

/// Closes all changes about somebody who no longer has a role in a practice, but for what was taken away.
pub(crate) fn overtake_if_gone(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    at: At,
) -> Result<(), countersign_store::Error> {
    if tx.is_member(person, practice)? {
        return Ok(());
    }
    overtake(tx, person, at, |row| {
        row.practice == practice && !matches!(row.change, AccessChange::Revoke { .. })
    })
}

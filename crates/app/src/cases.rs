//! Cases of identity proofing: what is missing, who may say so, and the quarter of an hour that a complete
//! one opens. Also the road back for somebody whose last token is gone.

mod decisions;
mod evidence;
mod provider;
mod views;

use countersign_domain::{
    Actor, CaseId, Date, Event, EventKind, PersonId, PracticeId, Refusal, Role, Timestamp,
    command::commands,
    proofing::{CaseState, Channel, missing},
};
use countersign_store::{CasePurpose, CaseRow, Person, Session, Stage, Tx};

use super::{
    Answer, App, At, Error, Hindrance,
    activation::{About, put_on_the_way, take_code, typed},
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

pub use decisions::{CaseDecision, Seen};
use evidence::domain_case;
pub use provider::ReplyRefusal;
pub use views::CaseView;
pub(super) use views::case_view;
use views::ways;

impl App {
    /// Opens a case for somebody whose last token is gone, and who has proved the passphrase. One that is
    /// open already goes on.
    pub async fn begin_recovery(
        &self,
        session: &Session,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        self.run(commands::BEGIN_RECOVERY, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            cx.detail(CasePurpose::Recovery.code());
            if cx.tx.tokens_of(who.id)?.iter().any(|row| row.token.is_active()) {
                return Ok(Decision::Refused(Refusal::NoChange));
            }
            cx.event.practice = Some(who.practice);
            let opened = put_case(cx.tx, cx.mailer, &who, who.practice, CasePurpose::Recovery, at)?;
            Ok(if opened { Decision::Done(()) } else { Decision::Refused(Refusal::NoChange) })
        })
        .await
    }

    /// Sends a code to an address on record, about the case that is under way.
    pub async fn send_case_code(
        &self,
        session: &Session,
        channel: Channel,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        self.run(commands::SEND_CASE_CODE, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let Some(case) = current_case(cx.tx, who.id)? else { return Ok(Decision::NotFound) };
            let profile = cx.tx.profile(&who)?.unwrap_or_default();
            let ways = ways(&case, &profile);
            let (subject, practice) = (*case.id.as_bytes(), case.practice);
            let about = About { subject, practice, kind: "address" };
            cx.event.practice = Some(practice);
            cx.detail(channel.code());
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let sent = put_on_the_way(tx, mailer, &who, &profile, &ways, about, channel, at)?;
            Ok(Decision::of(sent))
        })
        .await
    }

    /// Takes the code that went to an address on record. In a complete case it opens the quarter of an hour
    /// again.
    pub async fn take_case_code(
        &self,
        session: &Session,
        code: &str,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        let code = typed(code);
        self.run(commands::TAKE_CASE_CODE, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let Some(mut case) = current_case(cx.tx, who.id)? else {
                return Ok(Decision::NotFound);
            };
            cx.event.practice = Some(case.practice);
            let result = take_code(cx.tx, who.id, case.id.as_bytes(), &code, at.now)?;
            if let Ok(sent) = &result {
                cx.detail(sent.channel.code());
                confirm_address(cx.tx, &who, sent.channel, at.now)?;
                case.address_confirmed = Some(at.now);
                case.state.open_window(at.now);
            }
            save_and_complete(cx.tx, cx.mailer, &who, &mut case, at)?;
            Ok(Decision::of(result.map(drop)))
        })
        .await
    }
}

/// Notes that a code went to an address and came back.
pub(super) fn confirm_address(
    tx: &mut Tx<'_>,
    who: &Person,
    channel: Channel,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let Some(mut profile) = tx.profile(who)? else { return Ok(()) };
    match channel {
        Channel::Phone => profile.phone_confirmed = Some(now.micros()),
        Channel::Post => profile.address_confirmed = Some(now.micros()),
        Channel::Email | Channel::Portal => {}
    }
    tx.save_profile(who, &profile, now)
}

/// The newest case of somebody that was not given up or used up.
pub(super) fn current_case(
    tx: &mut Tx<'_>,
    person: PersonId,
) -> Result<Option<CaseRow>, countersign_store::Error> {
    Ok(tx.cases_for(person)?.into_iter().find(|case| !case.state.is_closed()))
}

/// Opens a case, unless one of that purpose is under way; whoever can act is told.
pub(super) fn open_case(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    practice: PracticeId,
    purpose: CasePurpose,
    at: At,
) -> Result<(), countersign_store::Error> {
    if put_case(tx, mailer, who, practice, purpose, at)? {
        let event = Event::success(EventKind::CaseOpened, Actor::Person(who.id), at.support)
            .about(practice, who.id)
            .detail(purpose.code());
        tx.append(&event, at.now)?;
    }
    Ok(())
}

/// The same without a record. `false` where one of that purpose is under way.
fn put_case(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    practice: PracticeId,
    purpose: CasePurpose,
    at: At,
) -> Result<bool, countersign_store::Error> {
    if current_case(tx, who.id)?.is_some_and(|case| case.purpose == purpose) {
        return Ok(false);
    }
    let id = CaseId::new(at.now, tx.rng())?;
    tx.create_case(&CaseRow {
        id,
        practice,
        person: who.id,
        purpose,
        opened: at.now,
        state: CaseState::Open,
        evidence: None,
        near: None,
        address_confirmed: None,
        issue: None,
    })?;
    let path = format!("/practice/{practice}/cases/{id}");
    let notice = Notice { note: Note::CaseOpened, practice, detail: &who.name, path: &path };
    mailer.tell_roles(tx, &notice, &[Role::Proofing, Role::Issuing], Some(who.id), at.now)?;
    if purpose != CasePurpose::Enrolment {
        // Whoever has the passphrase, or an e-mail account, may not be its owner.
        let notice = Notice { note: Note::RecoveryBegun, path: "/portal/login", ..notice };
        mailer.tell(tx, who, &notice, &[], at.now)?;
    }
    Ok(true)
}

/// Writes a case; where nothing is missing any more it is complete, and opens the quarter of an hour.
fn save_and_complete(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    row: &mut CaseRow,
    at: At,
) -> Result<(), countersign_store::Error> {
    if row.state.is_open() {
        let case = domain_case(tx, row, at.now)?;
        let zone = tx.practice(row.practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
        if missing(&case, Date::at(at.now, &zone)).is_empty() {
            row.state.complete(at.now);
            let event = Event::success(EventKind::CaseClosed, Actor::System, at.support)
                .about(row.practice, row.person)
                .detail(&format!("{}: complete", row.purpose.code()));
            tx.append(&event, at.now)?;
            let path =
                if row.purpose == CasePurpose::Recovery { "/portal/login" } else { "/enrol" };
            let practice = row.practice;
            let notice = Notice { note: Note::CaseComplete, practice, detail: "", path };
            mailer.tell(tx, who, &notice, &[], at.now)?;
        }
    }
    tx.save_case(row)
}

/// Whether a session may add a first token now: its case is complete, its quarter of an hour runs.
pub(super) fn window(
    tx: &mut Tx<'_>,
    person: PersonId,
    stage: Stage,
    now: Timestamp,
) -> Result<Option<CaseRow>, countersign_store::Error> {
    let Some(case) = current_case(tx, person)? else { return Ok(None) };
    let fits = match stage {
        Stage::Enrolling { .. } => case.purpose != CasePurpose::Recovery,
        Stage::Passphrase { .. } | Stage::Full { .. } => case.purpose == CasePurpose::Recovery,
        Stage::Launched | Stage::Resetting { .. } => false,
    };
    let open = case.state.window(now).is_some();
    Ok(Some(case).filter(|_| fits && open))
}

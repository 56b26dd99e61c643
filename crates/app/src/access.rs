//! Logical access control: who may sign, decided by two people (21 CFR 1311.125, 1311.130), and taken
//! away at once on one report.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, AuthorityId, Date, DeadlineId, Event, EventKind, Outcome, Passphrase, PassphraseHash,
    PersonId, PracticeId, Purpose, Refusal, RequestId, Role, Timestamp,
    access::{
        AccessRefusal, Cause, Change, Confirmed, Matter, Permission, REQUEST_DAYS, Request,
        RequestState, Setting, Subject, enter, revoke_now,
    },
    console::ConsoleChange,
    one_business_day_after,
};
use countersign_store::{
    Authority, CodeRow, Deadline, Listed, Member, Nearing, Paper, PermissionRow, Practice,
    RequestBody, RequestRow, RequestStage, Session, Tx,
};

use super::{
    Act, App, At, Confirm, Error,
    archive::remind_of_logs,
    attempts::Source,
    fobs::retire_worn_out,
    notices::{Mailer, Note, Notice},
    prescriptions::Practitioner,
    record,
    sign_in::{passcode_event, verify},
    tell_wrong_passcodes,
    to_completion::to_completion,
};

/// Those who search the signed records of a practice, hold them, and hear of them.
pub(super) const RECORD_ROLES: [Role; 2] = [Role::Designated, Role::Administrator];

/// Where somebody acts, and as what.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The practice.
    pub practice: Practice,
    /// Who acts.
    pub person: PersonId,
    /// The roles that they have there.
    pub roles: Vec<Role>,
}

impl Desk {
    /// Whether the signed records of the practice are theirs to search: they hold health data.
    pub fn sees_records(&self) -> bool {
        self.roles.iter().any(|role| RECORD_ROLES.contains(role))
    }
}

/// All that the console of a practice shows.
#[derive(Debug, Clone)]
pub struct Board {
    /// The practice.
    pub practice: Practice,
    /// Its people, by name.
    pub people: Vec<Listed>,
    /// All roles that there were.
    pub roles: Vec<Member>,
    /// Registrations and licences of everybody, and the institution's own.
    pub authorities: Vec<Authority>,
    /// Codes with which people prescribe under the institution's registration, those that ended too.
    pub codes: Vec<CodeRow>,
    /// Permissions.
    pub permissions: Vec<PermissionRow>,
    /// Changes that two people make, the newest first.
    pub requests: Vec<RequestRow>,
    /// What is due, the open ones first.
    pub deadlines: Vec<Deadline>,
}

/// A change as its page shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The change with the people as they are now.
    pub request: Request,
    /// Its row.
    pub row: RequestRow,
    /// What a passcode that executes it is bound to.
    pub digest: [u8; 32],
    /// Why the person who looks can't execute it; nothing where they can.
    pub hindrance: Option<AccessRefusal>,
}

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
    fn body(&self) -> RequestBody {
        match self {
            Self::Permission { change: Change::Grant { verified }, .. } => RequestBody::Grant {
                verified: verified.map(|day| day.to_string()).unwrap_or_default(),
                registration: String::new(),
            },
            Self::Permission { change: Change::Revoke(cause), .. } => {
                RequestBody::Revoke { cause: cause.code().to_owned() }
            }
            Self::Role { role, unit, give, .. } => {
                RequestBody::Role { role: role.code().to_owned(), unit: unit.clone(), give: *give }
            }
            Self::Provider { issuer, accepted, give } => RequestBody::Provider {
                issuer: issuer.clone(),
                accepted: accepted.clone(),
                give: *give,
            },
            Self::Paper { paper, before, .. } => {
                RequestBody::Paper { paper: paper.parts(), before: before.clone() }
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

    /// What in the console this is.
    const fn change(&self) -> ConsoleChange {
        match self {
            Self::Permission { change: Change::Revoke(_), .. } => ConsoleChange::TakePermission,
            _ => ConsoleChange::EnterRequest,
        }
    }

    /// What a notice says of it.
    fn said(&self, name: &str) -> String {
        match self {
            Self::Permission { change: Change::Grant { .. }, .. } => format!("{name} may sign"),
            Self::Permission { .. } => format!("{name} may no longer sign"),
            Self::Role { role, give: true, .. } => {
                format!("{name} gets the role: {}", role.label().to_lowercase())
            }
            Self::Role { role, .. } => {
                format!("{name} loses the role: {}", role.label().to_lowercase())
            }
            Self::Provider { issuer, give: true, .. } => {
                format!("proofing by {issuer} is accepted")
            }
            Self::Provider { issuer, .. } => format!("proofing by {issuer} is no longer accepted"),
            Self::Paper { paper, .. } => {
                let whose = if name.is_empty() { "the institution" } else { name };
                format!("{} of {whose}: {}", paper.label(), paper.says())
            }
        }
    }
}

/// What the second person sends.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The digest of what was shown.
    pub shown: [u8; 32],
    /// The passphrase as typed.
    pub passphrase: SecretText,
    /// A fresh passcode; always asked for.
    pub confirm: Confirm,
}

/// A passphrase that was tried, for the decision that it is one factor of.
pub(super) struct Phrase {
    right: bool,
    paused: Option<countersign_domain::Blocked>,
    before: Option<String>,
}

impl Phrase {
    /// Whether it holds, read again under the lock: it may have been changed while the hash ran.
    pub(super) fn settle(
        &self,
        tx: &mut Tx<'_>,
        person: PersonId,
    ) -> Result<Result<(), Refusal>, countersign_store::Error> {
        let held = tx.person(person)?.and_then(|found| found.passphrase);
        if !self.right || held.map(|hash| hash.to_row()) != self.before {
            let refusal = self.paused.map_or(Refusal::WrongPassphrase, Refusal::Paused);
            return Ok(Err(refusal));
        }
        Ok(Ok(()))
    }
}

/// What became of something that access control decides on.
#[derive(Debug)]
pub enum Asked<T> {
    /// It was done.
    Done(T),
    /// Access control says no.
    Refused(AccessRefusal),
    /// The passphrase or the passcode was refused; nothing was done.
    NotConfirmed(Refusal),
}

/// What access control says of a change, with its record; nothing where it is about nobody of the practice.
type Decided<T> = Option<(Result<T, AccessRefusal>, Event)>;

/// A registration or a licence as the console enters it.
#[derive(Debug, Clone)]
pub struct NewPaper {
    /// Whose; none for the institution's own.
    pub person: Option<PersonId>,
    /// What it is.
    pub paper: Paper,
    /// Why, in words.
    pub reason: String,
}

/// What became of a registration or licence that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaperDone {
    /// It stands so now: it is new, nothing rests on it, or it is narrower than it was.
    Saved,
    /// Another person must approve it.
    Waits,
    /// What was narrower stands now, and another person must approve the rest.
    SavedAndWaits,
    /// What was narrower stands now, and the rest was not entered.
    SavedAlone(AccessRefusal),
}

impl App {
    /// The practices in which somebody has a role that opens the console, with their names and how many
    /// changes wait there for a second person.
    pub async fn desks(&self, person: PersonId) -> Result<Vec<(PracticeId, String, usize)>, Error> {
        let now = self.clock.now();
        let found = self
            .store
            .read("desks", move |tx| {
                let mut found: Vec<(PracticeId, String, usize)> = Vec::new();
                for (practice, member) in tx.roles_of(person)? {
                    if !member.role.opens_console() || found.iter().any(|(id, ..)| *id == practice)
                    {
                        continue;
                    }
                    let name = tx.practice_name(practice)?.unwrap_or_default();
                    let waiting = tx.requests(practice, 200)?;
                    let waiting = waiting.iter().filter(|row| still_waits(row, now));
                    found.push((practice, name, waiting.count()));
                }
                Ok(found)
            })
            .await?;
        Ok(found)
    }

    /// Where somebody acts. A practice in which they have no such role is not found.
    pub async fn desk(&self, person: PersonId, practice: PracticeId) -> Result<Desk, Error> {
        let found = self.store.read("desk", move |tx| desk(tx, person, practice)).await?;
        found.ok_or(Error::NotFound)
    }

    /// All that the console of a practice shows.
    pub async fn board(&self, desk: &Desk) -> Result<Board, Error> {
        let practice = desk.practice.clone();
        let board = self
            .store
            .read("board", move |tx| {
                let id = practice.id;
                Ok(Board {
                    people: tx.people_of(id)?,
                    roles: tx.roles_in(id)?,
                    authorities: tx.all_authorities(id)?,
                    codes: tx.internal_codes(id)?,
                    permissions: tx.permissions(id)?,
                    requests: tx.requests(id, 200)?,
                    deadlines: tx.deadlines(id, 200)?,
                    practice: practice.clone(),
                })
            })
            .await?;
        Ok(board)
    }

    /// Enters a change, in the person's own time; somebody else executes it.
    pub async fn enter_request(
        &self,
        act: Act,
        wanted: Wanted,
        reason: String,
        at: At,
    ) -> Result<Asked<RequestId>, Error> {
        let (person, practice, mailer) = (act.desk.person, act.desk.practice.id, self.mailer());
        let asked = self
            .console(act, wanted.change(), at, move |tx, _| {
                put_request(tx, &mailer, practice, person, &wanted, &reason, at)
            })
            .await?;
        Ok(asked_of(asked))
    }

    /// A change as its page shows it.
    pub async fn request(&self, desk: &Desk, id: RequestId, at: At) -> Result<Shown, Error> {
        let (person, practice) = (desk.person, desk.practice.clone());
        let found = self
            .store
            .read("request", move |tx| {
                let Some(row) = tx.request(practice.id, id)? else { return Ok(None) };
                let Some(request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                let digest = request.digest();
                let hindrance = trial(tx, &practice, &row, &request, person, digest, at.now)?.err();
                Ok(Some(Shown { request, row, digest, hindrance }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// The second person turns a change down, for a reason. Of a permission that was taken away this says that the
    /// report was a mistake: it stays away, and what is due about the report is settled.
    pub async fn reject_request(
        &self,
        act: Act,
        id: RequestId,
        reason: String,
        at: At,
    ) -> Result<Asked<()>, Error> {
        let (person, practice) = (act.desk.person, act.desk.practice.id);
        let asked = self
            .console(act, ConsoleChange::RejectRequest, at, move |tx, event| {
                let Some(row) = tx.request(practice, id)? else { return Ok(None) };
                let Some(mut request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                let by = tx.acting(person, practice, at.now)?;
                let mut event = event.detail(&format!("{}: {reason}", row.reason));
                event.prescriber = row.person;
                let of = row.person.zip(row.authority);
                let mut permission = match (&row.body, of) {
                    (RequestBody::Revoke { .. }, Some((holder, authority))) => {
                        tx.permission(holder, practice, authority)?
                    }
                    _ => Permission::None,
                };
                let before = permission;
                if let Err(refusal) = request.reject(&mut permission, &by, &reason, at.now) {
                    event.outcome = Outcome::Refused;
                    return Ok(Some((Err(refusal), event.reason(refusal.code()))));
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
                if let (RequestBody::Revoke { .. }, Some(holder)) = (&row.body, row.person) {
                    settle_loss(tx, practice, holder, person, &reason, at)?;
                }
                Ok(Some((Ok(()), event)))
            })
            .await?;
        Ok(asked_of(asked))
    }

    /// Whoever entered a change withdraws it.
    pub async fn withdraw_request(
        &self,
        act: Act,
        id: RequestId,
        at: At,
    ) -> Result<Asked<()>, Error> {
        let (person, practice) = (act.desk.person, act.desk.practice.id);
        let asked = self
            .console(act, ConsoleChange::WithdrawRequest, at, move |tx, event| {
                let Some(row) = tx.request(practice, id)? else { return Ok(None) };
                let Some(mut request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                let by = tx.acting(person, practice, at.now)?;
                let mut event = event.detail(&row.reason);
                event.prescriber = row.person;
                if let Err(refusal) = request.withdraw(&by, at.now) {
                    event.outcome = Outcome::Refused;
                    return Ok(Some((Err(refusal), event.reason(refusal.code()))));
                }
                tx.decide_request(id, RequestStage::Withdrawn, Some(person), at.now)?;
                Ok(Some((Ok(()), event)))
            })
            .await?;
        Ok(asked_of(asked))
    }

    /// Puts on record that NPI and DEA numbers of somebody were shown in full, to whom.
    pub async fn note_shown(
        &self,
        desk: &Desk,
        whose: Option<PersonId>,
        what: String,
        at: At,
    ) -> Result<(), Error> {
        let (by, practice) = (Actor::Person(desk.person), desk.practice.id);
        self.store
            .write("note_shown", move |tx| {
                let mut event = Event::success(EventKind::IdentifiersShown, by, at.support);
                event.practice = Some(practice);
                event.prescriber = whose;
                tx.append(&event.detail(&what), at.now)
            })
            .await?;
        Ok(())
    }

    /// The second person executes a change, with passphrase and passcode bound to what was shown
    /// (21 CFR 1311.125(c)). Runs to its end even if the client leaves.
    pub async fn execute_request(
        self: &Arc<Self>,
        session: &Session,
        desk: &Desk,
        id: RequestId,
        execution: Execution,
        at: At,
    ) -> Result<Asked<()>, Error> {
        let (app, session, desk) = (Arc::clone(self), session.clone(), desk.clone());
        to_completion("execute_request", at, async move {
            app.try_execute(session, desk, id, execution, at).await
        })
        .await
    }

    async fn try_execute(
        &self,
        session: Session,
        desk: Desk,
        id: RequestId,
        execution: Execution,
        at: At,
    ) -> Result<Asked<()>, Error> {
        let policy = self.options.policy;
        let source = Source::Session { person: desk.person, practice: session.practice };
        let phrase = self.try_phrase(desk.person, execution.passphrase, &source).await?;
        let (person, practice, mailer) = (desk.person, desk.practice, self.mailer());
        let (shown, confirm) = (execution.shown, execution.confirm);
        let answer = self
            .decide("execute_request", person, session.id, at.now, move |account, tx| {
                let kind = ConsoleChange::ExecuteRequest.rule().event;
                let mut event = Event::success(kind, Actor::Person(person), at.support);
                event.practice = Some(practice.id);
                let mut work = || -> Result<Option<Asked<()>>, countersign_store::Error> {
                    let Some(row) = tx.request(practice.id, id)? else { return Ok(None) };
                    event.prescriber = row.person;
                    event = event.clone().detail(&row.reason);
                    let Some(request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                    if let Err(refusal) = phrase.settle(tx, person)? {
                        return Ok(Some(Asked::NotConfirmed(refusal)));
                    }
                    // Before the passcode is looked at: what can't be done costs no passcode.
                    let done = trial(tx, &practice, &row, &request, person, shown, at.now)?;
                    let permission = match done {
                        Ok(permission) => permission,
                        Err(refusal) => return Ok(Some(Asked::Refused(refusal))),
                    };
                    let proved = verify(account, confirm.chosen, &confirm.code, at, &policy);
                    let passcode = passcode_event(
                        &proved,
                        person,
                        practice.id,
                        confirm.chosen,
                        Purpose::Approve,
                        at,
                    );
                    record(tx, &account.noted_browser(passcode, at), at.now)?;
                    if let Err(refusal) = proved {
                        return Ok(Some(Asked::NotConfirmed(refusal)));
                    }
                    tx.renew_passcode(session.id, at.now)?;
                    tx.decide_request(id, RequestStage::Executed, Some(person), at.now)?;
                    if !carry_out(tx, &mailer, &practice, &row, permission, person, at)? {
                        event = event.clone().reason("record_only");
                    }
                    Ok(Some(Asked::Done(())))
                };
                let asked = work()?;
                match &asked {
                    Some(Asked::Done(())) => {}
                    Some(Asked::Refused(refusal)) => {
                        event.outcome = Outcome::Refused;
                        event = event.reason(refusal.code());
                    }
                    Some(Asked::NotConfirmed(refusal)) => {
                        event.outcome = Outcome::Refused;
                        event = event.reason(refusal.code());
                    }
                    None => {
                        event.outcome = Outcome::Refused;
                        event = event.reason("request_unknown");
                    }
                }
                Ok((Ok(asked), event))
            })
            .await?;
        answer.ok_or(Error::NotFound)
    }

    /// Tries the passphrase of somebody who is known already, as far as `source` says so.
    pub(super) async fn try_phrase(
        &self,
        person: PersonId,
        typed: SecretText,
        source: &Source,
    ) -> Result<Phrase, Error> {
        let turn = self.attempt_queues.wait(source).await?;
        let place = self.hashing.reserve()?;
        let attempt = match self.begin_attempt(turn).await? {
            Ok(attempt) => attempt,
            Err(blocked) => {
                return Ok(Phrase { right: false, paused: Some(blocked), before: None });
            }
        };
        let found = self.prescriber(person).await?;
        let iterations = self.options.iterations;
        let before = found.passphrase.as_ref().map(PassphraseHash::to_row);
        let hash = found.passphrase;
        let right = place
            .run(move || {
                let hash = hash.unwrap_or_else(|| PassphraseHash::decoy(iterations));
                Passphrase::parse(&typed).is_ok_and(|phrase| hash.verify(&phrase))
            })
            .await?;
        self.end_attempt(attempt, right).await?;
        Ok(Phrase { right, paused: None, before })
    }

    /// Enters a registration or a licence. What is new and on which nothing rests stands at once, and so does what
    /// is narrower or shorter than it was; what holds longer or for more waits for another person.
    pub async fn enter_paper(
        &self,
        act: Act,
        it: NewPaper,
        at: At,
    ) -> Result<Asked<PaperDone>, Error> {
        let (by, practice, mailer) = (act.desk.person, act.desk.practice.clone(), self.mailer());
        let (place, paper) = (practice.id, it.paper.clone());
        let known = self
            .store
            .read("known_papers", move |tx| {
                let all = tx.authorities(place, it.person)?;
                Ok(all.iter().any(|known| known.paper.is_same(&paper)))
            })
            .await?;
        let change = if known { ConsoleChange::NarrowPaper } else { ConsoleChange::EnterPaper };
        let asked = self
            .console(act, change, at, move |tx, event| {
                if let Some(person) = it.person
                    && !tx.belongs(person, practice.id)?
                {
                    return Ok(None);
                }
                put_paper(tx, &mailer, &practice, by, &it, event, at)
            })
            .await?;
        Ok(asked_of(asked))
    }

    /// Ends a registration or a licence at once: it was withdrawn, suspended or given up (21 CFR 1311.125(d)(3)).
    /// The permissions that rest on it are taken away; a second person confirms the record.
    pub async fn end_paper(
        &self,
        act: Act,
        person: Option<PersonId>,
        id: AuthorityId,
        reason: String,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice, mailer) = (act.desk.person, act.desk.practice.id, self.mailer());
        self.console(act, ConsoleChange::NarrowPaper, at, move |tx, mut event| {
            let found = tx.authority(practice, id)?;
            let of = |it: &Authority| it.person.is_none() || it.person == person;
            let Some(known) = found.filter(of) else { return Ok(None) };
            event.prescriber = known.person;
            if known.withdrawn.is_some() {
                event.outcome = Outcome::Refused;
                return Ok(Some((false, event.reason(Refusal::NoChange.code()))));
            }
            let ended = Authority { withdrawn: Some(at.now), ..known.clone() };
            tx.save_authority(&ended)?;
            let (actor, cause) = (Actor::Person(by), Cause::Withdrawn);
            take_unsupported(tx, &mailer, &ended, cause, actor, true, at)?;
            say_paper(tx, &mailer, &ended, by, at)?;
            let event =
                event.detail(&changed_paper(&ended.paper, &known.says(), &ended.says(), &reason));
            Ok(Some((true, event)))
        })
        .await
    }

    /// Notes that something due was done. `false` where there is no such thing, or it was done.
    pub async fn deadline_done(
        &self,
        act: Act,
        id: DeadlineId,
        note: String,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice) = (act.desk.person, act.desk.practice.id);
        self.console(act, ConsoleChange::CloseDeadline, at, move |tx, event| {
            if !tx.deadline_done(practice, id, Some(by), &note, at.now)? {
                return Ok(None);
            }
            Ok(Some((true, event.detail(&note))))
        })
        .await
    }

    /// Looks at what has ended, or soon will: warns 30 days before, and takes a permission away where a
    /// registration or licence no longer holds (21 CFR 1311.125(d)(2)). Signing has stopped on the day by
    /// itself; this puts it on record. Called now and then by every server.
    pub async fn watch(&self) -> Result<u64, Error> {
        let at = self.at()?;
        self.make_logs(at).await?;
        let mailer = self.mailer();
        let changed = self
            .store
            .write("watch", move |tx| {
                remind_of_logs(tx, &mailer, at)?;
                remind(tx, &mailer, at)?;
                retire_worn_out(tx, &mailer, at)?;
                tell_wrong_passcodes(tx, &mailer, at.now)?;
                watch_papers(tx, &mailer, at)
            })
            .await?;
        Ok(changed)
    }
}

/// What a deadline is about, in words.
pub fn deadline_label(kind: &str) -> &'static str {
    match kind {
        "loss_reported" => "Look at a reported loss",
        "prescription_not_sent" => "Look at a prescription that was not sent",
        "prescription_disowned" => "Look at a prescription that its practitioner disowns",
        _ => "To do",
    }
}

/// What is to be done about it, in words.
pub fn deadline_advice(kind: &str) -> &'static str {
    match kind {
        "loss_reported" => {
            "The people who set access control must know of a loss within one business day. Look at the tokens, and at what was signed since."
        }
        "prescription_not_sent" => {
            "Find out why it was not sent. If that is a security incident, tell DEA and your application provider within one business day (21 CFR 1311.150(c))."
        }
        "prescription_disowned" => {
            "Look at the record. If it was sent, call the pharmacy. If it is a security incident, tell DEA and your application provider within one business day (21 CFR 1311.150(c))."
        }
        _ => "",
    }
}

/// How long before its end the designated individuals are reminded of what is due, in seconds.
const REMIND_SECONDS: i64 = 4 * 3_600;

fn remind(tx: &mut Tx<'_>, mailer: &Mailer, at: At) -> Result<(), countersign_store::Error> {
    let before = at.now.plus_seconds(REMIND_SECONDS);
    for Nearing { practice, person, kind, due } in tx.deadlines_nearing(before, at.now)? {
        let name = person.map(|id| tx.person(id)).transpose()?.flatten();
        let whom = name.as_ref().map_or("this practice", |found| &found.name);
        let notice = Notice {
            note: Note::Reminder,
            practice,
            detail: &format!("{} ({whom}), by {}", deadline_label(&kind), due.minute_text()),
            path: &format!("/practice/{practice}/due"),
        };
        mailer.tell_designated(tx, &notice, None, at.now)?;
    }
    Ok(())
}

fn watch_papers(tx: &mut Tx<'_>, mailer: &Mailer, at: At) -> Result<u64, countersign_store::Error> {
    let soon = at.now.plus_seconds(i64::from(countersign_domain::WARN_DAYS + 1) * 86_400);
    let mut changed = 0;
    for it in tx.authorities_ending(soon)? {
        // Read again under its lock: what somebody narrows meanwhile stays narrow.
        let Some(it) = tx.authority(it.practice, it.id)? else { continue };
        let ended = !it.holds(at.now);
        // One warning before, and one word when it has ended.
        let told = it.warned.is_some_and(|when| !ended || when >= it.stops_at);
        if told {
            continue;
        }
        let what = it.paper.label();
        let owner = it.person.map(|id| tx.person(id)).transpose()?.flatten();
        let whose = owner.as_ref().map_or("The institution", |person| &person.name);
        let verb = if ended { "ended after" } else { "ends after" };
        let detail = format!("{whose}: {what} {verb} {}.", it.paper.expires());
        let note = if ended { Note::Expired } else { Note::ExpiresSoon };
        let notice = Notice { note, practice: it.practice, detail: &detail, path: "/portal" };
        if let Some(person) = &owner {
            mailer.tell(tx, person, &notice, &[], at.now)?;
        }
        mailer.tell_designated(tx, &notice, it.person, at.now)?;
        if ended {
            take_unsupported(tx, mailer, &it, Cause::Expired, Actor::System, false, at)?;
        }
        tx.save_authority(&Authority { warned: Some(at.now), ..it })?;
        changed += 1;
    }
    Ok(changed)
}

/// Takes away the permissions that rest on a registration or licence which no longer holds. `asks` is whether a
/// second person is asked to confirm that: somebody said so, and no calendar.
fn take_unsupported(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Authority,
    cause: Cause,
    actor: Actor,
    asks: bool,
    at: At,
) -> Result<(), countersign_store::Error> {
    let holders: BTreeSet<PersonId> = tx
        .permissions(it.practice)?
        .iter()
        .filter(|row| it.person.is_none_or(|person| person == row.person))
        .map(|row| row.person)
        .collect();
    for holder in holders {
        for (practice, row) in tx.permissions_of(holder)? {
            if practice != it.practice || !row.permission.allows() {
                continue;
            }
            let holds = Practitioner::of(tx, holder, practice, at.now)?;
            if holds.is_none_or(|it| it.is_in_force(row.authority)) {
                continue;
            }
            if asks {
                take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
            } else {
                take_away(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
            }
        }
    }
    Ok(())
}

/// What a change of a registration or licence was, for its record: before and after.
fn changed_paper(paper: &Paper, before: &str, after: &str, reason: &str) -> String {
    let before = if before.is_empty() { "none" } else { before };
    format!("{}: {before} -> {after}. {reason}", paper.label())
}

/// Tells the holder and those who set access control of a change of a registration or licence.
fn say_paper(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Authority,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let owner = it.person.map(|id| tx.person(id)).transpose()?.flatten();
    let whose = owner.as_ref().map_or("The institution", |person| &person.name);
    let detail = format!("{whose}: {}, {}", it.paper.label(), it.says());
    let (note, practice) = (Note::PaperChanged, it.practice);
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    if let Some(person) = &owner {
        mailer.inform(tx, person, &notice, at.now)?;
    }
    mailer.tell_designated(tx, &notice, it.person.or(Some(by)), at.now).map(drop)
}

/// Writes a registration or licence as far as one person may, and enters a change for the rest.
fn put_paper(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: &Practice,
    by: PersonId,
    it: &NewPaper,
    mut event: Event,
    at: At,
) -> Result<Decided<PaperDone>, countersign_store::Error> {
    event.prescriber = it.person;
    let stops_at = |paper: &Paper| paper.expires().end(&practice.zone);
    let known = tx.authorities(practice.id, it.person)?;
    let id = known.iter().find(|known| known.paper.is_same(&it.paper)).map(|known| known.id);
    let known = match id {
        // Nobody else changes it until the commit.
        Some(id) => tx.authority(practice.id, id)?,
        None => None,
    };
    let relied = tx.is_relied_on(practice.id, it.person, id, &it.paper)?;
    let before = known.as_ref().map(Authority::says).unwrap_or_default();
    let moved = |known: &Authority| known.paper.state() != it.paper.state();
    if relied && known.as_ref().is_some_and(moved) {
        // The records of the old state are kept by its rules.
        event.outcome = Outcome::Refused;
        let refusal = AccessRefusal::OtherState;
        return Ok(Some((Err(refusal), event.reason(refusal.code()))));
    }
    let now = match &known {
        // The institution's own is named when the practice is founded.
        None if it.person.is_none() => return Ok(None),
        None if relied => None,
        Some(known) if relied => {
            let narrow = known.paper.narrowed(&it.paper);
            // Where nothing of it is left, it ends until the rest is approved.
            let withdrawn = known.withdrawn.or(narrow.is_none().then_some(at.now));
            let paper = narrow.unwrap_or_else(|| known.paper.clone());
            Some(Authority {
                stops_at: known.stops_at.min(stops_at(&paper)),
                paper,
                withdrawn,
                ..known.clone()
            })
        }
        Some(known) => Some(Authority {
            stops_at: stops_at(&it.paper),
            paper: it.paper.clone(),
            withdrawn: None,
            ..known.clone()
        }),
        None => Some(Authority {
            id: AuthorityId::new(at.now, tx.rng())?,
            practice: practice.id,
            person: it.person,
            paper: it.paper.clone(),
            stops_at: stops_at(&it.paper),
            withdrawn: None,
            warned: None,
        }),
    };
    let waits = match &now {
        None => true,
        Some(now) => now.withdrawn.is_some() || it.paper.is_wider(&now.paper),
    };
    let mut saved = false;
    if let Some(now) = &now {
        saved = known.as_ref().is_none_or(|known| known.says() != now.says());
        if known.is_none() {
            tx.create_authority(now, at.now)?;
        } else if saved {
            tx.save_authority(&Authority { warned: None, ..now.clone() })?;
        }
        if saved {
            if !now.holds(at.now) {
                let ended = now.withdrawn.is_some();
                let cause = if ended { Cause::Withdrawn } else { Cause::Expired };
                take_unsupported(tx, mailer, now, cause, Actor::Person(by), true, at)?;
            }
            say_paper(tx, mailer, now, by, at)?;
            event = event.detail(&changed_paper(&now.paper, &before, &now.says(), &it.reason));
        }
    }
    if !waits {
        let done = if saved {
            Ok(PaperDone::Saved)
        } else {
            event.outcome = Outcome::Refused;
            event = event.reason(AccessRefusal::NoChange.code());
            Err(AccessRefusal::NoChange)
        };
        return Ok(Some((done, event)));
    }
    let wanted = Wanted::Paper {
        person: it.person,
        authority: id,
        paper: it.paper.clone(),
        before: now.as_ref().map(Authority::says).unwrap_or_default(),
    };
    if saved {
        tx.append(&event, at.now)?;
    }
    let asked = put_request(tx, mailer, practice.id, by, &wanted, &it.reason, at)?;
    Ok(asked.map(|(asked, event)| {
        let done = match asked {
            Ok(_) if saved => Ok(PaperDone::SavedAndWaits),
            Ok(_) => Ok(PaperDone::Waits),
            Err(refusal) if saved => Ok(PaperDone::SavedAlone(refusal)),
            Err(refusal) => Err(refusal),
        };
        (done, event)
    }))
}

/// Enters a change for a second person; what takes a permission away works at once. Nothing where it is about
/// nobody of the practice.
pub(super) fn put_request(
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
    let mut body = wanted.body();
    if let (RequestBody::Grant { registration, .. }, Some(authority)) =
        (&mut body, wanted.authority())
    {
        *registration = tx.authority(practice, authority)?.map(|it| it.says()).unwrap_or_default();
    }
    let row = RequestRow {
        id,
        practice,
        person: wanted.person(),
        authority: wanted.authority(),
        body,
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

/// What the console says of something that access control decides on.
fn asked_of<T>(asked: Result<Result<T, AccessRefusal>, Refusal>) -> Asked<T> {
    match asked {
        Ok(Ok(done)) => Asked::Done(done),
        Ok(Err(refusal)) => Asked::Refused(refusal),
        Err(refusal) => Asked::NotConfirmed(refusal),
    }
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
        .any(|row| row.practice == practice && matches!(row.body, RequestBody::Revoke { .. }));
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
fn overtake(
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
pub(super) fn overtake_if_gone(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    at: At,
) -> Result<(), countersign_store::Error> {
    if tx.is_member(person, practice)? {
        return Ok(());
    }
    overtake(tx, person, at, |row| {
        row.practice == practice && !matches!(row.body, RequestBody::Revoke { .. })
    })
}

pub(super) fn desk(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
) -> Result<Option<Desk>, countersign_store::Error> {
    let roles: Vec<Role> = tx
        .roles_of(person)?
        .into_iter()
        .filter(|(place, _)| *place == practice)
        .map(|(_, member)| member.role)
        .collect();
    if !roles.iter().any(|role| role.opens_console()) {
        return Ok(None);
    }
    Ok(tx.practice(practice)?.map(|practice| Desk { practice, person, roles }))
}

/// Whose permission for which registration; nothing where the person is not of the practice, or the
/// registration is somebody else's.
fn subject(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
    authority: AuthorityId,
    now: Timestamp,
) -> Result<Option<Subject>, countersign_store::Error> {
    if !tx.is_member(person, practice)? {
        return Ok(None);
    }
    let Some(authority) = tx.authority(practice, authority)? else { return Ok(None) };
    let theirs = authority.person.is_none_or(|owner| owner == person);
    let Some(dea) = authority.paper.dea().filter(|_| theirs) else { return Ok(None) };
    Ok(Some(Subject {
        person: tx.acting(person, practice, now)?,
        dea,
        registration: authority.says(),
        in_force: authority.holds(now),
        location: practice,
    }))
}

/// Whether a change still waits for a second person.
pub fn still_waits(row: &RequestRow, now: Timestamp) -> bool {
    let runs_out = row.entered.plus_seconds(REQUEST_DAYS * 86_400);
    let works = matches!(row.body, RequestBody::Revoke { .. });
    row.stage == RequestStage::Entered && (works || now < runs_out)
}

/// Whether the same change waits for a second person already. One that something newer has overtaken is never executed,
/// and stands in nobody's way; nor does a report where it still takes something: a permission, or a grant that waits.
fn waits_already(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<bool, countersign_store::Error> {
    let mut open = tx.open_requests(row.practice)?;
    open.retain(|it| still_waits(it, now));
    if let (RequestBody::Revoke { .. }, Some(person), Some(authority)) =
        (&row.body, row.person, row.authority)
    {
        let grant_waits = open.iter().any(|it| {
            matches!(it.body, RequestBody::Grant { .. })
                && (it.person, it.authority) == (row.person, row.authority)
        });
        if grant_waits || tx.permission(person, row.practice, authority)?.allows() {
            return Ok(false);
        }
    }
    for it in open.iter().filter(|it| is_same_change(it, row)) {
        if !is_overtaken(tx, it)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two entries would make one and the same change, whoever entered them, why, and on whichever day registration
/// and license were looked at.
fn is_same_change(one: &RequestRow, other: &RequestRow) -> bool {
    if (one.person, one.authority) != (other.person, other.authority) {
        return false;
    }
    match (&one.body, &other.body) {
        (RequestBody::Grant { .. }, RequestBody::Grant { .. }) => true,
        (RequestBody::Revoke { cause }, RequestBody::Revoke { cause: same }) => cause == same,
        (
            RequestBody::Role { role, unit, give },
            RequestBody::Role { role: same, unit: place, give: given },
        ) => role == same && give == given && (unit == place || !give),
        (
            RequestBody::Provider { issuer, accepted, give },
            RequestBody::Provider { issuer: same, accepted: values, give: given },
        ) => issuer == same && give == given && (accepted == values || !give),
        (RequestBody::Paper { paper, .. }, RequestBody::Paper { paper: same, .. }) => paper == same,
        _ => false,
    }
}

/// What a change is about, with the people as they are now; nothing where it is about nobody of the
/// practice.
fn matter(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<Option<Matter>, countersign_store::Error> {
    let practice = row.practice;
    let change = match &row.body {
        RequestBody::Grant { verified, .. } => {
            Change::Grant { verified: verified.parse::<Date>().ok() }
        }
        RequestBody::Revoke { cause } => match Cause::from_code(cause) {
            Some(cause) => Change::Revoke(cause),
            None => return Ok(None),
        },
        RequestBody::Role { role, unit, give } => {
            let role = Role::from_code(role).filter(|role| role.takes_two());
            let (Some(role), Some(person)) = (role, row.person) else { return Ok(None) };
            // Somebody who is invited is none of the practice yet.
            if !tx.belongs(person, practice)? {
                return Ok(None);
            }
            let person = tx.acting(person, practice, now)?;
            let (unit, give) = (unit.clone(), *give);
            return Ok(Some(Matter::Role { person, practice, role, unit, give }));
        }
        RequestBody::Provider { issuer, accepted, give } => {
            let (issuer, accepted, give) = (issuer.clone(), accepted.clone(), *give);
            return Ok(Some(Matter::Provider { practice, issuer, accepted, give }));
        }
        RequestBody::Paper { paper, before } => {
            let Some(paper) = Paper::of_parts(paper) else { return Ok(None) };
            if let Some(person) = row.person
                && !tx.belongs(person, practice)?
            {
                return Ok(None);
            }
            let person = match row.person {
                Some(person) => Some(tx.acting(person, practice, now)?),
                None => None,
            };
            let label = paper.full_label();
            let before = if before.is_empty() { "none" } else { before };
            return Ok(Some(Matter::Paper {
                person,
                practice,
                authority: row.authority,
                before: format!("{label}: {before}"),
                after: format!("{label}: {}", paper.says()),
            }));
        }
    };
    let (Some(person), Some(authority)) = (row.person, row.authority) else { return Ok(None) };
    let subject = subject(tx, practice, person, authority, now)?;
    Ok(subject.map(|subject| Matter::Permission { subject, change }))
}

/// Whether all is already as a change would have it.
fn changes_nothing(tx: &mut Tx<'_>, row: &RequestRow) -> Result<bool, countersign_store::Error> {
    let standing = |tx: &mut Tx<'_>| match (row.person, row.authority) {
        (Some(person), Some(authority)) => tx.permission(person, row.practice, authority),
        _ => Ok(Permission::None),
    };
    Ok(match &row.body {
        RequestBody::Grant { .. } => standing(tx)?.allows(),
        RequestBody::Revoke { .. } => standing(tx)? == Permission::None,
        RequestBody::Role { role, unit, give } => {
            let has = tx.roles_in(row.practice)?.into_iter().any(|member| {
                Some(member.person) == row.person
                    && member.ended.is_none()
                    && member.role.code() == role
                    && (member.unit == *unit || !give)
            });
            has == *give
        }
        RequestBody::Provider { issuer, accepted, give } => {
            let listed = tx.providers(row.practice)?;
            let same = listed
                .iter()
                .any(|(known, values)| known == issuer && (values == accepted || !give));
            same == *give
        }
        RequestBody::Paper { paper, .. } => {
            let known = match row.authority {
                Some(id) => tx.authority(row.practice, id)?,
                None => None,
            };
            let paper = Paper::of_parts(paper);
            known.is_some_and(|it| it.withdrawn.is_none() && Some(&it.paper) == paper.as_ref())
        }
    })
}

/// Whether a role that is taken would be nobody's any more, though the practice can't be without it.
fn leaves_nobody(tx: &mut Tx<'_>, row: &RequestRow) -> Result<bool, countersign_store::Error> {
    let RequestBody::Role { role, give: false, .. } = &row.body else { return Ok(false) };
    let known = Role::from_code(role);
    if !matches!(known, Some(Role::Administrator | Role::Designated)) {
        return Ok(false);
    }
    let others = tx
        .roles_in(row.practice)?
        .into_iter()
        .any(|it| Some(it.role) == known && it.ended.is_none() && Some(it.person) != row.person);
    Ok(!others)
}

/// Whether what a change is about was changed after it was entered: then it would undo a newer decision.
fn is_overtaken(tx: &mut Tx<'_>, row: &RequestRow) -> Result<bool, countersign_store::Error> {
    let authority = match row.authority {
        Some(id) => tx.authority(row.practice, id)?,
        None => None,
    };
    Ok(match &row.body {
        RequestBody::Grant { registration, .. } => {
            let now = authority.map(|it| it.says()).unwrap_or_default();
            !registration.is_empty() && *registration != now
        }
        // The record is confirmed, and what was decided since stands.
        RequestBody::Revoke { .. } => false,
        RequestBody::Role { role, .. } => tx.roles_in(row.practice)?.into_iter().any(|it| {
            Some(it.person) == row.person
                && it.role.code() == role
                && (it.since > row.entered || it.ended.is_some_and(|at| at > row.entered))
        }),
        RequestBody::Provider { issuer, .. } => {
            tx.provider_changed_after(row.practice, issuer, row.entered)?
        }
        RequestBody::Paper { paper, before } => {
            if let Some(it) = authority {
                it.says() != *before
            } else {
                let paper = Paper::of_parts(paper);
                let all = tx.authorities(row.practice, row.person)?;
                all.iter().any(|it| paper.as_ref().is_some_and(|new| it.paper.is_same(new)))
            }
        }
    })
}

/// Whether it grants an institution's registration to somebody who has no code there (21 CFR 1311.120(b)(1)(ii)).
fn lacks_internal_code(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<bool, countersign_store::Error> {
    let (RequestBody::Grant { .. }, Some(person), Some(authority)) =
        (&row.body, row.person, row.authority)
    else {
        return Ok(false);
    };
    let number = tx.authority(row.practice, authority)?.and_then(|it| it.paper.dea());
    // Also where somebody has entered the institution's number as their own.
    let of_institution = number.is_some()
        && tx.authorities(row.practice, None)?.iter().any(|it| it.paper.dea() == number);
    Ok(of_institution && tx.internal_code(row.practice, person)?.is_none())
}

/// Reads a change with the people as they are now.
fn read_request(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<Option<Request>, countersign_store::Error> {
    let Some(matter) = matter(tx, row, now)? else { return Ok(None) };
    let state = match (row.stage, row.decided) {
        (RequestStage::Executed, Some((by, at))) => RequestState::Executed { by, at },
        (RequestStage::Rejected, Some((by, at))) => RequestState::Rejected { by, at },
        (RequestStage::Withdrawn, Some((_, at))) => RequestState::Withdrawn { at },
        (RequestStage::Overtaken, _) => RequestState::Overtaken,
        _ => RequestState::Entered,
    };
    Ok(Some(Request {
        id: row.id,
        matter,
        reason: row.reason.clone(),
        entered_by: tx.acting(row.entered_by, row.practice, now)?,
        entered: row.entered,
        state,
        overtaken: is_overtaken(tx, row)?,
    }))
}

/// What becomes of the permission, where it is about one, if this person executes the change now; nothing
/// is written.
fn trial(
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
    match (&row.body, row.person) {
        (RequestBody::Grant { .. } | RequestBody::Revoke { .. }, Some(holder)) => {
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
        (RequestBody::Role { role, unit, give }, Some(person)) => {
            let known = Role::from_code(role).ok_or_else(|| Tx::broken("a role that is none"))?;
            tx.end_role(person, practice, known, at.now)?;
            if *give {
                tx.give_role(person, practice, known, unit, at.now)?;
            }
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{role} {unit}")), at.now)?;
            overtake_if_gone(tx, person, practice, at)?;
        }
        (RequestBody::Provider { issuer, accepted, give }, _) => {
            if *give {
                tx.accept_provider(practice, issuer, accepted, at.now)?;
            } else {
                tx.drop_provider(practice, issuer, at.now)?;
            }
            event.kind = EventKind::ProviderChanged;
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{issuer} {accepted}")), at.now)?;
        }
        (RequestBody::Paper { paper, before }, person) => {
            let paper = Paper::of_parts(paper).ok_or_else(|| Tx::broken("a paper that is none"))?;
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
                paper,
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

/// Takes one permission away at once, with its record.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
fn take_away(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Cause,
    actor: Actor,
    at: At,
) -> Result<bool, countersign_store::Error> {
    // A grant that waits was entered before this was known.
    overtake(tx, holder, at, |row| {
        row.practice == practice
            && row.authority == Some(authority)
            && matches!(row.body, RequestBody::Grant { .. })
    })?;
    let before = tx.permission(holder, practice, authority)?;
    let mut permission = before;
    revoke_now(&mut permission, cause, at.now);
    if permission == before {
        return Ok(false);
    }
    tx.save_permission(holder, practice, authority, &permission)?;
    say_permission(tx, mailer, holder, practice, authority, Some(cause), actor, at)?;
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

/// Records a change of a permission, and tells its holder.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
fn say_permission(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Option<Cause>,
    actor: Actor,
    at: At,
) -> Result<(), countersign_store::Error> {
    let dea = tx.authority(practice, authority)?.and_then(|it| it.paper.dea());
    let dea = dea.map(|number| number.masked()).unwrap_or_default();
    let event = Event::success(EventKind::PermissionChanged, actor, at.support)
        .about(practice, holder)
        .reason(cause.map_or("granted", Cause::code))
        .detail(&dea);
    tx.append(&event, at.now)?;
    let Some(person) = tx.person(holder)? else { return Ok(()) };
    let (note, detail) = match cause {
        None => (Note::PermissionGranted, format!("DEA number {dea}")),
        Some(cause) => (Note::PermissionRevoked, format!("{} ({dea})", cause.label())),
    };
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], at.now)
}

/// Takes one permission away where nobody entered a change; one is made for the second person, who
/// confirms the record.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
fn take_away_unasked(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Cause,
    actor: Actor,
    at: At,
) -> Result<(), countersign_store::Error> {
    if !take_away(tx, mailer, holder, practice, authority, cause, actor, at)? {
        return Ok(());
    }
    let id = RequestId::new(at.now, tx.rng())?;
    tx.create_request(&RequestRow {
        id,
        practice,
        person: Some(holder),
        authority: Some(authority),
        body: RequestBody::Revoke { cause: cause.code().to_owned() },
        reason: format!("{}: taken away at once, to be confirmed", cause.label()),
        // Whoever reported it; a second person confirms.
        entered_by: match actor {
            Actor::Person(person) => person,
            _ => holder,
        },
        entered: at.now,
        stage: RequestStage::Entered,
        decided: None,
    })
}

/// Takes the permissions of somebody away in one practice, which they leave.
pub(super) fn leave(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let (cause, actor) = (Cause::Left, Actor::Person(by));
    overtake(tx, holder, at, |row| {
        row.practice == practice && matches!(row.body, RequestBody::Grant { .. })
    })?;
    for (place, row) in tx.permissions_of(holder)? {
        if place == practice {
            take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
        }
    }
    Ok(())
}

/// Takes every permission of somebody away, in all practices at once (21 CFR 1311.125(d); questions A7,
/// A11). Where a token was lost it tells everybody who must know, and starts the clock of one business
/// day (1311.102(b)). A second person confirms the record afterwards.
pub(super) fn suspend(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    cause: Cause,
    actor: Actor,
    what: &str,
    at: At,
) -> Result<(), countersign_store::Error> {
    let Some(person) = tx.person(holder)? else { return Ok(()) };
    overtake(tx, holder, at, |row| matches!(row.body, RequestBody::Grant { .. }))?;
    for (practice, row) in tx.permissions_of(holder)? {
        take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
    }
    if cause != Cause::FactorLost {
        return Ok(());
    }
    let event = Event::success(EventKind::LossReported, actor, at.support)
        .about(person.practice, holder)
        .detail(what);
    tx.append(&event, at.now)?;
    let notice = Notice {
        note: Note::LossReported,
        practice: person.practice,
        detail: what,
        path: "/portal/login",
    };
    mailer.tell(tx, &person, &notice, &[], at.now)?;
    let practices: BTreeSet<PracticeId> =
        tx.roles_of(holder)?.into_iter().map(|(practice, _)| practice).collect();
    for practice in practices {
        let Some(rules) = tx.practice(practice)? else { continue };
        let due = one_business_day_after(at.now, &rules.zone);
        let notice = Notice {
            note: Note::LossForDesignated,
            practice,
            detail: &person.name,
            path: &format!("/practice/{practice}/due"),
        };
        let told = mailer.tell_designated(tx, &notice, Some(holder), at.now)?;
        let id = DeadlineId::new(at.now, tx.rng())?;
        tx.create_deadline(&Deadline {
            id,
            practice,
            person: Some(holder),
            kind: "loss_reported".to_owned(),
            discovered: at.now,
            due,
            done: None,
            note: format!("{told} notices to designated individuals"),
        })?;
    }
    Ok(())
}

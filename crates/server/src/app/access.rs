//! Logical access control: who may sign, decided by two people (21 CFR 1311.125, 1311.130), and taken
//! away at once on one report.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_crypto::{SecretText, sha256};
use countersign_domain::{
    Actor, AuthorityId, Date, DeadlineId, Event, EventKind, Failures, Outcome, Passphrase,
    PassphraseHash, PersonId, PracticeId, Purpose, Refusal, RequestId, Role, Timestamp,
    access::{
        AccessRefusal, Cause, Change, Confirmed, Matter, Permission, Request, RequestState,
        Setting, Subject, enter, revoke_now,
    },
    one_business_day_after,
};
use countersign_store::{
    Authority, CodeRow, Deadline, Listed, Member, Nearing, Paper, PermissionRow, Practice,
    RequestBody, RequestRow, RequestStage, Session, Tx,
};

use super::{
    App, At, Confirm, Error,
    archive::remind_of_logs,
    fobs::retire_worn_out,
    notices::{Mailer, Note, Notice},
    prescriptions::Practitioner,
    record,
    sign_in::{passcode_event, verify},
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
    /// Changes that two people make, newest first.
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
}

impl Wanted {
    fn body(&self) -> RequestBody {
        match self {
            Self::Permission { change: Change::Grant { verified }, .. } => RequestBody::Grant {
                verified: verified.map(|day| day.to_string()).unwrap_or_default(),
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
        }
    }

    const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Permission { person, .. } | Self::Role { person, .. } => Some(*person),
            Self::Provider { .. } => None,
        }
    }

    const fn authority(&self) -> Option<AuthorityId> {
        match self {
            Self::Permission { authority, .. } => Some(*authority),
            Self::Role { .. } | Self::Provider { .. } => None,
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
    name_hash: [u8; 32],
}

impl Phrase {
    /// Whether it holds, read again under the lock: it may have been changed while the hash ran. A right one
    /// clears the count of wrong ones.
    pub(super) fn settle(
        &self,
        tx: &mut Tx<'_>,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Result<(), Refusal>, countersign_store::Error> {
        let held = tx.person(person)?.and_then(|found| found.passphrase);
        if !self.right || held.map(|hash| hash.to_row()) != self.before {
            let refusal = self.paused.map_or(Refusal::WrongPassphrase, Refusal::Paused);
            return Ok(Err(refusal));
        }
        tx.save_sign_in_failures(&self.name_hash, &Failures::NONE, now)?;
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

/// A registration or a licence as the console enters it.
#[derive(Debug, Clone)]
pub struct NewPaper {
    /// Whose.
    pub person: PersonId,
    /// What it is.
    pub paper: Paper,
}

impl App {
    /// The practices in which somebody has a role that opens the console, with their names and how many
    /// changes wait there for a second person.
    pub async fn desks(&self, person: PersonId) -> Result<Vec<(PracticeId, String, usize)>, Error> {
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
                    let waiting = waiting.iter().filter(|row| row.stage == RequestStage::Entered);
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
        desk: &Desk,
        wanted: Wanted,
        reason: String,
        at: At,
    ) -> Result<Asked<RequestId>, Error> {
        let (person, practice, mailer) = (desk.person, desk.practice.id, self.mailer());
        let answer = self
            .store
            .write("enter_request", move |tx| {
                let by = tx.acting(person, practice, at.now)?;
                let id = RequestId::new(at.now, tx.rng())?;
                let row = RequestRow {
                    id,
                    practice,
                    person: wanted.person(),
                    authority: wanted.authority(),
                    body: wanted.body(),
                    reason: reason.clone(),
                    entered_by: person,
                    entered: at.now,
                    stage: RequestStage::Entered,
                    decided: None,
                };
                let Some(matter) = matter(tx, &row, at.now)? else { return Ok(None) };
                let entered = enter(id, matter, &reason, by, at.now);
                let entered = match entered {
                    Ok(_) if changes_nothing(tx, &row)? => Err(AccessRefusal::NoChange),
                    Ok(_) if lacks_internal_code(tx, &row)? => Err(AccessRefusal::NoInternalCode),
                    other => other,
                };
                let mut event =
                    Event::success(EventKind::RequestEntered, Actor::Person(person), at.support)
                        .detail(&reason);
                event.practice = Some(practice);
                event.prescriber = row.person;
                let request = match entered {
                    Ok(request) => request,
                    Err(refusal) => {
                        event.outcome = Outcome::Refused;
                        tx.append(&event.reason(refusal.code()), at.now)?;
                        return Ok(Some(Asked::Refused(refusal)));
                    }
                };
                tx.create_request(&RequestRow { reason: request.reason, ..row })?;
                tx.append(&event, at.now)?;
                // What takes away works at once; the second person confirms the record.
                if let Wanted::Permission { person: holder, authority, change } = &wanted
                    && let Change::Revoke(cause) = change
                {
                    let actor = Actor::Person(person);
                    take_away(tx, &mailer, *holder, practice, *authority, *cause, actor, at)?;
                }
                let name = wanted.person().map(|id| tx.person(id)).transpose()?.flatten();
                let notice = Notice {
                    note: Note::RequestWaiting,
                    practice,
                    detail: &wanted.said(name.as_ref().map_or("", |found| &found.name)),
                    path: &format!("/practice/{practice}/requests/{id}"),
                };
                mailer.tell_designated(tx, &notice, Some(person), at.now)?;
                Ok(Some(Asked::Done(id)))
            })
            .await?;
        answer.ok_or(Error::NotFound)
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

    /// The second person turns a change down.
    pub async fn reject_request(
        &self,
        desk: &Desk,
        id: RequestId,
        at: At,
    ) -> Result<Asked<()>, Error> {
        let (person, practice) = (desk.person, desk.practice.id);
        let answer = self
            .store
            .write("reject_request", move |tx| {
                let Some(row) = tx.request(practice, id)? else { return Ok(None) };
                let Some(mut request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                let by = tx.acting(person, practice, at.now)?;
                let mut event =
                    Event::success(EventKind::RequestRejected, Actor::Person(person), at.support)
                        .detail(&row.reason);
                event.practice = Some(practice);
                event.prescriber = row.person;
                if let Err(refusal) = request.reject(&by, at.now) {
                    event.outcome = Outcome::Refused;
                    tx.append(&event.reason(refusal.code()), at.now)?;
                    return Ok(Some(Asked::Refused(refusal)));
                }
                tx.decide_request(id, RequestStage::Rejected, person, at.now)?;
                tx.append(&event, at.now)?;
                Ok(Some(Asked::Done(())))
            })
            .await?;
        answer.ok_or(Error::NotFound)
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
        tokio::spawn(async move { app.try_execute(session, desk, id, execution, at).await })
            .await
            .map_err(|_| Error::Busy)?
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
        let phrase = self.try_phrase(desk.person, execution.passphrase, at).await?;
        let (person, practice, mailer) = (desk.person, desk.practice, self.mailer());
        let (shown, confirm) = (execution.shown, execution.confirm);
        let answer = self
            .decide("execute_request", person, session.id, at.now, move |account, tx| {
                let mut event =
                    Event::success(EventKind::RequestExecuted, Actor::Person(person), at.support);
                event.practice = Some(practice.id);
                let mut work = || -> Result<Option<Asked<()>>, countersign_store::Error> {
                    let Some(row) = tx.request(practice.id, id)? else { return Ok(None) };
                    event.prescriber = row.person;
                    event = event.clone().detail(&row.reason);
                    let Some(request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                    if let Err(refusal) = phrase.settle(tx, person, at.now)? {
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
                    tx.decide_request(id, RequestStage::Executed, person, at.now)?;
                    carry_out(tx, &mailer, &row, permission, person, at)?;
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

    /// Tries the passphrase of somebody who is signed in: counted before it is looked at, as at the log-in.
    pub(super) async fn try_phrase(
        &self,
        person: PersonId,
        typed: SecretText,
        at: At,
    ) -> Result<Phrase, Error> {
        let place = self.hashing.reserve()?;
        let found = self.prescriber(person).await?;
        let name_hash = sha256(found.sign_in.as_text().as_bytes());
        let paused = self.count_passphrase_try(name_hash, at).await?;
        let iterations = self.options.iterations;
        let before = found.passphrase.as_ref().map(PassphraseHash::to_row);
        let hash = found.passphrase;
        let right = match paused {
            Some(_) => false,
            None => {
                place
                    .run(move || {
                        let hash = hash.unwrap_or_else(|| PassphraseHash::decoy(iterations));
                        Passphrase::parse(&typed).is_ok_and(|phrase| hash.verify(&phrase))
                    })
                    .await?
            }
        };
        Ok(Phrase { right, paused, before, name_hash })
    }

    /// Counts a try of a passphrase before it is looked at; says whether tries pause.
    pub(super) async fn count_passphrase_try(
        &self,
        name_hash: [u8; 32],
        at: At,
    ) -> Result<Option<countersign_domain::Blocked>, Error> {
        let policy = self.options.policy;
        let paused = self
            .store
            .write("count_passphrase_try", move |tx| {
                let failures = tx.sign_in_failures(&name_hash, at.now)?;
                let blocked = failures.blocked(&policy.passphrase, at.now);
                if blocked.is_none() {
                    let counted = failures.failed(&policy.passphrase, at.now);
                    tx.save_sign_in_failures(&name_hash, &counted, at.now)?;
                }
                Ok(blocked)
            })
            .await?;
        Ok(paused)
    }

    /// Enters a registration or a licence of somebody of the practice. `false` where the person is not
    /// of it.
    pub async fn enter_paper(&self, desk: &Desk, it: NewPaper, at: At) -> Result<bool, Error> {
        if !desk.roles.iter().any(|role| matches!(role, Role::Administrator | Role::Designated)) {
            return Err(Error::NotFound);
        }
        let (by, practice) = (desk.person, desk.practice.clone());
        let made = self
            .store
            .write("enter_paper", move |tx| {
                if !tx.is_member(it.person, practice.id)? {
                    return Ok(false);
                }
                let known = tx.authorities(practice.id, Some(it.person))?;
                let stops_at = it.paper.expires().end(&practice.zone);
                // The same one with a new last day is renewed.
                if let Some(known) = known.iter().find(|known| known.paper.is_same(&it.paper)) {
                    tx.save_authority(&Authority {
                        paper: it.paper.clone(),
                        stops_at,
                        warned: None,
                        ..known.clone()
                    })?;
                } else {
                    let made = Authority {
                        id: AuthorityId::new(at.now, tx.rng())?,
                        practice: practice.id,
                        person: Some(it.person),
                        paper: it.paper.clone(),
                        stops_at,
                        withdrawn: None,
                        warned: None,
                    };
                    tx.create_authority(&made, at.now)?;
                }
                let event =
                    Event::success(EventKind::AuthorityChanged, Actor::Person(by), at.support)
                        .about(practice.id, it.person)
                        .detail(&format!("{}, until {}", it.paper.label(), it.paper.expires()));
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(made)
    }

    /// Notes that something due was done. `false` where there is no such thing, or it was done.
    pub async fn deadline_done(
        &self,
        desk: &Desk,
        id: DeadlineId,
        note: String,
        at: At,
    ) -> Result<bool, Error> {
        let (by, practice) = (desk.person, desk.practice.id);
        let done = self
            .store
            .write("deadline_done", move |tx| {
                if !tx.deadline_done(practice, id, Some(by), &note, at.now)? {
                    return Ok(false);
                }
                let mut event =
                    Event::success(EventKind::DeadlineDone, Actor::Person(by), at.support)
                        .detail(&note);
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
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
                    let (cause, actor) = (Cause::Expired, Actor::System);
                    take_away(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
                }
            }
        }
        tx.save_authority(&Authority { warned: Some(at.now), ..it })?;
        changed += 1;
    }
    Ok(changed)
}

fn desk(
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
    Ok(Some(Subject { person: tx.acting(person, practice, now)?, dea, location: practice }))
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
        RequestBody::Grant { verified } => {
            Change::Grant { verified: verified.parse::<Date>().ok() }
        }
        RequestBody::Revoke { cause } => match Cause::from_code(cause) {
            Some(cause) => Change::Revoke(cause),
            None => return Ok(None),
        },
        RequestBody::Role { role, unit, give } => {
            let role = Role::from_code(role).filter(|role| role.takes_two());
            let (Some(role), Some(person)) = (role, row.person) else { return Ok(None) };
            if !tx.is_member(person, practice)? {
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
        _ => RequestState::Entered,
    };
    Ok(Some(Request {
        id: row.id,
        matter,
        reason: row.reason.clone(),
        entered_by: tx.acting(row.entered_by, row.practice, now)?,
        entered: row.entered,
        state,
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
    let (Some(holder), Some(authority)) = (row.person, row.authority) else {
        if request.is_open(now) && changes_nothing(tx, row)? {
            return Ok(Err(AccessRefusal::NoChange));
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

/// Does what a change says, once the second person has executed it.
fn carry_out(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    row: &RequestRow,
    permission: Option<Permission>,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let (practice, actor) = (row.practice, Actor::Person(by));
    let mut event = Event::success(EventKind::RoleChanged, actor, at.support);
    event.practice = Some(practice);
    event.prescriber = row.person;
    match (&row.body, row.person) {
        (RequestBody::Grant { .. } | RequestBody::Revoke { .. }, Some(holder)) => {
            let (Some(authority), Some(permission)) = (row.authority, permission) else {
                return Err(Tx::broken("a change without a registration"));
            };
            tx.save_permission(holder, practice, authority, &permission)?;
            let cause = match permission {
                Permission::Revoked { cause, .. } => Some(cause),
                Permission::Granted { .. } | Permission::None => None,
            };
            say_permission(tx, mailer, holder, practice, authority, cause, actor, at)
        }
        (RequestBody::Role { role, unit, give }, Some(person)) => {
            let known = Role::from_code(role).ok_or_else(|| Tx::broken("a role that is none"))?;
            tx.end_role(person, practice, known, at.now)?;
            if *give {
                tx.give_role(person, practice, known, unit, at.now)?;
            }
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{role} {unit}")), at.now)
        }
        (RequestBody::Provider { issuer, accepted, give }, _) => {
            if *give {
                tx.accept_provider(practice, issuer, accepted, at.now)?;
            } else {
                tx.drop_provider(practice, issuer, at.now)?;
            }
            event.kind = EventKind::ProviderChanged;
            let how = if *give { "given" } else { "taken" };
            tx.append(&event.reason(how).detail(&format!("{issuer} {accepted}")), at.now)
        }
        _ => Err(Tx::broken("a change about nobody")),
    }
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

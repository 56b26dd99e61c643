//! How long signed records stay: legal holds, and the removal of what nobody has to keep any more.

use std::collections::{BTreeMap, BTreeSet};

use countersign_domain::{
    Actor, Date, Event, EventKind, HoldId, Outcome, PersonId, PracticeId, PrescriptionId, Purpose,
    Refusal, TimeZone, Timestamp, UsState, console::ConsoleChange, retention::Retention,
};
use countersign_store::{Hold, Session, Tx};

use super::{
    Act, App, At, Confirm, Entry, Error, Membership,
    access::RECORD_ROLES,
    notices::{Mailer, Note, Notice},
    record,
    sign_in::{passcode_event, verify},
};

/// How many records one transaction removes.
const PART: i64 = 200;
/// A trail without a record for so many days, or with one of tomorrow, says that the clock is wrong: a server
/// that runs writes some every day.
const MOST_QUIET_DAYS: i64 = 30;

/// By which rules the records of a practice are kept.
pub struct Keeping {
    /// Its holds: those in force first.
    pub holds: Vec<Hold>,
    zone: TimeZone,
    rule: Retention,
    /// In which states each DEA number of the practice is registered, or was.
    states: BTreeMap<String, BTreeSet<UsState>>,
}

impl Keeping {
    fn of(
        tx: &mut Tx<'_>,
        practice: PracticeId,
        rule: Retention,
    ) -> Result<Self, countersign_store::Error> {
        let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
        let papers = tx.all_authorities(practice)?;
        let mut states: BTreeMap<String, BTreeSet<UsState>> = BTreeMap::new();
        for it in &papers {
            if let Some(dea) = it.paper.dea() {
                states.entry(dea.as_text()).or_default().insert(it.paper.state());
            }
        }
        Ok(Self { holds: tx.holds(practice)?, zone, rule, states })
    }

    /// The last day on which a record must be there, where nothing holds it longer.
    pub fn until(&self, entry: &Entry) -> Date {
        let signed = Date::at(entry.it.record.signed, &self.zone);
        // What was signed says the state; before it did, the longest of all those of its number counts. What is
        // entered today makes no record's time shorter.
        if let Ok(state) = entry.text("/practitioner/dea_state").parse() {
            return self.rule.until(signed, Some(state));
        }
        let known = self.states.get(entry.text("/practitioner/dea"));
        let longest =
            known.into_iter().flatten().map(|state| self.rule.until(signed, Some(*state)));
        longest.max().unwrap_or_else(|| self.rule.until(signed, None))
    }

    /// How many holds are in force.
    pub fn in_force(&self) -> usize {
        self.holds.iter().filter(|it| it.lifted.is_none()).count()
    }

    /// Whether a hold is in force on somebody's records.
    pub fn held(&self, person: PersonId) -> bool {
        let on = |it: &Hold| it.lifted.is_none() && it.person.is_none_or(|whose| whose == person);
        self.holds.iter().any(on)
    }
}

/// A record that nobody has to keep any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverRecord {
    /// Of which prescription.
    pub id: PrescriptionId,
    /// The day of its signature.
    pub signed: Date,
    /// The last day on which it had to be there.
    pub until: Date,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Records.
    pub records: usize,
    /// Logs of months.
    pub logs: usize,
}

/// Where a walk through the archive goes on.
type Place = (Timestamp, PrescriptionId);

/// Before the first record.
fn beginning() -> Result<Place, Error> {
    let first = PrescriptionId::from_slice(&[0; 16]);
    let first = first.map_err(|_| countersign_store::Error::corrupt("beginning"))?;
    Ok((Timestamp::from_micros(i64::MIN), first))
}

/// A part of the archive that was looked through.
struct Part {
    /// Where the next part begins; nothing after the last.
    next: Option<Place>,
    /// What of it lies behind its last day, and is not held.
    over: Vec<(Entry, OverRecord)>,
    /// What was signed later is kept, whatever the state.
    kept_from: Timestamp,
}

impl Part {
    fn of(
        tx: &mut Tx<'_>,
        practice: PracticeId,
        rule: &Retention,
        place: Place,
        now: Timestamp,
    ) -> Result<Self, countersign_store::Error> {
        let keeping = Keeping::of(tx, practice, rule.clone())?;
        let today = Date::at(now, &keeping.zone);
        let kept_from = rule.kept_from(today).start(&keeping.zone);
        let found = tx.records_unheld(practice, kept_from, place, PART)?;
        let more = i64::try_from(found.len()).is_ok_and(|len| len >= PART);
        let next = found.last().map(|it| (it.record.signed, it.record.prescription));
        let mut over = Vec::new();
        for it in found {
            // The record says in which state it was signed. One that does not read back is never "old enough".
            let entry = Entry::of(it)?;
            let until = keeping.until(&entry);
            let signed = Date::at(entry.it.record.signed, &keeping.zone);
            let old = OverRecord { id: entry.it.record.prescription, signed, until };
            if until < today {
                over.push((entry, old));
            }
        }
        Ok(Self { next: next.filter(|_| more), over, kept_from })
    }
}

/// Why nothing is removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalRefusal {
    /// Other records than somebody has looked at.
    #[error("{0} records would be removed, which is not the number you gave: list them again")]
    Count(usize),
    /// The clock may be wrong, and what is removed is gone.
    #[error(
        "the newest audit record is from {0}, which is more than {MOST_QUIET_DAYS} days ago or in the future: check the clock of this machine, start the server once, then try again"
    )]
    Clock(String),
}

/// What became of lifting a hold.
#[derive(Debug)]
pub enum Lifting {
    /// It holds no longer.
    Done,
    /// It holds the records of whoever wanted to lift it.
    Own,
    /// The passcode was refused.
    NotConfirmed(Refusal),
}

impl App {
    /// By which rules the records of a practice are kept: for those who administer it.
    pub async fn keeping(&self, membership: &Membership) -> Result<Keeping, Error> {
        if !membership.sees_records() {
            return Err(Error::NotFound);
        }
        let (practice, rule) = (membership.practice.id, self.options.retention.clone());
        Ok(self.store.read("keeping", move |tx| Keeping::of(tx, practice, rule.clone())).await?)
    }

    /// Holds the records of somebody, or of the whole practice: nothing of them is removed.
    pub async fn place_hold(
        &self,
        act: Act,
        person: Option<PersonId>,
        reason: String,
        at: At,
    ) -> Result<Result<(), Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.id, self.mailer());
        self.console(act, ConsoleChange::PlaceHold, at, move |tx, event| {
            tx.lock_records(practice)?;
            let id = HoldId::new(at.now, tx.rng())?;
            let reason = reason.clone();
            let whose = whose(tx, person)?;
            // The reason may name a patient: it lies sealed, and neither trail nor mail has it.
            let mut event = event.detail(&id.to_string());
            event.prescriber = person;
            let detail = format!("A legal hold was placed on the signed records of {whose}.");
            tell_hold(tx, &mailer, practice, &detail, by, at)?;
            let placed = (at.now, by);
            tx.place_hold(&Hold { id, practice, person, reason, placed, lifted: None })?;
            Ok(Some(((), event)))
        })
        .await
    }

    /// Lifts a hold, with a fresh passcode: a session alone opens no way to what was held. Nobody lifts one on
    /// their own records.
    pub async fn lift_hold(
        &self,
        session: &Session,
        membership: &Membership,
        id: HoldId,
        reason: String,
        confirm: Confirm,
        at: At,
    ) -> Result<Lifting, Error> {
        let (by, practice, mailer) = (membership.person, membership.practice.id, self.mailer());
        let found = self.store.read("hold", move |tx| tx.holds(practice)).await?;
        let rule = ConsoleChange::LiftHold.rule();
        let hold =
            found.into_iter().find(|it| it.id == id).filter(|_| rule.allows(&membership.roles));
        let hold = hold.ok_or(Error::NotFound)?;
        let (policy, session) = (self.options.policy, session.id);
        self.decide("lift_hold", by, session, at.now, move |account, tx| {
            let mut event =
                Event::success(rule.event, Actor::Person(by), at.support).detail(&id.to_string());
            event.practice = Some(practice);
            event.prescriber = hold.person;
            let refused = |event: &Event, reason: &'static str| {
                let mut event = event.clone().reason(reason);
                event.outcome = Outcome::Refused;
                event
            };
            if hold.person == Some(by) {
                return Ok((Ok(Lifting::Own), refused(&event, "own_records")));
            }
            let proved = verify(account, confirm.chosen, &confirm.code, at, &policy);
            let passcode =
                passcode_event(&proved, by, practice, confirm.chosen, Purpose::Approve, at);
            record(tx, &account.noted_browser(passcode, at), at.now)?;
            if let Err(refusal) = proved {
                let event = refused(&event, refusal.code());
                return Ok((Ok(Lifting::NotConfirmed(refusal)), event));
            }
            tx.renew_passcode(session, at.now)?;
            if !tx.lift_hold(practice, id, by, &reason, at.now)? {
                return Ok((Ok(Lifting::Done), refused(&event, Refusal::NoChange.code())));
            }
            let whose = whose(tx, hold.person)?;
            let detail = format!("The legal hold on the signed records of {whose} was lifted.");
            tell_hold(tx, &mailer, practice, &detail, by, at)?;
            Ok((Ok(Lifting::Done), event))
        })
        .await
    }

    /// The records of a practice whose time is over and that nothing holds, oldest first.
    pub async fn over_records(
        &self,
        practice: PracticeId,
        at: At,
    ) -> Result<Vec<OverRecord>, Error> {
        let (mut place, mut found) = (Some(beginning()?), Vec::new());
        while let Some(from) = place {
            let rule = self.options.retention.clone();
            let (next, over) = self
                .store
                .read("over_records", move |tx| {
                    let part = Part::of(tx, practice, &rule, from, at.now)?;
                    Ok((part.next, part.over.into_iter().map(|(_, it)| it).collect::<Vec<_>>()))
                })
                .await?;
            found.extend(over);
            place = next;
        }
        Ok(found)
    }

    /// Removes those, and the logs of months that no state wants any more; each goes on record in the
    /// transaction that removes it. `expected` is how many records somebody has looked at.
    pub async fn remove_over(
        &self,
        practice: PracticeId,
        expected: usize,
        by: String,
        at: At,
    ) -> Result<Result<Removed, RemovalRefusal>, Error> {
        let newest = self.store.read("newest_event", |tx| tx.newest_event()).await?;
        let newest = newest.unwrap_or(Timestamp::from_micros(0));
        let quiet = newest.seconds_until(at.now);
        if !(-86_400..=MOST_QUIET_DAYS * 86_400).contains(&quiet) {
            return Ok(Err(RemovalRefusal::Clock(newest.minute_text())));
        }
        let found = self.over_records(practice, at).await?.len();
        if found != expected {
            return Ok(Err(RemovalRefusal::Count(found)));
        }
        let (mut place, mut removed) = (Some(beginning()?), Removed::default());
        while let Some(from) = place {
            let (rule, by) = (self.options.retention.clone(), by.clone());
            let (next, count) = self
                .store
                .write("remove_over", move |tx| {
                    tx.lock_records(practice)?;
                    let part = Part::of(tx, practice, &rule, from, at.now)?;
                    for (entry, it) in &part.over {
                        tx.remove_record(&entry.it.record, part.kept_from)?;
                        let OverRecord { id, signed, until } = it;
                        let detail = format!("{id}, signed {signed}, kept until {until}, by {by}");
                        let whose = entry.it.record.prescriber;
                        tx.append(&gone(practice, whose, &detail, at), at.now)?;
                    }
                    Ok((part.next, part.over.len()))
                })
                .await?;
            removed.records += count;
            place = next;
        }
        let (rule, mailer, records) =
            (self.options.retention.clone(), self.mailer(), removed.records);
        removed.logs = self
            .store
            .write("remove_logs", move |tx| {
                tx.lock_records(practice)?;
                let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
                let logs = tx.remove_logs(practice, &rule.months_from(Date::at(at.now, &zone)))?;
                for (whose, month) in &logs {
                    let detail = format!("log of {month}, by {by}");
                    tx.append(&gone(practice, *whose, &detail, at), at.now)?;
                }
                if records + logs.len() > 0 {
                    let detail =
                        format!("{records} signed records and {} monthly logs", logs.len());
                    let path = format!("/practice/{practice}/records");
                    let note = Note::RecordsRemoved;
                    let notice = Notice { note, practice, detail: &detail, path: &path };
                    mailer.tell_roles(tx, &notice, &RECORD_ROLES, None, at.now)?;
                }
                Ok(logs.len())
            })
            .await?;
        Ok(Ok(removed))
    }
}

fn gone(practice: PracticeId, whose: PersonId, detail: &str, at: At) -> Event {
    Event::success(EventKind::RecordRemoved, Actor::Operator, at.support)
        .about(practice, whose)
        .detail(detail)
}

fn whose(tx: &mut Tx<'_>, person: Option<PersonId>) -> Result<String, countersign_store::Error> {
    let found = person.map(|id| tx.person(id)).transpose()?.flatten();
    Ok(found.map_or_else(|| "everybody".to_owned(), |it| it.name))
}

/// Nobody places or lifts a hold unseen: whoever did it gets the link that says "this was not me".
fn tell_hold(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: PracticeId,
    detail: &str,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let path = format!("/practice/{practice}/holds");
    let notice = Notice { note: Note::HoldChanged, practice, detail, path: &path };
    if let Some(person) = tx.person(by)? {
        mailer.tell(tx, &person, &notice, &[], at.now)?;
    }
    mailer.tell_roles(tx, &notice, &RECORD_ROLES, Some(by), at.now).map(drop)
}

//! How long signed records stay: legal holds, and the removal of what nobody has to keep any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use countersign_domain::{
    Actor, Date, Event, EventKind, HoldId, PersonId, PracticeId, PrescriptionId, Refusal, TimeZone,
    Timestamp, UsState, command::commands, retention::Retention,
};
use countersign_store::{Hold, Tx};

use super::{
    Act, Answer, App, At, Confirm, Entry, Error, Membership, RefusalCode,
    access::RECORD_ROLES,
    command::{Caller, CommandContext, Decision},
    notices::{Mailer, Note, Notice},
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

/// Why a legal hold is not lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiftRefusal {
    /// It is on the records of whoever lifts it.
    Own,
    /// It was lifted before.
    Lifted,
}

impl RefusalCode for LiftRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Own => "own_records",
            Self::Lifted => Refusal::NoChange.code(),
        }
    }
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
    ) -> Result<Answer<(), Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::PLACE_HOLD, Caller::Member(Box::new(act)), at, move |cx| {
            cx.tx.lock_records(practice)?;
            let id = HoldId::new(at.now, cx.tx.rng())?;
            let reason = reason.clone();
            let whose = whose(cx.tx, person)?;
            // The reason may name a patient: it lies sealed, and neither trail nor mail has it.
            cx.detail(&id.to_string());
            cx.about(person);
            let detail = format!("A legal hold was placed on the signed records of {whose}.");
            tell_hold(cx.tx, cx.mailer, practice, &detail, by, at)?;
            let placed = (at.now, by);
            cx.tx.place_hold(&Hold { id, practice, person, reason, placed, lifted: None })?;
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Lifts a hold, with a fresh passcode: a session alone opens no way to what was held. Nobody lifts one on
    /// their own records.
    pub async fn lift_hold(
        &self,
        act: Act,
        id: HoldId,
        reason: String,
        at: At,
    ) -> Result<Answer<(), LiftRefusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        let find = move |tx: &mut Tx<'_>| {
            Ok::<_, countersign_store::Error>(
                tx.holds(practice)?.into_iter().find(|it| it.id == id),
            )
        };
        let check = move |cx: &mut CommandContext<'_, '_>, _: Option<&Confirm>| {
            let Some(hold) = find(cx.tx)? else { return Ok(Some(Decision::NotFound)) };
            cx.about(hold.person);
            cx.detail(&id.to_string());
            Ok((hold.person == Some(by)).then_some(Decision::Refused(LiftRefusal::Own)))
        };
        let caller = Caller::Member(Box::new(act));
        self.run_checked(commands::LIFT_HOLD, caller, at, check, move |cx| {
            let Some(hold) = find(cx.tx)? else { return Ok(Decision::NotFound) };
            if !cx.tx.lift_hold(practice, id, by, &reason, at.now)? {
                return Ok(Decision::Refused(LiftRefusal::Lifted));
            }
            let whose = whose(cx.tx, hold.person)?;
            let detail = format!("The legal hold on the signed records of {whose} was lifted.");
            tell_hold(cx.tx, cx.mailer, practice, &detail, by, at)?;
            Ok(Decision::Done(()))
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
    ) -> Result<Answer<Removed, RemovalRefusal>, Error> {
        let newest = self.store.read("newest_event", |tx| tx.newest_event()).await?;
        let newest = newest.unwrap_or(Timestamp::from_micros(0));
        let quiet = newest.seconds_until(at.now);
        // Without a record: it would be the newest of the trail, and the next try would find the clock right.
        if !(-86_400..=MOST_QUIET_DAYS * 86_400).contains(&quiet) {
            return Ok(Answer::Refused(RemovalRefusal::Clock(newest.minute_text())));
        }
        let found = self.over_records(practice, at).await?.len();
        if found != expected {
            return Ok(Answer::Refused(RemovalRefusal::Count(found)));
        }
        let (mut place, mut removed) = (Some(beginning()?), Removed::default());
        while let Some(from) = place {
            let rule = self.options.retention.clone();
            let part = self.store.read("over_records", move |tx| {
                let part = Part::of(tx, practice, &rule, from, at.now)?;
                Ok((part.next, part.over.is_empty()))
            });
            let (next, empty) = part.await?;
            if !empty {
                removed.records += self.remove_part(practice, from, by.clone(), at).await?;
            }
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
        Ok(Answer::Done(removed))
    }

    /// Removes the records of one part of the archive whose time is over: how many.
    async fn remove_part(
        &self,
        practice: PracticeId,
        from: Place,
        by: String,
        at: At,
    ) -> Result<usize, Error> {
        let rule = self.options.retention.clone();
        let done = self.run(commands::REMOVE_EXPIRED_RECORDS, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            let tx = &mut *cx.tx;
            tx.lock_records(practice)?;
            let part = Part::of(tx, practice, &rule, from, at.now)?;
            let mut events = Vec::new();
            for (entry, it) in &part.over {
                tx.remove_record(&entry.it.record, part.kept_from)?;
                let OverRecord { id, signed, until } = it;
                let detail = format!("{id}, signed {signed}, kept until {until}, by {by}");
                events.push(gone(practice, entry.it.record.prescriber, &detail, at));
            }
            // One record for each; the last is the event of the command.
            let Some(last) = events.pop() else { return Ok(Decision::Refused(Refusal::NoChange)) };
            for event in events {
                tx.append(&event, at.now)?;
            }
            cx.event = last;
            Ok(Decision::Done(part.over.len()))
        });
        Ok(match done.await? {
            Answer::Done(count) => count,
            // A hold was placed meanwhile.
            Answer::Refused(_) | Answer::NotConfirmed(_) => 0,
        })
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

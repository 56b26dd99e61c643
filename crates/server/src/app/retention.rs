//! How long signed records stay: legal holds, and the removal of what nobody has to keep any more.

use std::collections::BTreeMap;

use countersign_domain::{
    Actor, Date, Event, EventKind, HoldId, Outcome, PersonId, PracticeId, PrescriptionId, Refusal,
    Role, TimeZone, Timestamp, UsState, retention::Retention,
};
use countersign_store::{Hold, Tx};

use super::{
    App, At, Desk, Entry, Error,
    notices::{Note, Notice},
};

/// How many records one transaction removes.
const PART: i64 = 200;

/// By which rules the records of a practice are kept.
pub struct Keeping {
    /// Its holds: those in force first.
    pub holds: Vec<Hold>,
    zone: TimeZone,
    rule: Retention,
    /// In which state each DEA number of the practice is registered.
    states: BTreeMap<String, UsState>,
}

impl Keeping {
    fn of(
        tx: &mut Tx<'_>,
        practice: PracticeId,
        rule: Retention,
    ) -> Result<Self, countersign_store::Error> {
        let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
        let papers = tx.all_authorities(practice)?;
        let number = |paper: &countersign_store::Paper| paper.dea().map(|dea| dea.as_text());
        let states =
            papers.iter().filter_map(|it| Some((number(&it.paper)?, it.paper.state()))).collect();
        Ok(Self { holds: tx.holds(practice)?, zone, rule, states })
    }

    /// The last day on which a record must be there, where nothing holds it longer.
    pub fn until(&self, entry: &Entry) -> Date {
        let state = self.states.get(entry.text("/practitioner/dea")).copied();
        self.rule.until(Date::at(entry.it.record.signed, &self.zone), state)
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
    let first = first.map_err(|_| countersign_store::Error::Corrupt { column: "beginning" })?;
    Ok((Timestamp::from_micros(i64::MIN), first))
}

/// A part of what may lie behind its last day and is not held: where the next part begins, and of this one what
/// does lie behind it.
#[expect(clippy::type_complexity, reason = "two lists that belong together, told apart above")]
fn part(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    rule: &Retention,
    place: Place,
    now: Timestamp,
) -> Result<(Option<Place>, Vec<(Entry, OverRecord)>, Timestamp), countersign_store::Error> {
    let keeping = Keeping::of(tx, practice, rule.clone())?;
    let today = Date::at(now, &keeping.zone);
    let before = rule.kept_from(today).start(&keeping.zone);
    let found = tx.records_unheld(practice, before, place, PART)?;
    let more = i64::try_from(found.len()).is_ok_and(|len| len >= PART);
    let next = found.last().map(|it| (it.record.signed, it.record.prescription));
    let over = found
        .into_iter()
        .map(Entry::of)
        .filter_map(|entry| {
            let until = keeping.until(&entry);
            let signed = Date::at(entry.it.record.signed, &keeping.zone);
            let over = OverRecord { id: entry.it.record.prescription, signed, until };
            (until < today).then_some((entry, over))
        })
        .collect();
    Ok((next.filter(|_| more), over, before))
}

impl App {
    /// By which rules the records of a practice are kept: for those who administer it.
    pub async fn keeping(&self, desk: &Desk) -> Result<Keeping, Error> {
        if !desk.sees_records() {
            return Err(Error::NotFound);
        }
        let (practice, rule) = (desk.practice.id, self.options.retention.clone());
        Ok(self.store.read("keeping", move |tx| Keeping::of(tx, practice, rule.clone())).await?)
    }

    /// Holds the records of somebody, or of the whole practice: nothing of them is removed.
    pub async fn place_hold(
        &self,
        desk: &Desk,
        person: Option<PersonId>,
        reason: String,
        at: At,
    ) -> Result<(), Error> {
        if !desk.sees_records() {
            return Err(Error::NotFound);
        }
        let (by, practice, mailer) = (desk.person, desk.practice.id, self.mailer());
        self.store
            .write("place_hold", move |tx| {
                let id = HoldId::new(at.now, tx.rng())?;
                let reason = reason.clone();
                let whose = whose(tx, person)?;
                let mut event =
                    Event::success(EventKind::HoldPlaced, Actor::Person(by), at.support)
                        .detail(&format!("{id}: {reason}"));
                event.practice = Some(practice);
                event.prescriber = person;
                tx.append(&event, at.now)?;
                let detail = format!("Signed records of {whose} are held. Why: {reason}.");
                tell_hold(tx, &mailer, practice, &detail, by, at)?;
                let placed = (at.now, by);
                tx.place_hold(&Hold { id, practice, person, reason, placed, lifted: None })
            })
            .await?;
        Ok(())
    }

    /// Lifts a hold.
    pub async fn lift_hold(
        &self,
        desk: &Desk,
        id: HoldId,
        reason: String,
        at: At,
    ) -> Result<(), Error> {
        if !desk.sees_records() {
            return Err(Error::NotFound);
        }
        let (by, practice, mailer) = (desk.person, desk.practice.id, self.mailer());
        let done = self
            .store
            .write("lift_hold", move |tx| {
                let Some(hold) = tx.holds(practice)?.into_iter().find(|it| it.id == id) else {
                    return Ok(None);
                };
                let mut event =
                    Event::success(EventKind::HoldLifted, Actor::Person(by), at.support)
                        .detail(&format!("{id}: {reason}"));
                event.practice = Some(practice);
                event.prescriber = hold.person;
                if !tx.lift_hold(practice, id, by, &reason, at.now)? {
                    event.outcome = Outcome::Refused;
                    tx.append(&event.reason(Refusal::NoChange.code()), at.now)?;
                    return Ok(Some(()));
                }
                tx.append(&event, at.now)?;
                let whose = whose(tx, hold.person)?;
                let detail =
                    format!("Signed records of {whose} are held no longer. Why: {reason}.");
                tell_hold(tx, &mailer, practice, &detail, by, at)?;
                Ok(Some(()))
            })
            .await?;
        done.ok_or(Error::NotFound)
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
                    let (next, over, _) = part(tx, practice, &rule, from, at.now)?;
                    Ok((next, over.into_iter().map(|(_, it)| it).collect::<Vec<_>>()))
                })
                .await?;
            found.extend(over);
            place = next;
        }
        Ok(found)
    }

    /// Removes those, and the logs of months that no state wants any more; each goes on record in the
    /// transaction that removes it.
    pub async fn remove_over(
        &self,
        practice: PracticeId,
        by: String,
        at: At,
    ) -> Result<Removed, Error> {
        let (mut place, mut removed) = (Some(beginning()?), Removed::default());
        while let Some(from) = place {
            let (rule, by) = (self.options.retention.clone(), by.clone());
            let (next, count) = self
                .store
                .write("remove_over", move |tx| {
                    let (next, over, before) = part(tx, practice, &rule, from, at.now)?;
                    for (entry, it) in &over {
                        tx.remove_record(&entry.it.record, before)?;
                        let detail = format!("{}, signed {}, by {by}", it.id, it.signed);
                        let whose = entry.it.record.prescriber;
                        tx.append(&gone(practice, whose, &detail, at), at.now)?;
                    }
                    Ok((next, over.len()))
                })
                .await?;
            removed.records += count;
            place = next;
        }
        let rule = self.options.retention.clone();
        removed.logs = self
            .store
            .write("remove_logs", move |tx| {
                let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
                let logs = tx.remove_logs(practice, &rule.months_from(Date::at(at.now, &zone)))?;
                for (whose, month) in &logs {
                    let detail = format!("log of {month}, by {by}");
                    tx.append(&gone(practice, *whose, &detail, at), at.now)?;
                }
                Ok(logs.len())
            })
            .await?;
        Ok(removed)
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

/// Nobody places or lifts a hold unseen.
fn tell_hold(
    tx: &mut Tx<'_>,
    mailer: &super::notices::Mailer,
    practice: PracticeId,
    detail: &str,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let path = format!("/practice/{practice}/holds");
    let notice = Notice { note: Note::HoldChanged, practice, detail, path: &path };
    let roles = [Role::Designated, Role::Administrator];
    mailer.tell_roles(tx, &notice, &roles, Some(by), at.now).map(drop)
}

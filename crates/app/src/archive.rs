//! The archive of signed records: the practitioner's own log, the practice's search, and what leaves as a
//! file. Nothing here changes or removes a record.

mod files;
mod logs;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, convert::Infallible};

use countersign_domain::{
    Date, DeadlineId, Outcome, PersonId, PracticeId, PrescriptionId, Refusal, Timestamp,
    command::commands, one_business_day_after, prescription::State,
};
use countersign_protocol::record;
use countersign_store::{Archived, Deadline, Session, Tx};
use serde_json::Value;

use super::{
    Act, Answer, App, At, Error, Membership,
    access::RECORD_ROLES,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

pub use files::{Format, rendered};
pub use logs::OwnLog;
pub(super) use logs::remind_of_logs;

/// Most records of one search or export; where there may be more, it is said.
pub const MOST_RECORDS: i64 = 50_000;
/// How many are read at a time.
const PART: i64 = 2_000;

/// A signed record with what it says.
#[derive(Clone)]
pub struct Entry {
    /// The record, and what became of it.
    pub it: Archived,
    said: Value,
}

impl Entry {
    /// An archived record that does not read back is a fault, and no empty line in a log or an export.
    pub(super) fn of(it: Archived) -> Result<Self, countersign_store::Error> {
        let corrupt = countersign_store::Error::corrupt("signed_record.sealed");
        let said = record::said(&it.record.jws).ok_or(corrupt)?;
        Ok(Self { it, said })
    }

    /// A text of the record, by its JSON pointer (RFC 6901); empty where it says none.
    pub fn text(&self, path: &str) -> &str {
        self.said.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number of the record.
    pub fn number(&self, path: &str) -> i64 {
        self.said.pointer(path).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// What a search asks for; empty texts ask for everything.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Whose.
    pub person: Option<PersonId>,
    /// Part of the patient's name or number, or the ID of a record.
    pub patient: String,
    /// Part of the drug.
    pub drug: String,
    /// From this day on.
    pub from: Option<Date>,
    /// Until the end of this day.
    pub to: Option<Date>,
}

impl Search {
    fn finds(&self, entry: &Entry) -> bool {
        let within = |part: &str, whole: &str| {
            part.trim().is_empty() || whole.to_lowercase().contains(&part.trim().to_lowercase())
        };
        self.person.is_none_or(|person| person == entry.it.record.prescriber)
            && within(&self.drug, entry.text("/prescription/drug"))
            && (within(&self.patient, entry.text("/prescription/patient/name"))
                || within(&self.patient, entry.text("/prescription/patient/mrn"))
                || entry.it.record.prescription.to_string() == self.patient.trim())
    }
}

impl App {
    /// How many prescriptions of somebody could not be sent and wait for what they decide.
    pub async fn count_not_sent(&self, person: PersonId) -> Result<i64, Error> {
        Ok(self.store.read("count_not_sent", move |tx| tx.count_not_sent(person)).await?)
    }

    /// Notes that records leave as a file.
    pub async fn note_export(
        &self,
        session: &Session,
        practice: PracticeId,
        what: String,
        at: At,
    ) -> Result<Answer<(), Infallible>, Error> {
        self.run(commands::EXPORT_OWN_RECORDS, Caller::of(session), at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&what);
            Ok(Decision::Done(()))
        })
        .await
    }

    /// The records of a practice that a search finds, to leave as a file: with a passcode where the last one is
    /// old, and on record.
    pub async fn export_records(
        &self,
        act: Act,
        search: Search,
        at: At,
    ) -> Result<Answer<Vec<Entry>, Infallible>, Error> {
        let found = self.search_records(&act.membership, search, at).await?;
        let what = format!("{} records of the practice", found.len());
        let person = act.membership.person;
        let noted = self
            .run(commands::EXPORT_RECORDS, Caller::Member(Box::new(act)), at, move |cx| {
                cx.about(person);
                cx.detail(&what);
                Ok(Decision::Done(()))
            })
            .await?;
        Ok(noted.map(|()| found))
    }

    /// The records of a practice that a search finds, newest first: for those who administer it.
    pub async fn search_records(
        &self,
        membership: &Membership,
        search: Search,
        at: At,
    ) -> Result<Vec<Entry>, Error> {
        if !membership.sees_records() {
            return Err(Error::NotFound);
        }
        let (practice, zone) = (membership.practice.id, membership.practice.zone.clone());
        let found = self
            .store
            .read("search_records", move |tx| {
                let from = search.from.map_or(Timestamp::from_micros(0), |day| day.start(&zone));
                let to = search.to.map_or(at.now.plus_seconds(1), |day| day.end(&zone));
                // In parts: what is searched for may lie behind many newer ones.
                let (mut to, mut found, mut seen) = (to, Vec::new(), BTreeSet::new());
                loop {
                    let part = tx.records_in(practice, (from, to), PART)?;
                    let more = i64::try_from(part.len()).is_ok_and(|len| len >= PART);
                    let before = seen.len();
                    for it in part {
                        // The oldest of a part comes again with the next one.
                        to = Timestamp::from_micros(it.record.signed.micros() + 1);
                        if seen.insert(it.record.prescription) {
                            found.push(Entry::of(it)?);
                        }
                    }
                    found.retain(|it| search.finds(it));
                    let full = i64::try_from(found.len()).is_ok_and(|len| len >= MOST_RECORDS);
                    if !more || full || seen.len() == before {
                        return Ok(found);
                    }
                }
            })
            .await?;
        Ok(found)
    }

    /// A practitioner says that a record in their name is not theirs: an incident, which those who set
    /// access control must look at within one business day (21 CFR 1311.150(c)).
    pub async fn disown(
        &self,
        session: &Session,
        id: PrescriptionId,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        self.run(commands::DISOWN_RECORD, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let Some(it) = cx.tx.record_of(who.id, id)? else { return Ok(Decision::NotFound) };
            cx.event.practice = Some(it.record.practice);
            cx.detail(&id.to_string());
            if !cx.tx.disown(&it.record, at.now)? {
                return Ok(Decision::Refused(Refusal::NoChange));
            }
            incident(cx.tx, cx.mailer, who.id, &it, at)?;
            // Somebody else may have signed: what the trail calls a failure.
            cx.event.outcome = Outcome::Refused;
            cx.reason("not_mine");
            Ok(Decision::Done(()))
        })
        .await
    }
}

/// Sends it no more, where it has not arrived.
fn stop(tx: &mut Tx<'_>, it: &Archived, at: At) -> Result<(), countersign_store::Error> {
    let (practice, id) = (it.record.practice, it.record.prescription);
    let Some(mut row) = tx.prescription(practice, id)? else { return Ok(()) };
    let from = row.it.state;
    if row.it.stop(at.now).is_err() {
        return Ok(());
    }
    row.changed = at.now;
    tx.move_prescription(&row, from)?;
    if let Some(mut way) = tx.transmission(id)?.filter(|way| way.state.is_waiting()) {
        way.state.end("reported as not issued by the prescriber".to_owned(), at.now);
        tx.save_transmission(&way)?;
    }
    Ok(())
}

fn incident(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    person: PersonId,
    it: &Archived,
    at: At,
) -> Result<(), countersign_store::Error> {
    let practice = it.record.practice;
    let id = it.record.prescription.to_string();
    stop(tx, it, at)?;
    let Some(rules) = tx.practice(practice)? else { return Ok(()) };
    let name = tx.person(person)?.map(|person| person.name).unwrap_or_default();
    let state: State = it.state;
    let detail = format!(
        "{name} reported that they did not issue a prescription signed in their name on {} (status: {}).",
        rules.zone.moment_text(it.record.signed),
        state.label(),
    );
    let path = format!("/practice/{practice}/due");
    let notice = Notice { note: Note::RxDisowned, practice, detail: &detail, path: &path };
    let told = mailer.tell_roles(tx, &notice, &RECORD_ROLES, Some(person), at.now)?;
    let deadline = DeadlineId::new(at.now, tx.rng())?;
    tx.create_deadline(&Deadline {
        id: deadline,
        practice,
        person: Some(person),
        kind: "prescription_disowned".to_owned(),
        discovered: at.now,
        due: one_business_day_after(at.now, &rules.zone),
        done: None,
        note: format!("Record {id}; {told} notices"),
    })
}

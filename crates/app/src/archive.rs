//! The archive of signed records: the practitioner's own log, the practice's search, and what leaves as a
//! file. Nothing here changes or removes a record.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use countersign_domain::{
    Actor, Date, DeadlineId, Event, EventKind, Outcome, PersonId, PracticeId, PrescriptionId,
    Refusal, TimeZone, Timestamp, console::ConsoleChange, one_business_day_after,
    prescription::State,
};
use countersign_protocol::record;
use countersign_store::{Archived, Deadline, MonthlyLog, Tx};
use serde_json::{Value, json};

use super::{
    Act, App, At, Desk, Error,
    access::RECORD_ROLES,
    notices::{Mailer, Note, Notice},
};
use crate::pdf;

/// Most records of one search or export; where there may be more, it is said.
pub const MOST_RECORDS: i64 = 50_000;
/// How many are read at a time.
const PART: i64 = 2_000;
/// How many years back a log that is missing is still made (21 CFR 1311.120(b)(27)(ii)).
const LOG_YEARS: i16 = 2;
/// How long a practitioner may leave a log before others are told, in seconds: seven days.
const LOG_SECONDS: i64 = 7 * 86_400;
/// A log that was made longer ago, in seconds, is nobody's news: sixty days.
const LOG_OLD_SECONDS: i64 = 60 * 86_400;

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
        let corrupt = countersign_store::Error::Corrupt { column: "signed_record.sealed" };
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

/// In which form records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table (RFC 4180).
    Csv,
    /// A JSON object a line, with the signed record whole: what another installation can verify.
    JsonLines,
    /// Pages to print.
    Pdf,
}

/// What a practitioner sees of a month.
pub struct OwnLog {
    /// The month, such as `2027-05`.
    pub month: String,
    /// The month that it is now.
    pub this_month: String,
    /// What was signed in it, oldest first.
    pub entries: Vec<Entry>,
    /// There may be more in it.
    pub full: bool,
    /// What could not be sent, whenever it was signed.
    pub not_sent: Vec<Entry>,
    /// The logs that were given out, each with the name of its practice.
    pub logs: Vec<(MonthlyLog, String)>,
}

/// The records as a file; the title stands on pages alone.
pub fn rendered(entries: &[Entry], format: Format, title: &str) -> Vec<u8> {
    match format {
        Format::Csv => csv(entries).into_bytes(),
        Format::Pdf => {
            let words = |it: &Entry| {
                record::paragraphs(&it.said, it.it.state.label(), it.it.disowned.is_some())
            };
            pdf::document(title, &entries.iter().flat_map(words).collect::<Vec<_>>())
        }
        Format::JsonLines => entries
            .iter()
            .map(|entry| {
                let record = &entry.it.record;
                let line = json!({
                    "id": record.prescription.to_string(),
                    "signed_at": entry.text("/signed_at"),
                    "state": entry.it.state.code(),
                    "disowned": entry.it.disowned.map(Timestamp::minute_text),
                    "key_id": record.key_id,
                    "signed_record": record.jws,
                });
                format!("{line}\n")
            })
            .collect::<String>()
            .into_bytes(),
    }
}

fn csv(entries: &[Entry]) -> String {
    const HEAD: &str = "signed_at,patient,birth_date,mrn,drug,strength,form,schedule,quantity,unit,refills,earliest_fill,directions,pharmacy,practitioner,npi,dea,state,disowned,id,key_id,days_supply,last_fill,series,supervisor\r\n";
    let mut text = HEAD.to_owned();
    for entry in entries {
        let signed = &entry.it.record;
        let refills = entry.number("/prescription/refills").to_string();
        let (id, disowned) = (
            signed.prescription.to_string(),
            entry.it.disowned.map(Timestamp::minute_text).unwrap_or_default(),
        );
        let of = |path: &str| entry.text(path);
        let days = match entry.number("/prescription/days_supply") {
            0 => String::new(),
            days => days.to_string(),
        };
        let series = record::series(&entry.said);
        let cells = [
            of("/signed_at"),
            of("/prescription/patient/name"),
            of("/prescription/patient/birth_date"),
            of("/prescription/patient/mrn"),
            of("/prescription/drug"),
            of("/prescription/strength"),
            of("/prescription/form"),
            of("/prescription/schedule"),
            of("/prescription/quantity"),
            of("/prescription/unit"),
            &refills,
            of("/prescription/earliest_fill"),
            of("/prescription/directions"),
            of("/prescription/pharmacy/name"),
            of("/practitioner/name"),
            of("/practitioner/npi"),
            of("/practitioner/dea"),
            entry.it.state.code(),
            &disowned,
            &id,
            &signed.key_id,
            &days,
            of("/prescription/last_fill"),
            &series,
            of("/prescription/supervisor/name"),
        ];
        let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell of a table, quoted; what a spreadsheet would take for a formula is marked as text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

/// First and last moment of a month in a time zone; nothing where the text is none.
fn month_range(month: &str, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let first = format!("{month}-01").parse::<Date>().ok()?;
    let next = first.plus_days(31).month_start();
    Some((first.start(zone), next.start(zone)))
}

impl App {
    /// What a practitioner has signed in a month, in all practices, with the logs that were given out.
    pub async fn own_log(
        &self,
        person: PersonId,
        practice: PracticeId,
        month: &str,
        at: At,
    ) -> Result<OwnLog, Error> {
        let wanted = month.to_owned();
        let log = self
            .store
            .read("own_log", move |tx| {
                let rules = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?;
                let this_month = Date::at(at.now, &rules.zone).month();
                let month = if wanted.is_empty() { this_month.clone() } else { wanted.clone() };
                let Some(range) = month_range(&month, &rules.zone) else { return Ok(None) };
                let found = tx.records_of(person, range, MOST_RECORDS)?;
                let full = i64::try_from(found.len()).is_ok_and(|len| len >= MOST_RECORDS);
                let entries = found.into_iter().map(Entry::of).collect::<Result<_, _>>()?;
                let mut logs = Vec::new();
                for log in tx.logs_of(person)? {
                    let name = tx.practice_name(log.practice)?.unwrap_or_default();
                    logs.push((log, name));
                }
                let not_sent = tx.not_sent(person, 50)?;
                let not_sent = not_sent.into_iter().map(Entry::of).collect::<Result<_, _>>()?;
                Ok(Some(OwnLog { month, this_month, entries, full, not_sent, logs }))
            })
            .await?
            .ok_or(Error::NotFound)?;
        // Whoever looks at a month has looked at its log: nobody is reminded of it. Of another practice, whose
        // months may begin at another hour, the log itself is opened.
        let month = log.month.clone();
        let new =
            |it: &MonthlyLog| it.month == month && it.practice == practice && it.seen.is_none();
        if log.logs.iter().any(|(it, _)| new(it)) {
            let seen = move |tx: &mut Tx<'_>| tx.see_log(person, practice, &month, at.now);
            self.store.write("see_log", seen).await?;
        }
        Ok(log)
    }

    /// How many prescriptions of somebody could not be sent and wait for what they decide.
    pub async fn count_not_sent(&self, person: PersonId) -> Result<i64, Error> {
        Ok(self.store.read("count_not_sent", move |tx| tx.count_not_sent(person)).await?)
    }

    /// A log as it was given out.
    pub async fn monthly_log(
        &self,
        person: PersonId,
        practice: PracticeId,
        month: String,
        at: At,
    ) -> Result<String, Error> {
        let found = self
            .store
            .write("monthly_log", move |tx| {
                let Some(text) = tx.log(practice, person, &month)? else { return Ok(None) };
                tx.see_log(person, practice, &month, at.now)?;
                let event =
                    Event::success(EventKind::RecordsExported, Actor::Person(person), at.support)
                        .about(practice, person)
                        .detail(&format!("log of {month}"));
                tx.append(&event, at.now)?;
                Ok(Some(text))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Notes that records leave as a file.
    pub async fn note_export(
        &self,
        person: PersonId,
        practice: PracticeId,
        what: String,
        at: At,
    ) -> Result<(), Error> {
        self.store
            .write("note_export", move |tx| {
                let event =
                    Event::success(EventKind::RecordsExported, Actor::Person(person), at.support)
                        .about(practice, person)
                        .detail(&what);
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }

    /// The records of a practice that a search finds, to leave as a file: with a passcode where the last one is
    /// old, and on record.
    pub async fn export_records(
        &self,
        act: Act,
        search: Search,
        at: At,
    ) -> Result<Result<Vec<Entry>, Refusal>, Error> {
        let found = self.search_records(&act.desk, search, at).await?;
        let (person, practice) = (act.desk.person, act.desk.practice.id);
        let what = format!("{} records of the practice", found.len());
        let noted = self
            .console(act, ConsoleChange::ExportRecords, at, move |_, event| {
                Ok(Some(((), event.about(practice, person).detail(&what))))
            })
            .await?;
        Ok(noted.map(|()| found))
    }

    /// The records of a practice that a search finds, newest first: for those who administer it.
    pub async fn search_records(
        &self,
        desk: &Desk,
        search: Search,
        at: At,
    ) -> Result<Vec<Entry>, Error> {
        if !desk.sees_records() {
            return Err(Error::NotFound);
        }
        let (practice, zone) = (desk.practice.id, desk.practice.zone.clone());
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
    pub async fn disown(&self, person: PersonId, id: PrescriptionId, at: At) -> Result<(), Error> {
        let mailer = self.mailer();
        let found = self
            .store
            .write("disown", move |tx| {
                let Some(it) = tx.record_of(person, id)? else { return Ok(false) };
                if tx.disown(&it.record, at.now)? {
                    incident(tx, &mailer, person, &it, at)?;
                }
                Ok(true)
            })
            .await?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Makes the logs of the months that are over, also of a time in which no server ran, and tells their
    /// practitioners (21 CFR 1311.120(b)(27)). Looks once an hour; each log is made in a transaction of its own, so
    /// that none holds the others up.
    pub(super) async fn make_logs(&self, at: At) -> Result<(), Error> {
        let hour = at.now.seconds().div_euclid(3_600);
        if self.logs_hour.swap(hour, Ordering::Relaxed) == hour {
            return Ok(());
        }
        let missing = self.store.read("logs_missing", move |tx| missing_logs(tx, at)).await?;
        for it in missing {
            let mailer = self.mailer();
            let (practice, month) = (it.practice, it.month.clone());
            let made = self.store.write("make_log", move |tx| make_log(tx, &mailer, &it, at)).await;
            if let Err(error) = made {
                // The others are made all the same; this one is tried again in an hour.
                tracing::error!(%error, %practice, month, "a monthly log could not be made");
            }
        }
        Ok(())
    }
}

/// A log that is to be made.
struct Missing {
    practice: PracticeId,
    person: PersonId,
    month: String,
    range: (Timestamp, Timestamp),
}

fn missing_logs(tx: &mut Tx<'_>, at: At) -> Result<Vec<Missing>, countersign_store::Error> {
    let mut missing = Vec::new();
    for (practice, _) in tx.practices()? {
        let Some(rules) = tx.practice(practice)? else { continue };
        let today = Date::at(at.now, &rules.zone);
        let Some(first) = tx.first_record(practice)? else { continue };
        let oldest = today.month_start().plus_years(-LOG_YEARS);
        let mut day = Date::at(first, &rules.zone).month_start().max(oldest);
        while day < today.month_start() {
            let month = day.month();
            if let Some(range) = month_range(&month, &rules.zone) {
                for person in tx.logs_missing(practice, &month, range)? {
                    missing.push(Missing { practice, person, month: month.clone(), range });
                }
            }
            day = day.plus_days(31).month_start();
        }
    }
    Ok(missing)
}

fn make_log(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Missing,
    at: At,
) -> Result<(), countersign_store::Error> {
    let Missing { practice, person, month, range } = it;
    // Another server may have made it meanwhile.
    if tx.log(*practice, *person, month)?.is_some() {
        return Ok(());
    }
    // All of them: what is given out as the log of a month is the whole of it.
    let found = tx.records_of(*person, *range, i64::MAX)?;
    let entries = found.into_iter().filter(|it| it.record.practice == *practice).map(Entry::of);
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    tx.keep_log(*practice, *person, month, &csv(&entries), at.now)?;
    let Some(person) = tx.person(*person)? else { return Ok(()) };
    let notice = Notice {
        note: Note::MonthlyLog,
        practice: *practice,
        detail: &format!("{month}, {} prescriptions", entries.len()),
        path: &format!("/portal/prescriptions?month={month}"),
    };
    mailer.tell(tx, &person, &notice, &[], at.now)
}

/// Of a log at which nobody has looked after a week, those who administer the practice are told too: once.
pub(super) fn remind_of_logs(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    at: At,
) -> Result<(), countersign_store::Error> {
    let made = (at.now.plus_seconds(-LOG_OLD_SECONDS), at.now.plus_seconds(-LOG_SECONDS));
    for (practice, id, month) in tx.logs_unseen(made, at.now)? {
        let Some(person) = tx.person(id)? else { continue };
        let own = format!("/portal/prescriptions?month={month}");
        let detail = format!("{month}, of {}", person.name);
        let notice = Notice { note: Note::LogUnseen, practice, detail: &detail, path: &own };
        mailer.tell(tx, &person, &notice, &[], at.now)?;
        let path = format!("/practice/{practice}/records?person={id}");
        let notice = Notice { path: &path, ..notice };
        mailer.tell_roles(tx, &notice, &RECORD_ROLES, Some(id), at.now)?;
    }
    Ok(())
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
    if let Some(mut way) = tx.transmission(id)?.filter(|way| way.done.is_none()) {
        way.done = Some(at.now);
        "said not to be the practitioner's".clone_into(&mut way.outcome);
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
    let mut event =
        Event::success(EventKind::PrescriptionDisowned, Actor::Person(person), at.support)
            .about(practice, person)
            .detail(&id);
    // Somebody else may have signed: what the trail calls a failure.
    event.outcome = Outcome::Refused;
    tx.append(&event.reason("not_mine"), at.now)?;
    stop(tx, it, at)?;
    let Some(rules) = tx.practice(practice)? else { return Ok(()) };
    let name = tx.person(person)?.map(|person| person.name).unwrap_or_default();
    let state: State = it.state;
    let detail = format!(
        "{name} says that a prescription signed in that name at {} is not theirs (now: {}).",
        it.record.signed.minute_text(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_no_two_cells() {
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
        assert_eq!(cell(""), "\"\"");
    }

    #[test]
    fn a_month_is_that_of_the_practice() {
        let zone: TimeZone = "America/Chicago".parse().unwrap();
        let (from, to) = month_range("2026-12", &zone).unwrap();
        assert_eq!(from.minute_text(), "2026-12-01 06:00 UTC");
        assert_eq!(to.minute_text(), "2027-01-01 06:00 UTC");
        let (from, to) = month_range("2027-03", &zone).unwrap();
        assert_eq!(
            (from.minute_text(), to.minute_text()),
            ("2027-03-01 06:00 UTC".to_owned(), "2027-04-01 05:00 UTC".to_owned())
        );
        for bad in ["", "2026", "2026-13", "2026-1", "x"] {
            assert!(month_range(bad, &zone).is_none(), "{bad}");
        }
    }
}

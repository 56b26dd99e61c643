//! The log of what a practitioner has signed, month by month.

use std::sync::atomic::Ordering;

use countersign_domain::{
    Actor, Date, Event, EventKind, PersonId, PracticeId, TimeZone, Timestamp, month_in_words,
};
use countersign_store::{MonthlyLog, Tx};

use super::{Entry, MOST_RECORDS, files::csv};
use crate::{
    App, At, Error,
    access::RECORD_ROLES,
    notices::{Mailer, Note, Notice},
};

/// How many years back a log that is missing is still made (21 CFR 1311.120(b)(27)(ii)).
const LOG_YEARS: i16 = 2;
/// How long a practitioner may leave a log before others are told, in seconds: seven days.
const LOG_SECONDS: i64 = 7 * 86_400;
/// A log that was made longer ago, in seconds, is nobody's news: sixty days.
const LOG_OLD_SECONDS: i64 = 60 * 86_400;

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

/// First and last moment of a month in a time zone; nothing where the text is none.
pub(super) fn month_range(month: &str, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
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

    /// Makes the logs of the months that are over, also of a time in which no server ran, and tells their
    /// practitioners (21 CFR 1311.120(b)(27)). Looks once an hour; each log is made in a transaction of its own, so
    /// that none holds the others up.
    pub(crate) async fn make_logs(&self, at: At) -> Result<(), Error> {
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
        detail: &format!("{}, {} prescriptions", month_in_words(month), entries.len()),
        path: &format!("/portal/prescriptions?month={month}"),
    };
    mailer.tell(tx, &person, &notice, &[], at.now)
}

/// Of a log at which nobody has looked after a week, those who administer the practice are told too: once.
pub(crate) fn remind_of_logs(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    at: At,
) -> Result<(), countersign_store::Error> {
    let made = (at.now.plus_seconds(-LOG_OLD_SECONDS), at.now.plus_seconds(-LOG_SECONDS));
    for (practice, id, month) in tx.logs_unseen(made, at.now)? {
        let Some(person) = tx.person(id)? else { continue };
        let own = format!("/portal/prescriptions?month={month}");
        let detail = format!("{}, for {}", month_in_words(&month), person.name);
        let notice = Notice { note: Note::LogUnseen, practice, detail: &detail, path: &own };
        mailer.tell(tx, &person, &notice, &[], at.now)?;
        let path = format!("/practice/{practice}/records?person={id}");
        let notice = Notice { path: &path, ..notice };
        mailer.tell_roles(tx, &notice, &RECORD_ROLES, Some(id), at.now)?;
    }
    Ok(())
}

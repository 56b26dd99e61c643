//! The way of a signed prescription to its pharmacy: put on its way in the transaction that signs it, handed
//! to the gateway afterwards, at least once, under a key by which the gateway tells that it has it already.

use std::sync::Arc;

use countersign_domain::{
    Actor, DeadlineId, Event, EventKind, Outcome, TimeZone, Timestamp, one_business_day_after,
    prescription::{GIVE_UP_SECONDS, SLOW_SECONDS},
    shown_line,
};
use countersign_protocol::{newrx, record};
use countersign_store::{Deadline, PrescriptionRow, SignedRecord, Transmission, Tx};
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time::Duration};

use super::{
    App, At, Error,
    notices::{Mailer, Note, Notice},
    to_completion::ended_early,
};
use crate::outbound::{Fault, Outbound, Parcel};

/// How long a prescription that is being sent belongs to the one who sends it, in seconds: longer than a
/// try takes.
const CLAIM_SECONDS: i64 = 60;
/// How many are sent at a time.
const AT_ONCE: i64 = 20;
/// How often is looked for what waits, whether or not something was signed here.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the gateway answers.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    reason: String,
}

/// How a try ended.
enum Tried {
    Accepted,
    Rejected(String),
    NotReached(String),
}

impl Tried {
    fn of(result: Result<Vec<u8>, Fault>) -> Self {
        match result {
            Ok(body) => match serde_json::from_slice::<Answer>(&body) {
                Ok(answer) if answer.status == "accepted" => Self::Accepted,
                Ok(answer) if answer.status == "rejected" => Self::Rejected(line(&answer.reason)),
                // It may have it, or not: asked again under the same key, it says so.
                _ => Self::NotReached("the gateway's response can't be read".to_owned()),
            },
            Err(Fault::Refused(why)) => Self::Rejected(line(&why)),
            Err(fault) => Self::NotReached(line(&fault.to_string())),
        }
    }
}

/// What the gateway says, as one line of at most 200 characters for pages, records and the API.
fn line(text: &str) -> String {
    let text = shown_line(text, 200);
    if text.is_empty() { "no reason was given".to_owned() } else { text }
}

impl App {
    /// Waits until something was signed here, but not for long.
    pub async fn something_signed(&self) {
        // What another server of the same database has signed is found by looking.
        drop(tokio::time::timeout(LOOK_EVERY, self.signed.notified()).await);
    }

    /// Hands what is signed to the gateway, and says when it takes long; how many were tried.
    pub async fn transmit(self: &Arc<Self>, outbound: &Arc<dyn Outbound>) -> Result<usize, Error> {
        let at = self.at()?;
        let due = self
            .store
            .read("transmissions_due", move |tx| tx.transmissions_due(at.now, slow_before(at.now)))
            .await?;
        if !due {
            return Ok(0);
        }
        let mailer = self.mailer();
        let taken = self
            .store
            .write("take_transmissions", move |tx| {
                for mut it in tx.slow_transmissions(slow_before(at.now))? {
                    it.told = true;
                    say_slow(tx, &mailer, &it, at)?;
                    tx.save_transmission(&it)?;
                }
                tx.take_transmissions(at.now, at.now.plus_seconds(CLAIM_SECONDS), AT_ONCE)
            })
            .await?;
        let mut running = JoinSet::new();
        let count = taken.len();
        for it in taken {
            let (app, outbound) = (Arc::clone(self), Arc::clone(outbound));
            running.spawn(async move { app.send_one(it, outbound.as_ref()).await });
        }
        let mut result = Ok(count);
        while let Some(done) = running.join_next().await {
            // It is tried again when its claim has run out; the gateway takes one prescription once, by its key.
            let done = done.unwrap_or_else(|error| Err(ended_early("transmit", at, &error)));
            if let Err(error) = done {
                result = Err(error);
            }
        }
        result
    }

    async fn send_one(&self, it: Transmission, outbound: &dyn Outbound) -> Result<(), Error> {
        let (practice, id) = (it.practice, it.prescription);
        let found = self
            .store
            .read("prescription_to_send", move |tx| tx.signed_record(practice, id))
            .await?;
        let tried = match found {
            Some(signed) => {
                let key = id.to_string();
                match parcel(&signed, &self.options.public_url) {
                    Ok(body) => Tried::of(outbound.parcel(Parcel { key: &key, body: &body }).await),
                    Err(why) => Tried::Rejected(why.to_owned()),
                }
            }
            // Nothing leaves that is not signed (21 CFR 1311.120(b)(18)).
            None => Tried::Rejected("there is no signed record".to_owned()),
        };
        self.tried_to_send(it, tried).await
    }

    async fn tried_to_send(&self, it: Transmission, tried: Tried) -> Result<(), Error> {
        let at = self.at()?;
        let mailer = self.mailer();
        self.store
            .write("prescription_tried", move |tx| {
                let (practice, id) = (it.practice, it.prescription);
                // As the rows lie now: another try may have ended meanwhile.
                let Some(mut row) = tx.prescription(practice, id)? else { return Ok(()) };
                let Some(mut now) = tx.transmission(id)?.filter(|now| now.state.is_waiting()) else {
                    return Ok(());
                };
                let from = row.it.state;
                let waited = now.begun.seconds_until(at.now);
                let (moved, outcome) = match &tried {
                    Tried::Accepted => (row.it.transmitted(at.now), "accepted".to_owned()),
                    Tried::Rejected(why) => (row.it.failed(at.now), why.clone()),
                    Tried::NotReached(why) if waited >= GIVE_UP_SECONDS => {
                        (row.it.failed(at.now), why.clone())
                    }
                    Tried::NotReached(why) => {
                        now.state.not_reached(now.tries, why, at.now);
                        tracing::warn!(prescription = %id, tries = now.tries, why, "a prescription was not sent yet");
                        return tx.save_transmission(&now);
                    }
                };
                if moved.is_err() {
                    return Err(Tx::broken("what was on its way is not signed"));
                }
                now.state.end(outcome, at.now);
                tx.save_transmission(&now)?;
                row.changed = at.now;
                tx.move_prescription(&row, from)?;
                let mut event =
                    Event::success(EventKind::PrescriptionSent, Actor::System, at.support)
                        .about(practice, row.it.prescriber)
                        .detail(&id.to_string());
                if !matches!(tried, Tried::Accepted) {
                    let rejected = matches!(tried, Tried::Rejected(_));
                    event.outcome = Outcome::Refused;
                    event = event.reason(if rejected { "rejected" } else { "not_reached" });
                    say_failed(tx, &mailer, &row, &now, !rejected, at)?;
                }
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }
}

fn slow_before(now: Timestamp) -> Timestamp {
    now.plus_seconds(-SLOW_SECONDS)
}

/// What the gateway gets: the signed record, and the same as a message of the pharmacies' network. All of it is what the
/// record says.
fn parcel(signed: &SignedRecord, public_url: &str) -> Result<String, &'static str> {
    let message = newrx::of_record(signed.prescription, &signed.key_id, &signed.jws)?;
    let said = record::said(&signed.jws).ok_or("the signed record can't be read")?;
    let pharmacy = said.pointer("/prescription/pharmacy").ok_or("it names no pharmacy")?;
    Ok(json!({
        "id": signed.prescription.to_string(),
        "pharmacy": pharmacy,
        "signed_record": signed.jws,
        "keys": format!("{public_url}/.well-known/jwks.json"),
        "new_rx": message,
    })
    .to_string())
}

/// What a notice says of it: never a word of the patient.
fn which(tx: &mut Tx<'_>, it: &Transmission) -> Result<String, countersign_store::Error> {
    let zone = tx.practice(it.practice)?.map_or(TimeZone::UTC, |found| found.zone);
    Ok(format!("signed {}", zone.moment_text(it.begun)))
}

fn say_slow(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Transmission,
    at: At,
) -> Result<(), countersign_store::Error> {
    let Some(row) = tx.prescription(it.practice, it.prescription)? else { return Ok(()) };
    let notice = Notice {
        note: Note::RxSlow,
        practice: it.practice,
        detail: &which(tx, it)?,
        path: "/portal/prescriptions",
    };
    if let Some(person) = tx.person(row.it.prescriber)? {
        mailer.inform(tx, &person, &notice, at.now)?;
    }
    let mut event = Event::success(EventKind::PrescriptionSlow, Actor::System, at.support)
        .about(it.practice, row.it.prescriber)
        .detail(&it.prescription.to_string());
    event.outcome = Outcome::Refused;
    tx.append(&event.reason("not_sent_within_a_minute"), at.now)
}

/// Tells the practitioner; what was not reached for so long is an incident that somebody looks at.
fn say_failed(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    row: &PrescriptionRow,
    it: &Transmission,
    incident: bool,
    at: At,
) -> Result<(), countersign_store::Error> {
    // What the gateway says may name the patient: it stays on the page.
    let why = if incident { "the pharmacy was not reached" } else { "the pharmacy rejected it" };
    let detail = format!("{}, {why}", which(tx, it)?);
    let practice = row.practice;
    let notice =
        Notice { note: Note::RxFailed, practice, detail: &detail, path: "/portal/prescriptions" };
    if let Some(person) = tx.person(row.it.prescriber)? {
        mailer.inform(tx, &person, &notice, at.now)?;
    }
    if !incident {
        return Ok(());
    }
    mailer.tell_designated(tx, &notice, Some(row.it.prescriber), at.now)?;
    let Some(rules) = tx.practice(practice)? else { return Ok(()) };
    let id = DeadlineId::new(at.now, tx.rng())?;
    tx.create_deadline(&Deadline {
        id,
        practice,
        person: Some(row.it.prescriber),
        kind: "prescription_not_sent".to_owned(),
        discovered: at.now,
        due: one_business_day_after(at.now, &rules.zone),
        done: None,
        note: format!("Record {}; {} tries; {}", row.id, it.tries, it.state.outcome()),
    })
}

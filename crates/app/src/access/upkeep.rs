//! Deadlines, reminders, and registrations and licenses that expire.

use std::convert::Infallible;

use countersign_domain::{Actor, DeadlineId, access::Cause, command::commands};
use countersign_store::{Authority, Nearing, Tx};

use super::revocation::take_unsupported;
use crate::{
    Act, Answer, App, At, Error,
    archive::remind_of_logs,
    command::{Caller, Decision},
    fobs::retire_worn_out,
    notices::{Mailer, Note, Notice},
    tell_wrong_passcodes,
};

impl App {
    /// Notes that something due was done. Nothing is found where there is no such thing, or it was done.
    pub async fn deadline_done(
        &self,
        act: Act,
        id: DeadlineId,
        note: String,
        at: At,
    ) -> Result<Answer<(), Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::CLOSE_DEADLINE, Caller::Member(Box::new(act)), at, move |cx| {
            if !cx.tx.deadline_done(practice, id, Some(by), &note, at.now)? {
                return Ok(Decision::NotFound);
            }
            cx.detail(&note);
            Ok(Decision::Done(()))
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
        "loss_reported" => "Review a reported loss",
        "prescription_not_sent" => "Review a prescription that was not delivered",
        "prescription_disowned" => "Review a prescription reported as not issued by the prescriber",
        _ => "Task",
    }
}

/// What is to be done about it, in words.
pub fn deadline_advice(kind: &str) -> &'static str {
    match kind {
        "loss_reported" => {
            "Access control designees must be notified of a loss within one business day. Review the tokens, and what was signed since the loss."
        }
        "prescription_not_sent" => {
            "Find out why it was not delivered. If this is a security incident, notify DEA and your application provider within one business day (21 CFR 1311.150(c))."
        }
        "prescription_disowned" => {
            "Review the record. If it was sent, call the pharmacy. If it is a security incident, notify DEA and your application provider within one business day (21 CFR 1311.150(c))."
        }
        _ => "",
    }
}

/// How long before its end the designated individuals are reminded of what is due, in seconds.
const REMIND_SECONDS: i64 = 4 * 3_600;

fn remind(tx: &mut Tx<'_>, mailer: &Mailer, at: At) -> Result<(), countersign_store::Error> {
    let before = at.now.plus_seconds(REMIND_SECONDS);
    for Nearing { practice, person, kind, due } in tx.deadlines_nearing(before, at.now)? {
        let Some(zone) = tx.practice(practice)?.map(|found| found.zone) else { continue };
        let name = person.map(|id| tx.person(id)).transpose()?.flatten();
        let whom = name.as_ref().map_or("this practice", |found| &found.name);
        let notice = Notice {
            note: Note::Reminder,
            practice,
            detail: &format!("{} ({whom}), by {}", deadline_label(&kind), zone.moment_text(due)),
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
        let verb = if ended { "expired after" } else { "expires after" };
        let detail = format!("{whose}: {what} {verb} {}.", it.paper.expires().text());
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

//! The report of the demonstration.

use countersign_crypto::sha256;
use countersign_domain::{
    Actor, Date, Event, EventKind, ReportId, Role, TimeZone,
    certification::{ReportFacts, ReportFormat, ReportKind},
};
use countersign_store::Report;

use super::said;
use crate::{App, At, Error};

impl App {
    /// Puts a made-up report in force for the build of a demonstration: entered, acknowledged for each practice by
    /// somebody who sets access control, and read by everybody who prescribes. Does nothing where that is done.
    pub async fn install_demo_report(&self, at: At) -> Result<(), Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let running = self.running();
        let day = Date::at(at.now, &TimeZone::UTC);
        let document = DEMO_REPORT.replace("{version}", &running.version.to_string());
        self.store
            .write("install_demo_report", move |tx| {
                let known = tx.report_of(&running.id, None)?;
                let known = known.filter(|it| it.facts.holds(day.plus_days(-1)));
                let report = if let Some(known) = known {
                    known
                } else {
                    let report = Report {
                        id: ReportId::new(at.now, tx.rng())?,
                        facts: ReportFacts {
                            name: format!("MADE-UP-{day}"),
                            kind: ReportKind::Audit,
                            auditor: "Fictional auditor (demonstration)".to_owned(),
                            // The day before, so that it holds in every time zone.
                            issued: day.plus_days(-1),
                            expires: day.plus_days(700),
                        },
                        format: ReportFormat::Text,
                        sha256: sha256(document.as_bytes()),
                        entered: at.now,
                        entered_by: "demo".to_owned(),
                        builds: vec![running.id.clone()],
                    };
                    if !tx.create_report(&report, document.as_bytes())? {
                        return Ok(());
                    }
                    let event =
                        Event::success(EventKind::ReportEntered, Actor::Operator, at.support);
                    tx.append(&event.detail(&said(&report, &running)), at.now)?;
                    report
                };
                let detail = format!("{}, of the demonstration", report.facts.name);
                for (practice, _) in tx.practices()? {
                    let members = tx.roles_in(practice)?;
                    let now = members.iter().filter(|member| member.ended.is_none());
                    let first = now.clone().find(|member| member.role == Role::Designated);
                    let mut event =
                        Event::success(EventKind::ReportAcknowledged, Actor::Operator, at.support)
                            .detail(&detail);
                    event.practice = Some(practice);
                    if let Some(first) = first
                        && tx.acknowledge_report(
                            practice,
                            report.id,
                            &running.id,
                            first.person,
                            at.now,
                        )?
                    {
                        tx.append(&event, at.now)?;
                    }
                    event.kind = EventKind::ReportReviewed;
                    for it in now.filter(|member| member.role == Role::Prescriber) {
                        // Whoever is only invited reads it with the terms.
                        let enrolled =
                            tx.person(it.person)?.is_some_and(|found| found.passphrase.is_some());
                        if enrolled && tx.review_report(it.person, report.id, at.now)? {
                            let event = Event { prescriber: Some(it.person), ..event.clone() };
                            tx.append(&event, at.now)?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// The report of a demonstration.
const DEMO_REPORT: &str = "FICTIONAL. This is not an audit report.\n\n\
    It takes the place of an auditor's report (21 CFR 1311.300) in the demonstration of Countersign {version}.\n\
    No one has audited or certified this software. No prescription in the demonstration is real.\n\n\
    A real report says, among other things, whether the application records, stores and transmits accurately and\n\
    consistently (21 CFR 1311.102(d)):\n\n\
    1. the information required for a prescription (21 CFR 1306.05(a)),\n\
    2. the indication of signing (21 CFR 1311.120(b)(17)),\n\
    3. the number of refills (21 CFR 1306.22).\n";

//! The chart that is open, the frame of its pages, and how a prescription is shown.

use countersign_app::{Chart, OneRx, Overview, Sheet};
use countersign_domain::{
    DeaNumber, PersonId, PrescriptionId, Schedule,
    prescription::{Content, Quantity, Rules, State as RxState},
};
use countersign_store::{Identity, PrescriptionRow, Session};

use crate::{
    portal::{Ctx, show, start::closed, tokens},
    views::{Area, Page, RxLine, SigningLine},
    web::respond::Stop,
};

pub(super) const HOME: &str = "/e-prescribing";

/// Session, chart and what the chart shows.
pub(super) struct Known {
    pub(super) session: Session,
    pub(super) chart: Chart,
    pub(super) sheet: Sheet,
    pub(super) name: String,
    /// The tokens of the prescriber who looks; none for staff.
    pub(super) overview: Option<Overview>,
    /// Why the prescriber who looks can't sign now, whatever is written.
    signing: Option<SigningLine>,
}

fn not_from_a_chart(ctx: &Ctx) -> Stop {
    Stop::with(closed(
        ctx.frame(""),
        "Open e-Prescribing from a patient's chart",
        "In your EHR, open the chart of a patient and choose the e-Prescribing tab.",
        Some(("/portal".to_owned(), "Go to Token Management".to_owned())),
    ))
}

pub(super) fn another_chart(ctx: &Ctx) -> Stop {
    Stop::with(closed(
        ctx.frame(""),
        "A different patient's chart is open",
        "Another chart was opened in this browser after that page. Nothing was saved. Open the first patient's \
         chart again from your EHR.",
        Some((HOME.to_owned(), "Go to the open chart".to_owned())),
    ))
}

pub(super) async fn known(ctx: &Ctx) -> Result<Known, Stop> {
    let Some(session) = ctx.session.clone() else { return Err(not_from_a_chart(ctx)) };
    let Ok(chart) = ctx.app().chart(&session) else { return Err(not_from_a_chart(ctx)) };
    let sheet = ctx.app().sheet(&chart, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let name = ctx.app().launched_name(&session).await.map_err(|error| ctx.stop(&error))?;
    let (overview, signing) = match chart.who {
        Identity::Prescriber(person) => {
            let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
            let signing = tokens::signing(ctx, &session, person, &overview).await?;
            (Some(overview), signing.filter(|it| !it.allowed))
        }
        Identity::Staff(_) => (None, None),
    };
    Ok(Known { session, chart, sheet, name: name.unwrap_or_default(), overview, signing })
}

impl Known {
    pub(super) fn frame(&self, ctx: &Ctx, title: &str) -> Page {
        let mut frame = ctx.frame_for(title, &self.name);
        frame.area = Area::EPrescribing;
        frame.zone = Some(self.sheet.zone.clone());
        frame.signing.clone_from(&self.signing);
        frame
    }

    pub(super) fn me(&self) -> Option<PersonId> {
        match self.chart.who {
            Identity::Prescriber(id) => Some(id),
            Identity::Staff(_) => None,
        }
    }

    /// The rules for a prescription under this number.
    pub(super) fn rules<'a>(&self, ctx: &'a Ctx, number: Option<DeaNumber>) -> Rules<'a> {
        let options = ctx.app().options();
        let mut numbers = self.sheet.numbers.iter().map(|it| &it.registration);
        Rules {
            today: self.sheet.today,
            drugs: &options.drugs,
            states: &options.states,
            state: numbers.find(|it| Some(it.number) == number).map(|it| it.state),
        }
    }

    fn name_of(&self, id: PersonId) -> String {
        let found = self.sheet.prescribers.iter().find(|(known, _)| *known == id);
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    }

    pub(super) fn line(&self, row: &PrescriptionRow) -> RxLine {
        let content = &row.it.content;
        let what = [content.drug.as_str(), content.strength.as_str()].join(" ");
        RxLine {
            href: format!("{HOME}/rx/{}", row.id),
            what: if what.trim().is_empty() { "Prescription".to_owned() } else { what },
            state: row.it.state.label(),
            class: match row.it.state {
                RxState::Draft => "disabled",
                RxState::Ready { .. } | RxState::Failed { .. } => "locked",
                RxState::Signed { .. } | RxState::Transmitted { .. } => "active",
                RxState::Printed { .. } | RxState::Cancelled { .. } => "ended",
            },
            writer: Some(row.by.clone())
                .filter(|by| !by.is_empty() && *by != self.name_of(row.it.prescriber)),
            by: self.name_of(row.it.prescriber),
            when: show::when(row.changed),
            facts: facts(content),
            short: short(content),
            hindrance: String::new(),
        }
    }
}

/// What stands beside the fields that sign: patient, drug, strength, quantity, DEA number.
fn short(content: &Content) -> String {
    let quantity = content.quantity.as_ref().map_or("", Quantity::as_str);
    format!(
        "{}: {} {}, {quantity} {}, {}, DEA {}",
        content.patient.name,
        content.drug,
        content.strength,
        content.unit,
        content.directions,
        content.written_dea(),
    )
}

/// Everything that a prescription says, as the practitioner must see it (21 CFR 1311.120(b)(9)).
pub(super) fn facts(content: &Content) -> Vec<(&'static str, String)> {
    let quantity = content.quantity.as_ref().map_or("", Quantity::as_str);
    let mut facts = vec![
        ("Patient", format!("{}, DOB {}", content.patient.name, show::date(&content.patient.born))),
        ("MRN", content.patient.mrn.clone()),
        ("Patient's address", content.patient.address.clone()),
        ("Drug", content.drug.clone()),
        ("Strength, form", format!("{}, {}", content.strength, content.form)),
        ("Schedule", content.schedule.map_or("", Schedule::label).to_owned()),
        ("Quantity", format!("{quantity} {}", content.unit)),
        ("Directions for use", content.directions.clone()),
        ("Refills", content.refills.to_string()),
    ];
    if let Some(days) = content.days_supply {
        facts.push(("Days' supply", days.to_string()));
    }
    if let Some(day) = content.earliest_fill {
        facts.push(("Do not fill before", day.text()));
    }
    if let Some(day) = content.last_fill {
        facts.push(("Do not fill after", day.text()));
    }
    if let Some(series) = content.series {
        let text = match series.of {
            0 => "C-II".to_owned(),
            of => format!("{} of {of}", series.number),
        };
        facts.push(("In a series", text));
    }
    if !content.note.is_empty() {
        facts.push(("Note to the pharmacist", content.note.clone()));
    }
    facts.push((
        "Pharmacy",
        content
            .pharmacy
            .as_ref()
            .map_or_else(String::new, |it| format!("{}, NCPDP {}", it.name, it.ncpdp)),
    ));
    facts.push(("DEA number", content.written_dea()));
    if let Some(it) = &content.supervisor {
        let dea = it.dea.map(|dea| format!(", DEA {}", dea.as_text())).unwrap_or_default();
        facts.push(("Supervisor (does not sign)", format!("{}{dea}", it.name)));
    }
    facts
}

/// The prescription of an address, if it is one of this chart.
pub(super) async fn found(ctx: &Ctx, known: &Known, id: &str) -> Result<OneRx, Stop> {
    let id: PrescriptionId = id.parse().map_err(|_| ctx.not_found())?;
    ctx.app().prescription(&known.chart, id, ctx.at).await.map_err(|error| ctx.stop(&error))
}

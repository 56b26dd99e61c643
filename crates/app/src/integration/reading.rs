//! The prescriptions of a signing request, read and checked field by field.

use countersign_domain::{
    Date, DeaNumber, PracticeId, PrescriptionId, Schedule, check_line,
    prescription::{
        Content, Patient, Pharmacy, Prescription, Quantity, Series, Supervisor, longest,
        number_series,
    },
    read_dea,
};
use countersign_store::{PrescriptionRow, Tx};

use super::NewRequest;
use crate::{
    At,
    prescriptions::{Ground, Practitioner},
};

/// Most prescriptions of one request.
const MOST_PRESCRIPTIONS: usize = 20;

/// A prescription as a system writes it; texts as they were sent.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Drug.
    pub drug: String,
    /// Strength.
    pub strength: String,
    /// Form.
    pub form: String,
    /// Schedule: 2, 2N, 3, 3N, 4, 5; empty where the table knows the drug.
    pub schedule: String,
    /// Quantity.
    pub quantity: String,
    /// Of what.
    pub unit: String,
    /// Directions for use.
    pub directions: String,
    /// For how many days it lasts; 0 where it is not said.
    pub days_supply: u16,
    /// Refills.
    pub refills: u8,
    /// Earliest fill date; empty for none.
    pub earliest_fill: String,
    /// The same word for all of a series in the request; empty for none.
    pub series: String,
    /// Name of the supervisor; empty for none.
    pub supervisor: String,
    /// DEA number of the supervisor; empty for none.
    pub supervisor_dea: String,
    /// A word to the pharmacist.
    pub note: String,
    /// NCPDP number of the pharmacy.
    pub pharmacy: String,
    /// DEA number, an institution's with or without the internal code.
    pub dea: String,
    /// The practitioner has marked it ready (21 CFR 1311.120(b)(10)).
    pub ready: bool,
}

/// Something that is wrong with a request: which prescription, which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Which prescription, from 0; none where it is none of them.
    pub prescription: Option<usize>,
    /// Which field.
    pub field: &'static str,
    /// What to do.
    pub text: String,
    /// Stable code, where it is no fault of the request: the prescription could not be signed now.
    pub code: Option<&'static str>,
}

impl Wrong {
    pub(super) const fn of(prescription: Option<usize>, field: &'static str, text: String) -> Self {
        Self { prescription, field, text, code: None }
    }
}

/// Makes a series of each set of prescriptions that have the same word; its first one names it.
pub(super) fn make_series(words: &[&str], ids: &[PrescriptionId], contents: &mut [Content]) {
    let mut begun: Vec<(&str, PrescriptionId)> = Vec::new();
    for ((word, id), content) in words.iter().zip(ids).zip(contents.iter_mut()) {
        if word.is_empty() {
            continue;
        }
        let known = begun.iter().find(|(known, _)| known == word).map(|(_, id)| *id);
        if known.is_none() {
            begun.push((word, *id));
        }
        content.series = Some(Series { id: known.unwrap_or(*id), number: 0, of: 0 });
    }
    for (_, id) in begun {
        let mut all: Vec<&mut Content> = contents
            .iter_mut()
            .filter(|it| it.series.is_some_and(|series| series.id == id))
            .collect();
        number_series(&mut all);
    }
}

/// One prescription of a request; what can't be read of it, field by field.
fn read(
    it: &Written,
    patient: &Patient,
    practitioner: &Practitioner,
    ground: &Ground,
    pharmacies: &[Pharmacy],
) -> Result<Content, Vec<(&'static str, String)>> {
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    let mut tell = |field, text: &str| wrong.push((field, text.to_owned()));
    let dea = read_dea(&it.dea);
    let number = dea.as_ref().ok().map(|(number, _)| *number);
    let rules = practitioner.rules(ground, number);
    let listed = rules.drugs.schedule_of(&it.drug, rules.state);
    let chosen = Schedule::ALL.into_iter().find(|known| known.code() == it.schedule);
    if !it.schedule.is_empty() && chosen.is_none() {
        tell("schedule", "Send 2, 2N, 3, 3N, 4 or 5.");
    }
    if let Some(text) = chosen.and_then(|chosen| rules.wrong_schedule(&it.drug, chosen)) {
        tell("schedule", &text);
    }
    let quantity = it.quantity.parse::<Quantity>();
    if let Err(error) = &quantity {
        tell("quantity", &error.to_string());
    }
    let earliest_fill = match it.earliest_fill.as_str() {
        "" => None,
        text => match text.parse::<Date>() {
            Ok(day) => Some(day),
            Err(error) => {
                tell("earliest_fill", &error.to_string());
                None
            }
        },
    };
    if let Err(error) = &dea {
        tell("dea", &error.to_string());
    }
    let supervisor_dea = match it.supervisor_dea.as_str() {
        "" => None,
        text => match text.parse::<DeaNumber>() {
            Ok(number) => Some(number),
            Err(error) => {
                tell("supervisor_dea", &error.to_string());
                None
            }
        },
    };
    let pharmacy = pharmacies.iter().find(|known| known.ncpdp == it.pharmacy).cloned();
    if pharmacy.is_none() {
        tell("pharmacy", "Send the NCPDP number of a pharmacy that is set up on this server.");
    }
    if !it.ready {
        tell(
            "ready",
            "The practitioner must mark each prescription ready (21 CFR 1311.120(b)(10)).",
        );
    }
    let lines = [
        (&it.drug, "drug"),
        (&it.strength, "strength"),
        (&it.form, "form"),
        (&it.unit, "unit"),
        (&it.directions, "directions"),
        (&it.note, "note"),
        (&it.supervisor, "supervisor"),
    ];
    for (text, field) in lines {
        // Never cut: what is signed is what was sent.
        if let Err(error) = check_line(text.trim(), longest(field)) {
            tell(field, &error.to_string());
        }
    }
    let (Ok(quantity), Ok((dea, code)), true) = (quantity, dea, wrong.is_empty()) else {
        return Err(wrong);
    };
    let (name, supervised) = (it.supervisor.trim(), supervisor_dea.is_some());
    let mut content = Content {
        patient: patient.clone(),
        drug: it.drug.trim().to_owned(),
        strength: it.strength.trim().to_owned(),
        form: it.form.trim().to_owned(),
        schedule: chosen.or(listed),
        quantity: Some(quantity),
        unit: it.unit.trim().to_owned(),
        directions: it.directions.trim().to_owned(),
        days_supply: Some(it.days_supply).filter(|days| *days > 0),
        refills: it.refills,
        earliest_fill,
        last_fill: None,
        series: None,
        note: it.note.trim().to_owned(),
        pharmacy,
        dea: Some(dea),
        internal_code: None,
        supervisor: (supervised || !name.is_empty())
            .then(|| Supervisor { name: name.to_owned(), dea: supervisor_dea }),
    };
    practitioner.complete(&mut content);
    content.last_fill = content.last_fill_day(&rules);
    if code.is_some() && code != content.internal_code {
        return Err(vec![("dea", "This is not the prescriber's internal code.".to_owned())]);
    }
    Ok(content)
}

/// The prescriptions of a request; all that can't be read of them.
pub(super) fn contents_of(
    request: &NewRequest,
    practitioner: &Practitioner,
    ground: &Ground,
    pharmacies: &[Pharmacy],
) -> Result<Vec<Content>, Vec<Wrong>> {
    let (mut contents, mut wrong) = (Vec::new(), Vec::new());
    if !(1..=MOST_PRESCRIPTIONS).contains(&request.prescriptions.len()) {
        let text = format!("Send from 1 to {MOST_PRESCRIPTIONS} prescriptions.");
        wrong.push(Wrong::of(None, "prescriptions", text));
    }
    for (at, written) in request.prescriptions.iter().enumerate() {
        match read(written, &request.patient, practitioner, ground, pharmacies) {
            Ok(content) => contents.push(content),
            Err(found) => wrong
                .extend(found.into_iter().map(|(field, text)| Wrong::of(Some(at), field, text))),
        }
    }
    if wrong.is_empty() { Ok(contents) } else { Err(wrong) }
}

/// What keeps them from being marked ready: nothing where all of them may be.
pub(super) fn judged(
    tx: &mut Tx<'_>,
    practitioner: &Practitioner,
    ground: &Ground,
    contents: &[Content],
) -> Result<Vec<Wrong>, countersign_store::Error> {
    let mut wrong = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        // The practitioner has marked each one ready elsewhere: it is judged as if it were marked here.
        let series: Vec<&Content> = contents
            .iter()
            .filter(|it| {
                let id = |it: &Content| it.series.map(|series| series.id);
                content.series.is_some() && id(it) == id(content)
            })
            .collect();
        let judgment = practitioner.judge(tx, ground, content, &series)?;
        let lacks = judgment.lacks.into_iter();
        wrong.extend(lacks.map(|it| Wrong::of(Some(at), it.field, it.text.into_owned())));
        wrong.extend(judgment.hindrances.into_iter().map(|it| Wrong {
            prescription: Some(at),
            field: it.field(),
            text: it.to_string(),
            code: Some(it.code()),
        }));
    }
    Ok(wrong)
}

/// Puts one down that the practitioner has marked ready on the system's screen.
pub(super) fn put_down(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    id: PrescriptionId,
    it: Prescription,
    at: At,
) -> Result<(), countersign_store::Error> {
    let by = "the EHR".to_owned();
    tx.create_prescription(&PrescriptionRow {
        id,
        practice,
        it,
        created: at.now,
        changed: at.now,
        by,
    })
}

//! What a prescription says, as fields, as lines on a token and as the JSON that is signed.

use super::{Pharmacy, Quantity, REFILL_MONTHS, Rules, Series};
use crate::{Date, DeaNumber, InternalCode, Schedule, canonical::Json, written_dea};

/// For whom it is, as the EHR says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patient {
    /// The EHR's identifier.
    pub id: String,
    /// Full name of the patient, in one line.
    pub name: String,
    /// Date of birth as the EHR sends it, such as `1971-03-14`.
    pub born: String,
    /// Medical record number at the EHR.
    pub mrn: String,
    /// Full address (21 CFR 1306.05(a)).
    pub address: String,
}

/// The supervisor of a mid-level practitioner, where the state wants one named (21 CFR 1311.135(c)). Never the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervisor {
    /// Full name of the supervisor, in one line.
    pub name: String,
    /// DEA number, where it is wanted too.
    pub dea: Option<DeaNumber>,
}

/// What a prescription says (21 CFR 1306.05(a), 1311.120(b)(9)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The patient, as the EHR named them at the launch.
    pub patient: Patient,
    /// Name of the drug, in one line.
    pub drug: String,
    /// Strength with its unit, such as `5 mg`.
    pub strength: String,
    /// Dosage form, such as `tablet` or `solution`.
    pub form: String,
    /// Its schedule, where the DEA number is registered.
    pub schedule: Option<Schedule>,
    /// How much is dispensed, counted in `unit`; none while it is not given.
    pub quantity: Option<Quantity>,
    /// Unit of the quantity, such as `tablets` or `mL`.
    pub unit: String,
    /// Directions for use, in one line.
    pub directions: String,
    /// For how many days it lasts; needed in a series.
    pub days_supply: Option<u16>,
    /// Number of refills after the first fill; 0 for schedule II (21 CFR 1306.12(a)).
    pub refills: u8,
    /// The earliest day on which it may be filled: in a series of schedule II.
    pub earliest_fill: Option<Date>,
    /// The last day on which it may be filled or refilled, counted from the day of issue. Known once it is shown for
    /// signing.
    pub last_fill: Option<Date>,
    /// The series that it is one of.
    pub series: Option<Series>,
    /// A word to the pharmacist.
    pub note: String,
    /// The pharmacy to which it is transmitted.
    pub pharmacy: Option<Pharmacy>,
    /// Under which DEA number; never chosen by itself (1311.120(b)(7)).
    pub dea: Option<DeaNumber>,
    /// The code that follows an institution's number (1306.05(g)).
    pub internal_code: Option<InternalCode>,
    /// The practitioner's supervisor.
    pub supervisor: Option<Supervisor>,
}

impl Content {
    /// The last day on which it may be filled or refilled, where it is issued on `today`: six months for III and IV (21
    /// CFR 1306.22), and for V what the state says.
    pub fn last_fill_day(&self, rules: &Rules<'_>) -> Option<Date> {
        match self.schedule? {
            Schedule::II | Schedule::IIN => None,
            Schedule::III | Schedule::IIIN | Schedule::IV => {
                Some(rules.today.plus_months(REFILL_MONTHS))
            }
            Schedule::V => {
                let days = rules.states.limit_of_v(rules.state)?.days?;
                Some(rules.today.plus_days(i32::from(days)))
            }
        }
    }

    /// The DEA number as it stands on it: with hyphen and internal code where it is an institution's (1306.05(g)).
    pub fn written_dea(&self) -> String {
        self.dea.map(|dea| written_dea(dea, self.internal_code.as_ref())).unwrap_or_default()
    }

    /// What a token shows of it: everything that says what is dispensed, how it is used, and where. A line each,
    /// the first with its number among those that are signed together.
    pub fn in_lines(&self, number: usize) -> Vec<String> {
        let quantity = self.quantity.as_ref().map_or("", Quantity::as_str);
        let mut lines = vec![
            format!(
                "{number}. {} {} {}, {quantity} {}",
                self.drug.trim(),
                self.strength.trim(),
                self.form.trim(),
                self.unit.trim()
            ),
            format!("Refills: {}", self.refills),
            format!("Directions: {}", self.directions.trim()),
        ];
        let mut more = |what: &str, text: &str| {
            if !text.is_empty() {
                lines.push(format!("{what}: {text}"));
            }
        };
        let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        more("Days' supply", &self.days_supply.map(|days| days.to_string()).unwrap_or_default());
        more("Not before", &day(self.earliest_fill));
        more("Not after", &day(self.last_fill));
        let series = |it: Series| format!("{} of {}", it.number, it.of);
        more("In a series", &self.series.map(series).unwrap_or_default());
        more("Note", self.note.trim());
        more("Pharmacy", self.pharmacy.as_ref().map_or("", |it| it.name.as_str()));
        more("DEA", &self.written_dea());
        more("Supervisor", self.supervisor.as_ref().map_or("", |it| it.name.as_str()));
        lines
    }

    /// Its part of what is shown and signed. Every name is always there: a text that says nothing is empty, a number 0.
    pub fn json(&self) -> Json {
        let text = |text: &str| Json::from(text.trim());
        let day =
            |day: Option<Date>| Json::from(day.map(|day| day.to_string()).unwrap_or_default());
        let series = self.series;
        let supervisor = self.supervisor.as_ref();
        Json::object([
            (
                "patient",
                Json::object([
                    ("id", text(&self.patient.id)),
                    ("name", text(&self.patient.name)),
                    ("birth_date", text(&self.patient.born)),
                    ("mrn", text(&self.patient.mrn)),
                    ("address", text(&self.patient.address)),
                ]),
            ),
            ("drug", text(&self.drug)),
            ("strength", text(&self.strength)),
            ("form", text(&self.form)),
            ("schedule", Json::from(self.schedule.map_or("", Schedule::code))),
            ("quantity", Json::from(self.quantity.as_ref().map_or("", Quantity::as_str))),
            ("unit", text(&self.unit)),
            ("directions", text(&self.directions)),
            ("days_supply", Json::Int(self.days_supply.map_or(0, i64::from))),
            ("refills", Json::Int(i64::from(self.refills))),
            ("earliest_fill", day(self.earliest_fill)),
            ("last_fill", day(self.last_fill)),
            (
                "series",
                Json::object([
                    ("id", Json::from(series.map(|it| it.id.to_string()).unwrap_or_default())),
                    ("number", Json::Int(series.map_or(0, |it| i64::from(it.number)))),
                    ("of", Json::Int(series.map_or(0, |it| i64::from(it.of)))),
                ]),
            ),
            ("note", text(&self.note)),
            (
                "pharmacy",
                Json::object([
                    (
                        "ncpdp",
                        Json::from(self.pharmacy.as_ref().map_or("", |it| it.ncpdp.as_str())),
                    ),
                    ("name", Json::from(self.pharmacy.as_ref().map_or("", |it| it.name.as_str()))),
                ]),
            ),
            ("dea", Json::from(self.written_dea())),
            (
                "supervisor",
                Json::object([
                    ("name", text(supervisor.map_or("", |it| it.name.as_str()))),
                    (
                        "dea",
                        Json::from(
                            supervisor
                                .and_then(|it| it.dea)
                                .map(|dea| dea.as_text())
                                .unwrap_or_default(),
                        ),
                    ),
                ]),
            ),
        ])
    }
}

//! A prescription of a controlled substance: what it must say, how far it has come, and what may become
//! of it next.
//!
//! Much of what 21 CFR 1311.120(b) asks was read at second hand (see `docs/compliance.md`), so each rule
//! stands in one named place here.

use std::borrow::Cow;

use thiserror::Error;

use crate::{
    Date, DeaNumber, InternalCode, PersonId, PrescriptionId, RegistrantKind, Schedule, TextError,
    Timestamp, UsState,
    canonical::Json,
    check_line,
    controlled::Table,
    one_script,
    state_rules::{MOST_REFILLS_OF_V, StateRules},
    written_dea,
};

/// What the page of signing shows, word for word (21 CFR 1311.140(a)(3)).
pub const SIGNING_STATEMENT: &str = "By completing the two-factor authentication protocol at this time, you are legally signing the prescription(s) and authorizing the transmission of the above information to the pharmacy for dispensing. The two-factor authentication protocol may only be completed by the practitioner whose name and DEA registration number appear above.";

/// Most refills of schedules III and IV (21 CFR 1306.22).
pub const MOST_REFILLS: u8 = 5;
/// Months after the day of issue in which III and IV may be filled and refilled (21 CFR 1306.22).
pub const REFILL_MONTHS: u8 = 6;
/// Days of supply that a series of schedule II prescriptions covers at most (21 CFR 1306.12(b)(1)).
pub const SERIES_DAYS: u16 = 90;
/// Most days of supply of one prescription.
pub const MOST_DAYS_SUPPLY: u16 = 999;
/// Idle seconds after which a page of signing is over (question A13).
pub const SIGNING_SECONDS: i64 = 120;

/// Most characters of each text. The directions are as long as the pharmacies' standard carries; what is longer
/// is refused, never cut (21 CFR 1311.170(e)).
pub const LONGEST: [(&str, usize); 8] = [
    ("drug", 100),
    ("strength", 60),
    ("form", 60),
    ("unit", 40),
    ("directions", 1_000),
    ("address", 200),
    ("note", 200),
    ("supervisor", 100),
];

/// Most characters of the note that the pharmacies' network carries. What tells of a series comes behind what was typed.
pub const LONGEST_NOTE: usize = 210;
/// What of that a series takes, in characters.
const SERIES_NOTE: usize = 20;

/// Most characters of the text with that name; none of another.
pub fn longest(field: &str) -> usize {
    LONGEST.iter().find(|(name, _)| *name == field).map_or(0, |(_, most)| *most)
}

/// The amount is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Type how much, such as 30 or 2.5.")]
pub struct QuantityError;

/// An amount: more than nothing, at most two decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(String);

impl Quantity {
    /// As it is written: no zeros that say nothing (a trailing zero has been read as another digit).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let dotted = text.contains('.');
        if whole.is_empty()
            || whole.len() > 6
            || part.len() > 2
            || !digits(whole)
            || !digits(part)
            || (dotted && part.is_empty())
        {
            return Err(QuantityError);
        }
        let whole = whole.trim_start_matches('0');
        let part = part.trim_end_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        match (whole, part) {
            ("0", "") => Err(QuantityError),
            (whole, "") => Ok(Self(whole.to_owned())),
            (whole, part) => Ok(Self(format!("{whole}.{part}"))),
        }
    }
}

/// Seconds after which a prescription that is not transmitted is told to its practitioner (question A14).
pub const SLOW_SECONDS: i64 = 60;
/// Seconds after which transmission is given up, and somebody looks at it (question A14).
pub const GIVE_UP_SECONDS: i64 = 15 * 60;

/// Where it is to be dispensed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pharmacy {
    /// Its NCPDP provider number: seven digits.
    pub ncpdp: String,
    /// Name and address.
    pub name: String,
}

/// It names no pharmacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PharmacyError {
    /// It is not written as one.
    #[error("a pharmacy is its NCPDP number of seven digits, a space, and name and address")]
    Shape,
    /// Name and address are no line of text.
    #[error("name and address: {0}")]
    Name(TextError),
}

impl std::str::FromStr for Pharmacy {
    type Err = PharmacyError;

    /// As an operator writes it: `1234567 Corner Pharmacy, 3 Oak Street`.
    fn from_str(text: &str) -> Result<Self, PharmacyError> {
        let (ncpdp, name) = text.trim().split_once(' ').ok_or(PharmacyError::Shape)?;
        let digits = ncpdp.len() == 7 && ncpdp.bytes().all(|byte| byte.is_ascii_digit());
        let name = name.trim();
        if !digits || name.is_empty() {
            return Err(PharmacyError::Shape);
        }
        check_line(name, 200).map_err(PharmacyError::Name)?;
        Ok(Self { ncpdp: ncpdp.to_owned(), name: name.to_owned() })
    }
}

/// For whom it is, as the EHR says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patient {
    /// The EHR's identifier.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Date of birth.
    pub born: String,
    /// Medical record number.
    pub mrn: String,
    /// Full address (21 CFR 1306.05(a)).
    pub address: String,
}

/// One of several prescriptions of schedule II that are issued together (21 CFR 1306.12(b)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// What names the series: the prescription with which it was begun.
    pub id: PrescriptionId,
    /// Which it is, from 1, in the order in which they may be filled; 0 until that is known.
    pub number: u8,
    /// How many there are; 0 until that is known.
    pub of: u8,
}

/// The supervisor of a mid-level practitioner, where the state wants one named (21 CFR 1311.135(c)). Never the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervisor {
    /// Full name.
    pub name: String,
    /// DEA number, where it is wanted too.
    pub dea: Option<DeaNumber>,
}

/// What a prescription says (21 CFR 1306.05(a), 1311.120(b)(9)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// For whom.
    pub patient: Patient,
    /// The drug.
    pub drug: String,
    /// Its strength.
    pub strength: String,
    /// Its form: tablet, solution.
    pub form: String,
    /// Its schedule, where the DEA number is registered.
    pub schedule: Option<Schedule>,
    /// How much.
    pub quantity: Option<Quantity>,
    /// Of what: tablets, mL.
    pub unit: String,
    /// Directions for use.
    pub directions: String,
    /// For how many days it lasts; needed in a series.
    pub days_supply: Option<u16>,
    /// Refills.
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
    /// To which pharmacy it is transmitted.
    pub pharmacy: Option<Pharmacy>,
    /// Under which DEA number; never chosen by itself (1311.120(b)(7)).
    pub dea: Option<DeaNumber>,
    /// The code that follows an institution's number (1306.05(g)).
    pub internal_code: Option<InternalCode>,
    /// The practitioner's supervisor.
    pub supervisor: Option<Supervisor>,
}

/// By what a prescription is judged besides its own words.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The day.
    pub today: Date,
    /// The drugs that are known, with their schedules.
    pub drugs: &'a Table,
    /// What states ask for.
    pub states: &'a StateRules,
    /// The state in which the DEA number of the prescription is registered: the one that counts.
    pub state: Option<UsState>,
}

impl Rules<'_> {
    fn state_name(&self) -> String {
        self.state.map_or_else(|| "This state".to_owned(), |state| state.as_text())
    }

    /// Why a schedule is not the drug's; nothing where it is, or where the table does not know the drug. The state's own
    /// schedule counts, and no other: one that is looser breaks the law, and one that is stricter is a slip.
    pub fn wrong_schedule(&self, drug: &str, chosen: Schedule) -> Option<String> {
        let known = self.drugs.schedule_of(drug, self.state)?;
        if known == chosen {
            return None;
        }
        let code = known.code();
        let federal = self.drugs.schedule_of(drug, None);
        Some(if federal == Some(known) {
            format!("In the table this drug is of schedule {code}.")
        } else {
            let state = self.state_name();
            format!(
                "In {state}, where the DEA number is registered, this drug is of schedule {code}."
            )
        })
    }
}

/// Something that keeps a prescription from being marked ready: which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Name of the field.
    pub field: &'static str,
    /// What to do.
    pub text: Cow<'static, str>,
}

impl Content {
    /// What is missing or against the rules, field by field; nothing where it can be marked ready.
    pub fn lacking(&self, rules: &Rules<'_>) -> Vec<Lack> {
        let mut found = Vec::new();
        let mut lack = |on: bool, field, text: &'static str| {
            if on {
                found.push(Lack { field, text: text.into() });
            }
        };
        let empty = |text: &str| text.trim().is_empty();
        lack(empty(&self.patient.name), "patient", "The chart names no patient.");
        lack(
            empty(&self.patient.address),
            "address",
            "Type the patient's full address: the law asks for it (21 CFR 1306.05).",
        );
        lack(empty(&self.drug), "drug", "Type the drug.");
        lack(
            one_script(&self.drug).is_err(),
            "drug",
            "It mixes letters of two alphabets, some of which look alike. Type the name again.",
        );
        let measured = |text: &str| {
            let unit = |c: char| c.is_alphabetic() || c == '%';
            text.chars().any(|c| c.is_ascii_digit()) && text.chars().any(unit)
        };
        lack(
            !measured(&self.strength),
            "strength",
            "Type the strength with its unit, such as 10 mg.",
        );
        lack(empty(&self.form), "form", "Type the form, such as tablet.");
        lack(self.schedule.is_none(), "schedule", "Choose the schedule.");
        lack(self.quantity.is_none(), "quantity", "Type how much, such as 30 or 2.5.");
        lack(empty(&self.unit), "unit", "Type of what, such as tablets.");
        lack(empty(&self.directions), "directions", "Type the directions for use.");
        lack(self.pharmacy.is_none(), "pharmacy", "Choose the pharmacy.");
        lack(self.dea.is_none(), "dea", "Choose the DEA number for this prescription.");
        if let Some(schedule) = self.schedule {
            if let Some(text) = rules.wrong_schedule(&self.drug, schedule) {
                found.push(Lack { field: "schedule", text: text.into() });
            }
            self.lacking_of_schedule(schedule, rules, &mut found);
        }
        self.lacking_of_supervisor(rules, &mut found);
        found
    }

    /// What refills, days and dates lack.
    fn lacking_of_schedule(&self, schedule: Schedule, rules: &Rules<'_>, found: &mut Vec<Lack>) {
        let mut lack = |on: bool, field, text: Cow<'static, str>| {
            if on {
                found.push(Lack { field, text });
            }
        };
        let supply = self.days_supply.unwrap_or(1);
        lack(
            !(1..=MOST_DAYS_SUPPLY).contains(&supply),
            "days_supply",
            "Type from 1 to 999 days.".into(),
        );
        match schedule {
            Schedule::II | Schedule::IIN => {
                let text = "Schedule II has no refills (21 CFR 1306.12).";
                lack(self.refills > 0, "refills", text.into());
                if let Some(day) = self.earliest_fill {
                    let days = rules.today.days_until(day);
                    if self.series.is_none() {
                        let text = "Only a series of schedule II has an earliest fill date (21 CFR 1306.12): write this one as the next of a series.";
                        lack(true, "earliest_fill", text.into());
                    } else if days < 0 {
                        lack(true, "earliest_fill", "This day has passed.".into());
                    } else {
                        let text = "A series covers at most 90 days from today (21 CFR 1306.12).";
                        lack(days > i32::from(SERIES_DAYS), "earliest_fill", text.into());
                    }
                }
                if self.series.is_some() {
                    lack(
                        self.note.chars().count() > LONGEST_NOTE - SERIES_NOTE,
                        "note",
                        "In a series the note has at most 190 characters.".into(),
                    );
                    lack(
                        self.days_supply.is_none(),
                        "days_supply",
                        "In a series, type for how many days it lasts (21 CFR 1306.12).".into(),
                    );
                    let state = rules.state_name();
                    lack(
                        rules.states.forbids_series(rules.state),
                        "series",
                        format!("{state} does not allow a series of schedule II.").into(),
                    );
                }
            }
            Schedule::III | Schedule::IIIN | Schedule::IV => {
                lack(
                    self.refills > MOST_REFILLS,
                    "refills",
                    "At most five refills within six months (21 CFR 1306.22).".into(),
                );
            }
            Schedule::V => {
                let limit = rules.states.limit_of_v(rules.state);
                let most = limit.map_or(MOST_REFILLS_OF_V, |limit| limit.refills);
                let text: Cow<'static, str> = match limit {
                    Some(_) => {
                        let state = rules.state_name();
                        format!("In {state}, schedule V has at most {most} refills.").into()
                    }
                    None => "At most 99 refills.".into(),
                };
                lack(self.refills > most, "refills", text);
            }
        }
        if !schedule.is_two() {
            lack(
                self.earliest_fill.is_some(),
                "earliest_fill",
                "Only a series of schedule II has an earliest fill date (21 CFR 1306.12).".into(),
            );
            lack(
                self.series.is_some(),
                "series",
                "Only schedule II is prescribed in a series (21 CFR 1306.12).".into(),
            );
        }
    }

    fn lacking_of_supervisor(&self, rules: &Rules<'_>, found: &mut Vec<Lack>) {
        let mid_level = self.dea.is_some_and(|dea| dea.kind() == RegistrantKind::MidLevel);
        match &self.supervisor {
            None if mid_level && rules.states.wants_supervisor(rules.state) => {
                let state = rules.state_name();
                let text =
                    format!("{state} wants the supervisor of a mid-level practitioner named.");
                found.push(Lack { field: "supervisor", text: text.into() });
            }
            Some(it) if it.name.trim().is_empty() => found.push(Lack {
                field: "supervisor",
                text: "Type the name of the supervisor whose DEA number this is.".into(),
            }),
            Some(it) if it.dea.is_some() && it.dea == self.dea => found.push(Lack {
                field: "supervisor_dea",
                text: "This is the DEA number of the prescription. A supervisor has another one."
                    .into(),
            }),
            _ => {}
        }
    }

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

/// Puts the prescriptions of one series in the order in which they may be filled, and numbers them. One alone is none.
pub fn number_series(all: &mut [&mut Content]) {
    all.sort_by_key(|it| it.earliest_fill);
    let of = u8::try_from(all.len()).unwrap_or(u8::MAX);
    for (at, it) in all.iter_mut().enumerate() {
        let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
        it.series = it.series.filter(|_| of > 1).map(|series| Series { number, of, ..series });
    }
}

/// What a series lacks as a whole (21 CFR 1306.12(b)(1)): the same drug, at most 90 days' supply in all, and on each but
/// the first a day before which it may not be filled. Each of its own is looked at by [`Content::lacking`].
pub fn series_lacking(all: &[&Content]) -> Vec<Lack> {
    let mut found = Vec::new();
    let [first, others @ ..] = all else { return found };
    if others.is_empty() {
        return found;
    }
    let mut lack = |on: bool, field, text: &'static str| {
        if on {
            found.push(Lack { field, text: text.into() });
        }
    };
    let drug = |it: &Content| it.drug.trim().to_lowercase();
    lack(
        others.iter().any(|it| drug(it) != drug(first)),
        "drug",
        "A series is of one drug. Write another drug by itself.",
    );
    let days: u32 = all.iter().filter_map(|it| it.days_supply).map(u32::from).sum();
    lack(
        days > u32::from(SERIES_DAYS),
        "days_supply",
        "A series covers at most 90 days' supply in all (21 CFR 1306.12).",
    );
    lack(
        others.iter().filter(|it| it.earliest_fill.is_none()).count()
            + usize::from(first.earliest_fill.is_none())
            > 1,
        "earliest_fill",
        "In a series, each but the first has an earliest fill date (21 CFR 1306.12).",
    );
    let mut dates: Vec<Date> = all.iter().filter_map(|it| it.earliest_fill).collect();
    let before = dates.len();
    dates.sort_unstable();
    dates.dedup();
    lack(
        dates.len() < before,
        "earliest_fill",
        "In a series, each has an earliest fill date of its own.",
    );
    found
}

/// How far a prescription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Somebody writes it; staff too.
    Draft,
    /// The practitioner has looked at it and says that it is right (1311.120(b)(10)).
    Ready {
        /// When.
        at: Timestamp,
    },
    /// The practitioner has signed it, and it is on its way.
    Signed {
        /// Since when.
        at: Timestamp,
    },
    /// The pharmacy's side has taken it.
    Transmitted {
        /// When.
        at: Timestamp,
    },
    /// It did not get there, and is not tried any more.
    Failed {
        /// Since when.
        at: Timestamp,
    },
    /// After the failure it was printed, to be signed by hand (21 CFR 1311.170(b)).
    Printed {
        /// When.
        at: Timestamp,
    },
    /// It was put away.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// The state of this word, as a row has it; nothing where word and time do not go together.
    pub fn from_code(code: &str, at: Option<Timestamp>) -> Option<Self> {
        Some(match (code, at) {
            ("draft", None) => Self::Draft,
            ("ready", Some(at)) => Self::Ready { at },
            ("signed", Some(at)) => Self::Signed { at },
            ("transmitted", Some(at)) => Self::Transmitted { at },
            ("failed", Some(at)) => Self::Failed { at },
            ("printed", Some(at)) => Self::Printed { at },
            ("cancelled", Some(at)) => Self::Cancelled { at },
            _ => return None,
        })
    }

    /// Since when it is so; a draft has no such time.
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Draft => None,
            Self::Ready { at }
            | Self::Signed { at }
            | Self::Transmitted { at }
            | Self::Failed { at }
            | Self::Printed { at }
            | Self::Cancelled { at } => Some(at),
        }
    }

    /// Whether it can still be written on.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Ready { .. })
    }

    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready { .. } => "ready",
            Self::Signed { .. } => "signed",
            Self::Transmitted { .. } => "transmitted",
            Self::Failed { .. } => "failed",
            Self::Printed { .. } => "printed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Ready { .. } => "Ready to sign",
            Self::Signed { .. } => "Signed, being sent",
            Self::Transmitted { .. } => "Sent to the pharmacy",
            Self::Failed { .. } => "Not accepted by the pharmacy",
            Self::Printed { .. } => "Printed",
            Self::Cancelled { .. } => "Cancelled",
        }
    }
}

/// Why something is not done with a prescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StateRefusal {
    /// It is too far for that: what is signed stays as it is (1311.120(b)(19)).
    #[error("A signed or cancelled prescription can't be changed. Write a new one.")]
    Closed,
    /// It has not been marked ready (1311.120(b)(10)).
    #[error("Mark it ready first.")]
    NotReady,
    /// Another practitioner's (1311.120(b)(12)).
    #[error("Only the practitioner whose name stands on it can do this.")]
    NotYours,
    /// Something is missing.
    #[error("Something is missing. Look at the fields that are marked.")]
    Lacking,
    /// It has changed since it was shown.
    #[error("It has changed since it was shown to you. Look at it again.")]
    Changed,
    /// It is not on its way (1311.120(b)(18)).
    #[error("Only what is signed is sent.")]
    NotSigned,
    /// They are for several people (1311.120(b)(13)).
    #[error("One signature is for the prescriptions of one patient.")]
    TwoPatients,
    /// It has not failed (1311.120(b)(20), (22), 1311.170(b)).
    #[error("Only what could not be sent can be sent again or printed for signing.")]
    NotFailed,
}

impl StateRefusal {
    /// Stable code for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "prescription_closed",
            Self::NotReady => "prescription_not_ready",
            Self::NotYours => "prescription_of_another",
            Self::Lacking => "prescription_lacking",
            Self::Changed => "prescription_changed",
            Self::NotSigned => "prescription_not_signed",
            Self::TwoPatients => "prescriptions_of_two_patients",
            Self::NotFailed => "prescription_not_failed",
        }
    }
}

/// A prescription as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prescription {
    /// In whose name.
    pub prescriber: PersonId,
    /// What it says.
    pub content: Content,
    /// How far it is.
    pub state: State,
}

impl Prescription {
    /// Writes other content. Whoever writes it: what was marked ready must be looked at again.
    pub fn edit(&mut self, content: Content) -> Result<(), StateRefusal> {
        if !self.state.is_open() {
            return Err(StateRefusal::Closed);
        }
        self.content = content;
        self.state = State::Draft;
        Ok(())
    }

    /// The practitioner marks it ready: this one alone, and only when nothing is missing.
    pub fn mark_ready(
        &mut self,
        by: PersonId,
        rules: &Rules<'_>,
        now: Timestamp,
    ) -> Result<(), StateRefusal> {
        self.is_of(by)?;
        if !self.state.is_open() {
            return Err(StateRefusal::Closed);
        }
        if !self.content.lacking(rules).is_empty() {
            return Err(StateRefusal::Lacking);
        }
        self.state = State::Ready { at: now };
        Ok(())
    }

    /// The practitioner signs it, once the two factors were checked.
    pub fn sign(
        &mut self,
        by: PersonId,
        rules: &Rules<'_>,
        now: Timestamp,
    ) -> Result<(), StateRefusal> {
        self.is_of(by)?;
        match self.state {
            // Looked at again: a day may have passed since it was marked.
            State::Ready { .. } if !self.content.lacking(rules).is_empty() => {
                Err(StateRefusal::Lacking)
            }
            State::Ready { .. } => {
                self.state = State::Signed { at: now };
                Ok(())
            }
            State::Draft => Err(StateRefusal::NotReady),
            _ => Err(StateRefusal::Closed),
        }
    }

    /// The pharmacy's side has taken it.
    pub const fn transmitted(&mut self, now: Timestamp) -> Result<(), StateRefusal> {
        self.arrived(State::Transmitted { at: now })
    }

    /// It did not get there.
    pub const fn failed(&mut self, now: Timestamp) -> Result<(), StateRefusal> {
        self.arrived(State::Failed { at: now })
    }

    const fn arrived(&mut self, state: State) -> Result<(), StateRefusal> {
        match self.state {
            State::Signed { .. } => {
                self.state = state;
                Ok(())
            }
            _ => Err(StateRefusal::NotSigned),
        }
    }

    /// The practitioner lets it be sent once more. What was printed never is (1311.120(b)(20)).
    pub fn send_again(&mut self, by: PersonId, now: Timestamp) -> Result<(), StateRefusal> {
        self.after_failure(by, State::Signed { at: now })
    }

    /// The practitioner prints it after the failure, to sign it by hand (1311.120(b)(22)).
    pub fn print(&mut self, by: PersonId, now: Timestamp) -> Result<(), StateRefusal> {
        self.after_failure(by, State::Printed { at: now })
    }

    fn after_failure(&mut self, by: PersonId, state: State) -> Result<(), StateRefusal> {
        self.is_of(by)?;
        match self.state {
            State::Failed { .. } => {
                self.state = state;
                Ok(())
            }
            _ => Err(StateRefusal::NotFailed),
        }
    }

    /// Stops it: its practitioner says that it is not theirs. What has arrived can't be called back.
    pub const fn stop(&mut self, now: Timestamp) -> Result<(), StateRefusal> {
        match self.state {
            State::Signed { .. } | State::Failed { .. } => {
                self.state = State::Cancelled { at: now };
                Ok(())
            }
            _ => Err(StateRefusal::NotSigned),
        }
    }

    /// Puts it away: unsigned by whoever writes, and after a failure by its practitioner.
    pub fn cancel(&mut self, by: Option<PersonId>, now: Timestamp) -> Result<(), StateRefusal> {
        let failed = matches!(self.state, State::Failed { .. });
        if failed {
            self.is_of(by.ok_or(StateRefusal::NotYours)?)?;
        }
        if !failed && !self.state.is_open() {
            return Err(StateRefusal::Closed);
        }
        self.state = State::Cancelled { at: now };
        Ok(())
    }

    fn is_of(&self, by: PersonId) -> Result<(), StateRefusal> {
        if by == self.prescriber { Ok(()) } else { Err(StateRefusal::NotYours) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn today() -> Date {
        "2027-01-15".parse().unwrap()
    }

    static STATES: LazyLock<StateRules> = LazyLock::new(|| {
        let limits = ["KY 5 180".parse().unwrap(), "TX 11 -".parse().unwrap()];
        let (no_series, supervised) = ("WV".parse().unwrap(), "TX".parse().unwrap());
        StateRules::new(&limits, &[no_series], &[supervised]).unwrap()
    });
    static DRUGS: LazyLock<Table> = LazyLock::new(|| {
        "2 | Oxycodone hydrochloride\n3N | Testosterone\n2N | Testosterone | NY".parse().unwrap()
    });

    fn rules() -> Rules<'static> {
        rules_in("NE")
    }

    fn rules_in(state: &str) -> Rules<'static> {
        Rules { today: today(), drugs: &DRUGS, states: &STATES, state: state.parse().ok() }
    }

    fn somebody() -> PersonId {
        PersonId::new(at(0), &mut SystemRng).unwrap()
    }

    fn content() -> Content {
        Content {
            patient: Patient {
                id: "p-1001".to_owned(),
                name: "Rosa Lindqvist".to_owned(),
                born: "1961-04-12".to_owned(),
                mrn: "MRN-1001".to_owned(),
                address: "4 Birch Lane, Lincoln NE 68502".to_owned(),
            },
            drug: "Oxycodone hydrochloride".to_owned(),
            strength: "5 mg".to_owned(),
            form: "Tablet".to_owned(),
            schedule: Some(Schedule::II),
            quantity: "30".parse().ok(),
            unit: "tablets".to_owned(),
            directions: "One tablet every six hours as needed for pain".to_owned(),
            refills: 0,
            days_supply: None,
            earliest_fill: None,
            last_fill: None,
            series: None,
            note: String::new(),
            pharmacy: "1234567 Corner Pharmacy, 3 Oak Street".parse().ok(),
            dea: "BM1234563".parse().ok(),
            internal_code: None,
            supervisor: None,
        }
    }

    fn prescription(by: PersonId) -> Prescription {
        Prescription { prescriber: by, content: content(), state: State::Draft }
    }

    type Spoil = fn(&mut Content);

    /// Shows: R-1306.05-a, R-1306.12-a, R-1311.120-b7, R-1311.135-b
    #[test]
    fn every_field_that_the_law_asks_for_is_asked_for() {
        assert_eq!(content().lacking(&rules()), []);
        let cases: [(Spoil, &str); 19] = [
            (|c| c.patient.name.clear(), "patient"),
            (|c| c.patient.address = "  ".to_owned(), "address"),
            (|c| c.drug.clear(), "drug"),
            (|c| (c.drug, c.schedule) = ("Oxyc\u{43e}done".to_owned(), Some(Schedule::II)), "drug"),
            (|c| c.strength.clear(), "strength"),
            (|c| c.form.clear(), "form"),
            (|c| c.schedule = None, "schedule"),
            (|c| c.quantity = None, "quantity"),
            (|c| c.unit.clear(), "unit"),
            (|c| c.directions.clear(), "directions"),
            (|c| c.dea = None, "dea"),
            (|c| c.pharmacy = None, "pharmacy"),
            (|c| c.refills = 1, "refills"),
            (|c| c.earliest_fill = "2027-01-14".parse().ok(), "earliest_fill"),
            (|c| c.earliest_fill = "2027-04-16".parse().ok(), "earliest_fill"),
            (
                |c| {
                    (c.drug, c.schedule) = ("Something".to_owned(), Some(Schedule::IV));
                    c.refills = 6;
                },
                "refills",
            ),
            (|c| c.schedule = Some(Schedule::IIN), "schedule"),
            (|c| c.days_supply = Some(0), "days_supply"),
            (
                |c| {
                    (c.drug, c.schedule) = ("Something".to_owned(), Some(Schedule::III));
                    c.earliest_fill = "2027-02-01".parse().ok();
                },
                "earliest_fill",
            ),
        ];
        for (spoil, field) in cases {
            let mut it = content();
            spoil(&mut it);
            assert_eq!(fields(&it.lacking(&rules())), [field]);
            let by = somebody();
            let mut whole = Prescription { content: it, ..prescription(by) };
            assert_eq!(
                whole.mark_ready(by, &rules(), at(0)),
                Err(StateRefusal::Lacking),
                "{field}"
            );
        }
        let mut alone = content();
        alone.earliest_fill = "2027-04-15".parse().ok();
        let found = alone.lacking(&rules());
        assert!(found[0].text.contains("the next of a series"), "{found:?}");
    }

    fn fields(lacks: &[Lack]) -> Vec<&'static str> {
        lacks.iter().map(|lack| lack.field).collect()
    }

    fn other(schedule: Schedule, refills: u8) -> Content {
        let drug = "Something".to_owned();
        Content { drug, schedule: Some(schedule), refills, ..content() }
    }

    /// III and IV: five refills in six months. V: as authorized, unless the state limits it.
    /// Shows: R-1306.12-a, R-1306.22
    #[test]
    fn refills_are_those_of_the_schedule_and_of_the_state() {
        for (schedule, refills, state, fine) in [
            (Schedule::II, 0, "NE", true),
            (Schedule::IIN, 1, "NE", false),
            (Schedule::III, 5, "NE", true),
            (Schedule::IIIN, 6, "NE", false),
            (Schedule::IV, 5, "KY", true),
            (Schedule::IV, 6, "TX", false),
            (Schedule::V, 6, "NE", true),
            (Schedule::V, 99, "NE", true),
            (Schedule::V, 100, "NE", false),
            (Schedule::V, 5, "KY", true),
            (Schedule::V, 6, "KY", false),
            (Schedule::V, 12, "TX", false),
        ] {
            let found = other(schedule, refills).lacking(&rules_in(state));
            let found = fields(&found);
            let found: Vec<_> = found.into_iter().filter(|field| *field != "supervisor").collect();
            assert_eq!(found.is_empty(), fine, "{schedule:?} {refills} {state}");
            assert!(fine || found == ["refills"]);
        }
        let last = |schedule, state: &str, today: &str| {
            let rules = Rules { today: today.parse().unwrap(), ..rules_in(state) };
            other(schedule, 0).last_fill_day(&rules).map(|day| day.to_string()).unwrap_or_default()
        };
        assert_eq!(last(Schedule::III, "NE", "2027-01-15"), "2027-07-15");
        assert_eq!(last(Schedule::IV, "KY", "2027-08-31"), "2028-02-29", "no day too many");
        assert_eq!(last(Schedule::V, "NE", "2027-01-15"), "");
        assert_eq!(last(Schedule::V, "TX", "2027-01-15"), "");
        assert_eq!(last(Schedule::V, "KY", "2027-01-15"), "2027-07-14");
        assert_eq!(last(Schedule::II, "KY", "2027-01-15"), "");
    }

    #[test]
    fn the_schedule_is_that_of_the_state_in_which_the_number_is_registered() {
        let mut it = Content { drug: "testosterone".to_owned(), ..other(Schedule::IIIN, 1) };
        assert_eq!(it.lacking(&rules()), []);
        let found = it.lacking(&rules_in("NY"));
        assert_eq!(fields(&found), ["schedule"]);
        assert!(found[0].text.contains("In NY, where the DEA number is registered"), "{found:?}");
        (it.schedule, it.refills) = (Some(Schedule::IIN), 0);
        assert_eq!(it.lacking(&rules_in("NY")), []);
        assert_eq!(fields(&it.lacking(&rules())), ["schedule"]);
    }

    /// Shows: R-1306.12-b1i, R-1306.12-b1ii, R-1306.12-b1iv, R-1306.12-b-90
    #[test]
    fn a_series_is_of_one_drug_and_ninety_days() {
        let id = PrescriptionId::new(at(0), &mut SystemRng).unwrap();
        let one = |fill: &str| Content {
            series: Some(Series { id, number: 0, of: 0 }),
            days_supply: Some(30),
            earliest_fill: fill.parse().ok(),
            ..content()
        };
        let mut all = [one("2027-03-16"), one(""), one("2027-02-14")];
        for it in &all {
            assert_eq!(it.lacking(&rules()), []);
        }
        number_series(&mut all.iter_mut().collect::<Vec<_>>());
        let numbers: Vec<_> = all.iter().map(|it| it.series.map(|s| (s.number, s.of))).collect();
        assert_eq!(numbers, [Some((3, 3)), Some((1, 3)), Some((2, 3))]);
        assert!(all[2].in_lines(1).contains(&"In a series: 2 of 3".to_owned()));
        let lacks = |all: &[Content]| fields(&series_lacking(&all.iter().collect::<Vec<_>>()));
        assert_eq!(lacks(&all), [""; 0]);
        let spoil = |spoil: fn(&mut Content)| {
            let mut all = all.clone();
            spoil(&mut all[0]);
            lacks(&all)
        };
        assert_eq!(spoil(|it| it.days_supply = Some(31)), ["days_supply"]);
        assert_eq!(spoil(|it| it.drug = "Fentanyl".to_owned()), ["drug"]);
        assert_eq!(spoil(|it| it.earliest_fill = None), ["earliest_fill"]);
        assert_eq!(spoil(|it| it.earliest_fill = "2027-02-14".parse().ok()), ["earliest_fill"]);
        let mut it = all[0].clone();
        it.days_supply = None;
        assert_eq!(fields(&it.lacking(&rules())), ["days_supply"]);
        assert_eq!(fields(&all[0].lacking(&rules_in("WV"))), ["series"]);
        (it.schedule, it.drug, it.earliest_fill) =
            (Some(Schedule::IV), "Something".to_owned(), None);
        assert_eq!(fields(&it.lacking(&rules())), ["series"]);
        // What is left of a series is none.
        let mut last = one("");
        number_series(&mut [&mut last]);
        assert_eq!(last.series, None);
        assert_eq!(series_lacking(&[&last]), []);
    }

    #[test]
    fn a_supervisor_is_somebody_else_and_wanted_where_the_state_says_so() {
        let mut it = content();
        it.dea = "MB1234563".parse().ok();
        assert_eq!(it.lacking(&rules()), []);
        assert_eq!(fields(&it.lacking(&rules_in("TX"))), ["supervisor"]);
        it.supervisor = Some(Supervisor { name: "Dr. Ada Moreno".to_owned(), dea: None });
        assert_eq!(it.lacking(&rules_in("TX")), []);
        it.supervisor = Some(Supervisor { name: "Dr. Ada Moreno".to_owned(), dea: it.dea });
        assert_eq!(fields(&it.lacking(&rules_in("TX"))), ["supervisor_dea"]);
        it.supervisor = Some(Supervisor { name: " ".to_owned(), dea: "BM1234563".parse().ok() });
        assert_eq!(fields(&it.lacking(&rules())), ["supervisor"]);
        // Nobody but a mid-level practitioner is asked.
        assert_eq!(content().lacking(&rules_in("TX")), []);
    }

    #[test]
    fn an_institutions_number_is_written_with_its_code() {
        let mut it = content();
        assert_eq!(it.written_dea(), "BM1234563");
        it.internal_code = "012".parse().ok();
        assert_eq!(it.written_dea(), "BM1234563-012");
        assert!(it.in_lines(1).contains(&"DEA: BM1234563-012".to_owned()));
        assert!(it.json().canonical().unwrap().contains("\"dea\":\"BM1234563-012\""));
    }

    /// Shows: R-1311.120-b10a, R-1311.120-b10b, R-1311.120-b10c, R-1311.120-b12, R-1311.120-b19
    #[test]
    fn each_is_marked_by_its_practitioner_and_any_edit_clears_the_mark() {
        let (own, other) = (somebody(), somebody());
        let mut it = prescription(own);
        assert_eq!(it.sign(own, &rules(), at(0)), Err(StateRefusal::NotReady));
        assert_eq!(it.mark_ready(other, &rules(), at(0)), Err(StateRefusal::NotYours));
        it.mark_ready(own, &rules(), at(0)).unwrap();
        it.edit(content()).unwrap();
        assert_eq!(it.state, State::Draft, "even where the words are the same");
        it.mark_ready(own, &rules(), at(1)).unwrap();
        assert_eq!(it.sign(other, &rules(), at(2)), Err(StateRefusal::NotYours));
        // What was right when it was marked may not be on another day.
        let mut late = it.clone();
        late.content.earliest_fill = "2027-01-20".parse().ok();
        let day = Rules { today: "2027-01-21".parse().unwrap(), ..rules() };
        assert_eq!(late.sign(own, &day, at(3)), Err(StateRefusal::Lacking));
        it.sign(own, &rules(), at(2)).unwrap();
        for refused in [
            it.clone().edit(content()),
            it.clone().mark_ready(own, &rules(), at(3)),
            it.clone().sign(own, &rules(), at(3)),
            it.clone().cancel(Some(own), at(3)),
        ] {
            assert_eq!(refused, Err(StateRefusal::Closed));
        }
        assert_eq!(it.state, State::Signed { at: at(2) });
    }

    /// Shows: R-1311.120-b18, R-1311.120-b20, R-1311.120-b22, R-1311.140-c, R-1311.170-b, R-1311.170-d
    #[test]
    fn only_what_is_signed_is_sent_and_only_what_failed_is_printed() {
        let (own, other) = (somebody(), somebody());
        let mut it = prescription(own);
        let unsigned = |it: &Prescription| {
            assert_eq!(it.clone().transmitted(at(1)), Err(StateRefusal::NotSigned));
            assert_eq!(it.clone().failed(at(1)), Err(StateRefusal::NotSigned));
        };
        let not_failed = |it: &Prescription| {
            assert_eq!(it.clone().print(own, at(1)), Err(StateRefusal::NotFailed));
            assert_eq!(it.clone().send_again(own, at(1)), Err(StateRefusal::NotFailed));
        };
        unsigned(&it);
        not_failed(&it);
        it.mark_ready(own, &rules(), at(1)).unwrap();
        unsigned(&it);
        it.sign(own, &rules(), at(2)).unwrap();
        not_failed(&it);
        let mut sent = it.clone();
        sent.transmitted(at(3)).unwrap();
        unsigned(&sent);
        not_failed(&sent);
        assert_eq!(sent.cancel(Some(own), at(4)), Err(StateRefusal::Closed));
        it.failed(at(3)).unwrap();
        assert_eq!(it.clone().print(other, at(4)), Err(StateRefusal::NotYours));
        assert_eq!(it.clone().cancel(None, at(4)), Err(StateRefusal::NotYours));
        assert_eq!(it.clone().cancel(Some(other), at(4)), Err(StateRefusal::NotYours));
        it.clone().cancel(Some(own), at(4)).unwrap();
        let mut again = it.clone();
        again.send_again(own, at(4)).unwrap();
        again.transmitted(at(5)).unwrap();
        it.print(own, at(4)).unwrap();
        unsigned(&it);
        not_failed(&it);
        assert_eq!(it.edit(content()), Err(StateRefusal::Closed));
    }

    #[test]
    fn every_state_is_read_back() {
        for state in [
            State::Draft,
            State::Ready { at: at(1) },
            State::Signed { at: at(2) },
            State::Transmitted { at: at(3) },
            State::Failed { at: at(4) },
            State::Printed { at: at(5) },
            State::Cancelled { at: at(6) },
        ] {
            assert_eq!(State::from_code(state.code(), state.since()), Some(state));
            assert!(!state.label().is_empty());
        }
        assert_eq!(State::from_code("signed", None), None);
        assert_eq!(State::from_code("draft", Some(at(1))), None);
        assert!("1234567 Corner Pharmacy".parse::<Pharmacy>().is_ok());
        for text in
            ["", "1234567", "123456 Corner", "12345678 Corner", "1234567  ", "x234567 Corner"]
        {
            assert!(text.parse::<Pharmacy>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_has_one_spelling() {
        for (typed, kept) in
            [("30", "30"), (" 030 ", "30"), ("2.50", "2.5"), ("0.5", "0.5"), ("7.0", "7")]
        {
            assert_eq!(typed.parse::<Quantity>().unwrap().as_str(), kept);
        }
        for typed in ["", "0", "0.0", "-1", "1.", ".5", "1.234", "1e3", "1234567", "\u{ff11}"] {
            assert!(typed.parse::<Quantity>().is_err(), "{typed}");
        }
    }

    proptest! {
        /// Whatever is tried in whatever order: nothing is signed that was not marked ready as it then stood,
        /// and what is signed never changes.
        #[test]
        fn no_way_round_the_mark(steps in proptest::collection::vec(0u8..9, 0..30)) {
            let (own, other) = (somebody(), somebody());
            let mut it = prescription(own);
            let mut marked: Option<Content> = None;
            for (n, step) in steps.into_iter().enumerate() {
                let before = it.clone();
                let now = at(i64::try_from(n).unwrap());
                match step {
                    0 => {
                        let mut other = content();
                        other.note = format!("edit {n}");
                        if it.edit(other).is_ok() {
                            marked = None;
                        }
                    }
                    1 => {
                        if it.mark_ready(own, &rules(), now).is_ok() {
                            marked = Some(it.content.clone());
                        }
                    }
                    2 => drop(it.mark_ready(other, &rules(), now)),
                    3 => {
                        if it.sign(own, &rules(), now).is_ok() {
                            prop_assert_eq!(marked.as_ref(), Some(&it.content));
                        }
                    }
                    4 => drop(it.transmitted(now)),
                    5 => drop(it.failed(now)),
                    6 => drop(it.send_again(own, now)),
                    7 => drop(it.print(own, now)),
                    _ => drop(it.sign(other, &rules(), now)),
                }
                if !before.state.is_open() {
                    prop_assert_eq!(&it.content, &before.content);
                    prop_assert!(!it.state.is_open());
                }
                // What was printed or has arrived stays so.
                if matches!(before.state, State::Printed { .. } | State::Transmitted { .. }) {
                    prop_assert_eq!(&it, &before);
                }
            }
        }
    }
}

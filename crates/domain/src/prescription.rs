//! A prescription of a controlled substance: what it must say, how far it has come, and what may become
//! of it next.
//!
//! Much of what 21 CFR 1311.120(b) asks was read at second hand (see `docs/compliance.md`), so each rule
//! stands in one named place here.

use thiserror::Error;

use crate::{Date, DeaNumber, PersonId, Schedule, Timestamp, canonical::Json};

/// What the page of signing shows, word for word (21 CFR 1311.140(a)(3)).
pub const SIGNING_STATEMENT: &str = "By completing the two-factor authentication protocol at this time, you are legally signing the prescription(s) and authorizing the transmission of the above information to the pharmacy for dispensing. The two-factor authentication protocol may only be completed by the practitioner whose name and DEA registration number appear above.";

/// Most refills of schedules III to V (21 CFR 1306.22).
pub const MOST_REFILLS: u8 = 5;
/// Days within which a series of schedule II prescriptions covers (21 CFR 1306.12(b)).
pub const SERIES_DAYS: i32 = 90;
/// Idle seconds after which a page of signing is over (question A13).
pub const SIGNING_SECONDS: i64 = 120;

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
    /// Its schedule.
    pub schedule: Option<Schedule>,
    /// How much.
    pub quantity: Option<Quantity>,
    /// Of what: tablets, mL.
    pub unit: String,
    /// Directions for use.
    pub directions: String,
    /// Refills.
    pub refills: u8,
    /// The earliest day on which it may be filled: in a series of schedule II.
    pub earliest_fill: Option<Date>,
    /// A word to the pharmacist.
    pub note: String,
    /// Under which DEA number; never chosen by itself (1311.120(b)(7)).
    pub dea: Option<DeaNumber>,
}

/// Something that keeps a prescription from being marked ready: which field, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// Name of the field.
    pub field: &'static str,
    /// What to do.
    pub text: &'static str,
}

impl Content {
    /// What is missing or against the rules, field by field; nothing where it can be marked ready on `today`.
    pub fn lacking(&self, today: Date) -> Vec<Lack> {
        let mut found = Vec::new();
        let mut lack = |on: bool, field, text| {
            if on {
                found.push(Lack { field, text });
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
        lack(empty(&self.strength), "strength", "Type the strength, such as 10 mg.");
        lack(empty(&self.form), "form", "Type the form, such as tablet.");
        lack(self.schedule.is_none(), "schedule", "Choose the schedule.");
        lack(self.quantity.is_none(), "quantity", "Type how much, such as 30 or 2.5.");
        lack(empty(&self.unit), "unit", "Type of what, such as tablets.");
        lack(empty(&self.directions), "directions", "Type the directions for use.");
        lack(self.dea.is_none(), "dea", "Choose the DEA number for this prescription.");
        match self.schedule {
            Some(Schedule::II | Schedule::IIN) => {
                lack(self.refills > 0, "refills", "Schedule II has no refills (21 CFR 1306.12).");
                if let Some(day) = self.earliest_fill {
                    let days = today.days_until(day);
                    lack(
                        !(0..=SERIES_DAYS).contains(&days),
                        "earliest_fill",
                        "A series covers at most 90 days from today (21 CFR 1306.12).",
                    );
                }
            }
            Some(_) => {
                lack(
                    self.refills > MOST_REFILLS,
                    "refills",
                    "At most five refills within six months (21 CFR 1306.22).",
                );
                lack(
                    self.earliest_fill.is_some(),
                    "earliest_fill",
                    "Only a series of schedule II has an earliest fill date (21 CFR 1306.12).",
                );
            }
            None => {}
        }
        found
    }

    /// Its part of what is shown and signed.
    pub fn json(&self) -> Json {
        let text = |text: &str| Json::from(text.trim());
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
            ("refills", Json::Int(i64::from(self.refills))),
            (
                "earliest_fill",
                Json::from(self.earliest_fill.map(|day| day.to_string()).unwrap_or_default()),
            ),
            ("note", text(&self.note)),
            ("dea", Json::from(self.dea.map(|dea| dea.as_text()).unwrap_or_default())),
        ])
    }
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
    /// The practitioner has signed it.
    Signed {
        /// When.
        at: Timestamp,
    },
    /// It was put away unsigned, or called back.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready { .. } => "ready",
            Self::Signed { .. } => "signed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Ready { .. } => "Ready to sign",
            Self::Signed { .. } => "Signed",
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
        match self.state {
            State::Draft | State::Ready { .. } => {
                self.content = content;
                self.state = State::Draft;
                Ok(())
            }
            State::Signed { .. } | State::Cancelled { .. } => Err(StateRefusal::Closed),
        }
    }

    /// The practitioner marks it ready: this one alone, and only when nothing is missing.
    pub fn mark_ready(
        &mut self,
        by: PersonId,
        today: Date,
        now: Timestamp,
    ) -> Result<(), StateRefusal> {
        if by != self.prescriber {
            return Err(StateRefusal::NotYours);
        }
        match self.state {
            State::Draft | State::Ready { .. } if !self.content.lacking(today).is_empty() => {
                Err(StateRefusal::Lacking)
            }
            State::Draft | State::Ready { .. } => {
                self.state = State::Ready { at: now };
                Ok(())
            }
            State::Signed { .. } | State::Cancelled { .. } => Err(StateRefusal::Closed),
        }
    }

    /// The practitioner signs it, once the two factors were checked.
    pub fn sign(&mut self, by: PersonId, today: Date, now: Timestamp) -> Result<(), StateRefusal> {
        if by != self.prescriber {
            return Err(StateRefusal::NotYours);
        }
        match self.state {
            // Looked at again: a day may have passed since it was marked.
            State::Ready { .. } if !self.content.lacking(today).is_empty() => {
                Err(StateRefusal::Lacking)
            }
            State::Ready { .. } => {
                self.state = State::Signed { at: now };
                Ok(())
            }
            State::Draft => Err(StateRefusal::NotReady),
            State::Signed { .. } | State::Cancelled { .. } => Err(StateRefusal::Closed),
        }
    }

    /// Puts it away unsigned.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), StateRefusal> {
        match self.state {
            State::Draft | State::Ready { .. } => {
                self.state = State::Cancelled { at: now };
                Ok(())
            }
            State::Signed { .. } | State::Cancelled { .. } => Err(StateRefusal::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn today() -> Date {
        "2027-01-15".parse().unwrap()
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
            earliest_fill: None,
            note: String::new(),
            dea: "BM1234563".parse().ok(),
        }
    }

    fn prescription(by: PersonId) -> Prescription {
        Prescription { prescriber: by, content: content(), state: State::Draft }
    }

    type Spoil = fn(&mut Content);

    /// Shows: R-1306.05-a, R-1306.12-22, R-1311.120-b7, R-1311.120-b9
    #[test]
    fn every_field_that_the_law_asks_for_is_asked_for() {
        assert_eq!(content().lacking(today()), []);
        let cases: [(Spoil, &str); 15] = [
            (|c| c.patient.name.clear(), "patient"),
            (|c| c.patient.address = "  ".to_owned(), "address"),
            (|c| c.drug.clear(), "drug"),
            (|c| c.strength.clear(), "strength"),
            (|c| c.form.clear(), "form"),
            (|c| c.schedule = None, "schedule"),
            (|c| c.quantity = None, "quantity"),
            (|c| c.unit.clear(), "unit"),
            (|c| c.directions.clear(), "directions"),
            (|c| c.dea = None, "dea"),
            (|c| c.refills = 1, "refills"),
            (|c| c.earliest_fill = "2027-01-14".parse().ok(), "earliest_fill"),
            (|c| c.earliest_fill = "2027-04-16".parse().ok(), "earliest_fill"),
            (
                |c| {
                    c.schedule = Some(Schedule::IV);
                    c.refills = 6;
                },
                "refills",
            ),
            (
                |c| {
                    c.schedule = Some(Schedule::III);
                    c.earliest_fill = "2027-02-01".parse().ok();
                },
                "earliest_fill",
            ),
        ];
        for (spoil, field) in cases {
            let mut it = content();
            spoil(&mut it);
            let found: Vec<&str> = it.lacking(today()).iter().map(|lack| lack.field).collect();
            assert_eq!(found, [field]);
            let by = somebody();
            let mut whole = Prescription { content: it, ..prescription(by) };
            assert_eq!(whole.mark_ready(by, today(), at(0)), Err(StateRefusal::Lacking), "{field}");
        }
        let mut series = content();
        series.earliest_fill = "2027-04-15".parse().ok();
        assert_eq!(series.lacking(today()), []);
        let mut refilled = content();
        (refilled.schedule, refilled.refills) = (Some(Schedule::V), MOST_REFILLS);
        assert_eq!(refilled.lacking(today()), []);
    }

    /// Shows: R-1311.120-b10a, R-1311.120-b10b, R-1311.120-b10c, R-1311.120-b12, R-1311.120-b19
    #[test]
    fn each_is_marked_by_its_practitioner_and_any_edit_clears_the_mark() {
        let (own, other) = (somebody(), somebody());
        let mut it = prescription(own);
        assert_eq!(it.sign(own, today(), at(0)), Err(StateRefusal::NotReady));
        assert_eq!(it.mark_ready(other, today(), at(0)), Err(StateRefusal::NotYours));
        it.mark_ready(own, today(), at(0)).unwrap();
        it.edit(content()).unwrap();
        assert_eq!(it.state, State::Draft, "even where the words are the same");
        it.mark_ready(own, today(), at(1)).unwrap();
        assert_eq!(it.sign(other, today(), at(2)), Err(StateRefusal::NotYours));
        // What was right when it was marked may not be on another day.
        let mut late = it.clone();
        late.content.earliest_fill = "2027-01-20".parse().ok();
        let day = "2027-01-21".parse().unwrap();
        assert_eq!(late.sign(own, day, at(3)), Err(StateRefusal::Lacking));
        it.sign(own, today(), at(2)).unwrap();
        for refused in [
            it.clone().edit(content()),
            it.clone().mark_ready(own, today(), at(3)),
            it.clone().sign(own, today(), at(3)),
            it.clone().cancel(at(3)),
        ] {
            assert_eq!(refused, Err(StateRefusal::Closed));
        }
        assert_eq!(it.state, State::Signed { at: at(2) });
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
        fn no_way_round_the_mark(steps in proptest::collection::vec(0u8..5, 0..30)) {
            let (own, other) = (somebody(), somebody());
            let mut it = prescription(own);
            let mut marked: Option<Content> = None;
            for (n, step) in steps.into_iter().enumerate() {
                let before = it.clone();
                let now = at(i64::try_from(n).unwrap());
                match step {
                    0 => {
                        let mut other = content();
                        other.refills = 0;
                        other.note = format!("edit {n}");
                        if it.edit(other).is_ok() { marked = None; }
                    }
                    1 => if it.mark_ready(own, today(), now).is_ok() { marked = Some(it.content.clone()); },
                    2 => { let _ = it.mark_ready(other, today(), now); }
                    3 => if it.sign(own, today(), now).is_ok() {
                        prop_assert_eq!(marked.as_ref(), Some(&it.content));
                    },
                    _ => { let _ = it.sign(other, today(), now); }
                }
                if let State::Signed { .. } = before.state {
                    prop_assert_eq!(&it, &before);
                }
            }
        }
    }
}

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

/// Most characters of each text. The directions are as long as the pharmacies' standard carries; what is longer
/// is refused, never cut (21 CFR 1311.170(e)).
pub const LONGEST: [(&str, usize); 7] = [
    ("drug", 100),
    ("strength", 60),
    ("form", 60),
    ("unit", 40),
    ("directions", 1_000),
    ("address", 200),
    ("note", 200),
];

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
#[error("a pharmacy is its NCPDP number of seven digits, a space, and name and address")]
pub struct PharmacyError;

impl std::str::FromStr for Pharmacy {
    type Err = PharmacyError;

    /// As an operator writes it: `1234567 Corner Pharmacy, 3 Oak Street`.
    fn from_str(text: &str) -> Result<Self, PharmacyError> {
        let (ncpdp, name) = text.trim().split_once(' ').ok_or(PharmacyError)?;
        let digits = ncpdp.len() == 7 && ncpdp.bytes().all(|byte| byte.is_ascii_digit());
        let name = name.trim();
        if !digits || name.is_empty() || name.chars().any(char::is_control) {
            return Err(PharmacyError);
        }
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
    /// To which pharmacy it is transmitted.
    pub pharmacy: Option<Pharmacy>,
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
        match self.schedule {
            Some(Schedule::II | Schedule::IIN) => {
                lack(self.refills > 0, "refills", "Schedule II has no refills (21 CFR 1306.12).");
                if let Some(day) = self.earliest_fill {
                    let days = today.days_until(day);
                    lack(days < 0, "earliest_fill", "This day has passed.");
                    lack(
                        days > SERIES_DAYS,
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
        more("Not before", &self.earliest_fill.map(|day| day.to_string()).unwrap_or_default());
        more("Note", self.note.trim());
        more("Pharmacy", self.pharmacy.as_ref().map_or("", |it| it.name.as_str()));
        more("DEA", &self.dea.map(|dea| dea.as_text()).unwrap_or_default());
        lines
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
    /// What let it be signed does not hold any more.
    #[error("You could not sign it now, so it can't be sent again.")]
    NotPermitted,
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
            Self::NotPermitted => "prescription_not_permitted",
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
        today: Date,
        now: Timestamp,
    ) -> Result<(), StateRefusal> {
        self.is_of(by)?;
        if !self.state.is_open() {
            return Err(StateRefusal::Closed);
        }
        if !self.content.lacking(today).is_empty() {
            return Err(StateRefusal::Lacking);
        }
        self.state = State::Ready { at: now };
        Ok(())
    }

    /// The practitioner signs it, once the two factors were checked.
    pub fn sign(&mut self, by: PersonId, today: Date, now: Timestamp) -> Result<(), StateRefusal> {
        self.is_of(by)?;
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
            pharmacy: "1234567 Corner Pharmacy, 3 Oak Street".parse().ok(),
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
        let cases: [(Spoil, &str); 16] = [
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
            (|c| c.pharmacy = None, "pharmacy"),
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
        it.mark_ready(own, today(), at(1)).unwrap();
        unsigned(&it);
        it.sign(own, today(), at(2)).unwrap();
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
                        if it.mark_ready(own, today(), now).is_ok() {
                            marked = Some(it.content.clone());
                        }
                    }
                    2 => drop(it.mark_ready(other, today(), now)),
                    3 => {
                        if it.sign(own, today(), now).is_ok() {
                            prop_assert_eq!(marked.as_ref(), Some(&it.content));
                        }
                    }
                    4 => drop(it.transmitted(now)),
                    5 => drop(it.failed(now)),
                    6 => drop(it.send_again(own, now)),
                    7 => drop(it.print(own, now)),
                    _ => drop(it.sign(other, today(), now)),
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

//! A prescription of a controlled substance: what it must say, how far it has come, and what may become
//! of it next.
//!
//! Much of what 21 CFR 1311.120(b) asks was read at second hand (see `docs/compliance.md`), so each rule
//! stands in one named place here.

mod content;
mod pharmacy;
mod quantity;
mod rules;
mod series;
mod state;
#[cfg(test)]
mod tests;
mod transmission;

pub use content::{Content, Patient, Supervisor};
pub use pharmacy::{Pharmacy, PharmacyError};
pub use quantity::{Quantity, QuantityError};
pub use rules::{Lack, Rules};
pub use series::{Series, number_series, series_lacking};
pub use state::{State, StateRefusal};
pub use transmission::TransmissionState;

use crate::{PersonId, Timestamp};

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

/// Seconds after which a prescription that is not transmitted is told to its practitioner (question A14).
pub const SLOW_SECONDS: i64 = 60;
/// Seconds after which transmission is given up, and somebody looks at it (question A14).
pub const GIVE_UP_SECONDS: i64 = 15 * 60;

/// A prescription as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prescription {
    /// The practitioner in whose name it is written, and who alone may sign it.
    pub prescriber: PersonId,
    /// The content of the prescription.
    pub content: Content,
    /// The state of the prescription.
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

    /// The transmission has failed, at `now`; refused unless the prescription is signed.
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

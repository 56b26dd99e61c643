//! What lets a practitioner prescribe: DEA registration, schedules, state licence.

mod dea_number;
mod schedule;
#[cfg(test)]
mod tests;
mod us_state;

pub use dea_number::{
    DeaNumber, DeaNumberError, InternalCode, InternalCodeError, RegistrantKind, read_dea,
    written_dea,
};
pub use schedule::{Schedule, Schedules, SchedulesError};
pub use us_state::{UsState, UsStateError};

use thiserror::Error;

use crate::{Date, Timestamp};

/// Days before an expiry from which on people are warned.
pub const WARN_DAYS: i32 = 30;

/// The latest last day that a DEA registration can have: 39 months from today. A practitioner's registration lasts
/// 36 months, a first one 28 to 39 (21 CFR 1301.13(d)).
pub fn latest_registration_day(today: Date) -> Date {
    today.plus_years(3).plus_days(92)
}

/// The latest last day that a state licence can have: five years and three months from today. No state renews
/// for longer.
pub fn latest_licence_day(today: Date) -> Date {
    today.plus_years(5).plus_days(92)
}

/// A last day lies too far ahead to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LastDayError {
    /// The last day of a DEA registration; the latest day allowed.
    #[error(
        "This date is too far in the future for a DEA registration. The latest possible date is {}.",
        .0.text()
    )]
    Registration(Date),
    /// The last day of a state license; the latest day allowed.
    #[error(
        "This date is too far in the future for a license. The latest possible date is {}.",
        .0.text()
    )]
    Licence(Date),
}

impl LastDayError {
    /// Checks the last day of a registration.
    pub fn of_registration(last: Date, today: Date) -> Result<(), Self> {
        let latest = latest_registration_day(today);
        if last > latest { Err(Self::Registration(latest)) } else { Ok(()) }
    }

    /// Checks the last day of a licence.
    pub fn of_licence(last: Date, today: Date) -> Result<(), Self> {
        let latest = latest_licence_day(today);
        if last > latest { Err(Self::Licence(latest)) } else { Ok(()) }
    }
}

/// How a registration or a licence stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In force, and more than [`WARN_DAYS`] days before its last day.
    Good,
    /// In force, and it expires in so many days, at most [`WARN_DAYS`].
    ExpiresIn(i32),
    /// Expired: signing has stopped (21 CFR 1311.125(d)(2)).
    Expired,
    /// Terminated, revoked or suspended (21 CFR 1311.125(d)(3)).
    Withdrawn,
}

impl Standing {
    /// Whether it lets its holder prescribe.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Good | Self::ExpiresIn(_))
    }

    /// How what ends at `stops_at` stands at a moment; `withdrawn` is since when it is terminated, revoked or suspended.
    pub fn at(stops_at: Timestamp, withdrawn: Option<Timestamp>, now: Timestamp) -> Self {
        if withdrawn.is_some_and(|since| since <= now) {
            return Self::Withdrawn;
        }
        if now >= stops_at {
            return Self::Expired;
        }
        match (now.seconds_until(stops_at) - 1).div_euclid(86_400) {
            days @ 0..=30 => Self::ExpiresIn(i32::try_from(days).unwrap_or(WARN_DAYS)),
            _ => Self::Good,
        }
    }

    fn of(expires: Date, withdrawn: Option<Date>, today: Date) -> Self {
        if withdrawn.is_some_and(|since| since <= today) {
            return Self::Withdrawn;
        }
        match today.days_until(expires) {
            ..=-1 => Self::Expired,
            days if days <= WARN_DAYS => Self::ExpiresIn(days),
            _ => Self::Good,
        }
    }
}

/// A registration with the DEA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeaRegistration {
    /// The DEA number.
    pub number: DeaNumber,
    /// The state it is for.
    pub state: UsState,
    /// The schedules that it covers.
    pub schedules: Schedules,
    /// The last day on which it is in force.
    pub expires: Date,
    /// Since when it is terminated, revoked or suspended.
    pub withdrawn: Option<Date>,
}

impl DeaRegistration {
    /// How it stands on a day.
    pub fn standing(&self, today: Date) -> Standing {
        Standing::of(self.expires, self.withdrawn, today)
    }
}

/// A licence of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLicence {
    /// The state that issued it.
    pub state: UsState,
    /// License number, as the state writes it.
    pub number: String,
    /// The last day on which it is in force.
    pub expires: Date,
    /// The day from which it is suspended or revoked.
    pub withdrawn: Option<Date>,
}

impl StateLicence {
    /// How it stands on a day.
    pub fn standing(&self, today: Date) -> Standing {
        Standing::of(self.expires, self.withdrawn, today)
    }
}

/// Why a prescription is not theirs to write now, under a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAuthority {
    /// The registration is not in force.
    #[error("The DEA registration is not in force.")]
    Registration(Standing),
    /// No license of the registration's state is in force; how the best one stands, where there is any.
    #[error("No license in the registration's state is in force.")]
    License(Option<Standing>),
    /// It is the institution's, and the practitioner has no internal code there.
    #[error("The institution has not assigned an internal code.")]
    InternalCode,
    /// The schedule is not on it.
    #[error("The DEA registration does not cover this schedule.")]
    Schedule,
}

/// The holder of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The practitioner's own.
    Practitioner,
    /// The institution's, under which the practitioner prescribes with a code (21 CFR 1301.22(c)).
    Institution(Option<InternalCode>),
}

/// A registration under which somebody may prescribe, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The registration as it is recorded.
    pub registration: DeaRegistration,
    /// Whether it is in force today.
    pub standing: Standing,
    /// Whether it is the practitioner's own or the institution's.
    pub holder: Holder,
}

impl Registered {
    /// The internal code that follows the number on a prescription, where there is one.
    pub const fn code(&self) -> Option<&InternalCode> {
        match &self.holder {
            Holder::Practitioner => None,
            Holder::Institution(code) => code.as_ref(),
        }
    }

    /// The number as it stands on a prescription.
    pub fn written(&self) -> String {
        written_dea(self.registration.number, self.code())
    }

    /// Whether whoever prescribes under it may be a mid-level practitioner, as far as DEA numbers say. A number of their
    /// own says it by its first letter. An institution's says nothing of who prescribes under it: then the numbers of
    /// their own that are known say it, and where there is none they may be.
    pub fn may_be_mid_level(&self, own: &[DeaNumber]) -> bool {
        let is_mid_level = |number: DeaNumber| number.kind() == RegistrantKind::MidLevel;
        match self.holder {
            Holder::Practitioner => is_mid_level(self.registration.number),
            Holder::Institution(_) => own.is_empty() || own.iter().copied().any(is_mid_level),
        }
    }

    /// Whether the practitioner may prescribe under it at all (21 CFR 1311.100(b), 1301.22(c)): it is in force, and so
    /// is one of their licenses (state, standing) of the state in which it is registered.
    pub fn in_force(&self, licenses: &[(UsState, Standing)]) -> Result<(), NoAuthority> {
        self.lacking(licenses, None).into_iter().next().map_or(Ok(()), Err)
    }

    /// All that keeps the practitioner from prescribing under it a drug of this schedule, or of any where none is
    /// given; registration first, schedule last.
    pub fn lacking(
        &self,
        licenses: &[(UsState, Standing)],
        schedule: Option<Schedule>,
    ) -> Vec<NoAuthority> {
        let mut found = Vec::new();
        if !self.standing.holds() {
            found.push(NoAuthority::Registration(self.standing));
        }
        let of_the_state =
            || licenses.iter().filter(|(state, _)| *state == self.registration.state);
        if !of_the_state().any(|(_, standing)| standing.holds()) {
            found.push(NoAuthority::License(of_the_state().map(|(_, standing)| *standing).next()));
        }
        if self.holder == Holder::Institution(None) {
            found.push(NoAuthority::InternalCode);
        }
        if schedule.is_some_and(|it| !self.registration.schedules.allow(it)) {
            found.push(NoAuthority::Schedule);
        }
        found
    }

    /// Whether the practitioner may prescribe a drug of a schedule under it (21 CFR 1311.100(b)).
    pub fn covers(
        &self,
        licenses: &[(UsState, Standing)],
        schedule: Schedule,
    ) -> Result<(), NoAuthority> {
        self.lacking(licenses, Some(schedule)).into_iter().next().map_or(Ok(()), Err)
    }
}

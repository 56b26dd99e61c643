//! Schedules of controlled substances.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The text names no set of schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter schedules as 2, 2N, 3, 3N, 4 and 5, separated by spaces or commas.")]
pub struct SchedulesError;

/// A schedule of controlled substances; N stands for those that are no narcotics (21 CFR 1308).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Schedule II, narcotic.
    II,
    /// Schedule II, not narcotic.
    IIN,
    /// Schedule III, narcotic.
    III,
    /// Schedule III, not narcotic.
    IIIN,
    /// Schedule IV.
    IV,
    /// Schedule V.
    V,
}

impl Schedule {
    /// All, as they stand on a registration.
    pub const ALL: [Self; 6] = [Self::II, Self::IIN, Self::III, Self::IIIN, Self::IV, Self::V];

    /// As a registration writes it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::II => "2",
            Self::IIN => "2N",
            Self::III => "3",
            Self::IIIN => "3N",
            Self::IV => "4",
            Self::V => "5",
        }
    }

    /// As a page shows it, such as `C-II`; `N` stands for non-narcotic.
    pub const fn label(self) -> &'static str {
        match self {
            Self::II => "C-II",
            Self::IIN => "C-IIN",
            Self::III => "C-III",
            Self::IIIN => "C-IIIN",
            Self::IV => "C-IV",
            Self::V => "C-V",
        }
    }

    /// The schedule with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schedule| schedule.code() == code)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its number, from 2 to 5: a lower one is stricter. Narcotic or not does not count.
    const fn number(self) -> u8 {
        match self {
            Self::II | Self::IIN => 2,
            Self::III | Self::IIIN => 3,
            Self::IV => 4,
            Self::V => 5,
        }
    }

    /// Whether it is II, narcotic or not: no refills, and a series instead (21 CFR 1306.12).
    pub const fn is_two(self) -> bool {
        self.number() == 2
    }

    /// Whether it is this one or a stricter one: what a state may make of a drug that is federally in `federal`.
    pub fn is_at_least(self, federal: Self) -> bool {
        self == federal || self.number() < federal.number()
    }
}

/// The schedules of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedules(u8);

impl Schedules {
    /// All six schedules.
    pub const ALL: Self = Self(0b11_1111);

    /// Whether one is among them.
    pub const fn allow(self, schedule: Schedule) -> bool {
        self.0 & schedule.bit() != 0
    }

    /// Those that are in both; none where nothing is.
    pub const fn common(self, other: Self) -> Option<Self> {
        match self.0 & other.0 {
            0 => None,
            both => Some(Self(both)),
        }
    }

    /// Whether all of them are among those of another.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromStr for Schedules {
    type Err = SchedulesError;

    fn from_str(text: &str) -> Result<Self, SchedulesError> {
        let mut set = 0;
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        for word in words.take(12) {
            let known = Schedule::ALL.into_iter().find(|s| s.code().eq_ignore_ascii_case(word));
            set |= known.ok_or(SchedulesError)?.bit();
        }
        if set == 0 { Err(SchedulesError) } else { Ok(Self(set)) }
    }
}

impl fmt::Display for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<_> =
            Schedule::ALL.into_iter().filter(|s| self.allow(*s)).map(Schedule::code).collect();
        f.write_str(&codes.join(" "))
    }
}

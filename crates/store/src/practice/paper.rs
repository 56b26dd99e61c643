//! What a DEA registration or a state licence says.

use countersign_domain::{Date, DeaNumber, DeaRegistration, StateLicence, UsState};

/// What an [`Authority`](crate::Authority) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paper {
    /// A registration with the DEA.
    Dea(DeaRegistration),
    /// A licence of a state.
    Licence(StateLicence),
}

impl Paper {
    /// Its last day.
    pub const fn expires(&self) -> Date {
        match self {
            Self::Dea(it) => it.expires,
            Self::Licence(it) => it.expires,
        }
    }

    /// Its state.
    pub const fn state(&self) -> UsState {
        match self {
            Self::Dea(it) => it.state,
            Self::Licence(it) => it.state,
        }
    }

    /// What it is, for pages and records; the DEA number masked.
    pub fn label(&self) -> String {
        match self {
            Self::Dea(dea) => format!("DEA registration {}", dea.number.masked()),
            Self::Licence(licence) => format!("license in {}", licence.state.as_text()),
        }
    }

    /// The same with its number in full, for the two people who check it.
    pub fn full_label(&self) -> String {
        match self {
            Self::Dea(dea) => format!("DEA registration {}", dea.number.as_text()),
            Self::Licence(it) => format!("license {} in {}", it.number, it.state.as_text()),
        }
    }

    /// What it says: state, schedules, last day.
    pub fn says(&self) -> String {
        match self {
            Self::Dea(it) => {
                let state = it.state.as_text();
                format!("{state}, schedules {}, last day {}", it.schedules, it.expires)
            }
            Self::Licence(it) => format!("{}, last day {}", it.state.as_text(), it.expires),
        }
    }

    /// As a request keeps it: kind, number, state, schedules, last day.
    pub fn parts(&self) -> [String; 5] {
        let (kind, number, schedules) = match self {
            Self::Dea(it) => ("dea", it.number.as_text(), it.schedules.to_string()),
            Self::Licence(it) => ("licence", it.number.clone(), String::new()),
        };
        let (state, expires) = (self.state().as_text(), self.expires().to_string());
        [kind.to_owned(), number, state, schedules, expires]
    }

    /// What a request kept; nothing where it can't be read.
    pub fn of_parts([kind, number, state, schedules, expires]: &[String; 5]) -> Option<Self> {
        let (state, expires) = (state.parse().ok()?, expires.parse().ok()?);
        let withdrawn = None;
        Some(match kind.as_str() {
            "dea" => {
                let (number, schedules) = (number.parse().ok()?, schedules.parse().ok()?);
                Self::Dea(DeaRegistration { number, state, schedules, expires, withdrawn })
            }
            "licence" => {
                let number = number.clone();
                Self::Licence(StateLicence { state, number, expires, withdrawn })
            }
            _ => return None,
        })
    }

    /// Whether it holds longer, or for more, than another: a later last day, a schedule more, another state.
    pub fn is_wider(&self, than: &Self) -> bool {
        let more = match (self, than) {
            (Self::Dea(one), Self::Dea(two)) => !one.schedules.within(two.schedules),
            _ => false,
        };
        more || self.state() != than.state() || self.expires() > than.expires()
    }

    /// What holds by this one and by another, which is the same one: the earlier last day, the schedules of both.
    /// Nothing where no schedule is left.
    pub fn narrowed(&self, by: &Self) -> Option<Self> {
        let expires = self.expires().min(by.expires());
        match (self, by) {
            (Self::Dea(one), Self::Dea(two)) => {
                let schedules = one.schedules.common(two.schedules)?;
                Some(Self::Dea(DeaRegistration { schedules, expires, ..one.clone() }))
            }
            (Self::Licence(one), _) => Some(Self::Licence(StateLicence { expires, ..one.clone() })),
            (Self::Dea(_), Self::Licence(_)) => None,
        }
    }

    /// Whether it is the same one, though its last day may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dea(one), Self::Dea(two)) => one.number == two.number,
            (Self::Licence(one), Self::Licence(two)) => {
                one.state == two.state && one.number == two.number
            }
            _ => false,
        }
    }

    /// The DEA number, where it is one.
    pub const fn dea(&self) -> Option<DeaNumber> {
        match self {
            Self::Dea(it) => Some(it.number),
            Self::Licence(_) => None,
        }
    }
}

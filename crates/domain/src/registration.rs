//! What lets a practitioner prescribe: DEA registration, schedules, state licence.

use std::{fmt, str::FromStr};

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
    /// Of a registration.
    #[error(
        "This is too far ahead for a DEA registration, which lasts 36 months and is renewed early: {0} at the latest."
    )]
    Registration(Date),
    /// Of a licence.
    #[error("No licence lasts so long: the last day is {0} at the latest.")]
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

/// Why a text is no DEA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeaNumberError {
    /// Not two letters and seven digits.
    #[error("A DEA number has two letters and seven digits, such as AB1234563.")]
    Shape,
    /// A first letter that no practitioner has.
    #[error(
        "This DEA number begins with a letter that practitioners don't have. Check the first letter."
    )]
    NoPractitioner,
    /// The last digit does not fit the others.
    #[error("One character of this DEA number is not right. Check it digit by digit.")]
    BadCheckDigit,
    /// What follows the number after a hyphen is no internal code.
    #[error(
        "What follows the DEA number after the hyphen is no internal code: letters and digits."
    )]
    Code,
}

/// What kind of registrant a first letter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrantKind {
    /// A practitioner, a hospital or clinic, a teaching institution, a pharmacy (A, B, F, G).
    Practitioner,
    /// A mid-level practitioner (M).
    MidLevel,
    /// A practitioner of the armed services or of another federal agency (P and R stand for others).
    Exempt,
}

/// A DEA registration number: two letters and seven digits, the last of which is a check digit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeaNumber([u8; 9]);

impl DeaNumber {
    /// The nine characters.
    pub fn as_text(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }

    /// `AB•••••63`, for pages and logs.
    pub fn masked(&self) -> String {
        let shown = |at: usize| !(2..7).contains(&at);
        let text = self.as_text();
        text.chars().enumerate().map(|(at, c)| if shown(at) { c } else { '•' }).collect()
    }

    /// What its first letter says.
    pub const fn kind(&self) -> RegistrantKind {
        match self.0[0] {
            b'M' => RegistrantKind::MidLevel,
            _ => RegistrantKind::Practitioner,
        }
    }

    /// Whether the second letter is the initial of this family name, or 9 for a business. Names change
    /// after a registration is issued, so a difference is for a person to look at and no refusal.
    pub fn initial_fits(&self, family_name: &str) -> bool {
        let initial = family_name.chars().find(char::is_ascii_alphabetic);
        self.0[1] == b'9'
            || initial.is_some_and(|c| c.to_ascii_uppercase() == char::from(self.0[1]))
    }
}

impl FromStr for DeaNumber {
    type Err = DeaNumberError;

    /// Spaces, dashes and lower case are forgiven.
    fn from_str(text: &str) -> Result<Self, DeaNumberError> {
        let mut number = [0; 9];
        let mut typed = text.bytes().filter(|b| !matches!(b, b' ' | b'-'));
        if text.len() > 40 {
            return Err(DeaNumberError::Shape);
        }
        for slot in &mut number {
            *slot = typed.next().ok_or(DeaNumberError::Shape)?.to_ascii_uppercase();
        }
        let [first, second, digits @ ..] = number;
        let shaped = first.is_ascii_uppercase()
            && (second.is_ascii_uppercase() || second == b'9')
            && digits.iter().all(u8::is_ascii_digit)
            && typed.next().is_none();
        if !shaped {
            return Err(DeaNumberError::Shape);
        }
        if !matches!(first, b'A' | b'B' | b'F' | b'G' | b'M') {
            return Err(DeaNumberError::NoPractitioner);
        }
        let [d1, d2, d3, d4, d5, d6, d7] = digits.map(|b| b - b'0');
        if (d1 + d3 + d5 + 2 * (d2 + d4 + d6)) % 10 != d7 {
            return Err(DeaNumberError::BadCheckDigit);
        }
        Ok(Self(number))
    }
}

impl fmt::Debug for DeaNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Most characters of an internal code.
const LONGEST_CODE: usize = 15;

/// The text is no internal code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("An internal code has 1 to {LONGEST_CODE} letters and digits, such as 012.")]
pub struct InternalCodeError;

/// The code by which an institution tells apart those who prescribe under its registration (21 CFR 1301.22(c)(5)):
/// letters A to Z and digits. It follows the DEA number after a hyphen, as in `AH5006134-012`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InternalCode(String);

impl InternalCode {
    /// The code, without number and hyphen.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InternalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InternalCode {
    type Err = InternalCodeError;

    /// Lower case and spaces around it are forgiven.
    fn from_str(text: &str) -> Result<Self, InternalCodeError> {
        let text = text.trim();
        let shaped = (1..=LONGEST_CODE).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if shaped { Ok(Self(text.to_ascii_uppercase())) } else { Err(InternalCodeError) }
    }
}

/// The number as it stands on a prescription: with hyphen and internal code where it is an institution's (21 CFR
/// 1301.22(c), 1306.05(g)).
pub fn written_dea(number: DeaNumber, code: Option<&InternalCode>) -> String {
    match code {
        Some(code) => format!("{}-{code}", number.as_text()),
        None => number.as_text(),
    }
}

/// Reads a number as it stands on a prescription, with or without hyphen and internal code.
pub fn read_dea(text: &str) -> Result<(DeaNumber, Option<InternalCode>), DeaNumberError> {
    let text = text.trim();
    // A hyphen within the number itself is forgiven, so that only one behind a whole number begins a code.
    match text.rsplit_once('-').map(|(number, code)| (number.parse(), code)) {
        Some((Ok(number), code)) => {
            Ok((number, Some(code.parse().map_err(|_| DeaNumberError::Code)?)))
        }
        None | Some((Err(DeaNumberError::Shape), _)) => Ok((text.parse()?, None)),
        Some((Err(error), _)) => Err(error),
    }
}

/// The text names no set of schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Schedules are written 2, 2N, 3, 3N, 4 and 5, with spaces or commas between.")]
pub struct SchedulesError;

/// A schedule of controlled substances; N stands for those that are no narcotics (21 CFR 1308).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// II, narcotic.
    II,
    /// II, not narcotic.
    IIN,
    /// III, narcotic.
    III,
    /// III, not narcotic.
    IIIN,
    /// IV.
    IV,
    /// V.
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
    /// All of them.
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

/// The text is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Use the two letters of the state, such as NE.")]
pub struct UsStateError;

/// A state, the District of Columbia or a territory, by its two letters (USPS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsState([u8; 2]);

impl UsState {
    const ALL: &str = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT \
        NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI";

    /// Its two letters.
    pub fn as_text(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }
}

impl FromStr for UsState {
    type Err = UsStateError;

    fn from_str(text: &str) -> Result<Self, UsStateError> {
        let upper = text.trim().to_ascii_uppercase();
        let known = upper.len() == 2 && Self::ALL.split(' ').any(|state| state == upper);
        match (known, upper.as_bytes()) {
            (true, [first, second]) => Ok(Self([*first, *second])),
            _ => Err(UsStateError),
        }
    }
}

/// How a registration or a licence stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In force.
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
    /// Its number.
    pub number: DeaNumber,
    /// The state it is for.
    pub state: UsState,
    /// What it allows.
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
    /// The state.
    pub state: UsState,
    /// Its number, as the state writes it.
    pub number: String,
    /// The last day on which it is in force.
    pub expires: Date,
    /// Since when it is suspended or revoked.
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
    #[error("No license of the registration's state is in force.")]
    License(Option<Standing>),
    /// It is the institution's, and the practitioner has no internal code there.
    #[error("The institution has given no internal code.")]
    InternalCode,
    /// The schedule is not on it.
    #[error("The DEA registration does not cover this schedule.")]
    Schedule,
}

/// Whose a registration is.
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
    /// The registration.
    pub registration: DeaRegistration,
    /// How it stands.
    pub standing: Standing,
    /// Whose it is.
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
        if !self.standing.holds() {
            return Err(NoAuthority::Registration(self.standing));
        }
        let of_the_state =
            || licenses.iter().filter(|(state, _)| *state == self.registration.state);
        if !of_the_state().any(|(_, standing)| standing.holds()) {
            return Err(NoAuthority::License(of_the_state().map(|(_, standing)| *standing).next()));
        }
        if self.holder == Holder::Institution(None) {
            return Err(NoAuthority::InternalCode);
        }
        Ok(())
    }

    /// Whether the practitioner may prescribe a drug of a schedule under it (21 CFR 1311.100(b)).
    pub fn covers(
        &self,
        licenses: &[(UsState, Standing)],
        schedule: Schedule,
    ) -> Result<(), NoAuthority> {
        self.in_force(licenses)?;
        if self.registration.schedules.allow(schedule) {
            Ok(())
        } else {
            Err(NoAuthority::Schedule)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn registration() -> DeaRegistration {
        DeaRegistration {
            number: "AB1234563".parse().unwrap(),
            state: "NE".parse().unwrap(),
            schedules: "2 2N 3 3N 4 5".parse().unwrap(),
            expires: date("2027-05-31"),
            withdrawn: None,
        }
    }

    #[test]
    fn dea_numbers() {
        for text in ["AB1234563", "ab1234563", " AB-1234 563 ", "M91234563", "FZ1234563"] {
            let number: DeaNumber = text.parse().unwrap();
            assert!(number.as_text().ends_with("1234563"), "{text}");
        }
        for (text, error) in [
            ("", DeaNumberError::Shape),
            ("A1234563", DeaNumberError::Shape),
            ("AB123456", DeaNumberError::Shape),
            ("AB12345634", DeaNumberError::Shape),
            ("A81234563", DeaNumberError::Shape),
            ("AB123456X", DeaNumberError::Shape),
            ("ÄB1234563", DeaNumberError::Shape),
            ("AB1234564", DeaNumberError::BadCheckDigit),
            ("AB2134563", DeaNumberError::BadCheckDigit),
            ("PB1234563", DeaNumberError::NoPractitioner),
        ] {
            assert_eq!(text.parse::<DeaNumber>(), Err(error), "{text}");
        }
        let number = registration().number;
        assert_eq!(
            (number.masked().as_str(), format!("{number:?}").as_str()),
            ("AB•••••63", "AB•••••63")
        );
        assert_eq!(number.kind(), RegistrantKind::Practitioner);
        assert_eq!("MB1234563".parse::<DeaNumber>().unwrap().kind(), RegistrantKind::MidLevel);
    }

    #[test]
    fn another_initial_is_a_hint_and_no_refusal() {
        let number = registration().number;
        assert!(number.initial_fits("Burton") && number.initial_fits("'burton"));
        assert!(!number.initial_fits("Moreno") && !number.initial_fits(""));
        assert!("A91234563".parse::<DeaNumber>().unwrap().initial_fits("Lakeside Clinic"));
    }

    #[test]
    fn schedules_and_states() {
        let some: Schedules = "2n, 4 5".parse().unwrap();
        assert_eq!(some.to_string(), "2N 4 5");
        assert!(some.allow(Schedule::IIN) && !some.allow(Schedule::II) && some.allow(Schedule::V));
        for text in ["", "1", "2X", "II", "2 2N 6"] {
            assert_eq!(text.parse::<Schedules>(), Err(SchedulesError), "{text}");
        }
        assert_eq!(UsState::ALL.split_whitespace().count(), 56);
        assert_eq!("pr".parse::<UsState>().unwrap().as_text(), "PR");
        for text in ["", "XX", "N", "NEB", "N "] {
            assert_eq!(text.parse::<UsState>(), Err(UsStateError), "{text}");
        }
    }

    #[test]
    fn schedules_meet_and_last_days_have_a_bound() {
        let set = |text: &str| text.parse::<Schedules>().unwrap();
        assert_eq!(set("2 2N 3").common(set("2N 3 4")), Some(set("2N 3")));
        assert_eq!(set("2").common(set("4 5")), None);
        assert!(set("4 5").within(Schedules::ALL) && !Schedules::ALL.within(set("4 5")));
        let today = date("2026-05-25");
        assert_eq!(LastDayError::of_registration(date("2029-08-25"), today), Ok(()));
        assert!(LastDayError::of_registration(date("2029-08-26"), today).is_err());
        assert_eq!(LastDayError::of_licence(date("2031-08-25"), today), Ok(()));
        assert!(LastDayError::of_licence(date("2099-12-31"), today).is_err());
    }

    #[test]
    fn warned_a_month_before_and_stopped_on_the_day() {
        let mut it = registration();
        for (today, standing) in [
            ("2027-04-30", Standing::Good),
            ("2027-05-01", Standing::ExpiresIn(30)),
            ("2027-05-31", Standing::ExpiresIn(0)),
            ("2027-06-01", Standing::Expired),
        ] {
            assert_eq!(it.standing(date(today)), standing, "{today}");
        }
        it.withdrawn = Some(date("2027-01-10"));
        assert_eq!(it.standing(date("2027-01-09")), Standing::Good);
        assert_eq!(it.standing(date("2027-01-10")), Standing::Withdrawn);
        assert!(!Standing::Withdrawn.holds() && !Standing::Expired.holds());
        assert!(Standing::Good.holds() && Standing::ExpiresIn(0).holds());
    }

    /// Shows: R-1311.100-b, R-1311.120-b1ii
    #[test]
    fn authority_is_of_schedule_state_and_time() {
        let state = |text: &str| -> UsState { text.parse().unwrap() };
        let mut it = Registered {
            registration: registration(),
            standing: Standing::Good,
            holder: Holder::Practitioner,
        };
        let good = [(state("IA"), Standing::Good), (state("NE"), Standing::ExpiresIn(0))];
        assert_eq!(it.covers(&good, Schedule::II), Ok(()));
        assert_eq!(
            it.covers(&good[..1], Schedule::II),
            Err(NoAuthority::License(None)),
            "of another state"
        );
        for old in [Standing::Expired, Standing::Withdrawn] {
            let old = [(state("NE"), old)];
            assert_eq!(it.covers(&old, Schedule::II), Err(NoAuthority::License(Some(old[0].1))));
            // A second one of the state that holds is enough.
            let two = [old[0], good[1]];
            assert_eq!(it.covers(&two, Schedule::II), Ok(()));
        }
        it.registration.schedules = "3 4 5".parse().unwrap();
        assert_eq!(it.covers(&good, Schedule::II), Err(NoAuthority::Schedule));
        assert_eq!(it.in_force(&good), Ok(()));
        for ended in [Standing::Expired, Standing::Withdrawn] {
            it.standing = ended;
            assert_eq!(it.covers(&good, Schedule::V), Err(NoAuthority::Registration(ended)));
        }
        it.standing = Standing::Good;
        it.holder = Holder::Institution(None);
        assert_eq!(it.covers(&good, Schedule::V), Err(NoAuthority::InternalCode));
        it.holder = Holder::Institution("012".parse().ok());
        assert_eq!(it.covers(&good, Schedule::V), Ok(()));
        assert_eq!(it.written(), "AB1234563-012");
    }

    #[test]
    fn a_number_of_ones_own_says_who_is_a_mid_level_practitioner() {
        let number = |text: &str| -> DeaNumber { text.parse().unwrap() };
        let (physician, mid_level) = (number("AB1234563"), number("MB1234563"));
        let mut it = Registered {
            registration: registration(),
            standing: Standing::Good,
            holder: Holder::Practitioner,
        };
        assert!(!it.may_be_mid_level(&[physician, mid_level]), "under a physician's number");
        it.registration.number = mid_level;
        assert!(it.may_be_mid_level(&[mid_level]));
        it.registration.number = number("AH5006134");
        it.holder = Holder::Institution(None);
        for (own, may_be) in [
            (&[][..], true),
            (&[physician][..], false),
            (&[mid_level][..], true),
            (&[physician, mid_level][..], true),
        ] {
            assert_eq!(it.may_be_mid_level(own), may_be, "{own:?}");
        }
    }

    #[test]
    fn it_stops_at_a_moment() {
        let at = Timestamp::from_seconds;
        let stops = at(10 * 86_400);
        for (now, standing) in [
            (at(-30 * 86_400), Standing::Good),
            (at(9 * 86_400), Standing::ExpiresIn(0)),
            (at(8 * 86_400 - 1), Standing::ExpiresIn(2)),
            (Timestamp::from_micros(stops.micros() - 1), Standing::ExpiresIn(0)),
            (stops, Standing::Expired),
        ] {
            assert_eq!(Standing::at(stops, None, now), standing, "{now:?}");
        }
        assert_eq!(Standing::at(stops, Some(at(5)), at(4)), Standing::ExpiresIn(9));
        assert_eq!(Standing::at(stops, Some(at(5)), at(5)), Standing::Withdrawn);
        assert_eq!(Standing::at(stops, Some(at(5)), stops), Standing::Withdrawn);
    }

    #[test]
    fn an_internal_code_has_one_spelling() {
        for (typed, kept) in
            [("012", "012"), (" a12 ", "A12"), ("Z", "Z"), ("123456789012345", "123456789012345")]
        {
            assert_eq!(typed.parse::<InternalCode>().unwrap().as_str(), kept);
        }
        for typed in ["", " ", "0-1", "0 1", "\u{c4}1", "1234567890123456", "0\u{0}", "\u{ff11}"] {
            assert!(typed.parse::<InternalCode>().is_err(), "{typed:?}");
        }
        let number: DeaNumber = "AB1234563".parse().unwrap();
        let code: InternalCode = "012".parse().unwrap();
        assert_eq!(written_dea(number, Some(&code)), "AB1234563-012");
        assert_eq!(written_dea(number, None), "AB1234563");
        for (typed, found) in [
            ("AB1234563-012", Ok((number, Some(code.clone())))),
            ("ab1234563-012 ", Ok((number, Some(code)))),
            ("AB-1234563", Ok((number, None))),
            ("AB1234563-", Err(DeaNumberError::Code)),
            ("AB1234563-0_1", Err(DeaNumberError::Code)),
            ("AB1234564-012", Err(DeaNumberError::BadCheckDigit)),
            ("AB-1234-563", Ok((number, None))),
        ] {
            assert_eq!(read_dea(typed), found, "{typed}");
        }
    }

    #[test]
    fn a_state_is_stricter_or_the_same_and_never_looser() {
        assert!(Schedule::IIN.is_at_least(Schedule::IIIN) && Schedule::V.is_at_least(Schedule::V));
        assert!(
            !Schedule::IV.is_at_least(Schedule::III) && !Schedule::II.is_at_least(Schedule::IIN)
        );
    }

    proptest! {
        #[test]
        fn no_text_is_read_wrongly(text in "\\PC{0,50}") {
            if let Ok(number) = text.parse::<DeaNumber>() {
                prop_assert_eq!(number.as_text().parse(), Ok(number));
            }
            if let Ok(set) = text.parse::<Schedules>() {
                prop_assert_eq!(set.to_string().parse(), Ok(set));
            }
        }

        /// A wrong digit, or two neighbours swapped where that shows, is found.
        #[test]
        fn one_wrong_digit_is_found(digits in 0u32..1_000_000, at in 2usize..8, add in 1u8..10) {
            let six = format!("{digits:06}");
            let check = (0..10u8).find(|c| format!("AB{six}{c}").parse::<DeaNumber>().is_ok()).unwrap();
            let mut wrong = format!("AB{six}{check}").into_bytes();
            let before = wrong[at] - b'0';
            let after = (before + add) % 10;
            wrong[at] = b'0' + after;
            let even = (at - 2) % 2 == 1;
            // Doubled digits five apart weigh the same: what the rule itself can't see.
            if !(even && before.abs_diff(after) == 5) {
                let wrong = String::from_utf8(wrong).unwrap();
                prop_assert_eq!(wrong.parse::<DeaNumber>(), Err(DeaNumberError::BadCheckDigit));
            }
        }
    }
}

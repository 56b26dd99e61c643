//! Days, holidays and the deadlines that the rules count in business days.

use std::{fmt, str::FromStr};

use jiff::civil::{self, Weekday};
use thiserror::Error;

use crate::Timestamp;

/// The text names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Enter a time zone name such as America/New_York.")]
pub struct TimeZoneError;

/// The time zone of a registrant, by its name in the IANA database, whose rules are compiled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// Coordinated Universal Time (UTC).
    pub const UTC: Self = Self(jiff::tz::TimeZone::UTC);

    /// Name in the IANA database, such as `America/Chicago`; `UTC` for [`TimeZone::UTC`].
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A moment as a page shows it, in this zone and with its abbreviation: `Nov 27, 2026, 4:00 PM CST`.
    pub fn moment_text(&self, moment: Timestamp) -> String {
        self.text("%b %-d, %Y, %-I:%M %p", moment)
    }

    /// The time of day of a moment as a page shows it, in this zone: `4:00:44 PM CST`.
    pub fn clock_text(&self, moment: Timestamp) -> String {
        self.text("%-I:%M:%S %p", moment)
    }

    fn text(&self, format: &str, moment: Timestamp) -> String {
        let info = self.0.to_offset_info(instant(moment));
        let local = info.offset().to_datetime(instant(moment));
        format!("{} {}", local.strftime(format), info.abbreviation())
    }
}

impl FromStr for TimeZone {
    type Err = TimeZoneError;

    fn from_str(name: &str) -> Result<Self, TimeZoneError> {
        // The bundled database alone: what a host has installed must not move a deadline.
        jiff::tz::TimeZoneDatabase::bundled().get(name.trim()).map(Self).map_err(|_| TimeZoneError)
    }
}

/// A month such as `2026-11` as a page shows it: `November 2026`.
pub fn month_in_words(month: &str) -> String {
    let first = format!("{month}-01").parse::<Date>();
    first.map_or_else(|_| month.to_owned(), |day| day.0.strftime("%B %Y").to_string())
}

/// The text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter a date as year, month and day, such as 2027-05-31.")]
pub struct DateError;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

impl Date {
    /// The day that it is at a moment in a time zone.
    pub fn at(moment: Timestamp, zone: &TimeZone) -> Self {
        Self(zone.0.to_datetime(instant(moment)).date())
    }

    /// The moment at which this day is over in a time zone: midnight after it.
    pub fn end(self, zone: &TimeZone) -> Timestamp {
        let midnight = self.plus_days(1).0.to_datetime(civil::Time::midnight());
        zone.0.to_timestamp(midnight).map_or(Timestamp::from_micros(i64::MAX), |end| {
            Timestamp::from_micros(end.as_microsecond())
        })
    }

    /// As a page shows it: `Nov 27, 2026`.
    pub fn text(self) -> String {
        self.0.strftime("%b %-d, %Y").to_string()
    }

    /// The first day of its month.
    #[must_use]
    pub fn month_start(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// Year and month of the day, such as `2027-05`.
    pub fn month(self) -> String {
        self.to_string().chars().take(7).collect()
    }

    /// The moment at which this day begins in a time zone.
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        self.plus_days(-1).end(zone)
    }

    /// So many days later (or earlier); stays at the ends of the calendar.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(jiff::Span::new().days(days)))
    }

    /// The same day so many years later (or earlier). What the other year lacks, the 29th of February, is the
    /// day after.
    #[must_use]
    pub fn plus_years(self, years: i16) -> Self {
        let day = self.0.saturating_add(jiff::Span::new().years(years));
        if day.day() < self.0.day() { Self(day).plus_days(1) } else { Self(day) }
    }

    /// The same day so many months later; the last day of that month where it has no such day.
    #[must_use]
    pub fn plus_months(self, months: u8) -> Self {
        Self(self.0.saturating_add(jiff::Span::new().months(i32::from(months))))
    }

    /// Days from this day until another; negative where it has passed.
    pub fn days_until(self, other: Self) -> i32 {
        self.0.until(other.0).map_or(0, |span| span.get_days())
    }

    /// The federal holiday that is observed on this day (5 U.S.C. 6103(a), and (b) for those that fall
    /// on a weekend). Inauguration Day counts in the capital only and is left out.
    pub fn federal_holiday(self) -> Option<&'static str> {
        let day = self.0;
        // New Year's Day on a Saturday is observed in the year before.
        [day.year(), day.year().saturating_add(1)]
            .into_iter()
            .flat_map(holidays)
            .find(|(date, _)| *date == day)
            .map(|(_, name)| name)
    }

    /// Monday to Friday, and no federal holiday.
    pub fn is_business_day(self) -> bool {
        !matches!(self.0.weekday(), Weekday::Saturday | Weekday::Sunday)
            && self.federal_holiday().is_none()
    }

    fn next_business_day(self) -> Self {
        let mut day = self.plus_days(1);
        // Never more than four in a row: a weekend between two holidays.
        for _ in 0..10 {
            if day.is_business_day() {
                break;
            }
            day = day.plus_days(1);
        }
        day
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let text = text.trim();
        // The library takes more than this; a form and a row take one way of writing a day.
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        plain.then(|| text.parse().ok()).flatten().map(Self).ok_or(DateError)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The end of one business day after a discovery, in the registrant's time zone (21 CFR 1311.102(b),
/// (j), 1311.150(c); question A17): the same time on the next business day; for a discovery on another
/// day, the end of the next business day, where counting begins.
pub fn one_business_day_after(discovered: Timestamp, zone: &TimeZone) -> Timestamp {
    let local = zone.0.to_datetime(instant(discovered));
    let day = Date(local.date());
    let next = day.next_business_day();
    let end = if day.is_business_day() {
        next.0.to_datetime(local.time())
    } else {
        next.plus_days(1).0.to_datetime(civil::Time::midnight())
    };
    // A time that is skipped when clocks go forward is taken an hour later, one that comes twice
    // the first time.
    zone.0.to_timestamp(end).map_or(discovered, |end| Timestamp::from_micros(end.as_microsecond()))
}

/// The moment for the library, whose range is smaller: years -9999 to 9999. A moment outside becomes its first or last.
pub(crate) fn instant(moment: Timestamp) -> jiff::Timestamp {
    let end = if moment.micros() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(moment.micros()).unwrap_or(end)
}

/// The days on which the holidays of a year are observed.
fn holidays(year: i16) -> impl Iterator<Item = (civil::Date, &'static str)> {
    let fixed = [
        (1, 1, "New Year's Day"),
        (6, 19, "Juneteenth"),
        (7, 4, "Independence Day"),
        (11, 11, "Veterans Day"),
        (12, 25, "Christmas Day"),
    ];
    let moving = [
        (1, 3, Weekday::Monday, "Birthday of Martin Luther King, Jr."),
        (2, 3, Weekday::Monday, "Washington's Birthday"),
        (5, -1, Weekday::Monday, "Memorial Day"),
        (9, 1, Weekday::Monday, "Labor Day"),
        (10, 2, Weekday::Monday, "Columbus Day"),
        (11, 4, Weekday::Thursday, "Thanksgiving Day"),
    ];
    let fixed = fixed.into_iter().filter_map(move |(month, day, name)| {
        // Juneteenth is one since 2021.
        if month == 6 && year < 2021 {
            return None;
        }
        let date = civil::Date::new(year, month, day).ok()?;
        let observed = match date.weekday() {
            Weekday::Saturday => date.yesterday().ok()?,
            Weekday::Sunday => date.tomorrow().ok()?,
            _ => date,
        };
        Some((observed, name))
    });
    fixed.chain(moving.into_iter().filter_map(move |(month, nth, weekday, name)| {
        let first = civil::Date::new(year, month, 1).ok()?;
        Some((first.nth_weekday_of_month(nth, weekday).ok()?, name))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    /// A moment by its local time.
    fn moment(local: &str, zone: &TimeZone) -> Timestamp {
        let local: civil::DateTime = local.parse().unwrap();
        Timestamp::from_micros(zone.0.to_timestamp(local).unwrap().as_microsecond())
    }

    fn local(moment: Timestamp, zone: &TimeZone) -> String {
        zone.0.to_datetime(instant(moment)).to_string()
    }

    #[test]
    fn pages_show_dates_and_times_in_words() {
        let chicago = zone("America/Chicago");
        let at = |local| moment(local, &chicago);
        assert_eq!(chicago.moment_text(at("2026-11-27T16:00:00")), "Nov 27, 2026, 4:00 PM CST");
        assert_eq!(chicago.moment_text(at("2026-07-04T00:05:00")), "Jul 4, 2026, 12:05 AM CDT");
        assert_eq!(chicago.clock_text(at("2026-11-27T16:00:44")), "4:00:44 PM CST");
        assert_eq!(
            TimeZone::UTC.moment_text(at("2026-11-27T16:00:00")),
            "Nov 27, 2026, 10:00 PM UTC"
        );
        assert_eq!(date("2026-11-07").text(), "Nov 7, 2026");
        assert_eq!(month_in_words("2026-11"), "November 2026");
        assert_eq!(month_in_words("no month"), "no month");
    }

    #[test]
    fn the_holidays_of_two_years() {
        let of = |year: i32| -> Vec<String> {
            let first = date(&format!("{year}-01-01"));
            (0..365)
                .map(|n| first.plus_days(n))
                .filter(|day| day.federal_holiday().is_some())
                .map(|day| day.to_string()[5..].to_owned())
                .collect()
        };
        // As the Office of Personnel Management lists them.
        assert_eq!(
            of(2026),
            [
                "01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "09-07", "10-12", "11-11",
                "11-26", "12-25"
            ]
        );
        assert_eq!(
            of(2027),
            [
                "01-01", "01-18", "02-15", "05-31", "06-18", "07-05", "09-06", "10-11", "11-11",
                "11-25", "12-24", "12-31"
            ]
        );
        assert_eq!(date("2027-12-31").federal_holiday(), Some("New Year's Day"));
        assert_eq!(date("2020-06-19").federal_holiday(), None);
    }

    #[test]
    fn dates_are_written_one_way() {
        assert_eq!(date(" 2027-05-31 ").to_string(), "2027-05-31");
        for text in ["", "2027-5-31", "31/05/2027", "2027-02-30", "20270531", "2027-05-31T00:00"] {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
        assert_eq!(date("2026-12-31").days_until(date("2027-01-30")), 30);
        assert_eq!(date("2027-03-01").days_until(date("2027-02-01")), -28);
    }

    #[test]
    fn the_day_is_that_of_the_registrant() {
        let (east, hawaii) = (zone("America/New_York"), zone("Pacific/Honolulu"));
        let late = moment("2026-11-25T23:30", &east);
        assert_eq!(Date::at(late, &east), date("2026-11-25"));
        assert_eq!(Date::at(late, &hawaii), date("2026-11-25"));
        assert_eq!(Date::at(late.plus_seconds(3_600), &east), date("2026-11-26"));
        assert_eq!(Date::at(late.plus_seconds(3_600), &hawaii), date("2026-11-25"));
        assert_eq!(east.name(), "America/New_York");
        for name in ["", "Mars/Olympus", "../etc/passwd", "EST5EDT4,M3"] {
            assert_eq!(name.parse::<TimeZone>(), Err(TimeZoneError), "{name}");
        }
    }

    /// Shows: A17, R-1311.102-b
    #[test]
    fn one_business_day_leaves_out_weekends_and_holidays() {
        let east = zone("America/New_York");
        for (discovered, due, why) in [
            ("2026-11-23T15:00", "2026-11-24T15:00:00", "a Monday"),
            ("2026-11-20T09:30", "2026-11-23T09:30:00", "a Friday"),
            ("2026-11-25T16:00", "2026-11-27T16:00:00", "the day before Thanksgiving"),
            ("2026-11-21T10:00", "2026-11-24T00:00:00", "a Saturday: Monday is the day"),
            ("2026-11-26T10:00", "2026-11-28T00:00:00", "Thanksgiving: Friday is the day"),
            ("2026-07-02T12:00", "2026-07-06T12:00:00", "Independence Day, observed on Friday"),
            ("2027-12-30T12:00", "2028-01-03T12:00:00", "New Year's Day, observed the year before"),
        ] {
            let due_at = one_business_day_after(moment(discovered, &east), &east);
            assert_eq!(local(due_at, &east), due, "{why}");
        }
    }

    #[test]
    fn clocks_that_change_move_no_deadline_to_another_day() {
        let east = zone("America/New_York");
        // Friday before clocks go forward, at an hour that Monday has; and before they go back.
        for (discovered, due) in [
            ("2026-03-06T02:30", "2026-03-09T02:30:00"),
            ("2026-10-30T01:30", "2026-11-02T01:30:00"),
        ] {
            let due_at = one_business_day_after(moment(discovered, &east), &east);
            assert_eq!(local(due_at, &east), due);
        }
    }

    proptest! {
        /// Always later than the discovery, always at most five days, and never on a day off.
        #[test]
        fn a_deadline_is_near_and_on_a_business_day(seconds in 1_600_000_000i64..2_500_000_000) {
            let zone = zone("America/Chicago");
            let discovered = Timestamp::from_seconds(seconds);
            let due = one_business_day_after(discovered, &zone);
            let hours = discovered.seconds_until(due) / 3_600;
            prop_assert!((22..=6 * 24).contains(&hours), "{} hours", hours);
            let last = Date::at(due.plus_seconds(-1), &zone);
            prop_assert!(last.is_business_day(), "{}", last);
        }
    }
}

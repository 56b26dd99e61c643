//! Tests of `registration`.

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
    assert!(!Schedule::IV.is_at_least(Schedule::III) && !Schedule::II.is_at_least(Schedule::IIN));
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

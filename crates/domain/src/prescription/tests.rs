//! Tests of `prescription`.

use std::sync::LazyLock;

use super::*;
use crate::{Date, PrescriptionId, Schedule, controlled::Table, state_rules::StateRules};
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
        assert_eq!(whole.mark_ready(by, &rules(), at(0)), Err(StateRefusal::Lacking), "{field}");
    }
    let mut alone = content();
    alone.earliest_fill = "2027-04-15".parse().ok();
    let found = alone.lacking(&rules());
    assert!(found[0].text.contains("the next in a series"), "{found:?}");
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
    (it.schedule, it.drug, it.earliest_fill) = (Some(Schedule::IV), "Something".to_owned(), None);
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
    for text in ["", "1234567", "123456 Corner", "12345678 Corner", "1234567  ", "x234567 Corner"] {
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

//! Tests of the archive: cells of a table, and the days of a month.

use countersign_domain::TimeZone;

use super::{files::cell, logs::month_range};

#[test]
fn a_cell_is_no_formula_and_no_two_cells() {
    assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
    assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    assert_eq!(cell(""), "\"\"");
}

#[test]
fn a_month_is_that_of_the_practice() {
    let zone: TimeZone = "America/Chicago".parse().unwrap();
    let (from, to) = month_range("2026-12", &zone).unwrap();
    assert_eq!(from.minute_text(), "2026-12-01 06:00 UTC");
    assert_eq!(to.minute_text(), "2027-01-01 06:00 UTC");
    let (from, to) = month_range("2027-03", &zone).unwrap();
    assert_eq!(
        (from.minute_text(), to.minute_text()),
        ("2027-03-01 06:00 UTC".to_owned(), "2027-04-01 05:00 UTC".to_owned())
    );
    for bad in ["", "2026", "2026-13", "2026-1", "x"] {
        assert!(month_range(bad, &zone).is_none(), "{bad}");
    }
}

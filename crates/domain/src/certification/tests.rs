//! Tests of `certification`.

use super::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn facts() -> ReportFacts {
    ReportFacts {
        name: "R-2026-17".to_owned(),
        kind: ReportKind::Audit,
        auditor: "Example Auditors LLP".to_owned(),
        issued: day("2026-03-01"),
        expires: day("2028-03-01"),
    }
}

#[test]
fn what_is_wrong_with_a_report_is_named() {
    let today = day("2026-03-01");
    facts().check(today).unwrap();
    for (wrong, change) in [
        (ReportError::Name(TextError::Empty), (|it| it.name.clear()) as fn(&mut ReportFacts)),
        (ReportError::Auditor(TextError::TooLong { most: 80, found: 81 }), |it| {
            it.auditor = "x".repeat(81);
        }),
        (ReportError::Auditor(TextError::Unseen('\u{202e}')), |it| {
            it.auditor = "a\u{202e}b".to_owned();
        }),
        (ReportError::Future, |it| it.issued = day("2026-03-02")),
        (ReportError::Order, |it| it.expires = it.issued),
        (ReportError::TooLong, |it| it.expires = day("2028-03-02")),
    ] {
        let mut it = facts();
        change(&mut it);
        assert_eq!(it.check(today), Err(wrong), "{it:?}");
    }
    assert_eq!(facts().check(day("2028-03-02")), Err(ReportError::Expired));
}

#[test]
fn a_report_holds_through_its_last_day() {
    let it = facts();
    for (today, holds) in
        [("2026-02-28", false), ("2026-03-01", true), ("2028-03-01", true), ("2028-03-02", false)]
    {
        assert_eq!(it.holds(day(today)), holds, "{today}");
    }
}

#[test]
fn a_document_is_a_pdf_or_text_of_bounded_size() {
    assert_eq!(ReportFormat::of(b"%PDF-1.7\n\x00\xff"), Ok(ReportFormat::Pdf));
    assert_eq!(ReportFormat::of("Rapport d'audit: \u{e9}\n".as_bytes()), Ok(ReportFormat::Text));
    assert_eq!(ReportFormat::of(b""), Err(ReportError::Empty));
    assert_eq!(ReportFormat::of(b"MZ\x00\x01"), Err(ReportError::Format));
    assert_eq!(ReportFormat::of(b"\xff\xfe"), Err(ReportError::Format));
    let most = vec![b'a'; MOST_DOCUMENT_BYTES];
    assert_eq!(ReportFormat::of(&most), Ok(ReportFormat::Text));
    assert_eq!(ReportFormat::of(&[most, vec![b'a']].concat()), Err(ReportError::Large));
    for format in [ReportFormat::Pdf, ReportFormat::Text] {
        assert_eq!(ReportFormat::from_media_type(format.media_type()), Some(format));
    }
}

#[test]
fn versions_are_ordered_as_numbers() {
    let version = |text: &str| text.parse::<Version>();
    assert!(version("0.10.0").unwrap() > version("0.9.9").unwrap());
    assert_eq!(version("1.2.3").unwrap().to_string(), "1.2.3");
    for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "+1.2.3", "1.2.-3", "1.2.99999999999"] {
        assert_eq!(version(text), Err(VersionError), "{text}");
    }
}

/// Shows: R-1311.102-i
#[test]
fn only_a_newer_listed_build_is_free_of_a_notice() {
    let build = |version: Version, listed: bool| RunningBuild {
        version,
        id: BuildId::unlisted(version),
        listed: listed.then(|| "R-2026-17".to_owned()),
    };
    let through = Version::new(0, 9, 1);
    let (older, newer) = (Version::new(0, 9, 0), Version::new(0, 9, 2));
    for (version, listed, open, stopped) in [
        (older, true, true, true),
        (through, true, true, true),
        (newer, true, true, false),
        (newer, false, true, true),
        // Its end frees a newer build of either kind, and no old one.
        (older, true, false, true),
        (through, false, false, true),
        (newer, true, false, false),
        (newer, false, false, false),
    ] {
        let notice = NoticeScope { through, open };
        assert_eq!(build(version, listed).is_stopped_by(notice), stopped, "{version} {open}");
    }
}

#[test]
fn a_build_is_named_by_a_digest() {
    let digest = "AB".repeat(32);
    assert_eq!(digest.parse::<BuildId>().unwrap().as_str(), "ab".repeat(32));
    for text in ["", "ab", &"xy".repeat(32)] {
        assert_eq!(text.parse::<BuildId>(), Err(ReportError::Build), "{text}");
    }
}

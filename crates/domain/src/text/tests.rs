//! Tests of `text`.

use super::*;
use proptest::prelude::*;

/// What no text of a person or another system keeps, each with what is said of it.
const BAD: [(char, &str); 30] = [
    ('\0', "U+0000"),
    ('\t', "U+0009"),
    ('\n', "one line"),
    ('\r', "one line"),
    ('\u{1b}', "U+001B"),
    ('\u{7f}', "U+007F"),
    ('\u{85}', "one line"),
    ('\u{ad}', "U+00AD"),
    ('\u{61c}', "U+061C"),
    ('\u{180e}', "U+180E"),
    ('\u{200b}', "U+200B"),
    ('\u{200c}', "U+200C"),
    ('\u{200d}', "U+200D"),
    ('\u{200e}', "U+200E"),
    ('\u{200f}', "U+200F"),
    ('\u{2028}', "one line"),
    ('\u{2029}', "one line"),
    ('\u{202a}', "U+202A"),
    ('\u{202e}', "U+202E"),
    ('\u{2060}', "U+2060"),
    ('\u{2066}', "U+2066"),
    ('\u{2069}', "U+2069"),
    ('\u{3164}', "U+3164"),
    ('\u{378}', "U+0378"),
    ('\u{e000}', "U+E000"),
    ('\u{fdd0}', "U+FDD0"),
    ('\u{feff}', "U+FEFF"),
    ('\u{fffd}', "can't be shown"),
    ('\u{e0041}', "U+E0041"),
    ('\u{10fffd}', "U+10FFFD"),
];

fn name(text: &str) -> Result<String, TextError> {
    text.parse::<Name<60>>().map(Into::into)
}

#[test]
fn what_is_not_seen_or_turns_the_order_is_refused_by_name() {
    for (bad, said) in BAD {
        for text in [format!("Ada{bad}Moreno"), format!("Ada {bad}M"), format!("x{bad}{bad}y")] {
            let refusals = [
                check_line(&text, 60).unwrap_err(),
                text.parse::<Line<60>>().unwrap_err(),
                text.parse::<Label<60>>().unwrap_err(),
                text.parse::<Name<60>>().unwrap_err(),
                text.parse::<KeyboardLine<60>>().unwrap_err(),
            ];
            for refusal in refusals {
                let words = refusal.to_string();
                assert!(words.contains(said), "{text:?}: {words}");
                assert!(!words.contains(bad) || bad == REPLACEMENT, "{words:?}");
            }
        }
    }
    assert_eq!("  \u{a0}\u{3000} ".parse::<Line<60>>(), Err(TextError::Empty));
    assert_eq!(check_line("", 0), Ok(()));
}

#[test]
fn what_is_too_long_is_refused_and_never_cut() {
    assert!("x".repeat(60).parse::<Line<60>>().is_ok());
    let refused = "\u{e9}".repeat(61).parse::<Line<60>>().unwrap_err();
    assert_eq!(refused.to_string(), "Use at most 60 characters (now 61).");
    // Spaces at the ends are no part of it.
    assert_eq!(format!("  {}  ", "x".repeat(60)).parse::<Line<60>>().unwrap().as_str().len(), 60);
}

#[test]
fn marks_need_a_letter_and_are_few() {
    assert_eq!(check_line("\u{301}a", 9), Err(TextError::LoneMark('\u{301}')));
    assert_eq!(check_line("a \u{301}b", 9), Err(TextError::LoneMark('\u{301}')));
    let stack = |marks: usize| format!("a{}b", "\u{301}".repeat(marks));
    assert_eq!(check_line(&stack(4), 99), Ok(()));
    assert_eq!(check_line(&stack(5), 99), Err(TextError::ManyMarks));
    assert_eq!(name(&stack(30)), Err(TextError::ManyMarks));
}

#[test]
fn names_of_the_world_are_names() {
    for good in [
        "Ada",
        "Ada B. Moreno, Jr.",
        "O'Brien",
        "O\u{2019}Brien",
        "Smith-Jones",
        "de la Cruz",
        "John Smith 3rd",
        "Mª José",
        "Núñez",
        "Žižek",
        "Nguyễn Thị Ánh",
        "Kahananui Kealiʻi",
        "Иван Петров",
        "Γεωργία Παππά",
        "ქეთევან",
        "Արամ",
        "אברהם כהן",
        "محمد علي",
        // Persian writes it with a joiner between two letters.
        "علی\u{200c}رضا",
        "प्रिया शर्मा",
        "ක්\u{200d}රිෂ්ණ",
        "র\u{200d}্যাব",
        "สมชาย",
        "王小明",
        "山田 たろう",
        "サトウ Anna",
        "김민준",
        "林ㄅㄆ",
    ] {
        assert_eq!(name(good).as_deref(), Ok(good), "{good}");
    }
}

#[test]
fn a_name_has_one_form() {
    assert_eq!(name("  Jose\u{301}   Nu\u{a0}n\u{303}ez ").as_deref(), Ok("José Nu ñez"));
    assert_eq!("Elm\u{3000}Clinic".parse::<Label<40>>().unwrap().as_str(), "Elm Clinic");
    // Free text stays as it was typed.
    assert_eq!("a  b".parse::<Line<9>>().unwrap().as_str(), "a  b");
}

#[test]
fn joiners_stand_only_where_they_change_a_word() {
    for bad in [
        "Ada\u{200c}Moreno",
        "علی\u{200c}",
        "\u{200c}علی",
        "علی\u{200c} رضا",
        "علی\u{200c}\u{200c}رضا",
        "علی\u{200d}رضا",
        "علی\u{200c}Moreno",
        "क\u{200c}ष",
        "Иван\u{200d}Петров",
        "山\u{200d}田",
        "👩\u{200d}👩",
    ] {
        assert!(matches!(check_line(bad, 60), Err(TextError::Unseen(_))), "{bad:?}");
    }
    assert_eq!(check_line("क्\u{200c}ष", 60), Ok(()));
    assert_eq!(check_line("ന്\u{200d}", 60), Ok(()), "an old way to write Malayalam");
}

#[test]
fn a_name_of_mixed_scripts_is_refused_with_both() {
    for (bad, said) in [
        ("\u{410}da Moreno", "Cyrillic and Latin"),
        ("Ada Mоreno", "Latin and Cyrillic"),
        ("Αda", "Greek and Latin"),
        ("Adа Иван", "Latin and Cyrillic"),
        ("Ada محمد", "Latin and Arabic"),
        ("たろう 김", "Hiragana and Hangul"),
    ] {
        for refusal in [name(bad).unwrap_err(), bad.parse::<Label<60>>().unwrap_err()] {
            let words = refusal.to_string();
            assert!(
                matches!(refusal, TextError::MixedScripts(..)) && words.contains(said),
                "{bad}: {words}"
            );
        }
    }
    // Free text may quote whatever it wants.
    assert!("Ada is written Ада there".parse::<Line<60>>().is_ok());
}

#[test]
fn signs_and_special_letters_are_no_name() {
    for (bad, error) in [
        ("Ada 😀", TextError::NotInNames('😀')),
        ("Ada <b>", TextError::NotInNames('<')),
        ("Ada @ home", TextError::NotInNames('@')),
        ("Ⓐda", TextError::Styled('Ⓐ')),
        ("Ａda", TextError::Styled('Ａ')),
        ("𝐀da", TextError::Styled('𝐀')),
        ("Ada Ⅲ", TextError::Styled('Ⅲ')),
        ("12-3", TextError::NoLetter),
        ("...", TextError::NoLetter),
    ] {
        assert_eq!(name(bad), Err(error), "{bad}");
    }
    assert_eq!("Elm & Oak, #2".parse::<Label<40>>().unwrap().as_str(), "Elm & Oak, #2");
    assert_eq!("MD-1Ａ".parse::<KeyboardLine<40>>(), Err(TextError::NotOnKeyboard));
    assert_eq!(" MD 1-2/A ".parse::<KeyboardLine<40>>().unwrap().as_str(), "MD 1-2/A");
}

#[test]
fn what_another_system_says_is_shown_without_what_could_mislead() {
    for (sent, shown) in [
        ("not in stock", "not in stock"),
        (" a\r\nBcc: x\ty ", "a Bcc: x y"),
        ("ok\u{202e}kcots", "ok\u{fffd}kcots"),
        ("a\0\0\u{200b}b", "a\u{fffd}b"),
        ("\u{301}a", "\u{fffd}a"),
        ("علی\u{200c}رضا", "علی\u{200c}رضا"),
        ("12345678901234", "123456789012\u{2026}"),
        ("\u{202e}", "\u{fffd}"),
        ("", ""),
    ] {
        let most = if shown.ends_with('\u{2026}') { shown.chars().count() } else { 200 };
        assert_eq!(shown_line(sent, most), shown, "{sent:?}");
    }
    assert_eq!(shown_line(&"x".repeat(1_000), 200).chars().count(), 200);
}

proptest! {
    #[test]
    fn what_is_shown_of_another_system_is_one_short_line(text in any::<String>(), most in 1usize..50) {
        let shown = shown_line(&text, most);
        prop_assert!(shown.chars().count() <= most);
        for (c, fault) in faults(&shown) {
            prop_assert!(fault.is_none() || c == REPLACEMENT, "{:?} in {:?}", fault, shown);
        }
        prop_assert_eq!(shown_line(&shown, most), shown);
    }

    #[test]
    fn what_is_taken_reads_back_as_itself(text in "\\PC{0,40}") {
        if let Ok(name) = text.parse::<Name<60>>() {
            prop_assert_eq!(name.as_str().parse::<Name<60>>(), Ok(name));
        }
        if let Ok(label) = text.parse::<Label<60>>() {
            prop_assert_eq!(label.as_str().parse::<Label<60>>(), Ok(label));
        }
    }

    #[test]
    fn a_form_shows_again_what_can_be_seen_and_is_refused_again(text in any::<String>()) {
        let again = retyped(&text);
        prop_assert_eq!(again.chars().count(), text.chars().count());
        prop_assert_eq!(check_line(&text, 9_999).is_ok(), check_line(&again, 9_999).is_ok());
        prop_assert!(!again.chars().any(|c| c.is_control()));
    }
}

#[test]
fn a_name_of_two_scripts_is_found() {
    for one in [
        "Ada Moreno",
        "José Núñez",
        "O\u{2019}Brien-Łukasz",
        "Kaʻiulani",
        "Анна Петрова",
        "王芳",
        "",
    ] {
        assert!(!mixes_scripts(one), "{one}");
    }
    for two in ["\u{410}da Moreno", "Ada M\u{43e}reno", "Ad\u{3b1} Moreno", "Ada \u{ff2d}oreno"] {
        assert!(mixes_scripts(two), "{two}");
    }
}

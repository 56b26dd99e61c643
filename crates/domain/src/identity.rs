//! Whether a proofed person is the one who was invited.
//!
//! Names are written in many ways. What a person can mend or explain (a period, an accent, a middle
//! name left out, a recent move) goes to a person who decides; it is never a refusal by itself.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::{Date, Npi};

/// A name as a document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName {
    /// Given name; one or several words.
    pub given: String,
    /// Middle names or initials; may be empty.
    pub middle: String,
    /// Family name, or several.
    pub family: String,
    /// Such as Jr. or III; may be empty.
    pub suffix: String,
}

/// What is known of a person, from an invitation or from proofing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name in its four parts.
    pub name: PersonName,
    /// Date of birth, where it is known.
    pub born: Option<Date>,
    /// NPI, where it is known.
    pub npi: Option<Npi>,
    /// Postal address in one line, where it is known.
    pub address: Option<String>,
}

/// A part in which two identities differ, for whoever looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// The given names are written otherwise.
    Given,
    /// A middle name is missing on one side, or differs.
    Middle,
    /// The family names overlap or are in another order.
    Family,
    /// Jr., III and the like.
    Suffix,
    /// The address: people move.
    Address,
}

impl Difference {
    /// Words for whoever decides.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Given => "The first names differ.",
            Self::Middle => "The middle names differ.",
            Self::Family => "The last names differ.",
            Self::Suffix => "One name has a suffix, such as Jr.",
            Self::Address => "The addresses differ.",
        }
    }
}

/// The result of comparing two identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// The same person, as far as this can tell.
    Same,
    /// A person must decide; the differences, in order.
    Near(Vec<Difference>),
    /// Another person: nothing of the proofing may be used for this invitation.
    Other,
}

/// Compares who was invited with who was proofed.
///
/// A date of birth or an NPI that is known on both sides and differs is another person, and so is a
/// family name that has nothing in common. Nicknames are not guessed.
pub fn compare(invited: &Identity, proofed: &Identity) -> Match {
    let differ = |one: Option<Date>, two: Option<Date>| one.zip(two).is_some_and(|(a, b)| a != b);
    if differ(invited.born, proofed.born)
        || invited.npi.zip(proofed.npi).is_some_and(|(a, b)| a != b)
    {
        return Match::Other;
    }
    let mut found = Vec::new();
    let (mine, theirs) = (&invited.name, &proofed.name);
    match words_alike(&words(&mine.given), &words(&theirs.given)) {
        Alike::Equal => {}
        Alike::Initials | Alike::Overlap | Alike::Nothing => found.push(Difference::Given),
    }
    match words_alike(&words(&mine.middle), &words(&theirs.middle)) {
        // An initial stands for the name that it begins.
        Alike::Equal | Alike::Initials => {}
        Alike::Overlap | Alike::Nothing => found.push(Difference::Middle),
    }
    match words_alike(&words(&mine.family), &words(&theirs.family)) {
        Alike::Equal => {}
        // With a given name in common it may be a new name; without one it is somebody else.
        Alike::Nothing if found.contains(&Difference::Given) => return Match::Other,
        Alike::Initials | Alike::Overlap | Alike::Nothing => found.push(Difference::Family),
    }
    if words(&mine.suffix) != words(&theirs.suffix) {
        found.push(Difference::Suffix);
    }
    let addresses = invited.address.as_deref().zip(proofed.address.as_deref());
    if addresses.is_some_and(|(one, two)| words(one) != words(two)) {
        found.push(Difference::Address);
    }
    // Without any number in common, equal names alone prove little.
    let anchored = invited.born.is_some() && proofed.born.is_some()
        || invited.npi.is_some() && proofed.npi.is_some();
    match (found.is_empty(), anchored) {
        (true, true) => Match::Same,
        _ => Match::Near(found),
    }
}

enum Alike {
    /// The same words; their order and how they are joined don't matter.
    Equal,
    /// The same, where an initial stands for a word.
    Initials,
    /// The names have at least one word in common.
    Overlap,
    /// None, or one side is empty.
    Nothing,
}

fn words_alike(one: &[String], two: &[String]) -> Alike {
    let joined = |words: &[String]| words.concat();
    let sorted = |words: &[String]| {
        let mut words = words.to_vec();
        words.sort_unstable();
        words
    };
    if joined(one) == joined(two) || sorted(one) == sorted(two) {
        return Alike::Equal;
    }
    let initial = |a: &str, b: &str| a.chars().count() == 1 && b.starts_with(a);
    let stands = |(a, b): (&String, &String)| a == b || initial(a, b) || initial(b, a);
    if one.len() == two.len() && one.iter().zip(two).all(stands) {
        return Alike::Initials;
    }
    if one.iter().any(|word| word.chars().count() > 1 && two.contains(word)) {
        return Alike::Overlap;
    }
    Alike::Nothing
}

/// The words of a text without case, accents, periods, apostrophes and what joins them.
pub(crate) fn folded(text: &str) -> Vec<String> {
    words(text)
}

fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .filter(|c| !matches!(c, '.' | '\'' | '\u{2019}' | '\u{2bc}' | '`'))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .take(400)
        .collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(given: &str, middle: &str, family: &str, suffix: &str) -> PersonName {
        PersonName {
            given: given.to_owned(),
            middle: middle.to_owned(),
            family: family.to_owned(),
            suffix: suffix.to_owned(),
        }
    }

    fn identity(name: PersonName) -> Identity {
        Identity { name, born: "1975-04-12".parse().ok(), npi: None, address: None }
    }

    fn compared(one: PersonName, two: PersonName) -> Match {
        let (one, two) = (identity(one), identity(two));
        let found = compare(&one, &two);
        assert_eq!(found, compare(&two, &one), "whoever is first");
        found
    }

    #[test]
    fn how_a_name_is_written_makes_no_other_person() {
        for (one, two) in [
            (name("Ada", "B.", "Moreno", ""), name("ADA", "B", "MORENO", "")),
            (name("José", "", "Núñez", ""), name("Jose", "", "Nunez", "")),
            (name("Ada", "Beth", "O'Brien", "Jr."), name("Ada", "B", "OBrien", "jr")),
            (name("Mary-Ann", "", "Smith", ""), name("Mary Ann", "", "Smith", "")),
            (name("Maryann", "", "Smith", ""), name("Mary Ann", "", "Smith", "")),
            (name("Ada", "", "García-Lopez", ""), name("Ada", "", "Lopez Garcia", "")),
            (name(" Ada ", "", "de la  Cruz", ""), name("Ada", "", "De La Cruz", "")),
        ] {
            assert_eq!(compared(one.clone(), two.clone()), Match::Same, "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_a_person_can_explain_goes_to_a_person() {
        use Difference::{Address, Family, Given, Middle, Suffix};
        for (one, two, found) in [
            (name("Bill", "", "Moreno", ""), name("William", "", "Moreno", ""), vec![Given]),
            (name("Ada", "Beth", "Moreno", ""), name("Ada", "", "Moreno", ""), vec![Middle]),
            (name("Ada", "", "Moreno", ""), name("Ada", "", "Moreno Smith", ""), vec![Family]),
            (name("Ada", "", "Moreno", ""), name("Ada", "", "Lindqvist", ""), vec![Family]),
            (name("Ada", "", "Moreno", ""), name("Ada", "", "Moreno", "III"), vec![Suffix]),
            (name("A.", "", "Moreno", ""), name("Ada", "", "Moreno", ""), vec![Given]),
        ] {
            assert_eq!(compared(one.clone(), two.clone()), Match::Near(found), "{one:?} {two:?}");
        }
        // A move is never a refusal.
        let mut here = identity(name("Ada", "", "Moreno", ""));
        let mut there = here.clone();
        here.address = Some("12 Elm St., Lincoln NE 68501".to_owned());
        there.address = Some("9 Oak Ave, Omaha NE 68102".to_owned());
        assert_eq!(compare(&here, &there), Match::Near(vec![Address]));
        there.address = Some("12 ELM ST LINCOLN, NE 68501".to_owned());
        assert_eq!(compare(&here, &there), Match::Same);
        // Equal names with nothing to hold them are looked at too.
        there.born = None;
        assert_eq!(compare(&here, &there), Match::Near(vec![]));
        here.npi = "1234567893".parse().ok();
        there.npi = here.npi;
        assert_eq!(compare(&here, &there), Match::Same);
    }

    #[test]
    fn a_reply_for_another_person_is_no_match() {
        let ada = identity(name("Ada", "", "Moreno", ""));
        let mut other = ada.clone();
        other.born = "1975-04-13".parse().ok();
        assert_eq!(compare(&ada, &other), Match::Other, "another date of birth");
        let (mut one, mut two) = (ada.clone(), ada.clone());
        one.npi = "1234567893".parse().ok();
        two.npi = "1000000004".parse().ok();
        assert_eq!(compare(&one, &two), Match::Other, "another NPI");
        let stranger = compared(name("Ada", "", "Moreno", ""), name("Rosa", "", "Lindqvist", ""));
        assert_eq!(stranger, Match::Other);
        assert_eq!(compared(name("Ada", "", "Moreno", ""), name("", "", "", "")), Match::Other);
    }

    proptest! {
        #[test]
        fn everybody_is_themselves(given in "\\PC{1,30}", middle in "\\PC{0,20}", family in "\\PC{1,30}") {
            let it = identity(name(&given, &middle, &family, ""));
            prop_assert_eq!(compare(&it, &it), Match::Same);
        }

        /// Which of the two was invited does not matter.
        #[test]
        fn comparing_has_no_direction(
            one in "[A-Ea-e]{0,3} ?[A-E]{0,2}", two in "[A-Ea-e]{0,3} ?[A-E]{0,2}",
            three in "[A-E]{0,3}", four in "[A-E]{0,3}",
        ) {
            let (a, b) = (identity(name(&one, &three, &two, "")), identity(name(&two, &four, &one, "")));
            prop_assert_eq!(compare(&a, &b), compare(&b, &a));
        }
    }
}

//! What tells that two accounts belong to one person.
//!
//! The rules want two different people. Accounts are not people: who has two of them must not be counted twice.

use std::{collections::BTreeSet, fmt};

use crate::{Date, DeaNumber, Npi, identity::folded};

/// For how long what somebody no longer holds still counts as theirs, in days: a year.
pub const FORMER_DAYS: i64 = 365;

/// Identifiers of an account in one spelling: NPI, e-mail addresses, telephone numbers, DEA numbers, and name
/// with date of birth. Two accounts that share one are taken for one person.
///
/// A postal address is no mark, since colleagues share one, and neither is a licence number, which says nothing
/// without its board.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Marks(BTreeSet<String>);

impl Marks {
    /// Adds an NPI, by its ten digits.
    pub fn npi(&mut self, npi: Npi) {
        self.0.insert(format!("npi:{}", npi.as_text()));
    }

    /// Adds an e-mail address. Case, dots before the @ and what follows a plus are dropped: to almost every mail
    /// server they are one mailbox.
    pub fn email(&mut self, address: &str) {
        let lower = address.trim().to_lowercase();
        let Some((local, domain)) = lower.rsplit_once('@') else { return };
        let base = local.split('+').next().unwrap_or(local);
        let base: String = base.chars().filter(|c| *c != '.').collect();
        let domain = domain.trim_end_matches('.');
        let domain = if domain == "googlemail.com" { "gmail.com" } else { domain };
        if !base.is_empty() && !domain.is_empty() {
            self.0.insert(format!("email:{base}@{domain}"));
        }
    }

    /// Adds a telephone number, by its digits.
    pub fn phone(&mut self, number: &str) {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        if !digits.is_empty() {
            self.0.insert(format!("phone:{digits}"));
        }
    }

    /// Adds a DEA number.
    pub fn dea(&mut self, number: DeaNumber) {
        self.0.insert(format!("dea:{}", number.as_text()));
    }

    /// Adds given name, family name and date of birth, without case, accents and order of the words.
    pub fn born(&mut self, given: &str, family: &str, born: Date) {
        let mut words = folded(&format!("{given} {family}"));
        words.sort_unstable();
        if !words.is_empty() {
            self.0.insert(format!("born:{} {born}", words.join(" ")));
        }
    }

    /// Whether the two share a mark.
    pub fn meet(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Those that are not among another's, as texts to keep.
    pub fn without(&self, other: &Self) -> Vec<String> {
        self.0.difference(&other.0).cloned().collect()
    }

    /// Adds marks that were kept as texts.
    pub fn kept(&mut self, texts: Vec<String>) {
        self.0.extend(texts);
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Marks({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: impl Fn(&mut Marks)) -> Marks {
        let mut marks = Marks::default();
        add(&mut marks);
        marks
    }

    #[test]
    fn one_person_is_found_however_it_is_spelled() {
        for (one, two) in [
            ("ruth@clinic.example", " RUTH@Clinic.Example "),
            ("ruth.okafor@clinic.example", "ruthokafor@clinic.example"),
            ("ruth@clinic.example", "ruth+second@clinic.example"),
            ("ruth@gmail.com", "r.uth@googlemail.com"),
        ] {
            assert!(of(|it| it.email(one)).meet(&of(|it| it.email(two))), "{one} {two}");
        }
        assert!(of(|it| it.phone("+1 402 555 0100")).meet(&of(|it| it.phone("+14025550100"))));
        let day: Date = "1975-04-12".parse().unwrap();
        assert!(
            of(|it| it.born("José", "Núñez", day)).meet(&of(|it| it.born("Nunez", "JOSE", day)))
        );
        let npi: Npi = "1234567893".parse().unwrap();
        assert!(of(|it| it.npi(npi)).meet(&of(|it| {
            it.email("x@y.example");
            it.npi(npi);
        })));
        let dea: DeaNumber = "AB1234563".parse().unwrap();
        assert!(of(|it| it.dea(dea)).meet(&of(|it| it.dea(dea))));
    }

    #[test]
    fn two_people_are_two() {
        let day: Date = "1975-04-12".parse().unwrap();
        for (one, two) in [
            (of(|it| it.email("ruth@clinic.example")), of(|it| it.email("ruth@other.example"))),
            (of(|it| it.phone("+14025550100")), of(|it| it.phone("+14025550101"))),
            (
                of(|it| it.born("Ada", "Moreno", day)),
                of(|it| it.born("Ada", "Moreno", day.plus_days(1))),
            ),
            // What is missing is nobody's.
            (
                of(|it| {
                    it.phone("");
                    it.email("");
                    it.email("@");
                }),
                of(|it| {
                    it.phone("-");
                    it.email("x");
                }),
            ),
        ] {
            assert!(!one.meet(&two), "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_is_dropped_is_kept_as_text() {
        let old = of(|it| {
            it.email("a@x.example");
            it.email("b@x.example");
        });
        let new = of(|it| it.email("b@x.example"));
        let mut now = new.clone();
        assert!(!now.meet(&of(|it| it.email("a@x.example"))));
        now.kept(old.without(&new));
        assert!(now.meet(&of(|it| it.email("a@x.example"))));
        assert_eq!(format!("{now:?}"), "Marks(2)", "addresses go into no log");
    }
}

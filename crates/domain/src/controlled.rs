//! Controlled substances that are often prescribed, with their schedules: a help for whoever writes, and no
//! authority. Another drug and its schedule are typed freely. A state may have a drug in a stricter schedule.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

use crate::{Schedule, TextError, UsState, check_line, prescription::longest};

const BUILT_IN: &str = include_str!("../data/controlled.txt");

/// A drug of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    schedule: Schedule,
    /// In which state alone; none for the federal schedule.
    state: Option<UsState>,
}

impl Row {
    fn is(&self, drug: &str, state: Option<UsState>) -> bool {
        self.state == state && folded(&self.name) == folded(drug)
    }
}

/// A name as it is compared: without case, signs, forms of letters (NFKC) and the number of spaces, so that the same
/// drug written another way is the same drug.
fn folded(name: &str) -> String {
    let plain: String = name.nfkc().flat_map(char::to_lowercase).collect();
    let words = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A table of drugs and their schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table(Vec<Row>);

/// A line of a table can't be read. The number is that of the line, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// The line does not have the form of a line of the table.
    #[error(
        "line {0}: write the schedule (2, 2N, 3, 3N, 4 or 5), \" | \" and the name of the drug, and for the schedule of one state \" | \" and its two letters; each name once, and once for each state"
    )]
    Line(usize),
    /// The name of its drug is no line of text.
    #[error("line {0}: drug name: {1}")]
    Name(usize, TextError),
    /// A state can only be stricter (21 U.S.C. 903).
    #[error(
        "line {0}: this drug is federally in schedule {1}; a state schedule can only be stricter"
    )]
    Looser(usize, &'static str),
}

impl Table {
    /// The table of this program, made from public lists (the file says which, and when).
    pub fn built_in() -> Self {
        // A test reads every line of it.
        Self::read(BUILT_IN, None).unwrap_or(Self(Vec::new()))
    }

    /// The names of all drugs, each once, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().enumerate().filter_map(|(at, row)| {
            let before = self.0.iter().take(at).any(|it| it.name.eq_ignore_ascii_case(&row.name));
            (!before).then_some(row.name.as_str())
        })
    }

    fn row(&self, drug: &str, state: Option<UsState>) -> Option<Schedule> {
        self.0.iter().find(|row| row.is(drug, state)).map(|row| row.schedule)
    }

    /// The schedule of a drug of the table in a state, however the drug is written: the state's own where the table
    /// has one, and the federal one otherwise. Without a state it is the federal one.
    pub fn schedule_of(&self, drug: &str, state: Option<UsState>) -> Option<Schedule> {
        let own = state.and_then(|state| self.row(drug, Some(state)));
        own.or_else(|| self.row(drug, None))
    }

    /// At most three names of the table that begin like this one.
    pub fn beginning_with(&self, drug: &str) -> Vec<&str> {
        let begin = drug.trim().to_lowercase();
        let like = |name: &&str| !begin.is_empty() && name.to_lowercase().starts_with(&begin);
        self.names().filter(like).take(3).collect()
    }

    /// Reads a table; `federal` says the federal schedules of drugs that it has for states alone.
    fn read(text: &str, federal: Option<&Self>) -> Result<Self, TableError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut of_states: Vec<(usize, String, Schedule)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || TableError::Line(at + 1);
            let mut parts = line.split(" | ").map(str::trim);
            let (Some(code), Some(name), state, None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(wrong());
            };
            let schedule = Schedule::ALL.into_iter().find(|known| known.code() == code);
            let schedule = schedule.ok_or_else(wrong)?;
            let state: Option<UsState> = state.map(str::parse).transpose().map_err(|_| wrong())?;
            let twice = rows.iter().any(|row| row.is(name, state));
            if name.is_empty() || name.ends_with('|') || twice {
                return Err(wrong());
            }
            let line = at + 1;
            check_line(name, longest("drug")).map_err(|why| TableError::Name(line, why))?;
            if state.is_some() {
                of_states.push((at + 1, name.to_owned(), schedule));
            }
            rows.push(Row { name: name.to_owned(), schedule, state });
        }
        let table = Self(rows);
        for (line, name, schedule) in of_states {
            let known = table.row(&name, None).or_else(|| federal?.row(&name, None));
            if let Some(known) = known.filter(|known| !schedule.is_at_least(*known)) {
                return Err(TableError::Looser(line, known.code()));
            }
        }
        Ok(table)
    }
}

impl std::str::FromStr for Table {
    type Err = TableError;

    /// Lines of `schedule | name`, or `schedule | name | state` where one state is stricter; empty lines and those that
    /// begin with `#` say nothing. A state's line is compared with the federal one of the same text, or of the
    /// built-in table where the text has none.
    fn from_str(text: &str) -> Result<Self, TableError> {
        Self::read(text, Some(&Self::built_in()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> Option<UsState> {
        text.parse().ok()
    }

    #[test]
    fn every_line_is_read_and_no_name_stands_twice() {
        let table: Table = BUILT_IN.parse().unwrap();
        let lines = BUILT_IN.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(table.names().count(), lines);
        assert_eq!(table, Table::built_in());
        assert_eq!(table.schedule_of(" oxycodone HYDROCHLORIDE ", None), Some(Schedule::II));
        assert_eq!(table.schedule_of("Zolpidem tartrate", state("NE")), Some(Schedule::IV));
        assert_eq!(table.schedule_of("Aspirin", None), None);
        for other in [
            "Oxycodone  hydrochloride",
            "oxycodone\u{a0}hydrochloride.",
            "Oxycodone-hydrochloride",
            "\u{ff2f}xycodone hydrochloride",
        ] {
            assert_eq!(table.schedule_of(other, None), Some(Schedule::II), "{other}");
        }
        assert_eq!(table.beginning_with(" zolpidem"), ["Zolpidem tartrate"]);
        assert!(table.beginning_with("").is_empty() && table.beginning_with("Aspirin").is_empty());
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let own: Table = "# ours\n\n4 | Newdrug\n".parse().unwrap();
        assert_eq!(own.schedule_of("newdrug", None), Some(Schedule::IV));
        for bad in [
            "4 | A\n6 | B",
            "4 | A\nB",
            "4 | A\n4 | a",
            "4 | A\n4 |  ",
            "4 | A\n3 | A | XX",
            "4 | A\n3 | A | NY | more",
            "3 | A | NY\n2 | a | NY",
            "4 | A\n3 | A |",
        ] {
            assert_eq!(bad.parse::<Table>(), Err(TableError::Line(2)), "{bad}");
        }
        let hidden = TableError::Name(2, TextError::Unseen('\u{202e}'));
        assert_eq!("4 | A\n4 | B\u{202e}C".parse::<Table>(), Err(hidden));
    }

    #[test]
    fn a_state_has_its_own_schedule_and_never_a_looser_one() {
        let text = "5 | Gabapentin | KY\n2N | Testosterone | NY\n3N | Testosterone\n";
        let own: Table = text.parse().unwrap();
        assert_eq!(own.schedule_of("testosterone", None), Some(Schedule::IIIN));
        assert_eq!(own.schedule_of("testosterone", state("NE")), Some(Schedule::IIIN));
        assert_eq!(own.schedule_of("testosterone", state("NY")), Some(Schedule::IIN));
        assert_eq!(own.schedule_of("gabapentin", state("KY")), Some(Schedule::V));
        assert_eq!(own.schedule_of("gabapentin", state("NE")), None, "not controlled there");
        assert_eq!(own.names().collect::<Vec<_>>(), ["Gabapentin", "Testosterone"]);
        for (bad, line, federal) in [
            ("4 | Newdrug | NY\n3 | Newdrug", 1, "3"),
            ("3 | Newdrug\n4 | Newdrug | NY", 2, "3"),
            ("# of the built-in table\n3 | Oxycodone hydrochloride | NY", 2, "2"),
        ] {
            assert_eq!(bad.parse::<Table>(), Err(TableError::Looser(line, federal)), "{bad}");
        }
    }
}

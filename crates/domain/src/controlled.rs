//! Controlled substances that are often prescribed, with their schedules: a help for whoever writes, and no
//! authority. Another drug and its schedule are typed freely.

use thiserror::Error;

use crate::{Schedule, check_line, prescription::longest};

const BUILT_IN: &str = include_str!("../data/controlled.txt");

/// A table of drugs and their schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table(Vec<(String, Schedule)>);

/// A line of a table can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "line {0}: write the schedule (2, 2N, 3, 3N, 4 or 5), \" | \" and the name of the drug, each name once"
)]
pub struct TableError(usize);

impl Table {
    /// The table of this program, made from public lists (the file says which, and when).
    pub fn built_in() -> Self {
        // A test reads every line of it.
        BUILT_IN.parse().unwrap_or(Self(Vec::new()))
    }

    /// Name and schedule, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Schedule)> {
        self.0.iter().map(|(name, schedule)| (name.as_str(), *schedule))
    }

    /// The schedule of a drug of the table, however it is written.
    pub fn schedule_of(&self, drug: &str) -> Option<Schedule> {
        let drug = drug.trim();
        self.rows().find(|(name, _)| name.eq_ignore_ascii_case(drug)).map(|(_, schedule)| schedule)
    }

    /// At most three names of the table that begin like this one.
    pub fn beginning_with(&self, drug: &str) -> Vec<&str> {
        let begin = drug.trim().to_lowercase();
        let like = |name: &&str| !begin.is_empty() && name.to_lowercase().starts_with(&begin);
        self.rows().map(|(name, _)| name).filter(like).take(3).collect()
    }
}

impl std::str::FromStr for Table {
    type Err = TableError;

    /// Lines of `schedule | name`; empty ones and those that begin with `#` say nothing.
    fn from_str(text: &str) -> Result<Self, TableError> {
        let mut rows: Vec<(String, Schedule)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = TableError(at + 1);
            let (code, name) = line.split_once(" | ").ok_or_else(|| wrong.clone())?;
            let schedule = Schedule::ALL.into_iter().find(|known| known.code() == code.trim());
            let (schedule, name) = (schedule.ok_or_else(|| wrong.clone())?, name.trim());
            let twice = rows.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
            if name.is_empty() || check_line(name, longest("drug")).is_err() || twice {
                return Err(wrong);
            }
            rows.push((name.to_owned(), schedule));
        }
        Ok(Self(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_no_name_stands_twice() {
        let table: Table = BUILT_IN.parse().unwrap();
        let lines = BUILT_IN.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(table.rows().count(), lines);
        assert_eq!(table, Table::built_in());
        assert_eq!(table.schedule_of(" oxycodone HYDROCHLORIDE "), Some(Schedule::II));
        assert_eq!(table.schedule_of("Zolpidem tartrate"), Some(Schedule::IV));
        assert_eq!(table.schedule_of("Aspirin"), None);
        assert_eq!(table.beginning_with(" zolpidem"), ["Zolpidem tartrate"]);
        assert!(table.beginning_with("").is_empty() && table.beginning_with("Aspirin").is_empty());
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let own: Table = "# ours\n\n4 | Newdrug\n".parse().unwrap();
        assert_eq!(own.schedule_of("newdrug"), Some(Schedule::IV));
        for bad in ["4 | A\n6 | B", "4 | A\nB", "4 | A\n4 | a", "4 | A\n4 |  "] {
            assert_eq!(bad.parse::<Table>(), Err(TableError(2)), "{bad}");
        }
    }
}

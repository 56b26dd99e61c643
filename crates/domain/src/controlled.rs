//! Controlled substances that are often prescribed, with their schedules: a help for whoever writes, and no
//! authority. Another drug and its schedule are typed freely.

use crate::Schedule;

const TABLE: &str = include_str!("../data/controlled.txt");

/// The table: name and schedule, in the order of the file.
pub fn all() -> impl Iterator<Item = (&'static str, Schedule)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (code, name) = line.split_once(" | ")?;
        let schedule = Schedule::ALL.into_iter().find(|known| known.code() == code)?;
        Some((name, schedule))
    })
}

/// The schedule of a drug of the table, however it is written.
pub fn schedule_of(drug: &str) -> Option<Schedule> {
    let drug = drug.trim();
    all().find(|(name, _)| name.eq_ignore_ascii_case(drug)).map(|(_, schedule)| schedule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_no_name_stands_twice() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        let mut names: Vec<&str> = all().map(|(name, _)| name).collect();
        assert_eq!(names.len(), lines);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), lines);
        assert_eq!(schedule_of(" oxycodone HYDROCHLORIDE "), Some(Schedule::II));
        assert_eq!(schedule_of("Zolpidem tartrate"), Some(Schedule::IV));
        assert_eq!(schedule_of("Aspirin"), None);
    }
}

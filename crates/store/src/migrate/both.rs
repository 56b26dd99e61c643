//! Migrations that are written once for both databases.
//!
//! From 0015 on a migration is one file, `migrations/NNNN_name.sql`, in the words of `SQLite`. For `PostgreSQL` these
//! are replaced, in lines that are not comments:
//!
//! | in the file | on PostgreSQL |
//! |---|---|
//! | `INTEGER` | `BIGINT` |
//! | `BLOB` | `BYTEA` |
//! | `) STRICT;` | `);` |
//! | `ADD COLUMN ` | `ADD COLUMN IF NOT EXISTS ` |
//!
//! What the two truly do differently stands under a line `-- [sqlite]` or `-- [postgres]`, as that database is to get
//! it, until a line `-- [both]`. A line `STATE_WORDS table.column word, word;` stands for what keeps other words out
//! of that column; it may be in any part. On `PostgreSQL` it is a CHECK that rows of before are not tested against;
//! `SQLite` can't add a CHECK to a table, so that it is a trigger before INSERT and one before UPDATE of the column.
//!
//! A migration of `PostgreSQL` runs outside a transaction and may run twice: `IF NOT EXISTS`, `CREATE OR REPLACE`.
//!
//! The checksum in a database is that of its own text, so a change here that changes a released text is refused like
//! a change of the file.

/// For whom a part of a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Both,
    Sqlite,
    Postgres,
}

const REPLACED: [(&str, &str); 4] = [
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
    (") STRICT;", ");"),
    ("ADD COLUMN ", "ADD COLUMN IF NOT EXISTS "),
];

/// The text of a shared file for one of the databases.
pub(super) fn text_for(shared: &str, postgres: bool) -> String {
    let ours = if postgres { Part::Postgres } else { Part::Sqlite };
    let mut part = Part::Both;
    let mut text = String::with_capacity(shared.len());
    for line in shared.lines() {
        match line {
            "-- [both]" => part = Part::Both,
            "-- [sqlite]" => part = Part::Sqlite,
            "-- [postgres]" => part = Part::Postgres,
            _ if part != Part::Both && part != ours => {}
            _ => {
                text.push_str(&line_for(line, part == Part::Both && postgres, postgres));
                text.push('\n');
            }
        }
    }
    text
}

fn line_for(line: &str, replace: bool, postgres: bool) -> String {
    if line.starts_with("--") {
        return line.to_owned();
    }
    if let Some(words) = state_words(line, postgres) {
        return words;
    }
    if !replace {
        return line.to_owned();
    }
    REPLACED.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
}

/// What keeps other words than the listed ones out of a column.
fn state_words(line: &str, postgres: bool) -> Option<String> {
    let (place, words) = line.strip_prefix("STATE_WORDS ")?.strip_suffix(';')?.split_once(' ')?;
    let (table, column) = place.split_once('.')?;
    let words: Vec<String> = words.split(", ").map(|word| format!("'{word}'")).collect();
    let words = words.join(", ");
    let name = format!("{table}_{column}_word");
    if postgres {
        return Some(format!(
            "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name};\n\
             ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({words})) NOT VALID;"
        ));
    }
    let trigger = |when: &str, event: &str| {
        format!(
            "CREATE TRIGGER IF NOT EXISTS {name}_{when} BEFORE {event} ON {table} WHEN NEW.{column} NOT IN ({words})\n\
             BEGIN SELECT RAISE(ABORT, '{place} is not one of the known words'); END;"
        )
    };
    let update = format!("UPDATE OF {column}");
    Some(format!("{}\n{}", trigger("inserted", "INSERT"), trigger("updated", &update)))
}

#[cfg(test)]
mod tests {
    use super::text_for;

    macro_rules! pair {
        ($name:literal) => {
            (
                include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
                include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            )
        };
    }

    /// Of the pairs that were written twice, those that differ in nothing but the replaced words.
    const PAIRS: [(&str, &str); 8] = [
        pair!("0006_console"),
        pair!("0007_prescriptions"),
        pair!("0008_transmission"),
        pair!("0009_holds"),
        pair!("0011_attempts"),
        pair!("0012_certification"),
        pair!("0013_former_marks"),
        pair!("0014_internal_codes"),
    ];

    #[test]
    fn the_pairs_of_before_could_have_been_written_once() {
        for (sqlite, postgres) in PAIRS {
            assert_eq!(text_for(sqlite, false), sqlite);
            assert_eq!(text_for(sqlite, true), postgres);
        }
    }

    #[test]
    fn a_part_for_one_database_is_for_that_one_alone() {
        let shared =
            "-- [sqlite]\nA BLOB;\n-- [postgres]\nB BLOB;\n-- [both]\nC BLOB;\n-- a BLOB\n";
        assert_eq!(text_for(shared, false), "A BLOB;\nC BLOB;\n-- a BLOB\n");
        assert_eq!(text_for(shared, true), "B BLOB;\nC BYTEA;\n-- a BLOB\n");
    }

    #[test]
    fn state_words_are_a_check_or_two_triggers() {
        let shared = "STATE_WORDS door.state open, shut;\n";
        let postgres = text_for(shared, true);
        assert!(postgres.contains("CHECK (state IN ('open', 'shut')) NOT VALID;\n"), "{postgres}");
        let sqlite = text_for(shared, false);
        for event in ["BEFORE INSERT ON door", "BEFORE UPDATE OF state ON door"] {
            let trigger = format!("{event} WHEN NEW.state NOT IN ('open', 'shut')\n");
            assert!(sqlite.contains(&trigger), "{sqlite}");
        }
    }
}

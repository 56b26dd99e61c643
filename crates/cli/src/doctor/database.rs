//! Checks of the database: whether it answers, its schema, its clock and the models of tokens in it.

use super::{Finding, host::one_line};

/// A clock this far from the database's is fine: milliseconds.
const CLOCK_GOOD_MS: i64 = 1_000;
/// A clock further than this from the database's refuses right passcodes: milliseconds.
const CLOCK_BAD_MS: i64 = 10_000;

/// The clock against the database's. `offset_ms` is the database's time less ours, in milliseconds.
pub(crate) fn clock_finding(offset_ms: i64) -> Finding {
    const NAME: &str = "clock";
    let distance = offset_ms.saturating_abs();
    let side = if offset_ms > 0 { "behind" } else { "ahead of" };
    #[expect(clippy::cast_precision_loss, reason = "a number for people, with one decimal")]
    let seconds = distance as f64 / 1_000.0;
    let says = format!("{seconds:.1} s {side} the database's");
    let do_this = "synchronize both machines' clocks with chrony or systemd-timesyncd";
    if distance <= CLOCK_GOOD_MS {
        Finding::good(NAME, says)
    } else if distance <= CLOCK_BAD_MS {
        Finding::warn(NAME, says, do_this)
    } else {
        let do_this =
            format!("{do_this}; valid passcodes are rejected while they differ this much");
        Finding::bad(NAME, says, do_this)
    }
}

/// The schema version in the database (none: empty) against the one that this binary knows.
pub(crate) fn schema_finding(found: Option<i64>, wanted: i64) -> Finding {
    const NAME: &str = "schema";
    match found {
        Some(found) if found == wanted => Finding::good(NAME, format!("version {found}")),
        Some(found) if found > wanted => Finding::bad(
            NAME,
            format!("version {found}, newer than this binary supports ({wanted})"),
            "use the newer binary that migrated the database",
        ),
        Some(found) => Finding::warn(
            NAME,
            format!("version {found}; this binary needs {wanted}"),
            "back up, then run `countersign migrate` (starting the server also migrates)",
        ),
        None => Finding::warn(
            NAME,
            "the database is empty",
            "run `countersign migrate` (starting the server also migrates); if it should contain data, correct [database]",
        ),
    }
}

/// How many models of tokens may sign.
pub(crate) fn models_finding(allowed: usize) -> Finding {
    const NAME: &str = "token models";
    if allowed == 0 {
        return Finding::warn(
            NAME,
            "no model is allowed: no token can be added, and no one can sign",
            "review each model you want, then run `countersign admin models set` (docs/operations.md, \"Token models\")",
        );
    }
    Finding::good(NAME, format!("{allowed} allowed for signing"))
}

/// Whether the database answered: its name and version, or the fault.
pub(crate) fn database_finding<E: std::fmt::Display>(answer: Result<String, E>) -> Finding {
    const NAME: &str = "database";
    match answer {
        Ok(says) => Finding::good(NAME, says),
        Err(error) => Finding::bad(
            NAME,
            one_line(&error.to_string()),
            "start the database or correct [database] in the configuration, then run this again",
        ),
    }
}

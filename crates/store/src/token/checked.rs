//! Writes what a group of passcode checks has decided.

use countersign_crypto::{random_array, sha256};
use countersign_domain::{AttemptCounter, Event, Timestamp, TokenId};

use super::{TokenRow, state_columns, step_number};
use crate::{
    Error, Link, Tx,
    audit::{EventArrays, INSERT_MANY},
    statements::{Sql, sql, statements},
    value::P,
};

/// Many rows as columns, for a statement on all of them.
struct TokenColumns<'a> {
    ids: Vec<&'a [u8]>,
    states: Vec<&'a str>,
    reasons: Vec<Option<&'a str>>,
    ats: Vec<i64>,
    steps: Vec<i64>,
    bases: Vec<i64>,
    drifts: Vec<i64>,
    failures: Vec<i64>,
    blocked: Vec<Option<i64>>,
    used: Vec<Option<i64>>,
    read: Vec<i64>,
    newest: Vec<Option<&'a [u8]>>,
}

impl<'a> TokenColumns<'a> {
    /// `ids` are those of `rows`, in their order.
    fn of(rows: &[&'a TokenRow], ids: &'a [TokenId]) -> Self {
        let micros = Timestamp::micros;
        let states: Vec<_> = rows.iter().map(|r| state_columns(&r.token)).collect();
        Self {
            ids: ids.iter().map(|id| id.as_bytes().as_slice()).collect(),
            states: states.iter().map(|c| c.0).collect(),
            reasons: states.iter().map(|c| c.1).collect(),
            ats: states.iter().map(|c| c.2).collect(),
            steps: rows.iter().map(|r| step_number(&r.token)).collect(),
            bases: rows.iter().map(|r| r.token.drift().base()).collect(),
            drifts: rows.iter().map(|r| r.token.drift().current()).collect(),
            failures: rows.iter().map(|r| i64::from(r.token.failures().count)).collect(),
            blocked: rows.iter().map(|r| r.token.failures().blocked_until.map(micros)).collect(),
            used: rows.iter().map(|r| r.token.last_used().map(micros)).collect(),
            read: rows.iter().map(|r| r.mark.step).collect(),
            newest: rows
                .iter()
                .map(|r| r.last_event.as_ref().map(|id| id.as_bytes().as_slice()))
                .collect(),
        }
    }

    fn params(&self) -> [P<'_>; 12] {
        [
            P::Blobs(&self.ids),
            P::Texts(&self.states),
            P::OptTexts(&self.reasons),
            P::Ints(&self.ats),
            P::Ints(&self.steps),
            P::Ints(&self.bases),
            P::Ints(&self.drifts),
            P::Ints(&self.failures),
            P::OptInts(&self.blocked),
            P::OptInts(&self.used),
            P::Ints(&self.read),
            P::OptBlobs(&self.newest),
        ]
    }
}

statements! {
    /// A group of tokens in one journey.
    SAVE_CHECKED = Sql::on_postgres(concat!(
        "UPDATE token AS t SET state = v.state, state_reason = v.reason, state_at = v.at, ",
        "last_step = v.step, drift_base = v.base, drift = v.drift, failures = v.failures, ",
        "blocked_until = v.blocked, last_used = v.used, last_event = v.newest FROM unnest($1::BYTEA[], $2::TEXT[], ",
        "$3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::BIGINT[], $9::BIGINT[], ",
        "$10::BIGINT[], $11::BIGINT[], $12::BYTEA[]) ",
        "AS v (id, state, reason, at, step, base, drift, failures, blocked, used, read, newest) ",
        "WHERE t.id = v.id AND t.last_step = v.read",
    ));
    SAVE_CHECKED_EACH = Sql::on_sqlite(concat!(
        "UPDATE token SET state = $2, state_reason = $3, state_at = $4, last_step = $5, drift_base = $6, ",
        "drift = $7, failures = $8, blocked_until = $9, last_used = $10, last_event = $11 ",
        "WHERE rowid = $1 AND last_step = $12",
    ));
    WRITE_LIKE_A_FAILURE = sql!("INSERT INTO decoy (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at");
}

impl Tx<'_> {
    /// Whether to write a row as it is costs what a change of it costs. `SQLite` writes no page whose
    /// bytes stay as they are.
    pub const fn writes_unchanged_rows(&self) -> bool {
        self.is_postgres()
    }

    /// Writes what a failure writes besides its event, to rows that say nothing: two pages on
    /// `SQLite` (it writes no page whose bytes stay as they are); on `PostgreSQL` one row, since the
    /// statement for the tokens of the group is sent in any case.
    pub fn write_like_a_failure(&mut self, now: Timestamp) -> Result<(), Error> {
        if !self.is_postgres() {
            self.run_one(WRITE_LIKE_A_FAILURE, &[now.micros().into()])?;
        }
        // Of several, so that many who ask at once don't wait for each other.
        let [number] = random_array(self.rng())?;
        let name = [b"decoy of an owner ".as_slice(), &[number & 63]].concat();
        self.save_attempts(&sha256(&name), &AttemptCounter::NONE, now)
    }

    /// Writes what a group of passcode checks has decided: the tokens, each with its newest event, and
    /// the events in their places. Names are not written: no check changes one.
    pub fn record_checks(
        &mut self,
        rows: &[&TokenRow],
        events: &[(Event, Link)],
    ) -> Result<(), Error> {
        if !self.is_postgres() {
            self.save_checked_each(rows)?;
            return self.append_all(events);
        }
        let ids: Vec<_> = rows.iter().map(|row| row.token.id()).collect();
        let (tokens, events) = (TokenColumns::of(rows, &ids), EventArrays::of(events));
        let (saved, _) =
            self.run_both((SAVE_CHECKED, &tokens.params()), (INSERT_MANY, &events.params()))?;
        if saved == rows.len() as u64 { Ok(()) } else { Err(Error::Retry) }
    }

    fn save_checked_each(&mut self, rows: &[&TokenRow]) -> Result<(), Error> {
        let sets: Vec<[P<'_>; 12]> = rows
            .iter()
            .map(|row| {
                let token = &row.token;
                let (state, reason, at) = state_columns(token);
                [
                    row.mark.row.into(),
                    state.into(),
                    reason.into(),
                    at.into(),
                    step_number(token).into(),
                    token.drift().base().into(),
                    token.drift().current().into(),
                    i64::from(token.failures().count).into(),
                    token.failures().blocked_until.map(Timestamp::micros).into(),
                    token.last_used().map(Timestamp::micros).into(),
                    row.last_event.as_ref().map(|id| id.as_bytes()).into(),
                    row.mark.step.into(),
                ]
            })
            .collect();
        // The row was read in this transaction, so its number is still its own.
        self.run_each(SAVE_CHECKED_EACH, &sets)
    }
}

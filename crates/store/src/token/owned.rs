//! Tokens that somebody has, read with their owners and models for a passcode check.

use std::collections::HashMap;

use countersign_crypto::random_array;
use countersign_domain::{CredentialId, PasscodeFailures, SigningModels};

use super::{Parts, TokenRow, token_list, token_query};
use crate::{
    Error, Tx,
    people::passcode_failures,
    statements::{Sql, locking, statements},
    value::{Columns, P},
};

/// Tokens that somebody has, by credential ID, each with its owner's failure counter.
pub type OwnedTokens = HashMap<CredentialId, (TokenRow, PasscodeFailures)>;

/// Tokens with what a check needs of their owners and models, in one journey: the columns of
/// [`Parts::of`], then the owner's counter, then whether the model may sign.
macro_rules! owned_query {
    ($tail:literal) => {
        concat!(
            "SELECT ",
            token_list!("t.", "CAST(0 AS BIGINT)"),
            ", p.failures, p.blocked_until, p.wrong_in_a_day, p.wrong_began, m.allowed FROM prescriber p ",
            "JOIN token t ON t.prescriber = p.id LEFT JOIN token_model m ON m.code = t.model ",
            $tail
        )
    };
}

statements! {
    /// Prescriber before token and in one order everywhere: rows are locked in the order of FROM, and two
    /// transactions must not wait for each other.
    OWNED = Sql::on_postgres(owned_query!("WHERE t.credential = ANY($1) ORDER BY p.id, t.id FOR UPDATE OF p, t"));
    /// Some owned token. Not locked: its owner must not wait for a stranger's guess.
    SOME_OWNED = Sql::on_postgres(owned_query!("LIMIT 1"));
    /// On `SQLite` from the index alone. It is named: the planner takes a unique index for the better one.
    FAILURES = Sql::on_sqlite("SELECT failures, blocked_until, wrong_in_a_day, wrong_began FROM prescriber INDEXED BY prescriber_counter WHERE id = $1");
    OWNED_TOKENS = Sql::on_sqlite(token_query!("WHERE credential = $1"));
    LOCK_OWNER = locking!(
        "SELECT p.id FROM prescriber p WHERE p.id = (SELECT t.prescriber FROM token t WHERE t.credential = $1)"
    );
    FIRST_OWNED = Sql::on_sqlite(token_query!("WHERE prescriber IS NOT NULL LIMIT 1"));
    ANY_OWNED = Sql::on_sqlite(token_query!(
        "WHERE rowid >= (SELECT $1 % (most + 1) FROM (SELECT MAX(rowid) AS most FROM token)) AND prescriber IS NOT NULL LIMIT 1"
    ));
}

impl Tx<'_> {
    /// The tokens with these credential IDs that somebody has, each with its owner's failure counter,
    /// which nobody else may change until the commit; and which of their models may sign.
    pub fn owned_tokens(
        &mut self,
        credentials: &[&CredentialId],
    ) -> Result<(OwnedTokens, SigningModels), Error> {
        if self.is_postgres() {
            let texts: Vec<&str> = credentials.iter().map(|c| c.as_str()).collect();
            return self.owned(OWNED, &[P::Texts(&texts)]);
        }
        let mut found = HashMap::with_capacity(credentials.len());
        // Two plain look-ups each, and no join; a pass for each table.
        let wanted: Vec<_> = credentials.iter().map(|id| [id.as_str().into()]).collect();
        let mut rows = Vec::with_capacity(credentials.len());
        self.each_of(OWNED_TOKENS, &wanted, &mut |row| {
            rows.push(Parts::of(row)?);
            Ok(())
        })?;
        rows.retain(|parts| parts.prescriber.is_some());
        let wanted: Vec<_> = rows
            .iter()
            .filter_map(|parts| parts.prescriber.as_ref())
            .map(|id| [id.as_bytes().into()])
            .collect();
        let mut counters = Vec::with_capacity(rows.len());
        self.each_of(FAILURES, &wanted, &mut |row| {
            counters.push(passcode_failures(row, 0)?);
            Ok(())
        })?;
        if counters.len() != rows.len() {
            return Err(Error::corrupt("token.prescriber"));
        }
        for (parts, counter) in rows.into_iter().zip(counters) {
            let token = self.open_token(parts)?;
            found.insert(token.token.credential().clone(), (token, counter));
        }
        Ok((found, self.signing_models()?))
    }

    /// Reads an [`owned_query`], on PostgreSQL.
    fn owned(&mut self, sql: Sql, params: &[P<'_>]) -> Result<(OwnedTokens, SigningModels), Error> {
        let mut rows = Vec::new();
        self.each(sql, params, &mut |row| {
            let failures = passcode_failures(row, 30)?;
            let signs = row.opt_int(34, "token_model.allowed")?.is_some_and(|a| a != 0);
            rows.push((Parts::of(row)?, failures, signs));
            Ok(())
        })?;
        let models = rows.iter().filter(|(_, _, signs)| *signs);
        let models = models.map(|(parts, ..)| parts.model.clone()).collect();
        let mut found = HashMap::with_capacity(rows.len());
        for (parts, failures, _) in rows {
            let token = self.open_token(parts)?;
            found.insert(token.token.credential().clone(), (token, failures));
        }
        Ok((found, models))
    }

    /// Locks the owner of a token, if somebody has it: prescriber before token, as everyone locks.
    pub fn lock_owner(&mut self, credential: &CredentialId) -> Result<(), Error> {
        self.row(LOCK_OWNER, &[credential.as_str().into()]).map(drop)
    }

    /// Some token that somebody has, read and opened like any other: what looking up an unknown ID
    /// spends, so that time does not say that it is unknown. On `SQLite` another one each time, since
    /// a page that was just read costs less.
    pub fn some_owned_token(&mut self) -> Result<Option<(TokenRow, PasscodeFailures)>, Error> {
        if self.is_postgres() {
            return Ok(self.owned(SOME_OWNED, &[])?.0.into_values().next());
        }
        let place = i64::from(u32::from_be_bytes(random_array(self.rng())?));
        let mut found = self.tokens(ANY_OWNED, &[place.into()])?;
        if found.is_empty() {
            found = self.tokens(FIRST_OWNED, &[])?;
        }
        let Some(row) = found.pop() else { return Ok(None) };
        let Some(prescriber) = row.token.prescriber() else { return Ok(None) };
        let mut counter = PasscodeFailures::NONE;
        self.each(FAILURES, &[prescriber.as_bytes().into()], &mut |row| {
            counter = passcode_failures(row, 0)?;
            Ok(())
        })?;
        Ok(Some((row, counter)))
    }
}

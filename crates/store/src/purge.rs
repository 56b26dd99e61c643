//! Removes rows whose time has run out.

use countersign_domain::Timestamp;

use crate::{
    Error, Tx,
    statements::{sql, statements},
};

statements! {
    DELETE_LAUNCH_USED = sql!("DELETE FROM launch_used WHERE expires < $1");
    DELETE_SIGN_IN_PAUSE = sql!("DELETE FROM sign_in_pause WHERE at < $1 AND (blocked_until IS NULL OR blocked_until < $2)");
    DELETE_KNOWN_BROWSER = sql!("DELETE FROM known_browser WHERE expires < $1");
    DELETE_SMART_TRY = sql!("DELETE FROM smart_try WHERE expires < $1");
    DELETE_API_ACCESS = sql!("DELETE FROM api_access WHERE expires < $1");
    DELETE_API_ANSWER = sql!("DELETE FROM api_answer WHERE expires < $1");
    DELETE_FORMER_MARKS = sql!("DELETE FROM former_marks WHERE ended < $1");
    DELETE_TOKEN = sql!(
        "DELETE FROM token WHERE prescriber IS NULL AND state_at < $1 AND id NOT IN (SELECT token FROM fob)"
    );
}

impl Tx<'_> {
    /// Removes what has run out: launches, pauses of yesterday, known browsers and tokens nobody added. Sessions
    /// have their own way, since their end is on record.
    pub fn purge(&mut self, now: Timestamp) -> Result<u64, Error> {
        let day_ago = now.plus_seconds(-86_400).micros();
        // A day late: another server's clock may be behind this one's.
        let mut gone = self.run(DELETE_LAUNCH_USED, &[day_ago.into()])?;
        gone += self.run(DELETE_SIGN_IN_PAUSE, &[day_ago.into(), now.micros().into()])?;
        gone += self.run(DELETE_KNOWN_BROWSER, &[now.micros().into()])?;
        gone += self.run(DELETE_SMART_TRY, &[day_ago.into()])?;
        gone += self.run(DELETE_API_ACCESS, &[day_ago.into()])?;
        gone += self.run(DELETE_API_ANSWER, &[day_ago.into()])?;
        let former = now.plus_seconds(-countersign_domain::marks::FORMER_DAYS * 86_400);
        gone += self.run(DELETE_FORMER_MARKS, &[former.micros().into()])?;
        // Before the tokens that they name.
        gone += self.purge_pairings(now.plus_seconds(-3_600), now)?;
        gone += self.run(DELETE_TOKEN, &[now.micros().into()])?;
        Ok(gone)
    }
}

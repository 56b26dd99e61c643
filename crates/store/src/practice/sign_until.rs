//! Until when somebody may sign in a practice, written to each of their tokens.

use countersign_domain::{PersonId, PracticeId, Timestamp};

use super::opt_time;
use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::Columns,
};

statements! {
    MAY_SIGN_UNTIL = sql!(
        "SELECT MAX(CASE WHEN l.stops_at < a.stops_at THEN l.stops_at ELSE a.stops_at END) AS stops_at "
        "FROM permission p JOIN authority a ON a.id = p.authority AND a.withdrawn IS NULL "
        "JOIN authority l ON l.person = p.person AND l.practice = p.practice AND l.kind = 'licence' "
        "AND l.state = a.state AND l.withdrawn IS NULL "
        "WHERE p.person = $1 AND p.practice = $2 AND p.state = 'granted' AND ((a.person IS NOT NULL AND NOT EXISTS "
        "(SELECT i.id FROM authority i WHERE i.practice = a.practice AND i.person IS NULL AND i.number = a.number)) OR EXISTS "
        "(SELECT k.code FROM internal_code k WHERE k.practice = p.practice AND k.person = p.person AND k.ended IS NULL)) "
        "AND NOT EXISTS (SELECT n.id FROM noncompliance_notice n WHERE n.ended IS NULL)"
    );
    LOCK_PRESCRIBER = locking!("SELECT id FROM prescriber WHERE id = $1");
    PRACTICES_OF_TOKENS = sql!("SELECT DISTINCT practice FROM token WHERE prescriber = $1 AND practice IS NOT NULL");
    SAVE_SIGN_UNTIL = sql!(
        "UPDATE token SET sign_until = CASE WHEN activated IS NULL OR model IN "
        "(SELECT model FROM practice_model WHERE practice = $2) THEN CAST(NULL AS BIGINT) "
        "WHEN (SELECT f.ends FROM fob f WHERE f.token = token.id) < CAST($3 AS BIGINT) "
        "THEN (SELECT f.ends FROM fob f WHERE f.token = token.id) "
        "ELSE CAST($3 AS BIGINT) END WHERE prescriber = $1 AND practice = $2"
    );
    SIGNING_CHANGED = sql!("SELECT DISTINCT person FROM permission WHERE practice = $1");
}

impl Tx<'_> {
    /// Until when somebody may sign in a practice, as permissions, registrations and licences stand; never while
    /// a notice of non-compliance is open.
    pub fn may_sign_until(
        &mut self,
        person: PersonId,
        practice: PracticeId,
    ) -> Result<Option<Timestamp>, Error> {
        let row =
            self.row(MAY_SIGN_UNTIL, &[person.as_bytes().into(), practice.as_bytes().into()])?;
        row.map_or(Ok(None), |row| opt_time(&row, 0, "authority.stops_at"))
    }

    /// Writes `sign_until` of all tokens of somebody anew. Whatever it follows from calls this.
    ///
    /// Two transactions that change what it follows from take turns here: the later one reads what the earlier one has
    /// committed. A notice of non-compliance excludes them all.
    pub fn refresh_signing(&mut self, person: PersonId) -> Result<(), Error> {
        self.share_instance()?;
        self.row(LOCK_PRESCRIBER, &[person.as_bytes().into()])?;
        let practices = self.rows(PRACTICES_OF_TOKENS, &[person.as_bytes().into()])?;
        for row in &practices {
            let practice = row.id(0, "token.practice", PracticeId::from_slice)?;
            let until = self.may_sign_until(person, practice)?.map(Timestamp::micros);
            self.run(
                SAVE_SIGN_UNTIL,
                &[person.as_bytes().into(), practice.as_bytes().into(), until.into()],
            )?;
        }
        Ok(())
    }

    pub(super) fn signing_changed(
        &mut self,
        person: Option<PersonId>,
        practice: PracticeId,
    ) -> Result<(), Error> {
        if let Some(person) = person {
            return self.refresh_signing(person);
        }
        // The institution's own: whoever signs under it.
        let holders = self.rows(SIGNING_CHANGED, &[practice.as_bytes().into()])?;
        holders.iter().try_for_each(|row| {
            self.refresh_signing(row.id(0, "permission.person", PersonId::from_slice)?)
        })
    }
}

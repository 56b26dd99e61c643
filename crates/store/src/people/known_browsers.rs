//! Browsers in which somebody has signed in with both factors.

use countersign_domain::{PersonId, Timestamp};

use crate::{
    Error, Tx,
    statements::{sql, statements},
};

statements! {
    IS_KNOWN_BROWSER = sql!("SELECT expires FROM known_browser WHERE secret_hash = $1 AND person = $2 AND expires > $3");
    IS_BROWSER_OF_ANYBODY = sql!("SELECT expires FROM known_browser WHERE secret_hash = $1 AND expires > $2 LIMIT 1");
    INSERT_KNOWN_BROWSER = sql!(
        "INSERT INTO known_browser (secret_hash, person, signed_in, expires) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (secret_hash, person) DO UPDATE SET signed_in = excluded.signed_in, "
        "expires = excluded.expires"
    );
    DELETE_KNOWN_BROWSER = sql!(
        "DELETE FROM known_browser WHERE person = $1 AND secret_hash NOT IN "
        "(SELECT k.secret_hash FROM known_browser k WHERE k.person = $1 "
        "ORDER BY k.signed_in DESC, k.secret_hash LIMIT $2)"
    );
    FORGET_BROWSER = sql!("DELETE FROM known_browser WHERE secret_hash = $1 AND person = $2");
    FORGET_BROWSERS_OF = sql!("DELETE FROM known_browser WHERE person = $1 AND secret_hash <> $2");
}

impl Tx<'_> {
    /// Whether an account has signed in with both factors in the browser whose cookie has this hash. A
    /// look-up for nobody costs the same.
    pub fn is_known_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: Option<PersonId>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let person = person.as_ref().map_or([0; 16], |id| *id.as_bytes());
        let row = self
            .row(IS_KNOWN_BROWSER, &[secret_hash.into(), (&person).into(), now.micros().into()])?;
        Ok(row.is_some())
    }

    /// Whether any account has signed in with both factors in the browser whose cookie has this hash.
    pub fn is_browser_of_anybody(
        &mut self,
        secret_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, Error> {
        let row = self.row(IS_BROWSER_OF_ANYBODY, &[secret_hash.into(), now.micros().into()])?;
        Ok(row.is_some())
    }

    /// Notes that an account has signed in with both factors in a browser. Of each account the `most` browsers
    /// stay that it used last.
    pub fn know_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: PersonId,
        now: Timestamp,
        expires: Timestamp,
        most: i64,
    ) -> Result<(), Error> {
        self.run_one(
            INSERT_KNOWN_BROWSER,
            &[
                secret_hash.into(),
                person.as_bytes().into(),
                now.micros().into(),
                expires.micros().into(),
            ],
        )?;
        self.run(DELETE_KNOWN_BROWSER, &[person.as_bytes().into(), most.into()]).map(drop)
    }

    /// Forgets that an account has signed in in a browser.
    pub fn forget_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: PersonId,
    ) -> Result<(), Error> {
        self.run(FORGET_BROWSER, &[secret_hash.into(), person.as_bytes().into()]).map(drop)
    }

    /// Forgets all browsers of an account, but for one.
    pub fn forget_browsers_of(
        &mut self,
        person: PersonId,
        but: Option<&[u8; 32]>,
    ) -> Result<u64, Error> {
        // No SHA-256 is empty.
        let but = but.map_or(&[] as &[u8], <[u8; 32]>::as_slice);
        self.run(FORGET_BROWSERS_OF, &[person.as_bytes().into(), but.into()])
    }
}

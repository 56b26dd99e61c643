//! What is known of the browser that a request comes from.

use countersign_crypto::sha256;

use super::{App, At, Error, SECRET_LENGTH, SessionSecret};

impl App {
    /// A mark for a browser that gets its first token, and its hash, which the token keeps.
    pub fn browser_mark(&self) -> Result<(SessionSecret, [u8; 32]), Error> {
        Ok(SessionSecret::new((self.rng)().as_mut())?)
    }

    /// Whether a cookie's session stands. Unlike [`App::session`], it isn't used by that: to look
    /// keeps no session alive.
    pub async fn session_stands(&self, secret: &str, at: At) -> Result<bool, Error> {
        if secret.len() != SECRET_LENGTH {
            return Ok(false);
        }
        let hash = sha256(secret.as_bytes());
        let session = self.store.read("session", move |tx| tx.session(&hash)).await?;
        let idle = self.options.policy.session_idle_seconds;
        Ok(session.is_some_and(|it| at.now < it.expires && at.now < it.seen.plus_seconds(idle)))
    }
}

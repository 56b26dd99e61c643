//! Pairing by picture: the portal shows a code, a device makes a token with it, the portal goes on.

use std::convert::Infallible;

use countersign_crypto::{HmacAlgorithm, HmacKey};
use countersign_domain::{PairingId, command::commands};
use countersign_provision::native::PairingCode;
use countersign_store::{Pairing, PairingState, Session};

use super::{
    Answer, App, At, By, Error,
    command::{Caller, Decision},
};

/// How long a pairing code can be used.
pub const PAIRING_SECONDS: i64 = 300;

/// The code of a pairing follows from the secret of the session that started it and from its id: the
/// page can be shown again, though the database has only a hash of the code.
fn code_of(session_secret: &str, id: PairingId) -> PairingCode {
    let key = HmacKey::new(HmacAlgorithm::Sha256, session_secret.as_bytes());
    let tag = key.tag(&[b"countersign pairing|".as_slice(), id.as_bytes()].concat());
    let mut code = [0; PairingCode::BYTES];
    code.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    PairingCode::from_bytes(code)
}

impl App {
    /// Starts a pairing for somebody who has proved both factors in the session of this secret.
    pub async fn start_pairing(
        &self,
        session: &Session,
        session_secret: &str,
        at: At,
    ) -> Result<Answer<PairingId, Infallible>, Error> {
        let id = PairingId::new(at.now, (self.rng)().as_mut())?;
        let digest = code_of(session_secret, id).digest();
        let (practice, this) = (session.practice, session.id);
        self.run(commands::START_PAIRING, Caller::of(session), at, move |cx| {
            let pairing = Pairing {
                id,
                practice,
                prescriber: cx.who()?.id,
                session: this,
                expires: at.now.plus_seconds(PAIRING_SECONDS),
            };
            cx.tx.create_pairing(&pairing, &digest, at.now)?;
            Ok(Decision::Done(id))
        })
        .await
    }

    /// The code of a pairing, for its page.
    pub fn pairing_code(&self, session_secret: &str, id: PairingId) -> PairingCode {
        code_of(session_secret, id)
    }

    /// Whether somebody shows this code now.
    pub async fn pairing_is_open(&self, code: &PairingCode, at: At) -> Result<bool, Error> {
        let digest = code.digest();
        Ok(self
            .store
            .read("pairing_open", move |tx| tx.open_pairing(&digest, at.now))
            .await?
            .is_some())
    }

    /// What has become of a pairing.
    pub async fn pairing_state(&self, by: &By<'_>, id: PairingId) -> Result<PairingState, Error> {
        let session = by.session.id;
        let state = self.store.read("pairing", move |tx| tx.pairing_state(id, session)).await?;
        state.ok_or(Error::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::Timestamp;

    #[test]
    fn a_code_is_that_of_its_session_and_its_pairing() {
        let id = |n| PairingId::new(Timestamp::from_seconds(n), &mut SystemRng).unwrap();
        let (one, other) = (id(1), id(2));
        let code = code_of("secret", one);
        assert!(code.ct_eq(&code_of("secret", one)));
        assert!(!code.ct_eq(&code_of("secret", other)));
        assert!(!code.ct_eq(&code_of("another secret", one)));
    }
}

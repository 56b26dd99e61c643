//! People with accounts and tokens, and the numbers that they have.

use countersign_app::App;
use countersign_domain::{
    DeaNumber, Npi, PassphraseHash, PersonId, PracticeId, TokenId, luhn_check_digit,
};
use countersign_store::Store;

use crate::Phone;

/// The passphrase of everyone here.
pub const PASSPHRASE: &str = "violet kettle under seven moons";

/// What is kept of it, worked out once by another implementation (Python's hashlib): a test of
/// `hash_is_that_of_the_passphrase` below holds it to ours.
pub(crate) const HASH: &str = "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8$El4iisxIq0KZ55M22AbXxDjC/jsmTtMLysDm1zVK8WFhSIdtqiUyotNjz5jtvgLqom0wQpqrLwBl5AjaoIYkbw";

/// The NPI with this number, counted upward from 1000000000, with its check digit.
pub fn npi(number: u32) -> Npi {
    let digits = format!("1{number:08}");
    let all = [8, 0, 8, 4, 0].into_iter().chain(digits.bytes().map(|byte| byte - b'0'));
    let check = luhn_check_digit(all.collect::<Vec<u8>>().into_iter());
    format!("{digits}{check}").parse().unwrap()
}

/// The DEA number with this number, with its check digit.
pub fn dea(number: u32) -> DeaNumber {
    let digits = format!("{number:06}");
    let at = |place: usize| u32::from(digits.as_bytes()[place] - b'0');
    let check = (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10;
    format!("BM{digits}{check}").parse().unwrap()
}

/// A prescriber with one active token in hand. The passphrase is [`PASSPHRASE`].
#[derive(Debug, Clone)]
pub struct Person {
    /// Identifier of the account.
    pub id: PersonId,
    /// National Provider Identifier, with which the person signs in.
    pub npi: Npi,
    /// The soft token in the person's hand.
    pub phone: Phone,
    /// Identifier of that token.
    pub token: TokenId,
}

pub(crate) async fn make_person(
    app: &App,
    store: &Store,
    practice: PracticeId,
    number: u32,
    name: &str,
) -> Person {
    let at = app.at().unwrap();
    let (npi, name) = (npi(number), name.to_owned());
    let hash = PassphraseHash::from_row(HASH).unwrap();
    let id = store
        .write("test_person", move |tx| {
            let id = PersonId::new(at.now, tx.rng())?;
            assert!(tx.create_prescriber(id, practice, npi, &name, &hash, at.now)?);
            Ok(id)
        })
        .await
        .unwrap();
    let made =
        app.install_demo_token(practice, id, "First phone".parse().unwrap(), at).await.unwrap();
    let phone = Phone::new(made.0, made.1, made.2);
    app.install_demo_permission(practice, id, dea(number), at).await.unwrap();
    let wanted = phone.credential.clone();
    let row = store.write("test_token", move |tx| tx.token_by_credential(&wanted)).await;
    Person { id, npi, token: row.unwrap().unwrap().token.id(), phone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SecretText;
    use countersign_domain::Passphrase;

    #[test]
    fn hash_is_that_of_the_passphrase() {
        let hash = PassphraseHash::from_row(HASH).unwrap();
        let phrase = Passphrase::parse(&SecretText::new(PASSPHRASE.to_owned())).unwrap();
        assert!(hash.verify(&phrase));
    }
}

//! Made-up practices with prescribers and tokens whose seeds anyone can work out.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use countersign_crypto::{LocalMasterKey, Rng, SecretBytes, SystemRng, sha256};
use countersign_domain::{
    Actor, ApiKeyId, CredentialId, Device, Event, EventKind, Failures, FipsCertificate,
    Manufacturer, ModelCode, Npi, PassphraseHash, PersonId, PracticeId, Purpose, SupportCode,
    Timestamp, Token, TokenId, TokenKind, TokenModel, TokenParts, TokenState, luhn_check_digit,
    otp::{Drift, OtpParams, TokenSeed},
};
use countersign_store::{ApiKey, Database, Store, Tx};
use data_encoding::HEXLOWER;
use tokio::task::JoinSet;

use crate::clock;

/// Rows of tokens in one transaction.
const CHUNK: u32 = 500;
/// How long ago each token was last used, in seconds.
const USED_BEFORE_SECONDS: i64 = 3_600;
/// Transactions under way at a time.
const UNDER_WAY: usize = 4;
/// What the API keys of these practices begin with; the store keeps only the hash of the whole.
const KEY_PREFIX: &str = "bench";

/// The parameters of every token made here.
pub(crate) const PARAMS: OtpParams = OtpParams::OWN;

/// A practice to be made. Numbers of tokens and prescribers are unique over all practices of one
/// database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Practice {
    /// Name of the practice.
    pub(crate) name: &'static str,
    /// Number of its first token, and of its first prescriber.
    pub(crate) first: u32,
    /// How many tokens it has.
    pub(crate) tokens: u32,
    /// How many tokens one prescriber has, at most five.
    pub(crate) tokens_each: u32,
}

/// The master key of one data folder.
pub(crate) struct MasterKey(SecretBytes);

impl MasterKey {
    /// Makes a key and its file, as `countersign` reads it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let bytes = LocalMasterKey::generate(&mut SystemRng)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| path.display().to_string())?;
        file.write_all(HEXLOWER.encode(bytes.expose()).as_bytes())?;
        file.write_all(b"\n")?;
        Ok(Self(bytes))
    }

    /// Opens the store of this data folder and brings its schema up to date.
    pub(crate) async fn open_store(&self, database: &Database) -> Result<Store> {
        let provider = LocalMasterKey::from_bytes(&self.0)?;
        let rng = || -> Box<dyn Rng> { Box::new(SystemRng) };
        Ok(Store::open(database, Arc::new(provider), rng, true, clock::now()).await?)
    }
}

impl Practice {
    /// The text of its API key.
    pub(crate) fn api_key(&self) -> String {
        let hash = sha256(format!("{KEY_PREFIX} {} {}", self.name, self.first).as_bytes());
        format!("{KEY_PREFIX}_{}", HEXLOWER.encode(&hash))
    }

    /// Makes it, with its prescribers (all with the same passphrase hash), tokens and API key.
    pub(crate) async fn create(&self, store: &Store, passphrase: &PassphraseHash) -> Result<()> {
        ensure!((1..=5).contains(&self.tokens_each), "a prescriber has one to five tokens");
        let now = clock::now();
        let id = PracticeId::new(now, &mut SystemRng)?;
        let (name, key_hash) = (self.name, sha256(self.api_key().as_bytes()));
        store
            .write("bench_practice", move |tx| {
                tx.create_practice(id, name, now)?;
                tx.save_token_model(&model(now))?;
                let key = ApiKey { id: ApiKeyId::new(now, tx.rng())?, practice: id };
                tx.create_api_key(&key, "bench", &key_hash, now)
            })
            .await?;
        let prescribers = self.tokens.div_ceil(self.tokens_each);
        let mut chunks = JoinSet::new();
        let mut first = 0;
        while first < prescribers {
            let end = prescribers.min(first + (CHUNK / self.tokens_each).max(1));
            if chunks.len() >= UNDER_WAY {
                finished(chunks.join_next().await)?;
            }
            let (practice, store, hash) = (*self, store.clone(), passphrase.clone());
            chunks.spawn(async move { practice.fill(&store, id, first..end, hash, now).await });
            first = end;
        }
        while let Some(done) = chunks.join_next().await {
            finished(Some(done))?;
        }
        Ok(())
    }

    /// Closes the accounts of all its prescribers.
    pub(crate) async fn close(&self, store: &Store) -> Result<()> {
        let numbers = self.first..self.first + self.tokens.div_ceil(self.tokens_each);
        let npis = numbers.map(npi).collect::<Result<Vec<_>>>()?;
        store
            .write("bench_close", move |tx| {
                for npi in &npis {
                    if let Some(prescriber) = tx.person_by_name(&(*npi).into())? {
                        tx.close_account(prescriber.id)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    async fn fill(
        self,
        store: &Store,
        practice: PracticeId,
        prescribers: std::ops::Range<u32>,
        hash: PassphraseHash,
        now: Timestamp,
    ) -> Result<()> {
        let mut people = Vec::new();
        for number in prescribers {
            let id = PersonId::new(now, &mut SystemRng)?;
            let begin = number * self.tokens_each;
            let tokens = (begin..self.tokens.min(begin + self.tokens_each))
                .map(|token| token_row(self.first + token, practice, id, now))
                .collect::<Result<Vec<_>>>()?;
            people.push((id, npi(self.first + number)?, tokens));
        }
        let before = now.plus_seconds(-USED_BEFORE_SECONDS);
        let all_made = store
            .write("bench_chunk", move |tx| {
                let mut all_made = true;
                for (id, npi, tokens) in &people {
                    all_made &=
                        tx.create_prescriber(*id, practice, *npi, "Bench Prescriber", &hash, now)?;
                    for token in tokens {
                        all_made &= tx.create_token(token)?;
                    }
                }
                let made = people.iter().flat_map(|(_, _, tokens)| tokens);
                use_once(tx, practice, &made.collect::<Vec<_>>(), before)?;
                Ok(all_made)
            })
            .await?;
        ensure!(all_made, "an NPI or a credential ID was there already");
        Ok(())
    }
}

/// Writes the tokens and an event each as a passcode check does. A token is used for the first time
/// once in its life; from then on its row keeps its size, and that is what is measured.
fn use_once(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    tokens: &[&Token],
    at: Timestamp,
) -> Result<(), countersign_store::Error> {
    let mut links = tx.links(&vec![at; tokens.len()])?.into_iter();
    let (mut rows, _) =
        tx.owned_tokens(&tokens.iter().map(|t| t.credential()).collect::<Vec<_>>())?;
    let support = SupportCode::new(tx.rng())?;
    let mut events = Vec::with_capacity(tokens.len());
    for ((row, _), link) in rows.values_mut().zip(&mut links) {
        let mut parts = TokenParts::from(row.token.clone());
        parts.last_step = Some(PARAMS.step_at(at));
        parts.last_used = Some(at);
        let Ok(used) = Token::from_parts(parts) else { continue };
        row.token = used;
        let Some(owner) = row.token.prescriber() else { continue };
        let event = Event::success(EventKind::PasscodeTried, Actor::System, support)
            .about(practice, owner)
            .token(row.token.id())
            .purpose(Purpose::Login);
        events.push((event, link.after(row)));
    }
    tx.record_checks(&rows.values().map(|(row, _)| row).collect::<Vec<_>>(), &events)
}

fn finished(done: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    done.map_or(Ok(()), |joined| joined.context("making the data")?)
}

/// The model of these tokens, which may sign.
fn model(now: Timestamp) -> TokenModel {
    TokenModel {
        code: ModelCode::known(ModelCode::AUTHENTICATOR),
        maker: "Countersign".to_owned(),
        name: "Authenticator".to_owned(),
        kind: TokenKind::OtpSoft,
        fips: FipsCertificate::NONE,
        allowed: true,
        note: "measurements".to_owned(),
        changed: now,
        changed_by: "bench".to_owned(),
    }
}

fn token_row(
    number: u32,
    practice: PracticeId,
    prescriber: PersonId,
    now: Timestamp,
) -> Result<Token> {
    Ok(Token::from_parts(TokenParts {
        id: TokenId::new(now, &mut SystemRng)?,
        practice: Some(practice),
        prescriber: Some(prescriber),
        credential: credential(number)?,
        name: "Bench token".parse()?,
        params: PARAMS,
        seed: seed(number)?,
        state: TokenState::Active { since: now },
        last_step: None,
        drift: Drift::default(),
        failures: Failures::NONE,
        created: now,
        added: Some(now),
        last_used: None,
        device: Device::default(),
        model: ModelCode::known(ModelCode::AUTHENTICATOR),
        seed_left: None,
        activated: Some(now),
        sign_until: Some(now.plus_seconds(365 * 86_400)),
    })?)
}

/// The seed of the token with this number.
pub(crate) fn seed(number: u32) -> Result<TokenSeed> {
    let bytes = sha256(format!("countersign bench seed {number}").as_bytes());
    Ok(TokenSeed::new(SecretBytes::new(bytes.to_vec()))?)
}

/// The credential ID of the token with this number: `CNST`, seven digits and their check digit.
pub(crate) fn credential(number: u32) -> Result<CredentialId> {
    let digits = format!("{number:07}");
    let check = luhn_check_digit(digits.bytes().map(|byte| byte - b'0'));
    Ok(CredentialId::parse(&format!("CNST{digits}{check}"), Some(Manufacturer::Countersign))?)
}

/// The NPI of the prescriber with this number: counted upward from 1000000000, with a check digit.
pub(crate) fn npi(number: u32) -> Result<Npi> {
    let digits = format!("1{number:08}");
    let all = [8, 0, 8, 4, 0].into_iter().chain(digits.bytes().map(|byte| byte - b'0'));
    let check = luhn_check_digit(all.collect::<Vec<u8>>().into_iter());
    Ok(format!("{digits}{check}").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn numbers_make_valid_and_different_ids() {
        for number in [0, 1, 99_999, 9_999_999] {
            assert_eq!(credential(number).unwrap().as_str().len(), 12);
            assert_eq!(npi(number).unwrap().as_text().len(), 10);
        }
        assert!(credential(10_000_000).is_err());
        assert_ne!(npi(1).unwrap(), npi(2).unwrap());
        assert_ne!(seed(1).unwrap().expose(), seed(2).unwrap().expose());
    }

    #[test]
    fn keys_differ_by_practice() {
        let first = Practice { name: "A", first: 0, tokens: 1, tokens_each: 1 };
        let second = Practice { name: "B", ..first };
        assert_ne!(first.api_key(), second.api_key());
        assert!(first.api_key().len() <= 128);
    }

    #[tokio::test]
    async fn a_practice_is_made_with_everything_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let key_path = folder.path().join("master.key");
        let key = MasterKey::create(&key_path).unwrap();
        let text = fs::read_to_string(&key_path).unwrap();
        assert_eq!((text.len(), text.trim().len()), (65, 64));
        assert_eq!(fs::metadata(&key_path).unwrap().permissions().mode() & 0o777, 0o600);
        let database = Database::Sqlite { path: folder.path().join("bench.db") };
        let store = key.open_store(&database).await.unwrap();
        let practice = Practice { name: "Bench", first: 10, tokens: 1_001, tokens_each: 4 };
        practice.create(&store, &PassphraseHash::decoy(0)).await.unwrap();
        let key_hash = sha256(practice.api_key().as_bytes());
        let (found, last, beyond) = store
            .read("look", move |tx| {
                Ok((
                    tx.api_key(&key_hash)?,
                    tx.token_by_credential(&credential(1_010).unwrap())?,
                    tx.token_by_credential(&credential(1_011).unwrap())?,
                ))
            })
            .await
            .unwrap();
        let last = last.unwrap().token;
        assert_eq!(last.practice(), found.map(|key| key.practice));
        assert_eq!(last.seed().expose(), seed(1_010).unwrap().expose());
        assert!(last.is_active() && beyond.is_none());
        let owner = store
            .read("owner", |tx| tx.person_by_name(&npi(10 + 250).unwrap().into()))
            .await
            .unwrap();
        assert_eq!(owner.map(|p| p.id), last.prescriber());
        assert!(practice.create(&store, &PassphraseHash::decoy(0)).await.is_err());
    }
}

//! Tokens as rows, their seeds sealed. The submodules hold what passcode checks read and write.

pub(crate) mod checked;
pub(crate) mod owned;

use countersign_crypto::SecretBytes;
use countersign_domain::{
    CredentialId, Device, DeviceClass, DeviceEvidence, DisableReason, EventId, Failures,
    Manufacturer, ModelCode, PersonId, PracticeId, Timestamp, Token, TokenId, TokenName,
    TokenParts, TokenPartsError, TokenState,
    otp::{Drift, OtpParams, Step, TokenSeed},
};

pub use owned::OwnedTokens;

use crate::{
    Error, Tx,
    statements::{Sql, sql, statements},
    value::{Columns, P, RawRow},
};

/// A token with the mark of its row when it was read; [`Tx::save_token`] needs it back.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// The token.
    pub token: Token,
    /// What the row said when it was read.
    pub mark: ReadMark,
    /// Its newest event among those of the hot path.
    pub(crate) last_event: Option<EventId>,
}

/// The step that a row held when it was read: a write holds only while it still does.
#[derive(Debug, Clone, Copy)]
pub struct ReadMark {
    step: i64,
    /// The number of the row on `SQLite`.
    row: i64,
}

/// The columns in the order in which [`Parts::of`] takes them, each with what names its table, and the number of the row.
macro_rules! token_list {
    ($prefix:literal, $row:literal) => {
        token_list!(
            $prefix, $row, id practice prescriber credential manufacturer name algorithm digits period seed_sealed
            state state_reason state_at last_step drift_base drift failures blocked_until created added last_used
            last_event device_class device_evidence browser_hash model seed_left activated sign_until
        )
    };
    ($prefix:literal, $row:literal, $($column:ident)+) => {
        concat!($($prefix, stringify!($column), ", "),+, $row, " AS row_id")
    };
}

macro_rules! token_query {
    // SQLite numbers its rows; PostgreSQL has no such number that lasts.
    ($tail:literal) => {
        concat!("SELECT ", token_list!("", "rowid"), " FROM token ", $tail)
    };
    (postgres $tail:literal) => {
        concat!("SELECT ", token_list!("", "CAST(0 AS BIGINT)"), " FROM token ", $tail)
    };
}

use token_list;
use token_query;

/// What a row holds for "no step was ever accepted".
const NO_STEP: i64 = -1;

fn seed_place(id: TokenId) -> Vec<u8> {
    [b"token|".as_slice(), id.as_bytes(), b"|seed_sealed"].concat()
}

fn step_number(token: &Token) -> i64 {
    token.last_step().map_or(NO_STEP, Step::number)
}

fn state_columns(token: &Token) -> (&'static str, Option<&'static str>, i64) {
    match token.state() {
        TokenState::Unassociated { expires } => ("unassociated", None, expires.micros()),
        TokenState::Active { since } => ("active", None, since.micros()),
        TokenState::Disabled { reason, since } => ("disabled", Some(reason.code()), since.micros()),
    }
}

/// A row of the table as it was read, its seed still sealed.
struct Parts {
    id: TokenId,
    practice: Option<PracticeId>,
    prescriber: Option<PersonId>,
    credential: CredentialId,
    name: TokenName,
    params: OtpParams,
    seed_sealed: Vec<u8>,
    state: TokenState,
    step: i64,
    drift: Drift,
    failures: Failures,
    created: Timestamp,
    added: Option<Timestamp>,
    last_used: Option<Timestamp>,
    last_event: Option<EventId>,
    device: Device,
    model: ModelCode,
    seed_left: Option<Timestamp>,
    activated: Option<Timestamp>,
    sign_until: Option<Timestamp>,
    row: i64,
}

impl Parts {
    /// Takes the columns in the order of [`token_query`].
    fn of(row: &RawRow<'_>) -> Result<Self, Error> {
        let maker: Manufacturer = row
            .text(4, "token.manufacturer")?
            .parse()
            .map_err(|_| Error::corrupt("token.manufacturer"))?;
        let credential = CredentialId::parse(row.text(3, "token.credential")?, Some(maker))
            .map_err(|_| Error::corrupt("token.credential"))?;
        let number = |index, column| -> Result<_, Error> {
            u32::try_from(row.int(index, column)?).map_err(|_| Error::corrupt(column))
        };
        let time = |index, column| -> Result<_, Error> {
            Ok(row.opt_int(index, column)?.map(Timestamp::from_micros))
        };
        let params = OtpParams::from_row(
            OtpParams::algorithm_from_code(row.text(6, "token.algorithm")?)
                .map_err(|_| Error::corrupt("token.algorithm"))?,
            u8::try_from(number(7, "token.digits")?).unwrap_or(0),
            // Out of range is out of bounds too; 0 is an event-based token.
            u16::try_from(number(8, "token.period")?).unwrap_or(u16::MAX),
        )
        .map_err(|_| Error::corrupt("token.digits"))?;
        let at = Timestamp::from_micros(row.int(12, "token.state_at")?);
        let reason = row.opt_text(11, "token.state_reason")?.and_then(DisableReason::from_code);
        let state = match (row.text(10, "token.state")?, reason) {
            ("unassociated", None) => TokenState::Unassociated { expires: at },
            ("active", None) => TokenState::Active { since: at },
            ("disabled", Some(reason)) => TokenState::Disabled { reason, since: at },
            _ => return Err(Error::corrupt("token.state")),
        };
        Ok(Self {
            id: row.id(0, "token.id", TokenId::from_slice)?,
            practice: row.opt_id(1, "token.practice", PracticeId::from_slice)?,
            prescriber: row.opt_id(2, "token.prescriber", PersonId::from_slice)?,
            credential,
            name: TokenName::stored(row.text(5, "token.name")?)
                .ok_or(Error::corrupt("token.name"))?,
            params,
            seed_sealed: row.blob(9, "token.seed_sealed")?.to_vec(),
            state,
            step: row.int(13, "token.last_step")?,
            drift: Drift::from_parts(row.int(14, "token.drift_base")?, row.int(15, "token.drift")?),
            failures: Failures {
                count: number(16, "token.failures")?,
                blocked_until: time(17, "token.blocked_until")?,
            },
            created: Timestamp::from_micros(row.int(18, "token.created")?),
            added: time(19, "token.added")?,
            last_used: time(20, "token.last_used")?,
            last_event: row.opt_id(21, "token.last_event", EventId::from_slice)?,
            device: Device {
                class: DeviceClass::from_code(row.text(22, "token.device_class")?)
                    .ok_or(Error::corrupt("token.device_class"))?,
                evidence: DeviceEvidence::from_code(row.text(23, "token.device_evidence")?)
                    .ok_or(Error::corrupt("token.device_evidence"))?,
                browser: row
                    .opt_blob(24, "token.browser_hash")?
                    .map(<[u8; 32]>::try_from)
                    .transpose()
                    .map_err(|_| Error::corrupt("token.browser_hash"))?,
            },
            model: row
                .text(25, "token.model")?
                .parse()
                .map_err(|_| Error::corrupt("token.model"))?,
            seed_left: time(26, "token.seed_left")?,
            activated: time(27, "token.activated")?,
            sign_until: time(28, "token.sign_until")?,
            row: row.int(29, "token.rowid")?,
        })
    }
}

statements! {
    CREATE_TOKEN = sql!(
        "INSERT INTO token (id, practice, prescriber, credential, manufacturer, name, algorithm, digits, "
        "period, seed_sealed, state, state_reason, state_at, last_step, drift_base, drift, failures, "
        "blocked_until, created, added, last_used, device_class, device_evidence, browser_hash, model, "
        "seed_left, activated, sign_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
        "$12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) ON CONFLICT (credential) DO NOTHING"
    );
    TOKEN_BY_CREDENTIAL = Sql::pair(
        token_query!("WHERE credential = $1"),
        token_query!(postgres "WHERE credential = $1 FOR UPDATE"),
    );
    TOKENS_OF = Sql::pair(
        token_query!("WHERE prescriber = $1 ORDER BY added, id"),
        token_query!(postgres "WHERE prescriber = $1 ORDER BY added, id"),
    );
    SAVE_TOKEN = sql!(
        "UPDATE token SET name = $2, state = $3, state_reason = $4, state_at = $5, last_step = $6, "
        "drift_base = $7, drift = $8, failures = $9, blocked_until = $10, last_used = $11 "
        "WHERE id = $1 AND last_step = $12"
    );
    ASSOCIATE_TOKEN = sql!(
        "UPDATE token SET practice = $2, prescriber = $3, seed_sealed = $4, added = $5, algorithm = $6 "
        "WHERE id = $1 AND prescriber IS NULL AND state = 'unassociated'"
    );
    SAVE_DEVICE = sql!("UPDATE token SET device_class = $2, device_evidence = $3 WHERE id = $1");
    TOKEN_NAME = sql!("SELECT name FROM token WHERE id = $1");
    TOKEN_EXISTS = sql!("SELECT id FROM token WHERE id = $1");
    UNASSOCIATED_TOKENS = sql!("SELECT COUNT(*) AS total FROM token WHERE prescriber IS NULL AND id NOT IN (SELECT token FROM fob)");
    ACTIVATE_TOKEN = sql!("UPDATE token SET activated = $3 WHERE id = $1 AND prescriber = $2 AND activated IS NULL");
}

impl Tx<'_> {
    /// Opens the seed of a row that was read.
    fn open_token(&mut self, parts: Parts) -> Result<TokenRow, Error> {
        let key = self.data_key(parts.practice)?;
        let seed = key
            .open(&seed_place(parts.id), &parts.seed_sealed)
            .ok()
            .and_then(|bytes: SecretBytes| TokenSeed::new(bytes).ok())
            .ok_or(Error::corrupt_in("token.seed_sealed", parts.id.as_bytes()))?;
        let id = parts.id;
        let token = Token::from_parts(TokenParts {
            id: parts.id,
            practice: parts.practice,
            prescriber: parts.prescriber,
            credential: parts.credential,
            name: parts.name,
            params: parts.params,
            seed,
            state: parts.state,
            last_step: (parts.step != NO_STEP).then(|| Step::new(parts.step)),
            drift: parts.drift,
            failures: parts.failures,
            created: parts.created,
            added: parts.added,
            last_used: parts.last_used,
            device: parts.device,
            model: parts.model,
            seed_left: parts.seed_left,
            activated: parts.activated,
            sign_until: parts.sign_until,
        })
        .map_err(|error| {
            let column = match error {
                TokenPartsError::Period => "token.period",
                TokenPartsError::Owner => "token.prescriber",
                TokenPartsError::State => "token.state",
                TokenPartsError::Signing => "token.sign_until",
            };
            Error::corrupt_in(column, id.as_bytes())
        })?;
        Ok(TokenRow {
            token,
            mark: ReadMark { step: parts.step, row: parts.row },
            last_event: parts.last_event,
        })
    }

    fn tokens(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<TokenRow>, Error> {
        let mut found = Vec::new();
        self.each(sql, params, &mut |row| {
            found.push(Parts::of(row)?);
            Ok(())
        })?;
        found.into_iter().map(|parts| self.open_token(parts)).collect()
    }

    /// Makes a token. `false` when the credential ID is taken.
    pub fn create_token(&mut self, token: &Token) -> Result<bool, Error> {
        let sealed = self
            .data_key(token.practice())?
            .seal(&seed_place(token.id()), token.seed().expose())
            .map_err(|_| Error::Crypto)?;
        let (state, reason, at) = state_columns(token);
        let made = self.run(
            CREATE_TOKEN,
            &[
                token.id().as_bytes().into(),
                token.practice().as_ref().map(|id| id.as_bytes()).into(),
                token.prescriber().as_ref().map(|id| id.as_bytes()).into(),
                token.credential().as_str().into(),
                token.credential().manufacturer().code().into(),
                token.name().as_str().into(),
                token.params().algorithm_code().into(),
                i64::from(token.params().digits()).into(),
                i64::from(token.params().period()).into(),
                sealed.as_slice().into(),
                state.into(),
                reason.into(),
                at.into(),
                step_number(token).into(),
                token.drift().base().into(),
                token.drift().current().into(),
                i64::from(token.failures().count).into(),
                token.failures().blocked_until.map(Timestamp::micros).into(),
                token.created().micros().into(),
                token.added().map(Timestamp::micros).into(),
                token.last_used().map(Timestamp::micros).into(),
                token.device().class.code().into(),
                token.device().evidence.code().into(),
                token.device().browser.as_ref().into(),
                token.model().as_str().into(),
                token.seed_left().map(Timestamp::micros).into(),
                token.activated().map(Timestamp::micros).into(),
                token.sign_until().map(Timestamp::micros).into(),
            ],
        )?;
        Ok(made == 1)
    }

    /// The token with this credential ID; nobody else may change it until the commit.
    pub fn token_by_credential(
        &mut self,
        credential: &CredentialId,
    ) -> Result<Option<TokenRow>, Error> {
        Ok(self.tokens(TOKEN_BY_CREDENTIAL, &[credential.as_str().into()])?.pop())
    }

    /// All tokens ever bound to a prescriber, oldest first. Lock the prescriber before changing any.
    pub fn tokens_of(&mut self, prescriber: PersonId) -> Result<Vec<TokenRow>, Error> {
        self.tokens(TOKENS_OF, &[prescriber.as_bytes().into()])
    }

    /// Writes everything about a token that a decision may have changed but its seed.
    ///
    /// The write holds only if nobody has consumed a step since it was read (compare and set): two
    /// requests that race for one step can't both win, on one server or on many.
    pub fn save_token(&mut self, token: &Token, mark: ReadMark) -> Result<(), Error> {
        let (state, reason, at) = state_columns(token);
        self.run_one(
            SAVE_TOKEN,
            &[
                token.id().as_bytes().into(),
                token.name().as_str().into(),
                state.into(),
                reason.into(),
                at.into(),
                step_number(token).into(),
                token.drift().base().into(),
                token.drift().current().into(),
                i64::from(token.failures().count).into(),
                token.failures().blocked_until.map(Timestamp::micros).into(),
                token.last_used().map(Timestamp::micros).into(),
                mark.step.into(),
            ],
        )
    }

    /// Binds a token to the prescriber that it names now, its seed sealed anew under the key of the
    /// practice, and its hash as its first code has shown it. Holds only if nobody has bound it before.
    pub fn associate_token(&mut self, token: &Token, mark: ReadMark) -> Result<(), Error> {
        let sealed = self
            .data_key(token.practice())?
            .seal(&seed_place(token.id()), token.seed().expose())
            .map_err(|_| Error::Crypto)?;
        self.run_one(
            ASSOCIATE_TOKEN,
            &[
                token.id().as_bytes().into(),
                token.practice().as_ref().map(|id| id.as_bytes()).into(),
                token.prescriber().as_ref().map(|id| id.as_bytes()).into(),
                sealed.as_slice().into(),
                token.added().map(Timestamp::micros).into(),
                token.params().algorithm_code().into(),
            ],
        )?;
        self.save_token(token, mark)
    }

    /// Writes what is known of the device that a token lives on.
    pub fn save_device(&mut self, id: TokenId, device: &Device) -> Result<(), Error> {
        self.run_one(
            SAVE_DEVICE,
            &[id.as_bytes().into(), device.class.code().into(), device.evidence.code().into()],
        )
    }

    /// What its owner calls a token.
    pub fn token_name(&mut self, id: TokenId) -> Result<Option<String>, Error> {
        self.row(TOKEN_NAME, &[id.as_bytes().into()])?
            .map(|row| row.text(0, "token.name").map(str::to_owned))
            .transpose()
    }

    /// Whether there is a token with this identifier, whosever.
    pub fn token_exists(&mut self, id: TokenId) -> Result<bool, Error> {
        Ok(self.row(TOKEN_EXISTS, &[id.as_bytes().into()])?.is_some())
    }

    /// How many provisioned tokens wait to be added.
    pub fn unassociated_tokens(&mut self) -> Result<i64, Error> {
        self.row(UNASSOCIATED_TOKENS, &[])?.ok_or(Error::corrupt("token"))?.int(0, "token")
    }

    /// Notes that a token is activated for signing.
    pub fn activate_token(
        &mut self,
        token: countersign_domain::TokenId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(
            ACTIVATE_TOKEN,
            &[token.as_bytes().into(), person.as_bytes().into(), now.micros().into()],
        )?;
        self.refresh_signing(person)
    }
}

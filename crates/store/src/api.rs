//! Systems that prove themselves with a key of their own, what they may do, and what they want to be signed.

use countersign_domain::{
    ApiKeyId, PersonId, PracticeId, PrescriptionId, SigningRequestId, Timestamp,
};

use crate::{
    ApiKey, Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// A system with a key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// What names it, and its practice.
    pub key: ApiKey,
    /// Its public key: the point, 65 bytes.
    pub public: Vec<u8>,
    /// What it may do, words with a space between them.
    pub scopes: String,
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The system, and its practice.
    pub key: ApiKey,
    /// What it may do with this token.
    pub scopes: String,
}

/// What is to be signed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    /// Our identifier.
    pub id: SigningRequestId,
    /// In which practice, and by which system.
    pub key: ApiKey,
    /// By whom it is to be signed.
    pub prescriber: PersonId,
    /// The prescriptions.
    pub prescriptions: Vec<PrescriptionId>,
}

statements! {
    CREATE_API_CLIENT = sql!("INSERT INTO api_client (api_key, public, scopes) VALUES ($1, $2, $3)");
    API_CLIENT = sql!(
        "SELECT k.practice, c.public, c.scopes FROM api_client c JOIN api_key k ON k.id = c.api_key "
        "WHERE c.api_key = $1 AND k.revoked IS NULL"
    );
    CREATE_ACCESS = sql!("INSERT INTO api_access (token_hash, api_key, scopes, expires) VALUES ($1, $2, $3, $4)");
    ACCESS = sql!(
        "SELECT a.api_key, k.practice, a.scopes FROM api_access a JOIN api_key k ON k.id = a.api_key "
        "WHERE a.token_hash = $1 AND a.expires > $2 AND k.revoked IS NULL"
    );
    CREATE_SIGNING_REQUEST = sql!(
        "INSERT INTO signing_request (id, practice, api_key, prescriber, sealed, created) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    SIGNING_REQUEST = sql!(
        "SELECT prescriber, sealed FROM signing_request WHERE id = $1 AND practice = $2 AND api_key = $3"
    );
    API_ANSWER = sql!("SELECT request_hash, request FROM api_answer WHERE api_key = $1 AND key_hash = $2");
    KEEP_API_ANSWER = sql!(
        "INSERT INTO api_answer (api_key, key_hash, request_hash, request, expires) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (api_key, key_hash) DO NOTHING"
    );
}

impl Tx<'_> {
    /// Lets a key be used by whoever has its private part, and no other way.
    pub fn create_api_client(&mut self, it: &ApiClient) -> Result<(), Error> {
        self.run(
            CREATE_API_CLIENT,
            &[it.key.id.as_bytes().into(), it.public.as_slice().into(), it.scopes.as_str().into()],
        )
        .map(drop)
    }

    /// The system with this ID, unless it was revoked.
    pub fn api_client(&mut self, id: ApiKeyId) -> Result<Option<ApiClient>, Error> {
        self.row(API_CLIENT, &[id.as_bytes().into()])?
            .map(|row| {
                let practice = row.id(0, "api_key.practice", PracticeId::from_slice)?;
                Ok(ApiClient {
                    key: ApiKey { id, practice },
                    public: row.blob(1, "api_client.public")?.to_vec(),
                    scopes: row.text(2, "api_client.scopes")?.to_owned(),
                })
            })
            .transpose()
    }

    /// Gives a token to a system.
    pub fn create_access(
        &mut self,
        token_hash: &[u8; 32],
        access: &Access,
        expires: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            CREATE_ACCESS,
            &[
                token_hash.into(),
                access.key.id.as_bytes().into(),
                access.scopes.as_str().into(),
                expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// What a token opens now; nothing where it has run out, or its system was revoked.
    pub fn access(
        &mut self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Access>, Error> {
        self.row(ACCESS, &[token_hash.into(), now.micros().into()])?
            .map(|row| {
                Ok(Access {
                    key: ApiKey {
                        id: row.id(0, "api_access.api_key", ApiKeyId::from_slice)?,
                        practice: row.id(1, "api_key.practice", PracticeId::from_slice)?,
                    },
                    scopes: row.text(2, "api_access.scopes")?.to_owned(),
                })
            })
            .transpose()
    }

    /// Puts a signing request down.
    pub fn create_signing_request(
        &mut self,
        it: &SigningRequest,
        now: Timestamp,
    ) -> Result<(), Error> {
        let ids: Vec<String> = it.prescriptions.iter().map(ToString::to_string).collect();
        let practice = it.key.practice;
        let sealed = self.seal_json(practice, "signing_request.sealed", it.id.as_bytes(), &ids)?;
        self.run(
            CREATE_SIGNING_REQUEST,
            &[
                it.id.as_bytes().into(),
                practice.as_bytes().into(),
                it.key.id.as_bytes().into(),
                it.prescriber.as_bytes().into(),
                sealed.as_slice().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// A signing request of a system.
    pub fn signing_request(
        &mut self,
        key: &ApiKey,
        id: SigningRequestId,
    ) -> Result<Option<SigningRequest>, Error> {
        let row = self.row(
            SIGNING_REQUEST,
            &[id.as_bytes().into(), key.practice.as_bytes().into(), key.id.as_bytes().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.blob(1, "signing_request.sealed")?;
        let ids: Vec<String> =
            self.open_json(key.practice, "signing_request.sealed", id.as_bytes(), sealed)?;
        let corrupt = |_| Error::corrupt("signing_request.sealed");
        Ok(Some(SigningRequest {
            id,
            key: *key,
            prescriber: row.id(0, "signing_request.prescriber", PersonId::from_slice)?,
            prescriptions: ids
                .iter()
                .map(|text| text.parse().map_err(corrupt))
                .collect::<Result<_, _>>()?,
        }))
    }

    /// What an idempotency key stands for: the digest of its request, and what came of it.
    pub fn api_answer(
        &mut self,
        key: ApiKeyId,
        key_hash: &[u8; 32],
    ) -> Result<Option<([u8; 32], SigningRequestId)>, Error> {
        self.row(API_ANSWER, &[key.as_bytes().into(), key_hash.into()])?
            .map(|row| {
                let hash = row.blob(0, "api_answer.request_hash")?.try_into();
                Ok((
                    hash.map_err(|_| Error::corrupt("api_answer.request_hash"))?,
                    row.id(1, "api_answer.request", SigningRequestId::from_slice)?,
                ))
            })
            .transpose()
    }

    /// Remembers what came of a request with an idempotency key.
    pub fn keep_api_answer(
        &mut self,
        key: ApiKeyId,
        (key_hash, request_hash): (&[u8; 32], &[u8; 32]),
        request: SigningRequestId,
        expires: Timestamp,
    ) -> Result<(), Error> {
        // Two at once under one key: one of them looks again.
        self.run_one(
            KEEP_API_ANSWER,
            &[
                key.as_bytes().into(),
                key_hash.into(),
                request_hash.into(),
                request.as_bytes().into(),
                expires.micros().into(),
            ],
        )
    }
}

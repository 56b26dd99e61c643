-- The way of a signed prescription to its pharmacy.
CREATE TABLE IF NOT EXISTS transmission (
  prescription BYTEA PRIMARY KEY REFERENCES prescription (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  begun BIGINT NOT NULL,
  next_try BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  done BIGINT,
  sealed BYTEA NOT NULL,
  told BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS transmission_waiting ON transmission (next_try) WHERE done IS NULL;
-- How we are known to an EHR that launches apps with SMART on FHIR.
CREATE TABLE IF NOT EXISTS ehr_smart (
  ehr BYTEA PRIMARY KEY REFERENCES ehr (id),
  iss TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  sealed BYTEA NOT NULL
);
-- Such a launch that has begun and not come back.
CREATE TABLE IF NOT EXISTS smart_try (
  state_hash BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  ehr BYTEA NOT NULL REFERENCES ehr (id),
  sealed BYTEA NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS signed_record_practice ON signed_record (practice, signed);
-- What a practitioner says is not theirs.
CREATE TABLE IF NOT EXISTS disowned (
  prescription BYTEA PRIMARY KEY REFERENCES signed_record (prescription),
  practice BYTEA NOT NULL REFERENCES practice (id),
  at BIGINT NOT NULL
);
-- The monthly logs as they were given out (21 CFR 1311.120(b)(27)).
CREATE TABLE IF NOT EXISTS monthly_log (
  practice BYTEA NOT NULL REFERENCES practice (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  month TEXT NOT NULL,
  made BIGINT NOT NULL,
  sealed BYTEA NOT NULL,
  PRIMARY KEY (practice, prescriber, month)
);
-- A system that proves itself with a key of its own (RFC 7523), and what it may do.
CREATE TABLE IF NOT EXISTS api_client (
  api_key BYTEA PRIMARY KEY REFERENCES api_key (id),
  public BYTEA NOT NULL,
  scopes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS api_access (
  token_hash BYTEA PRIMARY KEY,
  api_key BYTEA NOT NULL REFERENCES api_key (id),
  scopes TEXT NOT NULL,
  expires BIGINT NOT NULL
);
-- What such a system wants to be signed together.
CREATE TABLE IF NOT EXISTS signing_request (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  api_key BYTEA NOT NULL REFERENCES api_key (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  sealed BYTEA NOT NULL,
  created BIGINT NOT NULL
);
-- What a request with an idempotency key was answered with.
CREATE TABLE IF NOT EXISTS api_answer (
  api_key BYTEA NOT NULL REFERENCES api_key (id),
  key_hash BYTEA NOT NULL,
  request_hash BYTEA NOT NULL,
  request BYTEA NOT NULL REFERENCES signing_request (id),
  expires BIGINT NOT NULL,
  PRIMARY KEY (api_key, key_hash)
);

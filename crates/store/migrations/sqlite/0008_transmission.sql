-- The way of a signed prescription to its pharmacy.
CREATE TABLE IF NOT EXISTS transmission (
  prescription BLOB PRIMARY KEY REFERENCES prescription (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  begun INTEGER NOT NULL,
  next_try INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  done INTEGER,
  sealed BLOB NOT NULL,
  told INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS transmission_waiting ON transmission (next_try) WHERE done IS NULL;
-- How we are known to an EHR that launches apps with SMART on FHIR.
CREATE TABLE IF NOT EXISTS ehr_smart (
  ehr BLOB PRIMARY KEY REFERENCES ehr (id),
  iss TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
-- Such a launch that has begun and not come back.
CREATE TABLE IF NOT EXISTS smart_try (
  state_hash BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  ehr BLOB NOT NULL REFERENCES ehr (id),
  sealed BLOB NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS signed_record_practice ON signed_record (practice, signed);
-- What a practitioner says is not theirs.
CREATE TABLE IF NOT EXISTS disowned (
  prescription BLOB PRIMARY KEY REFERENCES signed_record (prescription),
  practice BLOB NOT NULL REFERENCES practice (id),
  at INTEGER NOT NULL
) STRICT;
-- The monthly logs as they were given out (21 CFR 1311.120(b)(27)).
CREATE TABLE IF NOT EXISTS monthly_log (
  practice BLOB NOT NULL REFERENCES practice (id),
  prescriber BLOB NOT NULL REFERENCES prescriber (id),
  month TEXT NOT NULL,
  made INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (practice, prescriber, month)
) STRICT;
-- A system that proves itself with a key of its own (RFC 7523), and what it may do.
CREATE TABLE IF NOT EXISTS api_client (
  api_key BLOB PRIMARY KEY REFERENCES api_key (id),
  public BLOB NOT NULL,
  scopes TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS api_access (
  token_hash BLOB PRIMARY KEY,
  api_key BLOB NOT NULL REFERENCES api_key (id),
  scopes TEXT NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
-- What such a system wants to be signed together.
CREATE TABLE IF NOT EXISTS signing_request (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  api_key BLOB NOT NULL REFERENCES api_key (id),
  prescriber BLOB NOT NULL REFERENCES prescriber (id),
  sealed BLOB NOT NULL,
  created INTEGER NOT NULL
) STRICT;
-- What a request with an idempotency key was answered with.
CREATE TABLE IF NOT EXISTS api_answer (
  api_key BLOB NOT NULL REFERENCES api_key (id),
  key_hash BLOB NOT NULL,
  request_hash BLOB NOT NULL,
  request BLOB NOT NULL REFERENCES signing_request (id),
  expires INTEGER NOT NULL,
  PRIMARY KEY (api_key, key_hash)
) STRICT;

-- Where a token lives, which model it is of, and whether its seed was handed to another app.
ALTER TABLE token ADD COLUMN IF NOT EXISTS device_class TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE token ADD COLUMN IF NOT EXISTS device_evidence TEXT NOT NULL DEFAULT 'stated';
ALTER TABLE token ADD COLUMN IF NOT EXISTS browser_hash BYTEA;
ALTER TABLE token ADD COLUMN IF NOT EXISTS model TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE token ADD COLUMN IF NOT EXISTS seed_left BIGINT;
-- A pairing by picture: the code is kept as its SHA-256; token is what was made with it.
CREATE TABLE IF NOT EXISTS pairing (
  id BYTEA PRIMARY KEY,
  code_hash BYTEA NOT NULL UNIQUE,
  practice BYTEA NOT NULL REFERENCES practice (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  session BYTEA NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  token BYTEA REFERENCES token (id)
);
-- The models that the operator has looked at (21 CFR 1311.115(b)).
CREATE TABLE IF NOT EXISTS token_model (
  code TEXT PRIMARY KEY,
  maker TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  fips_certificate TEXT NOT NULL,
  allowed BIGINT NOT NULL,
  note TEXT NOT NULL,
  changed BIGINT NOT NULL,
  changed_by TEXT NOT NULL
);
-- Written instead of a token where there is none, so that time does not say that there is none.
CREATE TABLE IF NOT EXISTS decoy (
  id BIGINT PRIMARY KEY,
  at BIGINT NOT NULL
);

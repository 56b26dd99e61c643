-- Where a token lives, which model it is of, and whether its seed was handed to another app.
ALTER TABLE token ADD COLUMN device_class TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE token ADD COLUMN device_evidence TEXT NOT NULL DEFAULT 'stated';
ALTER TABLE token ADD COLUMN browser_hash BLOB;
ALTER TABLE token ADD COLUMN model TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE token ADD COLUMN seed_left INTEGER;
-- A pairing by picture: the code is kept as its SHA-256; token is what was made with it.
CREATE TABLE IF NOT EXISTS pairing (
  id BLOB PRIMARY KEY,
  code_hash BLOB NOT NULL UNIQUE,
  practice BLOB NOT NULL REFERENCES practice (id),
  prescriber BLOB NOT NULL REFERENCES prescriber (id),
  session BLOB NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  token BLOB REFERENCES token (id)
) STRICT;
-- The models that the operator has looked at (21 CFR 1311.115(b)).
CREATE TABLE IF NOT EXISTS token_model (
  code TEXT PRIMARY KEY,
  maker TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  fips_certificate TEXT NOT NULL,
  allowed INTEGER NOT NULL,
  note TEXT NOT NULL,
  changed INTEGER NOT NULL,
  changed_by TEXT NOT NULL
) STRICT;
-- Written instead of a token where there is none, so that time does not say that there is none.
CREATE TABLE IF NOT EXISTS decoy (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;

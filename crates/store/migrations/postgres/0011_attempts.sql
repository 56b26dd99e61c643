-- Until when the passphrase attempt that is under way must have an end; it counts as a wrong one afterwards.
ALTER TABLE sign_in_pause ADD COLUMN IF NOT EXISTS under_way_until BIGINT;
-- Browsers in which an account has signed in with both factors: SHA-256 of the secret in their cookie.
CREATE TABLE IF NOT EXISTS known_browser (
  secret_hash BYTEA NOT NULL,
  person BYTEA NOT NULL REFERENCES prescriber (id),
  signed_in BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (secret_hash, person)
);
CREATE INDEX IF NOT EXISTS known_browser_person ON known_browser (person, signed_in);
CREATE INDEX IF NOT EXISTS known_browser_expires ON known_browser (expires);

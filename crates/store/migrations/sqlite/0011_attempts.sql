-- Until when the passphrase attempt that is under way must have an end; it counts as a wrong one afterwards.
ALTER TABLE sign_in_pause ADD COLUMN under_way_until INTEGER;
-- Browsers in which an account has signed in with both factors: SHA-256 of the secret in their cookie.
CREATE TABLE IF NOT EXISTS known_browser (
  secret_hash BLOB NOT NULL,
  person BLOB NOT NULL REFERENCES prescriber (id),
  signed_in INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (secret_hash, person)
) STRICT;
CREATE INDEX IF NOT EXISTS known_browser_person ON known_browser (person, signed_in);
CREATE INDEX IF NOT EXISTS known_browser_expires ON known_browser (expires);

-- Times are microseconds since 1970 UTC; ids are 16-byte UUIDs; *_sealed columns are AES-256-GCM.
CREATE TABLE IF NOT EXISTS instance (
  id INTEGER PRIMARY KEY,
  master_key_id TEXT NOT NULL,
  unassociated_key_sealed BLOB NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS practice (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  data_key_sealed BLOB NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS prescriber (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  npi TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  passphrase TEXT NOT NULL,
  closed INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  blocked_until INTEGER,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS staff (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  ehr_user TEXT NOT NULL,
  created INTEGER NOT NULL,
  UNIQUE (practice, ehr_user)
) STRICT;
CREATE TABLE IF NOT EXISTS ehr (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  public_key BLOB NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ehr_user (
  ehr BLOB NOT NULL REFERENCES ehr (id),
  ehr_user TEXT NOT NULL,
  prescriber BLOB REFERENCES prescriber (id),
  staff BLOB REFERENCES staff (id),
  PRIMARY KEY (ehr, ehr_user)
) STRICT;
CREATE TABLE IF NOT EXISTS launch_used (
  jti_hash BLOB PRIMARY KEY,
  expires INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS token (
  id BLOB PRIMARY KEY,
  practice BLOB REFERENCES practice (id),
  prescriber BLOB REFERENCES prescriber (id),
  credential TEXT NOT NULL UNIQUE,
  manufacturer TEXT NOT NULL,
  name TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  digits INTEGER NOT NULL,
  period INTEGER NOT NULL,
  seed_sealed BLOB NOT NULL,
  state TEXT NOT NULL,
  state_reason TEXT,
  state_at INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  drift_base INTEGER NOT NULL,
  drift INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  blocked_until INTEGER,
  created INTEGER NOT NULL,
  added INTEGER,
  last_used INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS token_prescriber ON token (prescriber);
CREATE TABLE IF NOT EXISTS session (
  id BLOB PRIMARY KEY,
  secret_hash BLOB NOT NULL UNIQUE,
  practice BLOB NOT NULL REFERENCES practice (id),
  stage TEXT NOT NULL,
  prescriber BLOB REFERENCES prescriber (id),
  launch_prescriber BLOB REFERENCES prescriber (id),
  launch_staff BLOB REFERENCES staff (id),
  patient_sealed BLOB,
  passcode_at INTEGER,
  created INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_expires ON session (expires);
CREATE TABLE IF NOT EXISTS sign_in_pause (
  npi_hash BLOB PRIMARY KEY,
  failures INTEGER NOT NULL,
  blocked_until INTEGER,
  at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS api_key (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  key_hash BLOB NOT NULL UNIQUE,
  revoked INTEGER,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS audit_event (
  id BLOB PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL,
  actor TEXT NOT NULL,
  actor_id BLOB,
  practice BLOB,
  prescriber BLOB,
  token BLOB,
  purpose TEXT,
  reason TEXT,
  detail TEXT,
  support TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS audit_event_prescriber ON audit_event (prescriber, at);

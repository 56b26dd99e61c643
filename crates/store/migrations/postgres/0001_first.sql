-- Times are microseconds since 1970 UTC; ids are 16-byte UUIDs; *_sealed columns are AES-256-GCM.
CREATE TABLE IF NOT EXISTS instance (
  id BIGINT PRIMARY KEY,
  master_key_id TEXT NOT NULL,
  unassociated_key_sealed BYTEA NOT NULL,
  created BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS practice (
  id BYTEA PRIMARY KEY,
  name TEXT NOT NULL,
  data_key_sealed BYTEA NOT NULL,
  created BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS prescriber (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  npi TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  passphrase TEXT NOT NULL,
  closed BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  blocked_until BIGINT,
  created BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS staff (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  ehr_user TEXT NOT NULL,
  created BIGINT NOT NULL,
  UNIQUE (practice, ehr_user)
);
CREATE TABLE IF NOT EXISTS ehr (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  public_key BYTEA NOT NULL,
  created BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS ehr_user (
  ehr BYTEA NOT NULL REFERENCES ehr (id),
  ehr_user TEXT NOT NULL,
  prescriber BYTEA REFERENCES prescriber (id),
  staff BYTEA REFERENCES staff (id),
  PRIMARY KEY (ehr, ehr_user)
);
CREATE TABLE IF NOT EXISTS launch_used (
  jti_hash BYTEA PRIMARY KEY,
  expires BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS token (
  id BYTEA PRIMARY KEY,
  practice BYTEA REFERENCES practice (id),
  prescriber BYTEA REFERENCES prescriber (id),
  credential TEXT NOT NULL UNIQUE,
  manufacturer TEXT NOT NULL,
  name TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  digits BIGINT NOT NULL,
  period BIGINT NOT NULL,
  seed_sealed BYTEA NOT NULL,
  state TEXT NOT NULL,
  state_reason TEXT,
  state_at BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  drift_base BIGINT NOT NULL,
  drift BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  blocked_until BIGINT,
  created BIGINT NOT NULL,
  added BIGINT,
  last_used BIGINT
);
CREATE INDEX IF NOT EXISTS token_prescriber ON token (prescriber);
CREATE TABLE IF NOT EXISTS session (
  id BYTEA PRIMARY KEY,
  secret_hash BYTEA NOT NULL UNIQUE,
  practice BYTEA NOT NULL REFERENCES practice (id),
  stage TEXT NOT NULL,
  prescriber BYTEA REFERENCES prescriber (id),
  launch_prescriber BYTEA REFERENCES prescriber (id),
  launch_staff BYTEA REFERENCES staff (id),
  patient_sealed BYTEA,
  passcode_at BIGINT,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS session_expires ON session (expires);
CREATE TABLE IF NOT EXISTS sign_in_pause (
  npi_hash BYTEA PRIMARY KEY,
  failures BIGINT NOT NULL,
  blocked_until BIGINT,
  at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS api_key (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  name TEXT NOT NULL,
  key_hash BYTEA NOT NULL UNIQUE,
  revoked BIGINT,
  created BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS audit_event (
  id BYTEA PRIMARY KEY,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL,
  actor TEXT NOT NULL,
  actor_id BYTEA,
  practice BYTEA,
  prescriber BYTEA,
  token BYTEA,
  purpose TEXT,
  reason TEXT,
  detail TEXT,
  support TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_event_prescriber ON audit_event (prescriber, at);

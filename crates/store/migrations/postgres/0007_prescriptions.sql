-- Prescriptions, the signed records of them, and the keys that sign.
CREATE TABLE IF NOT EXISTS prescription (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  patient_hash BYTEA NOT NULL,
  state TEXT NOT NULL,
  state_at BIGINT,
  sealed BYTEA NOT NULL,
  created BIGINT NOT NULL,
  changed BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS prescription_patient ON prescription (practice, patient_hash, created);
-- Written once, and never changed or removed by the program.
CREATE TABLE IF NOT EXISTS signed_record (
  prescription BYTEA PRIMARY KEY REFERENCES prescription (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  signed BIGINT NOT NULL,
  key_id TEXT NOT NULL,
  sealed BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS signed_record_prescriber ON signed_record (prescriber, signed);
CREATE TABLE IF NOT EXISTS signing_key (
  key_id TEXT PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  public BYTEA NOT NULL,
  sealed BYTEA NOT NULL,
  created BIGINT NOT NULL,
  retired BIGINT
);
CREATE INDEX IF NOT EXISTS signing_key_practice ON signing_key (practice, created);

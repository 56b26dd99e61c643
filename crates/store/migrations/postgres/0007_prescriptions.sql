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
-- The way of a signed prescription to its pharmacy.
CREATE TABLE IF NOT EXISTS transmission (
  prescription BYTEA PRIMARY KEY REFERENCES prescription (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  begun BIGINT NOT NULL,
  next_try BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  done BIGINT,
  outcome TEXT NOT NULL,
  told BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS transmission_waiting ON transmission (next_try) WHERE done IS NULL;
-- A SMART launch that has begun and not come back.
CREATE TABLE IF NOT EXISTS smart_try (
  state_hash BYTEA PRIMARY KEY,
  ehr BYTEA NOT NULL REFERENCES ehr (id),
  sealed BYTEA NOT NULL,
  expires BIGINT NOT NULL
);

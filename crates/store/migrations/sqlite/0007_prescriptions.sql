-- Prescriptions, the signed records of them, and the keys that sign.
CREATE TABLE IF NOT EXISTS prescription (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  prescriber BLOB NOT NULL REFERENCES prescriber (id),
  patient_hash BLOB NOT NULL,
  state TEXT NOT NULL,
  state_at INTEGER,
  sealed BLOB NOT NULL,
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS prescription_patient ON prescription (practice, patient_hash, created);
-- Written once, and never changed or removed by the program.
CREATE TABLE IF NOT EXISTS signed_record (
  prescription BLOB PRIMARY KEY REFERENCES prescription (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  prescriber BLOB NOT NULL REFERENCES prescriber (id),
  signed INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS signed_record_prescriber ON signed_record (prescriber, signed);
CREATE TABLE IF NOT EXISTS signing_key (
  key_id TEXT PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  public BLOB NOT NULL,
  sealed BLOB NOT NULL,
  created INTEGER NOT NULL,
  retired INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS signing_key_practice ON signing_key (practice, created);

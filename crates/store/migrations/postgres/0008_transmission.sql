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
-- How we are known to an EHR that launches apps with SMART on FHIR.
CREATE TABLE IF NOT EXISTS ehr_smart (
  ehr BYTEA PRIMARY KEY REFERENCES ehr (id),
  iss TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  sealed BYTEA NOT NULL
);
-- Such a launch that has begun and not come back.
CREATE TABLE IF NOT EXISTS smart_try (
  state_hash BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  ehr BYTEA NOT NULL REFERENCES ehr (id),
  sealed BYTEA NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS signed_record_practice ON signed_record (practice, signed);
-- What a practitioner says is not theirs.
CREATE TABLE IF NOT EXISTS disowned (
  prescription BYTEA PRIMARY KEY REFERENCES signed_record (prescription),
  practice BYTEA NOT NULL REFERENCES practice (id),
  at BIGINT NOT NULL
);
-- The monthly logs as they were given out (21 CFR 1311.120(b)(27)).
CREATE TABLE IF NOT EXISTS monthly_log (
  practice BYTEA NOT NULL REFERENCES practice (id),
  prescriber BYTEA NOT NULL REFERENCES prescriber (id),
  month TEXT NOT NULL,
  made BIGINT NOT NULL,
  sealed BYTEA NOT NULL,
  PRIMARY KEY (practice, prescriber, month)
);

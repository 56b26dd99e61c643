-- Who may do what in a practice, and how somebody comes to be one of those who sign.
-- sign_in: the ten digits of an NPI, or an e-mail address in lower case. An empty passphrase is none.
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = 'prescriber' AND column_name = 'npi') THEN
    ALTER TABLE prescriber RENAME COLUMN npi TO sign_in;
  END IF;
END $$;
ALTER TABLE practice ADD COLUMN IF NOT EXISTS setting TEXT NOT NULL DEFAULT 'practitioners';
ALTER TABLE practice ADD COLUMN IF NOT EXISTS time_zone TEXT NOT NULL DEFAULT 'America/New_York';
ALTER TABLE practice ADD COLUMN IF NOT EXISTS founded BIGINT;
-- activated: when both pieces of activation had come. sign_until follows from it, from the permissions
-- and from the registrations; whatever changes one of them writes it anew.
ALTER TABLE token ADD COLUMN IF NOT EXISTS activated BIGINT;
ALTER TABLE token ADD COLUMN IF NOT EXISTS sign_until BIGINT;
CREATE TABLE IF NOT EXISTS person_profile (
  person BYTEA PRIMARY KEY REFERENCES prescriber (id),
  sealed BYTEA NOT NULL,
  changed BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS terms_accepted (
  person BYTEA NOT NULL REFERENCES prescriber (id),
  version TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (person, version)
);
CREATE TABLE IF NOT EXISTS practice_role (
  person BYTEA NOT NULL REFERENCES prescriber (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  role TEXT NOT NULL,
  unit TEXT NOT NULL,
  since BIGINT NOT NULL,
  ended BIGINT,
  PRIMARY KEY (person, practice, role, since)
);
CREATE INDEX IF NOT EXISTS practice_role_practice ON practice_role (practice, ended);
CREATE TABLE IF NOT EXISTS invitation (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA NOT NULL REFERENCES prescriber (id),
  invited_by BYTEA REFERENCES prescriber (id),
  link_hash BYTEA NOT NULL UNIQUE,
  state TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  accepted BIGINT,
  sealed BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS invitation_person ON invitation (person, practice);
CREATE INDEX IF NOT EXISTS invitation_practice ON invitation (practice, created);
-- DEA registrations and state licences; person is NULL for the institution's own.
CREATE TABLE IF NOT EXISTS authority (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  number TEXT NOT NULL,
  state TEXT NOT NULL,
  schedules TEXT NOT NULL,
  expires TEXT NOT NULL,
  stops_at BIGINT NOT NULL,
  withdrawn BIGINT,
  warned BIGINT,
  created BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS authority_person ON authority (person, practice);
CREATE INDEX IF NOT EXISTS authority_stops ON authority (stops_at);
CREATE TABLE IF NOT EXISTS permission (
  person BYTEA NOT NULL REFERENCES prescriber (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  authority BYTEA NOT NULL REFERENCES authority (id),
  state TEXT NOT NULL,
  cause TEXT,
  since BIGINT NOT NULL,
  self_executed BIGINT NOT NULL,
  confirmed BIGINT NOT NULL,
  PRIMARY KEY (person, practice, authority)
);
CREATE INDEX IF NOT EXISTS permission_practice ON permission (practice);
CREATE TABLE IF NOT EXISTS access_request (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  kind TEXT NOT NULL,
  person BYTEA REFERENCES prescriber (id),
  authority BYTEA REFERENCES authority (id),
  body TEXT NOT NULL,
  reason TEXT NOT NULL,
  entered_by BYTEA NOT NULL REFERENCES prescriber (id),
  entered BIGINT NOT NULL,
  state TEXT NOT NULL,
  decided_by BYTEA REFERENCES prescriber (id),
  decided BIGINT
);
CREATE INDEX IF NOT EXISTS access_request_practice ON access_request (practice, entered);
CREATE TABLE IF NOT EXISTS proofing_case (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA NOT NULL REFERENCES prescriber (id),
  purpose TEXT NOT NULL,
  opened BIGINT NOT NULL,
  state TEXT NOT NULL,
  sealed BYTEA,
  near_by BYTEA REFERENCES prescriber (id),
  near_at BIGINT,
  address_confirmed BIGINT,
  issue_by BYTEA REFERENCES prescriber (id),
  issue_unit TEXT,
  issue_at BIGINT,
  complete_at BIGINT,
  window_until BIGINT
);
CREATE INDEX IF NOT EXISTS proofing_case_person ON proofing_case (person, practice);
CREATE INDEX IF NOT EXISTS proofing_case_practice ON proofing_case (practice, opened);
CREATE TABLE IF NOT EXISTS proofing_try (
  state_hash BYTEA PRIMARY KEY,
  proofing_case BYTEA NOT NULL REFERENCES proofing_case (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  session BYTEA NOT NULL,
  sealed BYTEA NOT NULL,
  expires BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS proofing_provider (
  practice BYTEA NOT NULL REFERENCES practice (id),
  issuer TEXT NOT NULL,
  accepted TEXT NOT NULL,
  since BIGINT NOT NULL,
  ended BIGINT,
  PRIMARY KEY (practice, issuer, since)
);
-- A code on its way to somebody: about a case (the address) or about a token (its activation).
CREATE TABLE IF NOT EXISTS sent_code (
  subject BYTEA PRIMARY KEY,
  person BYTEA NOT NULL REFERENCES prescriber (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  kind TEXT NOT NULL,
  code_sealed BYTEA NOT NULL,
  channel TEXT NOT NULL,
  sent BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  used BIGINT
);
CREATE TABLE IF NOT EXISTS message (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  channel TEXT NOT NULL,
  sealed BYTEA,
  created BIGINT NOT NULL,
  next_try BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  done BIGINT,
  outcome TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_waiting ON message (next_try) WHERE done IS NULL;
CREATE INDEX IF NOT EXISTS message_practice ON message (practice, created);
-- "This was not me": the link in a notice.
CREATE TABLE IF NOT EXISTS repudiation (
  link_hash BYTEA PRIMARY KEY,
  person BYTEA NOT NULL REFERENCES prescriber (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  expires BIGINT NOT NULL,
  used BIGINT
);
CREATE TABLE IF NOT EXISTS deadline (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  discovered BIGINT NOT NULL,
  due BIGINT NOT NULL,
  done BIGINT,
  done_by BYTEA REFERENCES prescriber (id),
  note TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS deadline_practice ON deadline (practice, due);

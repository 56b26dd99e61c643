-- Who may do what in a practice, and how somebody comes to be one of those who sign.
-- sign_in: the ten digits of an NPI, or an e-mail address in lower case. An empty passphrase is none.
ALTER TABLE prescriber RENAME COLUMN npi TO sign_in;
ALTER TABLE practice ADD COLUMN setting TEXT NOT NULL DEFAULT 'practitioners';
ALTER TABLE practice ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'America/New_York';
ALTER TABLE practice ADD COLUMN founded INTEGER;
-- activated: when both pieces of activation had come. sign_until follows from it, from the permissions
-- and from the registrations; whatever changes one of them writes it anew.
ALTER TABLE token ADD COLUMN activated INTEGER;
ALTER TABLE token ADD COLUMN sign_until INTEGER;
CREATE TABLE IF NOT EXISTS person_profile (
  person BLOB PRIMARY KEY REFERENCES prescriber (id),
  sealed BLOB NOT NULL,
  changed INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS terms_accepted (
  person BLOB NOT NULL REFERENCES prescriber (id),
  version TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (person, version)
) STRICT;
CREATE TABLE IF NOT EXISTS practice_role (
  person BLOB NOT NULL REFERENCES prescriber (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  role TEXT NOT NULL,
  unit TEXT NOT NULL,
  since INTEGER NOT NULL,
  ended INTEGER,
  PRIMARY KEY (person, practice, role, since)
) STRICT;
CREATE INDEX IF NOT EXISTS practice_role_practice ON practice_role (practice, ended);
CREATE TABLE IF NOT EXISTS invitation (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  person BLOB NOT NULL REFERENCES prescriber (id),
  invited_by BLOB REFERENCES prescriber (id),
  link_hash BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  accepted INTEGER,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS invitation_person ON invitation (person, practice);
CREATE INDEX IF NOT EXISTS invitation_practice ON invitation (practice, created);
-- DEA registrations and state licences; person is NULL for the institution's own.
CREATE TABLE IF NOT EXISTS authority (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  person BLOB REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  number TEXT NOT NULL,
  state TEXT NOT NULL,
  schedules TEXT NOT NULL,
  expires TEXT NOT NULL,
  stops_at INTEGER NOT NULL,
  withdrawn INTEGER,
  warned INTEGER,
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS authority_person ON authority (person, practice);
CREATE INDEX IF NOT EXISTS authority_stops ON authority (stops_at);
CREATE TABLE IF NOT EXISTS permission (
  person BLOB NOT NULL REFERENCES prescriber (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  authority BLOB NOT NULL REFERENCES authority (id),
  state TEXT NOT NULL,
  cause TEXT,
  since INTEGER NOT NULL,
  self_executed INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  PRIMARY KEY (person, practice, authority)
) STRICT;
CREATE INDEX IF NOT EXISTS permission_practice ON permission (practice);
CREATE TABLE IF NOT EXISTS access_request (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  kind TEXT NOT NULL,
  person BLOB REFERENCES prescriber (id),
  authority BLOB REFERENCES authority (id),
  body TEXT NOT NULL,
  reason TEXT NOT NULL,
  entered_by BLOB NOT NULL REFERENCES prescriber (id),
  entered INTEGER NOT NULL,
  state TEXT NOT NULL,
  decided_by BLOB REFERENCES prescriber (id),
  decided INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS access_request_practice ON access_request (practice, entered);
CREATE TABLE IF NOT EXISTS proofing_case (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  person BLOB NOT NULL REFERENCES prescriber (id),
  purpose TEXT NOT NULL,
  opened INTEGER NOT NULL,
  state TEXT NOT NULL,
  sealed BLOB,
  near_by BLOB REFERENCES prescriber (id),
  near_at INTEGER,
  address_confirmed INTEGER,
  issue_by BLOB REFERENCES prescriber (id),
  issue_unit TEXT,
  issue_at INTEGER,
  complete_at INTEGER,
  window_until INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS proofing_case_person ON proofing_case (person, practice);
CREATE INDEX IF NOT EXISTS proofing_case_practice ON proofing_case (practice, opened);
CREATE TABLE IF NOT EXISTS proofing_try (
  state_hash BLOB PRIMARY KEY,
  proofing_case BLOB NOT NULL REFERENCES proofing_case (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  session BLOB NOT NULL,
  sealed BLOB NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS proofing_provider (
  practice BLOB NOT NULL REFERENCES practice (id),
  issuer TEXT NOT NULL,
  accepted TEXT NOT NULL,
  since INTEGER NOT NULL,
  ended INTEGER,
  PRIMARY KEY (practice, issuer, since)
) STRICT;
-- A code on its way to somebody: about a case (the address) or about a token (its activation).
CREATE TABLE IF NOT EXISTS sent_code (
  subject BLOB PRIMARY KEY,
  person BLOB NOT NULL REFERENCES prescriber (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  kind TEXT NOT NULL,
  code_sealed BLOB NOT NULL,
  channel TEXT NOT NULL,
  sent INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  used INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS message (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  person BLOB REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  channel TEXT NOT NULL,
  sealed BLOB,
  created INTEGER NOT NULL,
  next_try INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  done INTEGER,
  outcome TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS message_waiting ON message (next_try) WHERE done IS NULL;
CREATE INDEX IF NOT EXISTS message_practice ON message (practice, created);
-- "This was not me": the link in a notice.
CREATE TABLE IF NOT EXISTS repudiation (
  link_hash BLOB PRIMARY KEY,
  person BLOB NOT NULL REFERENCES prescriber (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  expires INTEGER NOT NULL,
  used INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS deadline (
  id BLOB PRIMARY KEY,
  practice BLOB NOT NULL REFERENCES practice (id),
  person BLOB REFERENCES prescriber (id),
  kind TEXT NOT NULL,
  discovered INTEGER NOT NULL,
  due INTEGER NOT NULL,
  done INTEGER,
  done_by BLOB REFERENCES prescriber (id),
  note TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS deadline_practice ON deadline (practice, due);

-- Audit and certification reports (21 CFR 1311.300). issued, expires: days as YYYY-MM-DD.
CREATE TABLE IF NOT EXISTS certification_report (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  auditor TEXT NOT NULL,
  issued TEXT NOT NULL,
  expires TEXT NOT NULL,
  media_type TEXT NOT NULL,
  document BLOB NOT NULL,
  sha256 BLOB NOT NULL,
  entered INTEGER NOT NULL,
  entered_by TEXT NOT NULL
) STRICT;
-- The builds that a report covers, by the SHA-256 of their binaries.
CREATE TABLE IF NOT EXISTS certified_build (
  report BLOB NOT NULL REFERENCES certification_report (id),
  build TEXT NOT NULL,
  PRIMARY KEY (report, build)
) STRICT;
-- A practice has acknowledged the report for a build.
CREATE TABLE IF NOT EXISTS report_acknowledgment (
  practice BLOB NOT NULL REFERENCES practice (id),
  report BLOB NOT NULL REFERENCES certification_report (id),
  build TEXT NOT NULL,
  person BLOB NOT NULL REFERENCES prescriber (id),
  acknowledged INTEGER NOT NULL,
  PRIMARY KEY (practice, report, build)
) STRICT;
-- A practitioner has read the report (21 CFR 1311.102(d)).
CREATE TABLE IF NOT EXISTS report_review (
  person BLOB NOT NULL REFERENCES prescriber (id),
  report BLOB NOT NULL REFERENCES certification_report (id),
  reviewed INTEGER NOT NULL,
  PRIMARY KEY (person, report)
) STRICT;
-- Notices that all builds up to a version no longer meet the requirements (21 CFR 1311.302, 1311.102(g)-(i)).
-- ended: when a newer build that a release manifest lists ran; no token signs before.
CREATE TABLE IF NOT EXISTS noncompliance_notice (
  id BLOB PRIMARY KEY,
  source TEXT NOT NULL,
  reason TEXT NOT NULL,
  through TEXT NOT NULL,
  entered INTEGER NOT NULL,
  entered_by TEXT NOT NULL,
  ended INTEGER,
  ended_by TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS noncompliance_open ON noncompliance_notice (entered) WHERE ended IS NULL;

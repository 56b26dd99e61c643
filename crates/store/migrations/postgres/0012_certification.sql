-- Audit and certification reports (21 CFR 1311.300). issued, expires: days as YYYY-MM-DD.
CREATE TABLE IF NOT EXISTS certification_report (
  id BYTEA PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  auditor TEXT NOT NULL,
  issued TEXT NOT NULL,
  expires TEXT NOT NULL,
  media_type TEXT NOT NULL,
  document BYTEA NOT NULL,
  sha256 BYTEA NOT NULL,
  entered BIGINT NOT NULL,
  entered_by TEXT NOT NULL
);
-- The builds that a report covers, by the SHA-256 of their binaries.
CREATE TABLE IF NOT EXISTS certified_build (
  report BYTEA NOT NULL REFERENCES certification_report (id),
  build TEXT NOT NULL,
  PRIMARY KEY (report, build)
);
-- A practice has acknowledged the report for a build.
CREATE TABLE IF NOT EXISTS report_acknowledgment (
  practice BYTEA NOT NULL REFERENCES practice (id),
  report BYTEA NOT NULL REFERENCES certification_report (id),
  build TEXT NOT NULL,
  person BYTEA NOT NULL REFERENCES prescriber (id),
  acknowledged BIGINT NOT NULL,
  PRIMARY KEY (practice, report, build)
);
-- A practitioner has read the report (21 CFR 1311.102(d)).
CREATE TABLE IF NOT EXISTS report_review (
  person BYTEA NOT NULL REFERENCES prescriber (id),
  report BYTEA NOT NULL REFERENCES certification_report (id),
  reviewed BIGINT NOT NULL,
  PRIMARY KEY (person, report)
);
-- Notices that all builds up to a version no longer meet the requirements (21 CFR 1311.302, 1311.102(g)-(i)).
-- ended: when a newer build that a release manifest lists ran; no token signs before.
CREATE TABLE IF NOT EXISTS noncompliance_notice (
  id BYTEA PRIMARY KEY,
  source TEXT NOT NULL,
  reason TEXT NOT NULL,
  through TEXT NOT NULL,
  entered BIGINT NOT NULL,
  entered_by TEXT NOT NULL,
  ended BIGINT,
  ended_by TEXT
);
CREATE INDEX IF NOT EXISTS noncompliance_open ON noncompliance_notice (entered) WHERE ended IS NULL;

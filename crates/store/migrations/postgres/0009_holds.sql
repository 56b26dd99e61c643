-- A record can be removed once its time is over, and nothing else changes it.
-- When its practitioner looked at a log, and when it was said that nobody did.
ALTER TABLE monthly_log ADD COLUMN IF NOT EXISTS seen BIGINT;
ALTER TABLE monthly_log ADD COLUMN IF NOT EXISTS told BIGINT;
-- Whether anybody has looked at the older ones, nobody knows: nobody is told of them.
UPDATE monthly_log SET told = made WHERE told IS NULL AND seen IS NULL;
-- What keeps signed records and logs, whatever their age; of one person, or of the whole practice.
CREATE TABLE IF NOT EXISTS legal_hold (
  id BYTEA PRIMARY KEY,
  practice BYTEA NOT NULL REFERENCES practice (id),
  person BYTEA REFERENCES prescriber (id),
  sealed BYTEA NOT NULL,
  placed BIGINT NOT NULL,
  placed_by BYTEA NOT NULL REFERENCES prescriber (id),
  lifted BIGINT,
  lifted_by BYTEA REFERENCES prescriber (id),
  lifted_sealed BYTEA
);
CREATE INDEX IF NOT EXISTS legal_hold_practice ON legal_hold (practice, placed);
-- What could not be sent, and waits for what its practitioner decides.
CREATE INDEX IF NOT EXISTS prescription_failed ON prescription (prescriber) WHERE state = 'failed';
-- Looked at every minute: the logs at which nobody has looked, and of which nobody was told.
CREATE INDEX IF NOT EXISTS monthly_log_unseen ON monthly_log (made) WHERE seen IS NULL AND told IS NULL;

-- Events of the hot path are reached through their token: the token names its newest one, each event
-- the one before. The row of the token is written by every check anyway; a page of an index for each
-- event was half of what a check had to make durable.
-- previous: NULL for what the index finds; empty for the first of a chain.
ALTER TABLE token ADD COLUMN IF NOT EXISTS last_event BYTEA;
ALTER TABLE audit_event ADD COLUMN IF NOT EXISTS previous BYTEA;
DROP INDEX IF EXISTS audit_event_prescriber;
CREATE INDEX IF NOT EXISTS audit_event_of_prescriber ON audit_event (prescriber, at)
  WHERE previous IS NULL AND prescriber IS NOT NULL;

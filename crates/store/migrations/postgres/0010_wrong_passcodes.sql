-- Wrong passcodes of a day, which a right one does not clear; when the first came, and the day of which the
-- owner was told.
ALTER TABLE prescriber ADD COLUMN IF NOT EXISTS wrong_in_a_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE prescriber ADD COLUMN IF NOT EXISTS wrong_began BIGINT;
ALTER TABLE prescriber ADD COLUMN IF NOT EXISTS wrong_told BIGINT;
-- Looked at every minute: whose wrong passcodes of a day must be told.
CREATE INDEX IF NOT EXISTS prescriber_wrong ON prescriber (wrong_began) WHERE wrong_began IS NOT NULL;

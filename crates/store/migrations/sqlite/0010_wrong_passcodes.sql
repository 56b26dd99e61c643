-- Wrong passcodes of a day, which a right one does not clear; when the first came, and the day of which the
-- owner was told.
ALTER TABLE prescriber ADD COLUMN wrong_in_a_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE prescriber ADD COLUMN wrong_began INTEGER;
ALTER TABLE prescriber ADD COLUMN wrong_told INTEGER;
-- What a passcode check reads of the owner, from the index alone.
DROP INDEX IF EXISTS prescriber_counter;
CREATE INDEX IF NOT EXISTS prescriber_counter ON prescriber (id, failures, blocked_until, wrong_in_a_day, wrong_began);
-- Looked at every minute: whose wrong passcodes of a day must be told.
CREATE INDEX IF NOT EXISTS prescriber_wrong ON prescriber (wrong_began) WHERE wrong_began IS NOT NULL;

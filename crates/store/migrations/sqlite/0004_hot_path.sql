-- A check reads two numbers of the owner: from the index alone, without the owner's row.
CREATE INDEX IF NOT EXISTS prescriber_counter ON prescriber (id, failures, blocked_until);

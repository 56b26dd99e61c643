-- A check reads two numbers of the owner: from the index alone, without the owner's row.
CREATE INDEX IF NOT EXISTS prescriber_counter ON prescriber (id, failures, blocked_until);
-- A failure writes that index too; what stands in for a failure must write as much.
CREATE INDEX IF NOT EXISTS decoy_at ON decoy (at);

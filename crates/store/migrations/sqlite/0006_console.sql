-- What a practice decides for itself in its console, and that a deadline was spoken of before its end.
ALTER TABLE deadline ADD COLUMN reminded INTEGER;
-- Models of tokens that a practice does not let sign, though the operator does.
CREATE TABLE IF NOT EXISTS practice_model (
  practice BLOB NOT NULL REFERENCES practice (id),
  model TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed INTEGER NOT NULL,
  changed_by BLOB NOT NULL REFERENCES prescriber (id),
  PRIMARY KEY (practice, model)
) STRICT;

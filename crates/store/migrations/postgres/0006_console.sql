-- What a practice decides for itself in its console, and that a deadline was spoken of before its end.
ALTER TABLE deadline ADD COLUMN IF NOT EXISTS reminded BIGINT;
-- Models of tokens that a practice does not let sign, though the operator does.
CREATE TABLE IF NOT EXISTS practice_model (
  practice BYTEA NOT NULL REFERENCES practice (id),
  model TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed BIGINT NOT NULL,
  changed_by BYTEA NOT NULL REFERENCES prescriber (id),
  PRIMARY KEY (practice, model)
);

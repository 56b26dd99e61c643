-- What a practice decides for itself in its console, and that a deadline was spoken of before its end.
ALTER TABLE deadline ADD COLUMN IF NOT EXISTS reminded BIGINT;
-- When the operator vouched for a registration, at the founding of the practice. Only then, or once two people
-- have granted a permission under it, its holder counts as a registrant who executes.
ALTER TABLE authority ADD COLUMN IF NOT EXISTS vouched BIGINT;
-- Models of tokens that a practice does not let sign, though the operator does.
CREATE TABLE IF NOT EXISTS practice_model (
  practice BYTEA NOT NULL REFERENCES practice (id),
  model TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed BIGINT NOT NULL,
  changed_by BYTEA NOT NULL REFERENCES prescriber (id),
  PRIMARY KEY (practice, model)
);
-- Hardware tokens in the stock of a practice. ends: the end of life that the maker states.
CREATE TABLE IF NOT EXISTS fob (
  token BYTEA PRIMARY KEY REFERENCES token (id),
  practice BYTEA NOT NULL REFERENCES practice (id),
  batch TEXT NOT NULL,
  ends BIGINT NOT NULL,
  imported BIGINT NOT NULL,
  sent_to BYTEA REFERENCES prescriber (id),
  sent_how TEXT,
  sent BIGINT
);
CREATE INDEX IF NOT EXISTS fob_practice ON fob (practice, ends);

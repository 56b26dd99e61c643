-- What a practice decides for itself in its console, and that a deadline was spoken of before its end.
ALTER TABLE deadline ADD COLUMN reminded INTEGER;
-- When the operator vouched for a registration, at the founding of the practice. Only then, or once two people
-- have granted a permission under it, its holder counts as a registrant who executes.
ALTER TABLE authority ADD COLUMN vouched INTEGER;
-- Models of tokens that a practice does not let sign, though the operator does.
CREATE TABLE IF NOT EXISTS practice_model (
  practice BLOB NOT NULL REFERENCES practice (id),
  model TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed INTEGER NOT NULL,
  changed_by BLOB NOT NULL REFERENCES prescriber (id),
  PRIMARY KEY (practice, model)
) STRICT;
-- Hardware tokens in the stock of a practice. ends: the end of life that the maker states.
CREATE TABLE IF NOT EXISTS fob (
  token BLOB PRIMARY KEY REFERENCES token (id),
  practice BLOB NOT NULL REFERENCES practice (id),
  batch TEXT NOT NULL,
  ends INTEGER NOT NULL,
  imported INTEGER NOT NULL,
  sent_to BLOB REFERENCES prescriber (id),
  sent_how TEXT,
  sent INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS fob_practice ON fob (practice, ends);

-- Addresses and numbers that somebody held until a while ago, sealed: they still tell that two accounts are one
-- person's.
CREATE TABLE IF NOT EXISTS former_marks (
  id BLOB PRIMARY KEY,
  person BLOB NOT NULL REFERENCES prescriber (id),
  sealed BLOB NOT NULL,
  ended INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS former_marks_person ON former_marks (person, ended);
-- The open changes about somebody, which a newer decision closes. permission.confirmed: 0 waits for the second
-- person, 1 confirmed, 2 the report was a mistake.
CREATE INDEX IF NOT EXISTS access_request_person ON access_request (person);

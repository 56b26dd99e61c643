-- The codes by which an institution tells apart those who prescribe under its DEA registration (21 CFR 1301.22(c)(5)).
-- A code stays one person's: what was signed with it names that person.
CREATE TABLE IF NOT EXISTS internal_code (
  practice BYTEA NOT NULL REFERENCES practice (id),
  code TEXT NOT NULL,
  person BYTEA NOT NULL REFERENCES prescriber (id),
  entered BIGINT NOT NULL,
  entered_by BYTEA NOT NULL REFERENCES prescriber (id),
  ended BIGINT,
  ended_by BYTEA REFERENCES prescriber (id),
  PRIMARY KEY (practice, code)
);
CREATE UNIQUE INDEX IF NOT EXISTS internal_code_person ON internal_code (practice, person) WHERE ended IS NULL;
-- Nobody has a code yet, so that nobody signs under an institution's registration until one is entered.
UPDATE token SET sign_until = (
  SELECT CASE WHEN MAX(CASE WHEN l.stops_at < a.stops_at THEN l.stops_at ELSE a.stops_at END) > token.sign_until THEN token.sign_until
    ELSE MAX(CASE WHEN l.stops_at < a.stops_at THEN l.stops_at ELSE a.stops_at END) END
  FROM permission p JOIN authority a ON a.id = p.authority AND a.withdrawn IS NULL AND a.person IS NOT NULL
  JOIN authority l ON l.person = p.person AND l.practice = p.practice AND l.kind = 'licence' AND l.state = a.state AND l.withdrawn IS NULL
  WHERE p.person = token.prescriber AND p.practice = token.practice AND p.state = 'granted'
) WHERE sign_until IS NOT NULL AND EXISTS (
  SELECT p.person FROM permission p JOIN authority a ON a.id = p.authority AND a.person IS NULL
  WHERE p.person = token.prescriber AND p.practice = token.practice
);

-- Words that say how far something is: the database takes no other than those that the program reads back.
--
-- SQLite can't add a CHECK to a table that exists but by copying the table, and its tables may be large; so it gets
-- triggers there, and PostgreSQL a CHECK that rows of before are not read for. A row of before with another word can't be
-- read back anyway.
--
-- token.state is checked on PostgreSQL alone: each passcode check writes it, and on SQLite a trigger would cost the one
-- statement that must be fast. A word that is not known is found there when the row is read.
STATE_WORDS session.stage launched, passphrase, enrolling, resetting, full;
STATE_WORDS practice.setting practitioners, institution;
STATE_WORDS invitation.state open, accepted, revoked;
STATE_WORDS permission.state granted, revoked;
STATE_WORDS access_request.kind grant, revoke, role, provider, paper;
STATE_WORDS access_request.state entered, executed, rejected, withdrawn, overtaken;
STATE_WORDS proofing_case.purpose enrolment, recovery, passphrase;
STATE_WORDS proofing_case.state open, complete, closed;
STATE_WORDS prescription.state draft, ready, signed, transmitted, failed, printed, cancelled;
-- [postgres]
STATE_WORDS token.state unassociated, active, disabled;

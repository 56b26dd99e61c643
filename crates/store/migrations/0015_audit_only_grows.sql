-- Audit records are only added: the database refuses to change or remove one, whoever asks.
--
-- What this does not stop: who owns the table (or may write the file of SQLite) can drop the triggers or the table, and
-- a superuser of PostgreSQL can turn triggers off (session_replication_role). On SQLite, INSERT OR REPLACE runs no
-- trigger for the row that it removes unless PRAGMA recursive_triggers is on; it is on in every connection of the
-- program. Such a change is not detected either.
-- [sqlite]
CREATE TRIGGER IF NOT EXISTS audit_event_not_changed BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'an audit record is never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_event_not_removed BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'an audit record is never removed'); END;
-- [postgres]
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an audit record is never changed or removed';
END;
$$;
-- Once for each statement, so that one that would touch no row is refused too.
CREATE OR REPLACE TRIGGER audit_event_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

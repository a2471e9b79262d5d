-- Who is told when a session ends, and what they have to be told.
--
-- The release before runs on this: it writes none of it, and what it ends is
-- told to the clients that this release has written down, by the triggers.

-- +goose Up

-- The clients that are told of a session's end: with the first token that a
-- client gets in it, and only if it can be told.
CREATE TABLE session_clients (
  sid    text        NOT NULL,
  client text        NOT NULL,
  uid    text        NOT NULL,
  due    timestamptz NOT NULL, -- when somebody looks whether the session is over; it also names a look
  PRIMARY KEY (sid, client)
);
CREATE INDEX session_clients_uid ON session_clients (uid);
CREATE INDEX session_clients_due ON session_clients (due);

-- What clients have to be told, and for a while what came of it.
CREATE TABLE logouts (
  id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sid     text        NOT NULL,
  client  text        NOT NULL,
  uid     text        NOT NULL,
  at      timestamptz,                   -- when it was taken first; null: not yet
  tries   int         NOT NULL DEFAULT 0,
  due     timestamptz NOT NULL,          -- when it is tried next; it also names a taking
  result  text        NOT NULL DEFAULT '', -- empty: it waits
  said    text        NOT NULL DEFAULT '', -- what came of the last try: the status of HTTP, or a word
  said_at timestamptz
);
CREATE INDEX logouts_waiting ON logouts (client, due) WHERE result = '';
CREATE INDEX logouts_ended ON logouts (said_at) WHERE result <> '';

-- +goose StatementBegin
CREATE FUNCTION session_over(ended text) RETURNS bigint LANGUAGE sql AS $$
  WITH gone AS (
    DELETE FROM session_clients WHERE sid = ended RETURNING sid, client, uid
  ), told AS (
    INSERT INTO logouts (sid, client, uid, due) SELECT sid, client, uid, '-infinity' FROM gone ORDER BY client RETURNING 1
  )
  SELECT count(*) FROM told
$$;
-- +goose StatementEnd

-- Whoever ends a session raises this fence, and so can forget nobody.
-- +goose StatementBegin
CREATE FUNCTION tell_clients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM session_over(NEW.hash);
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell_clients AFTER INSERT ON fences FOR EACH ROW WHEN (NEW.kind = 'sid') EXECUTE FUNCTION tell_clients();

-- What changes about people may end their sessions, whoever changes it. That is
-- judged by the servers: here it is only said that somebody has to look. The
-- rows are locked in the order in which they are deleted above.
-- +goose StatementBegin
CREATE FUNCTION look_at_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM session_clients WHERE uid = OLD.uid ORDER BY sid, client FOR UPDATE;
  UPDATE session_clients SET due = '-infinity' WHERE uid = OLD.uid;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER look_at_sessions AFTER UPDATE OF profile, signed_out_at OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION look_at_sessions();
CREATE TRIGGER look_at_sessions AFTER UPDATE OF state, uid OR DELETE ON authenticators FOR EACH ROW EXECUTE FUNCTION look_at_sessions();
CREATE TRIGGER look_at_sessions AFTER UPDATE OF state, registered, uid OR DELETE ON cards FOR EACH ROW EXECUTE FUNCTION look_at_sessions();

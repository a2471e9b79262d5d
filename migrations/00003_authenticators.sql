-- What people hold to sign in with beside their cards, how they are reached,
-- and when they signed out of everything.
--
-- The release before runs on this: it names its columns, and what it writes of
-- people is taken up by a trigger. People are neither rewritten nor told of, so
-- that every server keeps what it remembers.

-- +goose Up

ALTER TABLE people ADD COLUMN signed_out_at timestamptz; -- what began then or before has ended

CREATE TABLE authenticators (
  id           text        PRIMARY KEY,
  uid          text        NOT NULL REFERENCES people ON DELETE CASCADE,
  kind         text        NOT NULL, -- of the room that judges it
  handle       text        NOT NULL, -- by which its room finds it
  name         text        NOT NULL DEFAULT '',
  model        text        NOT NULL DEFAULT '',
  method       text        NOT NULL,
  level        smallint    NOT NULL CHECK (level BETWEEN 1 AND 3),
  state        text        NOT NULL CHECK (state IN ('active', 'suspended')),
  self_claimed boolean     NOT NULL DEFAULT false,
  added_at     timestamptz NOT NULL,
  record       jsonb,      -- the room's own, secrets sealed
  UNIQUE (kind, handle)
);
CREATE INDEX authenticators_uid ON authenticators (uid);

-- What changes with use. It has no trigger: a sign-in is nothing that other
-- servers must forget a person for.
CREATE TABLE authenticator_uses (
  id      text        PRIMARY KEY REFERENCES authenticators ON DELETE CASCADE,
  used_at timestamptz, -- null: never
  mark    jsonb        -- the room's own: what the next use is compared with
);

-- Mails on their way, written with what they tell of.
CREATE TABLE outbox (
  id          text        PRIMARY KEY,
  at          timestamptz NOT NULL,
  sealed      bytea       NOT NULL, -- with the keyset for "mail" and the id
  attempts    int         NOT NULL DEFAULT 0,
  next_try_at timestamptz NOT NULL,
  sent_at     timestamptz
);
CREATE INDEX outbox_next ON outbox (next_try_at) WHERE sent_at IS NULL;

-- An address as all its spellings have it; null for none. The program says the
-- same in idp.EmailKey.
-- +goose StatementBegin
CREATE FUNCTION email_key(email text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT nullif(lower(btrim(email, E' \t\r\n') COLLATE "C"), '')
$$;
-- +goose StatementEnd

-- Whose address it is. One that several people had before it had to be one
-- person's is nobody's: it finds none of them, and nobody gets it.
CREATE TABLE emails (
  key text COLLATE "C" PRIMARY KEY,
  uid text UNIQUE REFERENCES people ON DELETE CASCADE
);

-- +goose StatementBegin
CREATE FUNCTION keep_email() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  k text := email_key(NEW.email);
BEGIN
  IF EXISTS (SELECT FROM emails WHERE uid = NEW.uid AND key = k) THEN
    RETURN NULL;
  END IF;
  -- Whoever was the last to share an address has it to themself again.
  IF EXISTS (SELECT FROM emails WHERE key = k AND uid IS NULL) THEN
    IF NOT EXISTS (SELECT FROM people WHERE email_key(email) = k AND uid <> NEW.uid) THEN
      DELETE FROM emails WHERE key = k AND uid IS NULL;
    ELSIF TG_OP = 'UPDATE' AND email_key(OLD.email) = k THEN
      RETURN NULL; -- nothing has changed
    END IF;
  END IF;
  DELETE FROM emails WHERE uid = NEW.uid;
  IF k IS NOT NULL THEN
    INSERT INTO emails (key, uid) VALUES (k, NEW.uid); -- a unique violation is somebody else's address
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_email AFTER INSERT OR UPDATE OF email ON people FOR EACH ROW EXECUTE FUNCTION keep_email();

-- Nobody writes people from the trigger above until this is committed.
INSERT INTO emails (key, uid)
  SELECT email_key(email), CASE WHEN count(*) = 1 THEN min(uid) END
  FROM people WHERE email_key(email) IS NOT NULL GROUP BY 1;

CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON authenticators FOR EACH ROW EXECUTE FUNCTION tell('person', 'uid');
CREATE TRIGGER tell_all AFTER TRUNCATE ON authenticators FOR EACH STATEMENT EXECUTE FUNCTION tell('person');
CREATE TRIGGER tell_person AFTER INSERT OR UPDATE OR DELETE ON cards FOR EACH ROW EXECUTE FUNCTION tell('person', 'uid');
CREATE TRIGGER tell_person_all AFTER TRUNCATE ON cards FOR EACH STATEMENT EXECUTE FUNCTION tell('person');

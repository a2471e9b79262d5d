-- What the registration authority keeps beside the directory, how it finds
-- people, and that no uid is used again.
--
-- The release before runs on this: it names its columns and writes none of the
-- new ones, and what it adds of people is taken up by a trigger. No table is
-- rewritten, and nobody is told of anything. But all people there are are
-- looked at: meanwhile they can be read, and who changes them has to wait.

-- +goose Up

ALTER TABLE people
  ADD COLUMN robot_owner text NOT NULL DEFAULT '', -- uid of who answers for it; empty: no robot
  ADD COLUMN robot_until date,
  ADD COLUMN merged_into text NOT NULL DEFAULT '', -- uid
  ADD COLUMN added_at    timestamptz;              -- null: it came with a document
ALTER TABLE positions ADD COLUMN reason text NOT NULL DEFAULT '';
ALTER TABLE cards ADD COLUMN ends_on date; -- last day of its certificate; null: nobody has said

-- Changes that wait for a second person, and what became of them.
CREATE TABLE requests (
  id           text        PRIMARY KEY,
  kind         text        NOT NULL,
  sealed       bytea       NOT NULL, -- the change, with the keyset for "request" and the id
  asked_by     text        NOT NULL,
  asked_at     timestamptz NOT NULL,
  until        timestamptz NOT NULL,
  uid          text        NOT NULL DEFAULT '', -- whom it concerns
  organisation text        NOT NULL DEFAULT '', -- code
  state        text        NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'withdrawn')),
  decided_by   text        NOT NULL DEFAULT '',
  reason       text        NOT NULL DEFAULT ''
);
CREATE INDEX requests_waiting ON requests (asked_at, id) WHERE state = 'waiting';

-- One-time codes by which people add what they sign in with.
CREATE TABLE enrolment_codes (
  hash    text        PRIMARY KEY,
  uid     text        NOT NULL REFERENCES people ON DELETE CASCADE,
  made_by text        NOT NULL,
  how     text        NOT NULL DEFAULT '',
  until   timestamptz NOT NULL,
  used_at timestamptz -- null: not yet
);
CREATE INDEX enrolment_codes_uid ON enrolment_codes (uid);

-- What a document manages, as against what was made by hand.
CREATE TABLE managed (
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, name)
);

-- Where the journal has what people ask about: refusals, and what was changed.
-- What every sign-in writes is not here: it must cost no sign-in anything.
CREATE TABLE audit_index (
  server    text        NOT NULL,
  seq       bigint      NOT NULL,
  at        timestamptz NOT NULL,
  reference text        NOT NULL, -- the part of the request ID that people read out
  subject   text        NOT NULL,
  actor     text        NOT NULL,
  PRIMARY KEY (server, seq)
);
CREATE INDEX audit_index_reference ON audit_index (reference) WHERE reference <> '';
CREATE INDEX audit_index_subject ON audit_index (subject, at) WHERE subject <> '';
CREATE INDEX audit_index_actor ON audit_index (actor, at) WHERE actor <> '';

-- When people last signed in, as the journal says: it is gathered from there
-- now and then.
CREATE TABLE last_sign_ins (
  uid text        PRIMARY KEY,
  at  timestamptz NOT NULL
);
CREATE TABLE last_sign_ins_until (
  one boolean     PRIMARY KEY DEFAULT true CHECK (one),
  at  timestamptz NOT NULL -- what happened before is gathered
);

-- A uid is never used again. This outlasts whoever had it, so nothing refers to
-- people here.
CREATE TABLE used_uids (
  uid text PRIMARY KEY
);

-- +goose StatementBegin
CREATE FUNCTION use_uids() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO used_uids (uid) SELECT uid FROM added ORDER BY uid; -- a unique violation is a uid that was somebody's
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER use_uids AFTER INSERT ON people REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION use_uids();

-- +goose StatementBegin
CREATE FUNCTION keep_uid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a uid is its person''s for good';
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_uid BEFORE UPDATE OF uid ON people FOR EACH ROW WHEN (NEW.uid <> OLD.uid) EXECUTE FUNCTION keep_uid();

-- Nobody writes people from the triggers above until this is committed.
INSERT INTO used_uids (uid) SELECT uid FROM people;

-- People are found by the beginnings of their names, and by all that is one
-- person's alone. Small and capital letters are the same as far as the language
-- of the database knows them.
CREATE INDEX people_family ON people ((lower(family) COLLATE "C"), (lower(given) COLLATE "C"), uid);
CREATE INDEX people_given ON people ((lower(given) COLLATE "C"), (lower(family) COLLATE "C"), uid);
CREATE INDEX people_display ON people ((lower(display) COLLATE "C"), uid);
CREATE STATISTICS people_title ON (lower(title)) FROM people; -- few titles are many people's
CREATE INDEX cards_serial ON cards (serial);
CREATE INDEX organisations_parent ON organisations (parent);

-- The worklists.
CREATE INDEX people_robots ON people (uid) WHERE robot_owner <> '';
CREATE INDEX people_unproven ON people (uid) WHERE profile = 'unverified';
CREATE INDEX people_unreached ON people (uid) WHERE email = '' AND mobile = '';
CREATE INDEX cards_ending ON cards (ends_on, uid) WHERE state = 'active';
CREATE INDEX cards_stopped ON cards (state, uid) WHERE state IN ('suspended', 'blocked');
CREATE INDEX cards_series ON cards (series, uid) WHERE state = 'active';
CREATE INDEX authenticators_suspended ON authenticators (uid) WHERE state = 'suspended';
CREATE INDEX positions_temporary ON positions (uid) WHERE reason <> '';
CREATE INDEX positions_ended ON positions (uid) WHERE last_day IS NOT NULL;

-- What the registration authority keeps beside the directory.
--
-- The release before runs on this: it names its columns, and writes none of
-- these. No table is rewritten, and nobody is told of anything.

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

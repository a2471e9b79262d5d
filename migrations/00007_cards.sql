-- The certificates of cards, since when somebody has a card, and people who
-- apply for a care identity.
--
-- The release before runs on this: it names its columns, writes none of the new
-- ones and never two cards with one key. No table is rewritten.
--
-- Each statement is a transaction of its own: people sign in meanwhile, and none
-- of them is to wait for two tables. So each can be run again. Nobody who reads
-- waits for an index; who changes a card or a person does while it is made.

-- +goose NO TRANSACTION
-- +goose Up

ALTER TABLE cards
  ADD COLUMN IF NOT EXISTS certificate text,        -- DER in base64; null: nobody has shown it
  ADD COLUMN IF NOT EXISTS key_hash    text,        -- of the card's public key; null: likewise
  ADD COLUMN IF NOT EXISTS added_at    timestamptz, -- null: it came with a document
  ADD COLUMN IF NOT EXISTS revoked_at  timestamptz; -- null: it is not, or nobody wrote it down

-- One live certificate a card.
CREATE UNIQUE INDEX IF NOT EXISTS cards_key ON cards (key_hash) WHERE key_hash IS NOT NULL AND state <> 'revoked';

-- What an authority says is revoked.
CREATE INDEX IF NOT EXISTS cards_revoked ON cards (issuer, serial) WHERE state = 'revoked';

-- Whose cards had a key that was revoked with them: nobody gets a certificate for
-- it again.
CREATE INDEX IF NOT EXISTS cards_revoked_key ON cards (key_hash) WHERE key_hash IS NOT NULL AND state = 'revoked';

-- When somebody last signed in with a card, as the journal says: it is gathered
-- from there now and then, with last_sign_ins.
CREATE TABLE IF NOT EXISTS last_uses (
  uid           text        NOT NULL,
  authenticator text        NOT NULL, -- as sessions call it
  at            timestamptz NOT NULL,
  PRIMARY KEY (uid, authenticator)
);

-- People who were invited to apply for a care identity.
CREATE TABLE IF NOT EXISTS applicants (
  id           text        PRIMARY KEY,
  state        text        NOT NULL CHECK (state IN ('invited', 'applied', 'accepted', 'refused')),
  hash         text        NOT NULL UNIQUE, -- of the code by which they apply, which nobody keeps
  sealed       bytea       NOT NULL, -- their address and what they said, with the keyset for "applicant" and the id
  organisation text        NOT NULL, -- code of the one that invited them
  invited_by   text        NOT NULL,
  invited_at   timestamptz NOT NULL,
  until        timestamptz NOT NULL, -- until when that state may last
  applied_at   timestamptz,
  uid          text        NOT NULL DEFAULT '', -- who they became
  decided_by   text        NOT NULL DEFAULT '',
  decided_at   timestamptz
);
CREATE INDEX IF NOT EXISTS applicants_waiting ON applicants (invited_at, id) WHERE state IN ('invited', 'applied');

-- A blind index of National Insurance numbers: whoever reads the database
-- cannot tell them from it. A number without its tag gets one by and by, so
-- what the release before writes is found too.
ALTER TABLE people ADD COLUMN IF NOT EXISTS ni_tag bytea; -- HMAC-SHA-256 of the number; null: it has none yet
CREATE INDEX IF NOT EXISTS people_ni ON people (ni_tag) WHERE ni_tag IS NOT NULL;
CREATE INDEX IF NOT EXISTS people_untagged ON people (uid) WHERE ni_number IS NOT NULL AND ni_tag IS NULL;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION forget_ni_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.ni_tag := NULL;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER forget_ni_tag BEFORE UPDATE OF ni_number ON people FOR EACH ROW
  WHEN (NEW.ni_number IS DISTINCT FROM OLD.ni_number) EXECUTE FUNCTION forget_ni_tag();

-- The key of that index.
CREATE TABLE IF NOT EXISTS ni_key (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  sealed bytea   NOT NULL -- 32 random bytes, with the keyset for "ni_key"
);

-- Who still uses what of the old service (CIS1), day by day.
CREATE TABLE IF NOT EXISTS bridge_uses (
  day          date   NOT NULL,
  part         text   NOT NULL,
  call         text   NOT NULL,
  application  text   NOT NULL, -- as it calls itself
  version      text   NOT NULL,
  organisation text   NOT NULL, -- code; empty: nobody could say
  uid          text   NOT NULL,
  calls        bigint NOT NULL,
  PRIMARY KEY (day, part, call, application, version, organisation, uid)
);

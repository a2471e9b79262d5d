-- The certificates of cards, since when somebody has a card, and people who
-- apply for a care identity.
--
-- The release before runs on this: it names its columns, writes none of the new
-- ones and never two cards with one key. No table is rewritten.

-- +goose Up

ALTER TABLE cards
  ADD COLUMN certificate text,        -- DER in base64; null: nobody has shown it
  ADD COLUMN key_hash    text,        -- of the card's public key; null: likewise
  ADD COLUMN added_at    timestamptz, -- null: it came with a document
  ADD COLUMN revoked_at  timestamptz; -- null: it is not, or nobody wrote it down

-- One live certificate a card.
CREATE UNIQUE INDEX cards_key ON cards (key_hash) WHERE key_hash IS NOT NULL AND state <> 'revoked';

-- What an authority says is revoked.
CREATE INDEX cards_revoked ON cards (issuer, serial) WHERE state = 'revoked';

-- People who were invited to apply for a care identity.
CREATE TABLE applicants (
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
CREATE INDEX applicants_waiting ON applicants (invited_at, id) WHERE state IN ('invited', 'applied');

-- The certificates of cards, and since when somebody has a card.
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

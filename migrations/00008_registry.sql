-- Whose cards had a key that was revoked with them, so that nobody gets a
-- certificate for it again, and when cards were last used.
--
-- The release before runs on this: it knows neither.

-- +goose Up

CREATE INDEX cards_revoked_key ON cards (key_hash) WHERE key_hash IS NOT NULL AND state = 'revoked';

-- When somebody last signed in with a card, as the journal says: it is gathered
-- from there now and then, with last_sign_ins.
CREATE TABLE last_uses (
  uid           text        NOT NULL,
  authenticator text        NOT NULL, -- as sessions call it
  at            timestamptz NOT NULL,
  PRIMARY KEY (uid, authenticator)
);

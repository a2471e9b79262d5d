-- Whose cards had a key that was revoked with them: nobody gets a certificate
-- for it again. The release before runs on this.

-- +goose Up

CREATE INDEX cards_revoked_key ON cards (key_hash) WHERE key_hash IS NOT NULL AND state = 'revoked';

-- Where the chains of the journal end, said once a minute by every server and
-- signed: who cuts the end off a chain, or writes it anew, contradicts that.

-- +goose Up

CREATE TABLE audit_seals (
  server text        NOT NULL, -- who signed: the first chain of its life
  n      bigint      NOT NULL, -- from 1, without a gap
  at     timestamptz NOT NULL,
  seal   text        NOT NULL, -- a compact JWS
  PRIMARY KEY (server, n)
);
CREATE INDEX audit_seals_at ON audit_seals (at);

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
  FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

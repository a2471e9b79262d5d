-- What the service knows, what happened, and what may not happen again.
--
-- Times come from the servers, whose clock is one that tests can set: nothing
-- here reads the database's own. Dates are days in London.

-- +goose Up

CREATE TABLE organisations (
  code      text PRIMARY KEY,
  name      text NOT NULL DEFAULT '',
  parent    text NOT NULL DEFAULT '',
  closed_on date,
  successor text NOT NULL DEFAULT ''
);

CREATE TABLE people (
  uid                text     PRIMARY KEY CHECK (uid ~ '^[0-9]{12}$'),
  title              text     NOT NULL DEFAULT '',
  given              text     NOT NULL DEFAULT '',
  middle             text     NOT NULL DEFAULT '',
  family             text     NOT NULL DEFAULT '',
  display            text     NOT NULL DEFAULT '',
  email              text     NOT NULL DEFAULT '',
  mobile             text     NOT NULL DEFAULT '',
  ni_number          bytea,   -- sealed with the keyset for "ni_number" and the uid
  identity_assurance smallint NOT NULL DEFAULT 0 CHECK (identity_assurance BETWEEN 0 AND 3),
  profile            text     NOT NULL CHECK (profile IN ('verified', 'unverified', 'restricted', 'closed')),
  professional       jsonb    NOT NULL DEFAULT '{}' -- {"gmc_id": "C1234567"}
);

CREATE TABLE positions (
  id            text  PRIMARY KEY,
  uid           text  NOT NULL REFERENCES people ON DELETE CASCADE,
  place         int   NOT NULL, -- among the person's, in the order in which they were given
  org_person_id text  NOT NULL DEFAULT '',
  organisation  text  NOT NULL REFERENCES organisations,
  role_code     text  NOT NULL,
  role_name     text  NOT NULL DEFAULT '',
  activities    jsonb NOT NULL DEFAULT '[]', -- [{"code": ..., "name": ...}], likewise the next two
  areas_of_work jsonb NOT NULL DEFAULT '[]',
  workgroups    jsonb NOT NULL DEFAULT '[]',
  first_day     date, -- null: open; the last day is included
  last_day      date
);
CREATE INDEX positions_uid ON positions (uid);
CREATE INDEX positions_organisation ON positions (organisation);

CREATE TABLE memberships (
  uid           text NOT NULL REFERENCES people ON DELETE CASCADE,
  place         int  NOT NULL,
  org_person_id text NOT NULL DEFAULT '',
  organisation  text NOT NULL REFERENCES organisations,
  gnc           text NOT NULL DEFAULT '',
  PRIMARY KEY (uid, place)
);

CREATE TABLE cards (
  issuer     text     NOT NULL, -- upper-case hex SHA-256 of the authority's public key
  serial     text     NOT NULL, -- of the certificate, upper-case hex, an even number of digits
  written    text     NOT NULL, -- the serial number as it was given
  uid        text     NOT NULL REFERENCES people ON DELETE CASCADE,
  place      int      NOT NULL,
  series     smallint NOT NULL,
  state      text     NOT NULL CHECK (state IN ('active', 'suspended', 'blocked', 'revoked')),
  registered boolean  NOT NULL DEFAULT true,
  PRIMARY KEY (issuer, serial)
);
CREATE INDEX cards_uid ON cards (uid);

CREATE TABLE clients (
  id                        text     PRIMARY KEY,
  name                      text     NOT NULL DEFAULT '',
  secret_hash               text     NOT NULL DEFAULT '',
  auth_method               text     NOT NULL,
  jwks_uri                  text     NOT NULL DEFAULT '',
  jwks                      bytea,
  assertion_algs            text[]   NOT NULL DEFAULT '{}',
  assertion_audiences       text[]   NOT NULL DEFAULT '{}',
  redirect_uris             text[]   NOT NULL DEFAULT '{}',
  post_logout_redirect_uris text[]   NOT NULL DEFAULT '{}',
  backchannel_logout_uri    text     NOT NULL DEFAULT '',
  scopes                    text[]   NOT NULL DEFAULT '{}',
  grants                    text[]   NOT NULL DEFAULT '{}',
  response_modes            text[]   NOT NULL DEFAULT '{}',
  id_token_alg              text     NOT NULL,
  userinfo_alg              text     NOT NULL DEFAULT '',
  require_pkce              boolean  NOT NULL DEFAULT false,
  acr_default               text     NOT NULL,
  acr_allowed               text[]   NOT NULL DEFAULT '{}',
  min_level                 smallint NOT NULL DEFAULT 1,
  requires_role             boolean  NOT NULL DEFAULT false,
  accepts_unverified        boolean  NOT NULL DEFAULT false
);

-- One row: what is neither a person nor a client.
CREATE TABLE policy (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  warn_days int[]   NOT NULL DEFAULT '{}'
);

CREATE TABLE card_series (
  place          bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were given
  series         smallint NOT NULL,
  blocked_from   date,
  legacy_gateway boolean  NOT NULL DEFAULT true
);

CREATE TABLE agent_rules (
  place        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were given
  product      text   NOT NULL,
  excepted     text   NOT NULL DEFAULT '', -- the one version that stays
  below        text   NOT NULL DEFAULT '', -- versions before this one are blocked
  blocked_from date
);

CREATE TABLE last_roles (
  uid      text NOT NULL REFERENCES people ON DELETE CASCADE,
  client   text NOT NULL,
  position text NOT NULL,
  PRIMARY KEY (uid, client)
);

CREATE TABLE notices (
  uid     text        PRIMARY KEY REFERENCES people ON DELETE CASCADE,
  told_at timestamptz NOT NULL
);

-- What became true once and must not become true again.
CREATE TABLE fences (
  kind  text        NOT NULL,
  hash  text        NOT NULL, -- base64url SHA-256, or a name that is no secret
  until timestamptz NOT NULL, -- from then on what it guards is worth nothing
  PRIMARY KEY (kind, hash)
);
CREATE INDEX fences_until ON fences (until);

-- Who records finds out in the same statement that a fence stood, and all of it
-- is undone.
-- +goose StatementBegin
CREATE FUNCTION fence_stood() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a fence stood already' USING ERRCODE = 'LY001';
END $$;
-- +goose StatementEnd

-- The journal. Each server that ever ran has a chain of its own: the hash of an
-- event is SHA-256 over the hash before it and the bytes of the event.
CREATE TABLE audit_events (
  server text        NOT NULL, -- one life of one server
  seq    bigint      NOT NULL, -- from 1, without a gap
  at     timestamptz NOT NULL,
  event  text        NOT NULL, -- JSON, to the byte as it was hashed
  hash   bytea       NOT NULL,
  PRIMARY KEY (server, seq)
);
CREATE INDEX audit_events_at ON audit_events (at);

-- +goose StatementBegin
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

-- Keys that sign, with the times that decide what each is for.
CREATE TABLE signing_keys (
  kid             text        PRIMARY KEY,
  algs            text[]      NOT NULL,
  public          bytea       NOT NULL, -- PKIX, DER
  sealed          bytea       NOT NULL, -- the private key, or its name in a token, by the vault that made it
  published_from  timestamptz NOT NULL,
  signs_from      timestamptz NOT NULL,
  signs_until     timestamptz, -- null: until another key does
  published_until timestamptz,
  revoked_at      timestamptz
);

-- Who changes what others keep in memory says so: the kind and the name of what
-- changed, with a space between, and the kind alone where it may be any. The
-- arguments of the trigger are the kind and the columns that make the name.
-- Servers listen.
-- +goose StatementBegin
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  name text;
  was  text;
BEGIN
  IF TG_LEVEL = 'STATEMENT' THEN
    PERFORM pg_notify('lanyard', TG_ARGV[0]);
    RETURN NULL;
  END IF;
  FOR i IN 1 .. TG_NARGS - 1 LOOP
    IF TG_OP <> 'DELETE' THEN
      name := concat_ws(' ', name, to_jsonb(NEW) ->> TG_ARGV[i]);
    END IF;
    IF TG_OP <> 'INSERT' THEN
      was := concat_ws(' ', was, to_jsonb(OLD) ->> TG_ARGV[i]);
    END IF;
  END LOOP;
  IF name IS NOT NULL THEN
    PERFORM pg_notify('lanyard', concat_ws(' ', TG_ARGV[0], name));
  END IF;
  IF was IS DISTINCT FROM name AND was IS NOT NULL THEN
    PERFORM pg_notify('lanyard', concat_ws(' ', TG_ARGV[0], was));
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION tell('person', 'uid');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON positions FOR EACH ROW EXECUTE FUNCTION tell('person', 'uid');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON memberships FOR EACH ROW EXECUTE FUNCTION tell('person', 'uid');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON cards FOR EACH ROW EXECUTE FUNCTION tell('card', 'issuer', 'serial');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON clients FOR EACH ROW EXECUTE FUNCTION tell('client', 'id');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON last_roles FOR EACH ROW EXECUTE FUNCTION tell('last_role', 'uid');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON notices FOR EACH ROW EXECUTE FUNCTION tell('notice', 'uid');

CREATE TRIGGER tell_all AFTER TRUNCATE ON people FOR EACH STATEMENT EXECUTE FUNCTION tell('person');
CREATE TRIGGER tell_all AFTER TRUNCATE ON positions FOR EACH STATEMENT EXECUTE FUNCTION tell('person');
CREATE TRIGGER tell_all AFTER TRUNCATE ON memberships FOR EACH STATEMENT EXECUTE FUNCTION tell('person');
CREATE TRIGGER tell_all AFTER TRUNCATE ON cards FOR EACH STATEMENT EXECUTE FUNCTION tell('card');
CREATE TRIGGER tell_all AFTER TRUNCATE ON clients FOR EACH STATEMENT EXECUTE FUNCTION tell('client');
CREATE TRIGGER tell_all AFTER TRUNCATE ON last_roles FOR EACH STATEMENT EXECUTE FUNCTION tell('last_role');
CREATE TRIGGER tell_all AFTER TRUNCATE ON notices FOR EACH STATEMENT EXECUTE FUNCTION tell('notice');

CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON organisations FOR EACH STATEMENT EXECUTE FUNCTION tell('person');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON policy FOR EACH STATEMENT EXECUTE FUNCTION tell('policy');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON card_series FOR EACH STATEMENT EXECUTE FUNCTION tell('policy');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON agent_rules FOR EACH STATEMENT EXECUTE FUNCTION tell('policy');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION tell('keys');

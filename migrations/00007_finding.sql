-- How the registration authority finds people, and that no uid is used again.
--
-- This looks at all people there are. Meanwhile they can be read, and who
-- changes them has to wait. The release before runs on this: what it adds of
-- people is taken up by a trigger.

-- +goose Up

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

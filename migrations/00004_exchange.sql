-- Which clients may exchange their tokens for one that is for a client.
--
-- The release before runs on this: it names its columns, and nobody exchanges
-- anything for what it registers.

-- +goose Up

ALTER TABLE clients ADD COLUMN exchange_from text[] NOT NULL DEFAULT '{}';

-- +goose Up

-- wrapped is a key under the root key whose fingerprint is root. Blobs name
-- the key that sealed them; new ones are sealed under the key with the highest
-- number. The number is the primary key so that of two servers that start on
-- an empty database only one makes the first.
CREATE TABLE keyring (
	number     BIGINT NOT NULL PRIMARY KEY,
	id         TEXT   NOT NULL UNIQUE,
	wrapped    BYTEA  NOT NULL,
	root       TEXT   NOT NULL,
	created_at BIGINT NOT NULL
);

-- +goose Up

-- wrapped is a key under the root key whose fingerprint is root. Blobs name
-- the key that sealed them; new ones are sealed under the newest.
CREATE TABLE keyring (
	id         TEXT   NOT NULL PRIMARY KEY,
	wrapped    BYTEA  NOT NULL,
	root       TEXT   NOT NULL,
	created_at BIGINT NOT NULL
);

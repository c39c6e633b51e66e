-- +goose Up

-- What was imported into a key of external origin, also after its material was
-- deleted: fingerprint, sealed by the keyring, is of the one material that may
-- be imported again. expires_at is 0 for material that does not expire.
CREATE TABLE kms_imports (
	key_id      TEXT   NOT NULL PRIMARY KEY,
	fingerprint BYTEA  NOT NULL,
	expires_at  BIGINT NOT NULL,
	description TEXT   NOT NULL
);
CREATE INDEX kms_imports_by_expiry ON kms_imports (expires_at) WHERE expires_at > 0;

-- +goose Up

-- deleted_at is the moment from which a secret scheduled for deletion is gone;
-- accessed_at is the start of the UTC day of the last read, 0 before the first.
-- stages is a JSON object of staging labels and their versions, tags a JSON
-- list of keys and values: both are always read and written whole. held is the
-- number of versions. tagged stays true once a secret has had a tag: AWS then
-- shows an empty list. rev grows with every transaction that touches the secret
-- or a version.
CREATE TABLE secrets (
	id          TEXT    NOT NULL PRIMARY KEY,
	account     TEXT    NOT NULL,
	region      TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	suffix      TEXT    NOT NULL,
	rev         BIGINT  NOT NULL,
	description TEXT    NOT NULL,
	kms_key_id  TEXT    NOT NULL,
	policy      TEXT    NOT NULL,
	stages      TEXT    NOT NULL,
	held        BIGINT  NOT NULL,
	tags        TEXT    NOT NULL,
	tagged      BOOLEAN NOT NULL,
	created_at  BIGINT  NOT NULL,
	changed_at  BIGINT  NOT NULL,
	accessed_at BIGINT  NOT NULL,
	deleted_at  BIGINT,
	UNIQUE (account, region, name)
);
-- The orders of lists are indexed under an expression that stands for account
-- and region, so that a secret is never looked for by name in one of these:
-- before PostgreSQL has looked at how much there is, it takes all indexes that
-- begin with the same columns for equally good.
CREATE INDEX secrets_by_creation ON secrets ((account || '/' || region), created_at, id);
CREATE INDEX secrets_by_change ON secrets ((account || '/' || region), changed_at, id);
CREATE INDEX secrets_by_access ON secrets ((account || '/' || region), accessed_at, id);
-- What lists of the names with a prefix are sorted by, by default, without a look
-- at the rows.
CREATE INDEX secrets_by_name ON secrets (account, region, name, created_at, id);
CREATE INDEX secrets_due ON secrets (deleted_at) WHERE deleted_at IS NOT NULL;

-- kind is 'string', 'binary', or '' for a version that has no value yet.
-- kms_key is the ARN of the key that sealed data_key, '' for the default key.
CREATE TABLE secret_versions (
	secret_id   TEXT   NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
	version_id  TEXT   NOT NULL,
	kind        TEXT   NOT NULL,
	kms_key     TEXT   NOT NULL,
	data_key    BYTEA,
	value       BYTEA,
	created_at  BIGINT NOT NULL,
	accessed_at BIGINT NOT NULL,
	PRIMARY KEY (secret_id, version_id)
);

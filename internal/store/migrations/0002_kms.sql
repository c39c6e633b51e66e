-- +goose Up

-- manager is AWS for the keys that services make on first use.
CREATE TABLE kms_keys (
	id         TEXT   NOT NULL PRIMARY KEY,
	account    TEXT   NOT NULL,
	region     TEXT   NOT NULL,
	manager    TEXT   NOT NULL,
	created_at BIGINT NOT NULL
);

-- material is sealed by the keyring. A key keeps all its versions, so that
-- what an older one sealed still opens; the highest seals.
CREATE TABLE kms_material (
	key_id     TEXT   NOT NULL REFERENCES kms_keys (id) ON DELETE CASCADE,
	version    BIGINT NOT NULL,
	material   BYTEA  NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (key_id, version)
);

CREATE TABLE kms_aliases (
	account TEXT NOT NULL,
	region  TEXT NOT NULL,
	name    TEXT NOT NULL,
	key_id  TEXT NOT NULL REFERENCES kms_keys (id) ON DELETE CASCADE,
	PRIMARY KEY (account, region, name)
);

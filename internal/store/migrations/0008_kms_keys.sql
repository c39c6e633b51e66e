-- +goose Up

-- The tables of 0002 hold no more than default keys: they are made anew, and
-- what is in them is copied.
ALTER TABLE kms_keys RENAME TO kms_keys_2;
ALTER TABLE kms_material RENAME TO kms_material_2;
ALTER TABLE kms_aliases RENAME TO kms_aliases_2;

-- A multi-Region key has a row in each of its regions, with the same id and
-- primary_region, which is '' for the others. rev grows with every transaction
-- that touches what is read with the row: its material and its regions, too.
-- manager is AWS for the keys that services make on first use; their policy is
-- part of the program, and '' here. rotation_days is 0 where there is no
-- rotation, and rotate_at with it; delete_at and window_days are 0 for a key
-- that is not to be deleted.
CREATE TABLE kms_keys (
	arn            TEXT   NOT NULL PRIMARY KEY,
	account        TEXT   NOT NULL,
	region         TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	rev            BIGINT NOT NULL,
	manager        TEXT   NOT NULL,
	spec           TEXT   NOT NULL,
	key_usage      TEXT   NOT NULL,
	origin         TEXT   NOT NULL,
	state          TEXT   NOT NULL,
	description    TEXT   NOT NULL,
	policy         TEXT   NOT NULL,
	tags           TEXT   NOT NULL,
	primary_region TEXT   NOT NULL,
	rotation_days  BIGINT NOT NULL,
	rotate_at      BIGINT NOT NULL,
	window_days    BIGINT NOT NULL,
	delete_at      BIGINT NOT NULL,
	created_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX kms_keys_by_id ON kms_keys (id, region);
CREATE INDEX kms_keys_by_rotation ON kms_keys (rotate_at) WHERE rotate_at > 0;
CREATE INDEX kms_keys_by_deletion ON kms_keys (delete_at) WHERE delete_at > 0;
CREATE UNIQUE INDEX kms_keys_by_account ON kms_keys (account, region, id);

INSERT INTO kms_keys (arn, account, region, id, rev, manager, spec, key_usage, origin, state, description, policy, tags,
	primary_region, rotation_days, rotate_at, window_days, delete_at, created_at)
SELECT 'arn:aws:kms:' || region || ':' || account || ':key/' || id, account, region, id, 1, manager,
	'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AWS_KMS', 'Enabled',
	'Default key that protects my Secrets Manager data when no other key is defined', '', '[]', '', 365, created_at + 31536000000, 0, 0, created_at
FROM kms_keys_2;

-- material is sealed by the keyring. A key keeps all its versions, so that
-- what an older one sealed still opens; the highest seals. All rows of a
-- multi-Region key have these in common. rotation is how a version came to be:
-- AUTOMATIC, ON_DEMAND, or '' for the first.
CREATE TABLE kms_material (
	key_id     TEXT   NOT NULL,
	version    BIGINT NOT NULL,
	material   BYTEA  NOT NULL,
	rotation   TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (key_id, version)
);
INSERT INTO kms_material (key_id, version, material, rotation, created_at) SELECT key_id, version, material, '', created_at FROM kms_material_2;

CREATE TABLE kms_aliases (
	account    TEXT   NOT NULL,
	region     TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	key_arn    TEXT   NOT NULL REFERENCES kms_keys (arn) ON DELETE CASCADE,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (account, region, name)
);
CREATE INDEX kms_aliases_by_key ON kms_aliases (key_arn, name);
INSERT INTO kms_aliases (account, region, name, key_arn, created_at, updated_at)
SELECT a.account, a.region, a.name, k.arn, k.created_at, k.created_at FROM kms_aliases_2 a JOIN kms_keys k ON k.id = a.key_id;

DROP TABLE kms_aliases_2;
DROP TABLE kms_material_2;
DROP TABLE kms_keys_2;

-- +goose Up

-- One account is the first: it was made with the store and owns the first
-- administrator. alias is unique among all accounts; password_policy is a JSON
-- object, '' for the default.
CREATE TABLE iam_accounts (
	id              TEXT    NOT NULL PRIMARY KEY,
	is_first        BOOLEAN NOT NULL,
	alias           TEXT,
	password_policy TEXT    NOT NULL,
	created_at      BIGINT  NOT NULL
);
CREATE UNIQUE INDEX iam_accounts_first ON iam_accounts (is_first) WHERE is_first;
CREATE UNIQUE INDEX iam_accounts_alias ON iam_accounts (alias) WHERE alias IS NOT NULL;

-- Names are unique without regard to case and kept as they were given; folded
-- is the name in lower case. tags is a JSON list of keys and values. rev grows
-- with every transaction that touches what decisions need of a user: name, path
-- and tags, the policies and the boundary, the groups and their policies.
CREATE TABLE iam_users (
	id         TEXT   NOT NULL PRIMARY KEY,
	account    TEXT   NOT NULL REFERENCES iam_accounts (id),
	path       TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	folded     TEXT   NOT NULL,
	rev        BIGINT NOT NULL,
	tags       TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	UNIQUE (account, folded)
);

-- used_at is about when the key was last used, 0 for never; it is no part of
-- what rev counts.
CREATE TABLE iam_access_keys (
	id           TEXT   NOT NULL PRIMARY KEY,
	user_id      TEXT   NOT NULL REFERENCES iam_users (id) ON DELETE CASCADE,
	status       TEXT   NOT NULL,
	secret       BYTEA  NOT NULL,
	rev          BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	used_at      BIGINT NOT NULL,
	used_service TEXT   NOT NULL,
	used_region  TEXT   NOT NULL
);
CREATE INDEX iam_access_keys_by_user ON iam_access_keys (user_id, created_at, id);

-- password is a hash, sealed; former is a JSON list of the ones before it, the
-- newest first. used_at is 0 before the first sign-in.
CREATE TABLE iam_login_profiles (
	user_id    TEXT    NOT NULL PRIMARY KEY REFERENCES iam_users (id) ON DELETE CASCADE,
	password   TEXT    NOT NULL,
	former     TEXT    NOT NULL,
	must_reset BOOLEAN NOT NULL,
	created_at BIGINT  NOT NULL,
	changed_at BIGINT  NOT NULL,
	used_at    BIGINT  NOT NULL
);

-- serial is the ARN. user_id is NULL for a device that nobody has enabled; step
-- is the last time step of which a code was taken, so that none is taken twice.
CREATE TABLE iam_mfa_devices (
	serial     TEXT   NOT NULL PRIMARY KEY,
	account    TEXT   NOT NULL REFERENCES iam_accounts (id),
	user_id    TEXT   REFERENCES iam_users (id) ON DELETE CASCADE,
	seed       BYTEA  NOT NULL,
	step       BIGINT NOT NULL,
	tags       TEXT   NOT NULL,
	enabled_at BIGINT NOT NULL
);
CREATE INDEX iam_mfa_devices_by_account ON iam_mfa_devices (account, serial);
CREATE INDEX iam_mfa_devices_by_user ON iam_mfa_devices (user_id, serial);

-- The row of a group is locked by whoever changes its policies or members.
CREATE TABLE iam_groups (
	id         TEXT   NOT NULL PRIMARY KEY,
	account    TEXT   NOT NULL REFERENCES iam_accounts (id),
	path       TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	folded     TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	UNIQUE (account, folded)
);

CREATE TABLE iam_members (
	group_id TEXT   NOT NULL REFERENCES iam_groups (id) ON DELETE CASCADE,
	user_id  TEXT   NOT NULL REFERENCES iam_users (id) ON DELETE CASCADE,
	added_at BIGINT NOT NULL,
	PRIMARY KEY (group_id, user_id)
);
CREATE INDEX iam_members_by_user ON iam_members (user_id, group_id);

-- trust is the trust policy, in which ids stand for users and roles; rev as of
-- iam_users, and for trust and max_session, which is in seconds.
CREATE TABLE iam_roles (
	id          TEXT   NOT NULL PRIMARY KEY,
	account     TEXT   NOT NULL REFERENCES iam_accounts (id),
	path        TEXT   NOT NULL,
	name        TEXT   NOT NULL,
	folded      TEXT   NOT NULL,
	rev         BIGINT NOT NULL,
	trust       TEXT   NOT NULL,
	description TEXT   NOT NULL,
	max_session BIGINT NOT NULL,
	tags        TEXT   NOT NULL,
	created_at  BIGINT NOT NULL,
	used_at     BIGINT NOT NULL,
	used_region TEXT   NOT NULL,
	UNIQUE (account, folded)
);

-- url has no scheme; clients and thumbprints are JSON lists.
CREATE TABLE iam_oidc_providers (
	account     TEXT   NOT NULL REFERENCES iam_accounts (id),
	url         TEXT   NOT NULL,
	clients     TEXT   NOT NULL,
	thumbprints TEXT   NOT NULL,
	tags        TEXT   NOT NULL,
	created_at  BIGINT NOT NULL,
	PRIMARY KEY (account, url)
);

-- The last credential report of an account.
CREATE TABLE iam_credential_reports (
	account      TEXT   NOT NULL PRIMARY KEY REFERENCES iam_accounts (id),
	content      BYTEA  NOT NULL,
	generated_at BIGINT NOT NULL
);

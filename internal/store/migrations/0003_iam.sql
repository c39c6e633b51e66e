-- +goose Up

-- One account is the first: it was made with the store and owns the first
-- administrator.
CREATE TABLE iam_accounts (
	id         TEXT    NOT NULL PRIMARY KEY,
	is_first   BOOLEAN NOT NULL,
	created_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX iam_accounts_first ON iam_accounts (is_first) WHERE is_first;

-- Names are unique without regard to case and kept as they were given; folded
-- is the name in lower case.
CREATE TABLE iam_users (
	id         TEXT   NOT NULL PRIMARY KEY,
	account    TEXT   NOT NULL REFERENCES iam_accounts (id),
	path       TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	folded     TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	UNIQUE (account, folded)
);

CREATE TABLE iam_access_keys (
	id         TEXT   NOT NULL PRIMARY KEY,
	user_id    TEXT   NOT NULL REFERENCES iam_users (id) ON DELETE CASCADE,
	status     TEXT   NOT NULL,
	secret     BYTEA  NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX iam_access_keys_by_user ON iam_access_keys (user_id, created_at, id);

-- identity_id is the unique id of what the policy is attached to, whose prefix
-- says which kind it is.
CREATE TABLE iam_attached_policies (
	identity_id TEXT   NOT NULL,
	policy_arn  TEXT   NOT NULL,
	attached_at BIGINT NOT NULL,
	PRIMARY KEY (identity_id, policy_arn)
);

-- +goose Up

-- The managed policies of accounts; AWS's own are part of the program. The row
-- of one is locked by whoever changes its default version, attaches or detaches
-- it; rev grows with each change of the default version. Numbers of versions
-- are not used again: newest is the highest that there was.
CREATE TABLE iam_policies (
	id              TEXT   NOT NULL PRIMARY KEY,
	account         TEXT   NOT NULL REFERENCES iam_accounts (id),
	path            TEXT   NOT NULL,
	name            TEXT   NOT NULL,
	folded          TEXT   NOT NULL,
	rev             BIGINT NOT NULL,
	description     TEXT   NOT NULL,
	tags            TEXT   NOT NULL,
	default_version BIGINT NOT NULL,
	newest          BIGINT NOT NULL,
	created_at      BIGINT NOT NULL,
	updated_at      BIGINT NOT NULL,
	UNIQUE (account, folded)
);

-- A version does not change.
CREATE TABLE iam_policy_versions (
	policy_id  TEXT   NOT NULL REFERENCES iam_policies (id) ON DELETE CASCADE,
	number     BIGINT NOT NULL,
	document   TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (policy_id, number)
);

-- identity_id is the unique id of the user, group or role that a policy is
-- attached to, whose prefix says which it is; account is its account. purpose
-- is 'permissions' or 'boundary', of which an identity has one at most.
CREATE TABLE iam_attached_policies (
	identity_id TEXT   NOT NULL,
	policy_arn  TEXT   NOT NULL,
	purpose     TEXT   NOT NULL,
	account     TEXT   NOT NULL,
	attached_at BIGINT NOT NULL,
	PRIMARY KEY (identity_id, purpose, policy_arn)
);
CREATE INDEX iam_attached_policies_by_policy ON iam_attached_policies (account, policy_arn, identity_id);

CREATE TABLE iam_inline_policies (
	identity_id TEXT   NOT NULL,
	name        TEXT   NOT NULL,
	document    TEXT   NOT NULL,
	PRIMARY KEY (identity_id, name)
);

-- +goose Up

-- There is one organization, of the first account; its row is locked by
-- whoever changes anything in it. guarded says that service control policies
-- are enabled. tags, here and below, is a JSON list of keys and values; these
-- are the root's.
CREATE TABLE org_organizations (
	management TEXT    NOT NULL PRIMARY KEY REFERENCES iam_accounts (id),
	id         TEXT    NOT NULL,
	root       TEXT    NOT NULL,
	guarded    BOOLEAN NOT NULL,
	tags       TEXT    NOT NULL,
	created_at BIGINT  NOT NULL
);

-- rev grows with every transaction that touches what decisions need of an
-- account: its state, and the policies on it and on the root. email is unique
-- without regard to case, and '' for the first account; closed_at is 0 for an
-- account that is open.
CREATE TABLE org_accounts (
	id        TEXT   NOT NULL PRIMARY KEY REFERENCES iam_accounts (id),
	name      TEXT   NOT NULL,
	email     TEXT   NOT NULL,
	folded    TEXT   NOT NULL,
	rev       BIGINT NOT NULL,
	tags      TEXT   NOT NULL,
	joined_at BIGINT NOT NULL,
	closed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX org_accounts_email ON org_accounts (folded) WHERE folded <> '';

CREATE TABLE org_policies (
	id          TEXT   NOT NULL PRIMARY KEY,
	name        TEXT   NOT NULL UNIQUE,
	description TEXT   NOT NULL,
	content     TEXT   NOT NULL,
	tags        TEXT   NOT NULL
);

-- target is an account or the root. p-FullAWSAccess, which is part of the
-- program, is attached here like the others.
CREATE TABLE org_attachments (
	target    TEXT NOT NULL,
	policy_id TEXT NOT NULL,
	PRIMARY KEY (target, policy_id)
);
CREATE INDEX org_attachments_by_policy ON org_attachments (policy_id, target);

-- What became of each CreateAccount of the last 90 days. account is '' for one
-- that failed, and reason for one that did not.
CREATE TABLE org_requests (
	id           TEXT   NOT NULL PRIMARY KEY,
	name         TEXT   NOT NULL,
	account      TEXT   NOT NULL,
	reason       TEXT   NOT NULL,
	requested_at BIGINT NOT NULL
);
CREATE INDEX org_requests_by_time ON org_requests (requested_at);

-- +goose Up

-- grantee and retiring are unique ids of users and roles, ARNs of other
-- principals, or names of services; retiring is '' where nobody was named.
-- operations and constraints are JSON. rev of the key grows with every change
-- of its grants.
CREATE TABLE kms_grants (
	id          TEXT   NOT NULL PRIMARY KEY,
	key_arn     TEXT   NOT NULL REFERENCES kms_keys (arn) ON DELETE CASCADE,
	name        TEXT   NOT NULL,
	grantee     TEXT   NOT NULL,
	retiring    TEXT   NOT NULL,
	issuer      TEXT   NOT NULL,
	operations  TEXT   NOT NULL,
	constraints TEXT   NOT NULL,
	created_at  BIGINT NOT NULL
);
CREATE INDEX kms_grants_by_key ON kms_grants (key_arn, id);
CREATE INDEX kms_grants_by_grantee ON kms_grants (key_arn, grantee);
CREATE INDEX kms_grants_by_retiring ON kms_grants (retiring, id) WHERE retiring <> '';

-- +goose Up

-- Which secrets a key guards. Those under a default key are not looked for.
CREATE INDEX secret_versions_by_key ON secret_versions (kms_key) WHERE kms_key <> '';

-- accessed_by is the ARN of who was the first to read the secret on the day of
-- accessed_at.
ALTER TABLE secrets ADD COLUMN accessed_by TEXT NOT NULL DEFAULT '';

CREATE INDEX kms_keys_doomed ON kms_keys (arn) WHERE window_days > 0;

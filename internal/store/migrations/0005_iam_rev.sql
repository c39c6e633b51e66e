-- +goose Up

-- rev grows with every transaction that touches the user, what is attached to
-- it, or its access keys.
ALTER TABLE iam_users ADD COLUMN rev BIGINT NOT NULL DEFAULT 1;

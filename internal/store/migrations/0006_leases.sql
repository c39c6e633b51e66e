-- +goose Up

-- Of the processes that could do a job one holds its lease, until expires_at
-- by the database's clock. term grows each time a lease changes hands.
CREATE TABLE leases (
	name       TEXT   NOT NULL PRIMARY KEY,
	holder     TEXT   NOT NULL,
	term       BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);

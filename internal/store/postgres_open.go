package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// isPrimary refuses a server that must not be written to. Of a cluster that
// replicates synchronously a primary without a standby is refused too: it may
// have been replaced already without knowing, and still say read-write.
func isPrimary(ctx context.Context, c *pgconn.PgConn) error {
	const query = `SELECT NOT pg_is_in_recovery() AND (current_setting('synchronous_standby_names') = ''
		OR EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')))`
	r := c.ExecParams(ctx, query, nil, nil, nil, nil).Read()
	if r.Err != nil {
		return r.Err
	}
	if len(r.Rows) != 1 || string(r.Rows[0][0]) != "t" {
		return errors.New("the server is not the primary, or no synchronous standby confirms that it is")
	}
	return nil
}

// firstContact makes a connection. A server that has just been started too, or
// is too busy to answer in time, gets as much patience as it has later; with
// any other refusal the operator does not wait for the error.
func firstContact(ctx context.Context, connect func() error) error {
	for limit := time.Now().Add(patience); ; {
		err := connect()
		passes := stateOf(err) == cannotConnectNow || stateOf(err) == tooManyConnections || errors.Is(err, context.DeadlineExceeded)
		if !passes || time.Now().After(limit) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(probePause):
		}
	}
}

// checkServer refuses a database that would sort otherwise than by bytes, or
// would acknowledge what it can lose. It compares texts and does not ask for
// the collation's name, which says little: that depends on its provider too.
func checkServer(ctx context.Context, db queryer) error {
	var encoding, synchronous string
	var sorts bool
	err := db.QueryRow(ctx, `SELECT current_setting('server_encoding'), current_setting('synchronous_commit'),
		CAST('Z' AS TEXT) < CAST('a' AS TEXT) AND CAST('a-c' AS TEXT) < CAST('ab' AS TEXT) AND CAST('z' AS TEXT) < CAST('é' AS TEXT)`,
	).Scan(&encoding, &synchronous, &sorts)
	switch {
	case err != nil:
		return fmt.Errorf("connect: %w", err)
	case encoding != "UTF8":
		return fmt.Errorf("its encoding is %s, not UTF8: %s", encoding, howToCreate)
	case !sorts:
		return fmt.Errorf("its collation does not order text by bytes: %s", howToCreate)
	case synchronous == "off":
		return errors.New("synchronous_commit is off, so a commit would not be durable: turn it on")
	}
	return nil
}

// A queryer is a pool or a connection.
type queryer interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

const howToCreate = `create it with CREATE DATABASE azekura ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0`

// migratePostgres is migrate for one of several processes. The lock is a row of
// a table: advisory locks do not pass a pooler, and not all that speaks
// PostgreSQL has them. The row expires, so a process that died while it
// migrated holds up the others for half a minute.
func migratePostgres(ctx context.Context, c *pgx.ConnConfig, log *slog.Logger) error {
	db := stdlib.OpenDB(*c)
	defer db.Close()
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(time.Second, 300))
	if err != nil {
		return err
	}
	const tries = 5
	for n := 1; ; n++ {
		err := migrate(ctx, db, goose.DialectPostgres, log, goose.WithLocker(locker))
		// Of two that make goose's own tables at once, one meets a conflict.
		if n == tries || !errors.Is(err, ErrConflict) && stateOf(err) != duplicateTable {
			return err
		}
	}
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// settle makes durable what an earlier process left in the WAL, before anything
// is built on it. After an fsync that failed, the pages of its commit may be in
// the kernel's memory and not on the disk; read back they look whole, and the
// next fsync does not write them. In the database file they are written anew.
func settle(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	var busy, length, copied int
	err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &length, &copied)
	if err == nil && busy != 0 {
		err = errBusy
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_FULL {
		log.Warn("the database file cannot grow, changes stay in the WAL beside it", "error", translate(err))
		return nil // what is there can be read
	}
	if err != nil {
		return fmt.Errorf("copy the WAL into the database file: %w", translate(err))
	}
	return nil
}

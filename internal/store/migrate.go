package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to the newest migration of this program. A
// database that has newer ones is left as it is: this program does not know
// what they mean for the rows it would write.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, log *slog.Logger, options ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return migrateFrom(ctx, db, dialect, files, log, options...)
}

func migrateFrom(ctx context.Context, db *sql.DB, dialect goose.Dialect, files fs.FS, log *slog.Logger, options ...goose.ProviderOption) error {
	// Both options keep what the rest of the process does out: goose's default
	// logger is the standard library's, its registry a package variable.
	p, err := goose.NewProvider(dialect, db, files,
		append(options, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version: %w", translate(err))
	}
	if current > newest {
		return fmt.Errorf("%w: its schema has version %d, this program knows %d: start the newer version again, or restore a backup from before the upgrade",
			ErrNewer, current, newest)
	}
	if current == newest {
		return nil
	}
	done, err := p.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		return fmt.Errorf("migration %s, undone: %w", partial.Failed.Source.Path, translate(partial.Err))
	}
	if err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", current, newest, translate(err))
	}
	if len(done) > 0 {
		log.Info("brought the database schema up to date", "from", current, "to", newest)
	}
	return nil
}

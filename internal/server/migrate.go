package server

import (
	"context"
	"errors"
	"fmt"

	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// An Engine is where the data can be kept.
type Engine string

// The data is in the data directory, or in a PostgreSQL database.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// A Migration copies the data of a deployment from one engine to the other.
// The root key and admin.env stay in the data directory, which both use.
type Migration struct {
	DataDir, DatabaseURL string
	DatabaseStandby      bool // as in Config
	Seal                 seal.Config
	To                   Engine // which has to be empty

	Progress func(store.Progress) // as in store.Transfer
}

// Run copies. It may be run again after an error or a kill, and then goes on.
// No server may use the source meanwhile; none starts on the destination
// before it is finished. The source stays as it is.
func (m Migration) Run(ctx context.Context) (store.Copied, error) {
	if err := m.check(); err != nil {
		return store.Copied{}, err
	}
	root, err := existingRootKey(ctx, m.DataDir, m.Seal)
	if err != nil {
		return store.Copied{}, fmt.Errorf("migrate: %w", err)
	}
	transfer := store.Transfer{
		From: m.file(), To: m.postgres(), Progress: m.Progress,
		Check: func(tx *store.Tx) error { return seal.Opens(ctx, tx, root) },
	}
	if m.To == SQLite {
		transfer.From, transfer.To = transfer.To, transfer.From
	}
	return transfer.Run(ctx)
}

// Undo removes from the destination what a migration that did not end, or a
// restore into PostgreSQL, has left there.
func (m Migration) Undo(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	if m.To == SQLite {
		return store.Undo(ctx, m.file())
	}
	return store.Undo(ctx, m.postgres())
}

func (m Migration) check() error {
	if m.To != SQLite && m.To != PostgreSQL {
		return fmt.Errorf("--to %q: it can be %s, for the data in --data-dir, or %s, for the data in --database-url", m.To, SQLite, PostgreSQL)
	}
	if m.DatabaseURL == "" {
		return fmt.Errorf("migrate: --database-url, or the variable AZEKURA_DATABASE_URL, has to name the PostgreSQL database")
	}
	return nil
}

func (m Migration) file() store.Config { return store.Config{Path: databasePath(m.DataDir)} }

func (m Migration) postgres() store.Config {
	return store.Config{URL: m.DatabaseURL, NeedStandby: m.DatabaseStandby}
}

// existingRootKey is that of a directory which a server has used.
func existingRootKey(ctx context.Context, dir string, where seal.Config) (envelope.Root, error) {
	if err := checkPrivate(dir); err != nil {
		return nil, fmt.Errorf("look for the root key: %w", err)
	}
	root, err := openSettled(ctx, dir, where)
	if errors.Is(err, seal.ErrNoRootKey) {
		return nil, fmt.Errorf("%w; the data is of no use without it: name the data directory of a server of this data, or copy its root-key here", err)
	}
	return root, err
}

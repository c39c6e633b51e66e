package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What callers branch on. Errors that match one hold the engine's text too.
var (
	ErrNotFound = errors.New("not found")                                              // no such row
	ErrConflict = errors.New("a row with this key exists already")                     // unique violation
	ErrFull     = errors.New("the disk is full: free some space, nothing was changed") // the next change may succeed
	ErrNewer    = errors.New("the database was written by a newer version of azekura")
	ErrLocked   = errors.New("another process uses this database: stop it, or give this one its own data directory")
	ErrClosed   = errors.New("the database is closed")
	ErrUnknown  = errors.New("the outcome of the commit is unknown")

	// ErrHeld says that somebody else has a lease.
	ErrHeld = errors.New("somebody else holds it")

	// ErrUnavailable says that nothing was changed.
	ErrUnavailable = errors.New("the database server cannot be reached or is not ready")
)

// translate adds to an error of the engine the sentinel it stands for, or what
// an operator can do about it.
func translate(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		if meaning := meaningOf(e.Code()); meaning != nil {
			return fmt.Errorf("%w: %w", meaning, err)
		}
	}
	if meaning := pgMeaning(err); meaning != nil {
		return fmt.Errorf("%w: %w", meaning, err)
	}
	for _, e := range []struct{ cause, meaning error }{
		{syscall.ENOSPC, ErrFull},
		{syscall.EDQUOT, ErrFull},
		{syscall.EROFS, errReadOnly},
		{fs.ErrPermission, errReadOnly},
		{fs.ErrNotExist, errCannotOpen},
		{syscall.ENOTDIR, errCannotOpen},
	} {
		if errors.Is(err, e.cause) {
			return fmt.Errorf("%w: %w", e.meaning, err)
		}
	}
	return err
}

var (
	errNotADatabase = errors.New("the file is not a database, or the start of it was overwritten: restore a backup, or move the file away to start empty")
	errCorrupt      = errors.New("the database is damaged: stop the server, keep a copy of the file, and restore a backup")
	errReadOnly     = errors.New("the database cannot be written: make the file and its folder writable for the user the server runs as")
	errCannotOpen   = errors.New("the file cannot be opened: check that its folder exists and belongs to the user the server runs as")
	errIO           = errors.New("the disk failed to read or write: check its health and free space")
	errBusy         = errors.New("the database stayed locked: another program is writing to the file, stop it")
)

// meaningOf knows SQLite's result codes, https://www.sqlite.org/rescode.html.
// An extended code holds the primary code in its lowest byte.
func meaningOf(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrConflict
	case sqlite3.SQLITE_IOERR_SHMSIZE: // no room for the -shm file
		return ErrFull
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_NOTADB:
		return errNotADatabase
	case sqlite3.SQLITE_CORRUPT:
		return errCorrupt
	case sqlite3.SQLITE_READONLY:
		return errReadOnly
	case sqlite3.SQLITE_CANTOPEN:
		return errCannotOpen
	case sqlite3.SQLITE_IOERR:
		return errIO
	case sqlite3.SQLITE_BUSY:
		return errBusy
	}
	return nil
}

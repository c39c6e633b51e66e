package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

func TestWeakSettingsAreRefused(t *testing.T) {
	for setting, want := range map[string]string{
		"_pragma=synchronous(NORMAL)&_pragma=journal_mode(WAL)":  "synchronous is 1",
		"_pragma=synchronous(OFF)&_pragma=journal_mode(WAL)":     "synchronous is 0",
		"_pragma=synchronous(FULL)&_pragma=journal_mode(DELETE)": "journal_mode is delete",
		"_pragma=synchronous(FULL)&_pragma=journal_mode(WAL)":    "",
	} {
		db, err := openPool(1, fileSource(filepath.Join(t.TempDir(), "db"))(setting))
		if err != nil {
			t.Fatal(err)
		}
		err = checkDurable(t.Context(), db, "wal")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", setting, err, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Each connection gets its settings, also one made anew after a failure.
func TestSettingsOfConnections(t *testing.T) {
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	check := func(tx *Tx) error {
		for pragma, want := range map[string]string{
			"foreign_keys": "1", "secure_delete": "1", "temp_store": "2", "synchronous": "2",
			"journal_mode": "wal", "busy_timeout": "5000", "trusted_schema": "0",
		} {
			got, err := One(tx, func(s *string) []any { return []any{s} }, "PRAGMA "+pragma)
			if err != nil || got != want {
				t.Errorf("%s = %s, %v; want %s", pragma, got, err, want)
			}
		}
		return nil
	}
	run := func() {
		if err := db.Update(context.Background(), check); err != nil {
			t.Error(err)
		}
		viewAll(t, db, check)
	}
	run()
	for _, c := range append(db.engine.(*sqliteEngine).reads.conns, db.engine.(*sqliteEngine).writer.conn) { // idle now, so nobody else uses them
		if err := c.drop(); err != nil {
			t.Error(err)
		}
	}
	run()
}

// viewAll runs fn on each connection that reads, at the same time.
func viewAll(t *testing.T, db *DB, fn func(*Tx) error) {
	t.Helper()
	conns := db.engine.(*sqliteEngine).reads.conns
	var views, inside sync.WaitGroup
	inside.Add(len(conns))
	for range conns {
		views.Go(func() {
			err := db.View(context.Background(), func(tx *Tx) error {
				inside.Done()
				inside.Wait()
				return fn(tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	views.Wait()
}

func TestLoneReadersUseOneConnection(t *testing.T) {
	db := openTest(t)
	conns := db.engine.(*sqliteEngine).reads.conns
	connected := func() (n int) {
		for _, c := range conns {
			if c.pinned != nil {
				n++
			}
		}
		return n
	}
	for range 10 {
		if err := db.View(t.Context(), func(*Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := connected(); n != 1 {
		t.Errorf("one reader at a time made %d connections", n)
	}
	viewAll(t, db, func(*Tx) error { return nil })
	if n := connected(); n != len(conns) {
		t.Errorf("%d readers at a time made %d connections", len(conns), n)
	}
}

func TestMeaningOfErrors(t *testing.T) {
	for code, want := range map[int]error{
		sqlite3.SQLITE_CONSTRAINT_UNIQUE:     ErrConflict,
		sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: ErrConflict,
		sqlite3.SQLITE_CONSTRAINT_NOTNULL:    nil,
		sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: nil,
		sqlite3.SQLITE_FULL:                  ErrFull,
		sqlite3.SQLITE_IOERR_SHMSIZE:         ErrFull,
		sqlite3.SQLITE_IOERR_FSYNC:           errIO,
		sqlite3.SQLITE_CORRUPT_INDEX:         errCorrupt,
		sqlite3.SQLITE_NOTADB:                errNotADatabase,
		sqlite3.SQLITE_READONLY_DIRECTORY:    errReadOnly,
		sqlite3.SQLITE_CANTOPEN:              errCannotOpen,
		sqlite3.SQLITE_BUSY_SNAPSHOT:         errBusy,
		sqlite3.SQLITE_ERROR:                 nil,
	} {
		if got := meaningOf(code); got != want {
			t.Errorf("code %d means %v, want %v", code, got, want)
		}
	}
	cause := fmt.Errorf("create: %w", syscall.EDQUOT)
	if err := translate(cause); !errors.Is(err, ErrFull) || !errors.Is(err, cause) {
		t.Errorf("over quota: %v, want ErrFull and the cause", err)
	}
}

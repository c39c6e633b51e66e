package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// mark is the table that a copy makes in its destination before all else, and
// removes last of all. Its one row names the run that may write and whether
// the schema is ready for rows.
const mark = "azekura_unfinished"

func contains(names []string, name string) bool { return slices.Contains(names, name) }

// claim makes the destination this run's: one that is empty, or that holds
// what an earlier run has left. Anything else is not changed.
func (r *transferRun) claim(ctx context.Context) error {
	found, err := r.look(ctx)
	if err != nil {
		return err
	}
	if !found.marked && found.rows != nil {
		return found.rows
	}
	if err := r.to.bulk(); err != nil {
		return translate(err)
	}
	ready, err := r.leaveMark(found.marked)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	r.begun = true
	if !found.marked {
		// A server that started meanwhile either has seen the mark, or what it
		// has made is seen here.
		if err := r.stillEmpty(ctx); err != nil {
			r.begun = false
			return errors.Join(err, r.finish())
		}
	}
	if ready {
		return nil
	}
	if err := r.to.migrate(ctx, r.schema.version); err != nil {
		return err
	}
	return r.clear()
}

// leaveMark says whether the schema is ready for rows.
func (r *transferRun) leaveMark(there bool) (ready bool, err error) {
	err = r.to.update(func(tx *Tx) (err error) {
		if there {
			ready, err = One(tx, func(b *bool) []any { return []any{b} }, `UPDATE `+mark+` SET run = $1 RETURNING ready`, r.id)
			return err
		}
		if _, err := tx.Exec(`CREATE TABLE ` + mark + ` (run TEXT NOT NULL, ready BOOLEAN NOT NULL)`); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO `+mark+` VALUES ($1, $2)`, r.id, false)
		return err
	})
	return ready, err
}

// A find is what a destination holds.
type find struct {
	marked bool  // an earlier run has begun here
	rows   error // ErrNotEmpty if there are any
}

// look refuses a destination with tables that no copy makes.
func (r *transferRun) look(ctx context.Context) (f find, err error) {
	err = r.to.view(func(tx *Tx) error {
		names, err := r.to.tables(tx)
		if err != nil {
			return err
		}
		f.marked = contains(names, mark)
		version, err := r.to.version(tx)
		if err != nil {
			return err
		}
		have, err := schemaAt(ctx, version)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name != mark && !isGooses(name) && !have.has(name) {
				return fmt.Errorf("%w (it has a table %q)", ErrNotEmpty, name)
			}
		}
		switch {
		case version <= r.schema.version:
		case f.marked:
			return ErrChanged
		default:
			return fmt.Errorf("%w (its schema has version %d, the source's %d)", ErrNotEmpty, version, r.schema.version)
		}
		if !f.marked {
			f.rows, err = have.rows(tx)
		}
		return err
	})
	return f, err
}

func (r *transferRun) stillEmpty(ctx context.Context) error {
	return r.to.view(func(tx *Tx) error {
		version, err := r.to.version(tx)
		if err != nil {
			return err
		}
		have, err := schemaAt(ctx, version)
		if err != nil {
			return err
		}
		found, err := have.rows(tx)
		return errors.Join(found, err)
	})
}

// rows is ErrNotEmpty if a table has rows that the migrations have not put
// there.
func (s *schema) rows(tx *Tx) (found, err error) {
	for _, t := range s.tables {
		n, err := t.count(tx)
		if err != nil {
			return nil, err
		}
		if n > t.seeds {
			return fmt.Errorf("%w (its table %s has %d rows)", ErrNotEmpty, t.name, n), nil
		}
	}
	return nil, nil
}

// clear removes what the migrations themselves have put into the tables: the
// source's rows are to come, and no others.
func (r *transferRun) clear() error {
	return r.to.update(func(tx *Tx) error {
		if err := r.holds(tx); err != nil {
			return err
		}
		for _, t := range slices.Backward(r.schema.tables) {
			if _, err := tx.Exec(`DELETE FROM ` + quoted(t.name)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE `+mark+` SET ready = $1`, true)
		return err
	})
}

// holds locks the mark until the transaction ends, and is an error if it is
// not this run's any more: of two that copy into one database the later wins.
func (r *transferRun) holds(tx *Tx) error {
	run, err := One(tx, func(s *string) []any { return []any{s} }, `SELECT run FROM `+mark+tx.ForUpdate())
	if err == nil && run != r.id {
		err = errors.New("another copy into the same database has taken over")
	}
	return err
}

// finish removes the mark. From here on the destination is a database, and
// PostgreSQL knows what is in it: without statistics, which it would gather by
// itself a minute later, it reads all secrets of a region for a page of a list.
func (r *transferRun) finish() error {
	err := r.to.update(func(tx *Tx) error {
		if err := r.holds(tx); err != nil {
			return err
		}
		if r.to.shared {
			for _, t := range r.schema.tables {
				if _, err := tx.Exec(`ANALYZE ` + quoted(t.name)); err != nil {
					return err
				}
			}
		}
		_, err := tx.Exec(`DROP TABLE ` + mark)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

// finishedSQLite is ErrUnfinished if a copy into the database has not ended.
func finishedSQLite(ctx context.Context, db *sql.DB) error {
	var n int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = $1`, mark).Scan(&n)
	return unfinished(n, err)
}

func finishedPostgres(ctx context.Context, db queryer) error {
	var n int
	err := db.QueryRow(ctx, `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1`, mark).Scan(&n)
	return unfinished(n, err)
}

func unfinished(marks int, err error) error {
	if err == nil && marks > 0 {
		return ErrUnfinished
	}
	return translate(err)
}

// Finished is ErrUnfinished if a copy into this database began and has not
// ended. Open asks too; who has made the first rows since asks again, and so
// either sees the copy or is seen by it.
func (db *DB) Finished(ctx context.Context) error {
	if pg, ok := db.engine.(*pgEngine); ok {
		return finishedPostgres(ctx, pg.pool)
	}
	return nil // the lock of a file keeps copies out
}

// Undo removes an unfinished copy, and is an error if cfg names anything else.
func Undo(ctx context.Context, cfg Config) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("remove the unfinished copy in %s: %w", cfg.name(), err)
		}
	}()
	p, err := openSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	newest, err := newestSchema()
	if err != nil {
		return err
	}
	known, err := schemaAt(ctx, newest)
	if err != nil {
		return err
	}
	return p.update(func(tx *Tx) error {
		names, err := p.tables(tx)
		if err != nil {
			return err
		}
		if !contains(names, mark) {
			return errors.New("there is none, nothing was changed")
		}
		if cfg.URL == "" {
			return removeFile(cfg.Path)
		}
		drop := []string{mark} // first: it waits for a run that writes
		for _, t := range slices.Backward(known.tables) {
			drop = append(drop, t.name)
		}
		drop = append(drop, slices.DeleteFunc(names, func(n string) bool { return !isGooses(n) })...)
		for _, name := range drop {
			if _, err := tx.Exec(`DROP TABLE IF EXISTS ` + quoted(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// removeFile removes a database that nobody else has open.
func removeFile(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncFolder(filepath.Dir(path))
}

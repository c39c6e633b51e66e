package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Transfer copies all rows of a database into an empty one, of either
// engine. The destination gets the source's version of the schema, and is
// compared with it by a digest of every row before it counts as finished:
// until then Open refuses it with ErrUnfinished. A Transfer that was broken
// off, however, goes on when it is run again. The source is not changed. What
// is in memory at once is bounded, whatever is copied.
type Transfer struct {
	// From and To name the databases as for Open. Nobody else may have the
	// source open: a file is locked, a PostgreSQL database is refused with other
	// connections of its user, and if it changed nevertheless the copy fails.
	From, To Config

	// Check, if set, is asked about the source before anything is changed.
	Check func(*Tx) error

	// Progress, if set, is told now and then how far the copy is.
	Progress func(Progress)
}

// Progress is how far a Transfer is.
type Progress struct {
	Step        string // copy, compare, and for PostgreSQL as the source read again
	Table       string
	Rows, Total int64 // of this step, in all tables
}

// Copied is what a finished Transfer has copied.
type Copied struct {
	Contents
	Digest string // of every row; the same for the same rows on either engine
}

// What a Transfer can meet.
var (
	ErrUnfinished = errors.New("the database holds an unfinished copy: run the command that began it (azekura migrate, or azekura restore) again to finish it, or azekura migrate --undo to remove it")
	ErrNotEmpty   = errors.New("the database to copy into is not empty: name one that is, nothing was changed")
	ErrChanged    = errors.New("the source is not what it was when the copy began: stop every server of it, remove the copy with azekura migrate --undo, and begin again")
)

var errDiffers = errors.New("what was written is not what was read: remove the copy with azekura migrate --undo, and begin again")

// Run copies. It may be run again after any error and any interruption.
func (t Transfer) Run(ctx context.Context) (c Copied, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy %s to %s: %w", t.From.name(), t.To.name(), err)
		}
	}()
	from, err := openSource(ctx, t.From)
	if err != nil {
		return Copied{}, fmt.Errorf("open the source: %w", err)
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if err := from.alone(ctx); err != nil {
		return Copied{}, err
	}
	r := newTransferRun(&t)
	r.from = from
	if t.To.URL == "" && absent(t.To.Path) {
		defer func() {
			if err != nil && !r.begun {
				err = errors.Join(err, removeFile(t.To.Path))
			}
		}()
	}
	if r.to, err = openDestination(ctx, t.To); err != nil {
		return Copied{}, fmt.Errorf("open the destination: %w", err)
	}
	defer func() { err = errors.Join(err, r.to.close()) }()
	if c, err = r.run(ctx); err != nil {
		if r.begun && !errors.Is(err, ErrChanged) && !errors.Is(err, errDiffers) {
			err = fmt.Errorf("%w; the same command goes on from here", err)
		}
		return Copied{}, err
	}
	return c, nil
}

// name is what an error may call a database: its URL may hold a password.
func (cfg Config) name() string {
	if cfg.URL != "" {
		return "the PostgreSQL database"
	}
	return cfg.Path
}

// CopyPostgres is CopyTo for the PostgreSQL database of cfg, whose schema stays
// as it is: the copy is a SQLite file of the same rows and version, and one
// snapshot, with every change acknowledged before the call on any node. Nodes
// go on meanwhile.
func CopyPostgres(ctx context.Context, cfg Config, path string) (err error) {
	defer func() {
		if err != nil {
			os.Remove(path)
			err = fmt.Errorf("copy the PostgreSQL database to %s: %w", path, translate(err))
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if err := newPrivateFile(path); err != nil {
		return err
	}
	from, err := openSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := sqlitePlace(path, "MEMORY", "OFF")
	if err != nil {
		return err
	}
	r := newTransferRun(&Transfer{})
	r.from, r.to, r.live = from, to, true
	_, err = r.run(ctx)
	return errors.Join(err, to.close())
}

// A transferRun is one attempt at a Transfer.
type transferRun struct {
	*Transfer
	from, to *place
	id       string
	live     bool // the source goes on meanwhile
	begun    bool // the destination was changed
	schema   *schema
	sums     []*digest // of the source's tables
	progress Progress
}

func newTransferRun(t *Transfer) *transferRun { return &transferRun{Transfer: t, id: rand.Text()} }

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func (r *transferRun) run(ctx context.Context) (Copied, error) {
	c, err := r.copy(ctx)
	if err == nil && r.from.shared && !r.live {
		err = errors.Join(r.from.alone(ctx), r.unchanged(ctx))
	}
	if err == nil {
		err = r.verify(ctx)
	}
	if err == nil {
		err = r.finish()
	}
	return c, err
}

// copy reads the source in one snapshot.
func (r *transferRun) copy(ctx context.Context) (c Copied, err error) {
	err = r.from.view(func(tx *Tx) error {
		if err := r.readSchema(ctx, tx); err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if r.Check != nil {
			if err := r.Check(tx); err != nil {
				return err
			}
		}
		if err := r.claim(ctx); err != nil {
			return err
		}
		c.Contents = Contents{Schema: r.schema.version, Rows: map[string]int64{}}
		r.progress = Progress{Step: "copy"}
		for _, t := range r.schema.tables {
			n, err := t.count(tx)
			if err != nil {
				return fmt.Errorf("count the rows of table %s: %w", t.name, err)
			}
			c.Rows[t.name] = n
			r.progress.Total += n
		}
		for _, t := range r.schema.tables {
			if err := r.copyTable(ctx, tx, t); err != nil {
				return err
			}
		}
		return nil
	})
	c.Digest = total(c.Schema, r.sums)
	return c, err
}

// readSchema refuses a source that is no database of this program, or none
// that can be trusted.
func (r *transferRun) readSchema(ctx context.Context, tx *Tx) error {
	names, err := r.from.tables(tx)
	if err != nil {
		return err
	}
	version, err := r.from.version(tx)
	if err != nil {
		return err
	}
	switch {
	case contains(names, mark):
		return ErrUnfinished
	case version == 0:
		return errors.New("there is no data of azekura in it")
	}
	if !r.from.shared { // an index with a hole would hide rows
		if err := intact(tx); err != nil {
			return err
		}
	}
	if r.schema, err = schemaAt(ctx, version); err != nil {
		return err
	}
	for _, t := range r.schema.tables {
		if !contains(names, t.name) {
			return fmt.Errorf("%w: its table %s is missing", errCorrupt, t.name)
		}
	}
	return nil
}

// copyTable adds to the destination what it lacks. What an earlier run has
// copied is the start of the table in the order of its key, so its number of
// rows says where to go on, and its digest whether the source still starts so.
func (r *transferRun) copyTable(ctx context.Context, src *Tx, t *table) error {
	r.report(t, 0)
	var there *digest
	err := r.to.view(func(tx *Tx) (err error) {
		there, err = t.digest(ctx, tx, func(int) {})
		return err
	})
	if err != nil {
		return fmt.Errorf("read what was copied before: %w", err)
	}
	sum, start := newDigest(t), there.rows == 0
	r.sums = append(r.sums, sum)
	err = t.pages(ctx, src, func(rows [][]any) error {
		var batch [][]any
		for _, row := range rows {
			if err := r.to.fits(t, row); err != nil {
				return err
			}
			if sum.add(row); start {
				batch = append(batch, row)
			}
			start = start || sum.equal(there)
		}
		r.report(t, len(rows))
		return r.add(t, batch)
	})
	if err == nil && !start {
		err = fmt.Errorf("table %s: %w", t.name, ErrChanged)
	}
	return err
}

func (r *transferRun) add(t *table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	err := r.to.update(func(tx *Tx) error {
		if err := r.holds(tx); err != nil {
			return err
		}
		return t.insert(tx, rows)
	})
	if err != nil {
		return fmt.Errorf("write to table %s: %w", t.name, err)
	}
	return nil
}

func (r *transferRun) report(t *table, rows int) {
	r.progress.Table = t.name
	r.progress.Rows += int64(rows)
	if r.Progress != nil {
		r.Progress(r.progress)
	}
}

// unchanged reads the source again, as it is now.
func (r *transferRun) unchanged(ctx context.Context) error {
	different, err := r.compare(ctx, r.from, "read again")
	if err == nil && different != "" {
		err = fmt.Errorf("table %s: %w", different, ErrChanged)
	}
	return err
}

// verify reads the destination.
func (r *transferRun) verify(ctx context.Context) error {
	different, err := r.compare(ctx, r.to, "compare")
	if err == nil && different != "" {
		err = fmt.Errorf("table %s: %w", different, errDiffers)
	}
	return err
}

// compare returns the first table that does not hold what was copied.
func (r *transferRun) compare(ctx context.Context, p *place, step string) (different string, err error) {
	r.progress = Progress{Step: step, Total: r.progress.Total}
	err = p.view(func(tx *Tx) error {
		for i, t := range r.schema.tables {
			sum, err := t.digest(ctx, tx, func(rows int) { r.report(t, rows) })
			if err != nil {
				return err
			}
			if !sum.equal(r.sums[i]) {
				different = t.name
				return nil
			}
		}
		return nil
	})
	return different, err
}

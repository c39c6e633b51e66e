package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// A Tx is a transaction. It is good only inside the function it was given to,
// and for one goroutine at a time.
//
// A transaction of which a statement failed can only fail: each further
// statement returns the same error, and Update returns it even if the function
// does not. PostgreSQL works like that, so SQLite does too. ErrNotFound is an
// answer and no failure.
type Tx struct {
	conn   session // nil once the function has returned
	lock   string  // the suffix of a locking read
	lone   bool    // for one query
	spent  bool    // it was made
	failed error
	hooks  []hook
}

// A session runs the statements of a transaction.
type session interface {
	exec(query string, args ...any) (rowsAffected int64, err error)
	// query calls each for the rows of the result until it returns false.
	query(each func(scan func(...any) error) (bool, error), query string, args ...any) error
	// now is an expression for the engine's clock, in milliseconds since 1970.
	// It goes on while a transaction lasts.
	now() string
}

// A hook is work that brackets the commit of the transaction it is added to:
// both functions or neither are called, before just before COMMIT, after when
// COMMIT has succeeded (committed) or failed but before anyone has learned of it.
type hook struct {
	before func()
	after  func(committed bool)
}

// Exec runs a statement and returns how many rows it inserted, updated or
// deleted; for other statements that number means nothing.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	if tx.lone {
		return 0, tx.fail(errors.New("a change where one query was promised"))
	}
	n, err := tx.conn.exec(query, args...)
	if err != nil {
		return 0, tx.fail(err)
	}
	return n, nil
}

// ForUpdate is the suffix of a SELECT that locks the rows it returns until the
// transaction ends. SQLite has one writer at a time and needs none.
func (tx *Tx) ForUpdate() string { return tx.lock }

// now is the SQL of the database's own clock, in milliseconds since 1970. What
// several nodes compare is read from it, because their clocks may differ.
func (tx *Tx) now() string {
	if tx.conn == nil {
		return "NULL" // what it is for fails
	}
	return tx.conn.now()
}

// One runs query and scans its first row into what dest points to; ErrNotFound
// if there is no row.
func One[T any](tx *Tx, dest func(*T) []any, query string, args ...any) (T, error) {
	var row T
	found := false
	err := tx.query(func(scan func(...any) error) (bool, error) {
		found = true
		return false, scan(dest(&row)...)
	}, query, args)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return *new(T), err
	}
	return row, nil
}

// Collect runs query and scans every row into what dest points to. The result
// is nil if there is no row.
func Collect[T any](tx *Tx, dest func(*T) []any, query string, args ...any) ([]T, error) {
	var all []T
	err := tx.query(func(scan func(...any) error) (bool, error) {
		var row T
		if err := scan(dest(&row)...); err != nil {
			return false, err
		}
		all = append(all, row)
		return true, nil
	}, query, args)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// InList is the placeholders of a list of n values, ($1, $2, $3).
func InList(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(", $")
		b.WriteString(strconv.Itoa(i + 1))
	}
	return "(" + strings.TrimPrefix(b.String(), ", ") + ")"
}

// Args are texts as the arguments of a statement.
func Args(texts []string) []any {
	args := make([]any, len(texts))
	for i, text := range texts {
		args[i] = text
	}
	return args
}

// query calls each for the rows of the result until it returns false.
func (tx *Tx) query(each func(scan func(...any) error) (bool, error), query string, args []any) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := tx.conn.query(each, query, args...); err != nil {
		return tx.fail(err)
	}
	return nil
}

func (tx *Tx) usable() error {
	if tx.conn == nil {
		return errors.New("transaction used after its function returned")
	}
	if tx.lone && tx.spent && tx.failed == nil {
		tx.failed = errors.New("a second query where one was promised")
	}
	tx.spent = true
	return tx.failed
}

func (tx *Tx) fail(err error) error {
	tx.failed = translate(err)
	return tx.failed
}

// run calls fn with the transaction and closes it. The result is the reason
// not to commit.
func (tx *Tx) run(fn func(*Tx) error, log *slog.Logger) (err error) {
	defer func() {
		tx.conn = nil
		if p := recover(); p != nil {
			err = panicked(p, log)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.failed
}

// panicked makes an error of a recovered panic. The value of a panic may hold
// anything, a secret too, so only the runtime's own texts are repeated.
func panicked(p any, log *slog.Logger) error {
	what := fmt.Sprintf("a %T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	log.LogAttrs(context.Background(), slog.LevelError, "transaction function panicked",
		slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("transaction function panicked: %s", what)
}

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds a connection's prepared statements. The texts are
// constants of the program, so the bound is met only by texts made in a loop.
const maxStatements = 512

// A conn is one connection for one goroutine at a time, with the statements it
// has prepared. It connects when it is first used and again after drop.
//
// No statement runs under a caller's context: the end of one caller's request
// would interrupt the transaction that others share.
type conn struct {
	db         *sql.DB
	pinned     *sql.Conn // nil if not connected
	statements map[string]*sql.Stmt
}

func (c *conn) connect(ctx context.Context) error {
	if c.pinned != nil {
		return nil
	}
	pinned, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	c.pinned, c.statements = pinned, make(map[string]*sql.Stmt)
	return nil
}

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	if err := c.connect(context.Background()); err != nil {
		return nil, err
	}
	s, err := c.pinned.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	if len(c.statements) >= maxStatements {
		for text, old := range c.statements {
			old.Close()
			delete(c.statements, text)
			break
		}
	}
	c.statements[query] = s
	return s, nil
}

func (c *conn) exec(query string, args ...any) (rowsAffected int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *conn) now() string { return `CAST(unixepoch('subsec') * 1000 AS INTEGER)` }

func (c *conn) query(each func(scan func(...any) error) (bool, error), query string, args ...any) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for more := true; more && rows.Next(); {
		if more, err = each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// rollback leaves the connection without a transaction. After some errors
// SQLite has rolled back by itself and ROLLBACK fails; a new connection is
// then the one state that is certain.
func (c *conn) rollback() {
	if _, err := c.exec("ROLLBACK"); err != nil {
		c.drop()
	}
}

// drop closes the connection, which rolls back whatever it was doing.
func (c *conn) drop() error {
	if c.pinned == nil {
		return nil
	}
	for _, s := range c.statements {
		s.Close()
	}
	// ErrBadConn keeps database/sql from putting the connection back into its pool.
	err := c.pinned.Raw(func(any) error { return driver.ErrBadConn })
	c.pinned, c.statements = nil, nil
	if !errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

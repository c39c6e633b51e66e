package store

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

func insert(id string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO t VALUES ($1)`, id)
		return err
	}
}

// observed opens a database whose commits come through the channel.
func observed(t *testing.T) (*DB, chan Commit) {
	commits := make(chan Commit, 8)
	db, err := Open(t.Context(), Config{Path: t.TempDir() + "/db", Committed: func(c Commit) { commits <- c }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`CREATE TABLE t (id TEXT PRIMARY KEY)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	<-commits
	return db, commits
}

// next is the commit that was told before an answer, and so is there already.
func next(t *testing.T, commits chan Commit) Commit {
	t.Helper()
	select {
	case c := <-commits:
		return c
	default:
		t.Fatal("no commit was told")
		return Commit{}
	}
}

func TestCommitsAreTold(t *testing.T) {
	db, commits := observed(t)
	if err := db.Update(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	if c := next(t, commits); c.Changes != 1 || c.Err != nil || c.Took <= 0 {
		t.Errorf("of a commit: %+v", c)
	}
	if err := db.Update(t.Context(), insert("a")); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if len(commits) != 0 {
		t.Errorf("of a change that was refused, and so of nothing: %+v", <-commits)
	}
	failure := db.Update(t.Context(), orphan)
	if c := next(t, commits); c.Changes != 1 || c.Err == nil || !errors.Is(failure, c.Err) {
		t.Errorf("of a commit that failed: %+v; the caller was told %v", c, failure)
	}
}

// Who writes while another does stands in the queue, and shares the commit
// with those beside him that are not refused.
func TestQueuedChangesShareACommit(t *testing.T) {
	db, commits := observed(t)
	const queued = 5
	answers := make(chan error, queued+1)
	err := db.Update(t.Context(), func(tx *Tx) error {
		for _, id := range []string{"a", "b", "c", "d", "a"} {
			go func() { answers <- db.Update(context.WithoutCancel(t.Context()), insert(id)) }()
		}
		for db.Queued() < queued {
			runtime.Gosched()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conflicts := 0
	for range queued {
		if err := <-answers; errors.Is(err, ErrConflict) {
			conflicts++
		} else if err != nil {
			t.Error(err)
		}
	}
	if c := next(t, commits); c.Changes != queued || conflicts != 1 { // the first, and all but one
		t.Errorf("a commit of %d changes, %d conflicts", c.Changes, conflicts)
	}
	if n := db.Queued(); n != 0 || len(commits) != 0 {
		t.Errorf("%d are queued, %d more commits", n, len(commits))
	}
}

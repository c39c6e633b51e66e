package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// visible reads on a connection of its own whether the table has rows. Only a
// file can be read while a change commits.
func visible(t *testing.T, db *DB) bool {
	var n int
	err := db.View(t.Context(), func(tx *Tx) (err error) {
		n, err = One(tx, func(n *int) []any { return []any{n} }, `SELECT COUNT(*) FROM t`)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return n > 0
}

func openTest(t *testing.T) *DB {
	db, err := Open(t.Context(), Config{Path: t.TempDir() + "/db"})
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
	return db
}

func TestHooksBracketTheCommit(t *testing.T) {
	db := openTest(t)
	var seen []bool
	answered := false
	hooks := hook{
		before: func() { seen = append(seen, visible(t, db)) },
		after: func(committed bool) {
			if !committed {
				t.Error("the second hook was told that the commit failed")
			}
			seen = append(seen, visible(t, db))
			if answered {
				t.Error("the caller was answered before the second hook")
			}
		},
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		tx.hooks = append(tx.hooks, hooks)
		_, err := tx.Exec(`INSERT INTO t VALUES ('a')`)
		return err
	})
	answered = true
	if err != nil || !slices.Equal(seen, []bool{false, true}) {
		t.Errorf("the hooks saw the row: %v; want not before and then after the commit (%v)", seen, err)
	}
}

func TestHooksOfWhatIsNotKept(t *testing.T) {
	db := openTest(t)
	var calls []string
	run := func(fn func(tx *Tx) error) error {
		calls = nil
		return db.Update(t.Context(), func(tx *Tx) error {
			tx.hooks = append(tx.hooks, hook{
				before: func() { calls = append(calls, "before") },
				after:  func(committed bool) { calls = append(calls, fmt.Sprint("after, committed ", committed)) },
			})
			return fn(tx)
		})
	}
	if err := run(func(*Tx) error { return errors.New("refused") }); err == nil || calls != nil {
		t.Errorf("hooks of a change that failed: %v, %v", calls, err)
	}
	if err := run(func(tx *Tx) error { panic("x") }); err == nil || calls != nil {
		t.Errorf("hooks of a change that panicked: %v, %v", calls, err)
	}
	err := run(orphan)
	if err == nil || !slices.Equal(calls, []string{"before", "after, committed false"}) {
		t.Errorf("hooks of a commit that failed: %v, %v", calls, err)
	}
}

// orphan leaves a row whose deferred foreign key makes COMMIT fail.
func orphan(tx *Tx) error {
	if _, err := tx.Exec(`CREATE TABLE o (id TEXT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO o VALUES ('nobody')`)
	return err
}

// The orders of a reader's and a writer's steps that the argument at Cache
// rests on.
func TestShardPublishes(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps string
		want  bool
	}{
		{"undisturbed", "begin end", true},
		{"change before", "mark release begin end", true},
		{"change inside the load", "begin mark release end", false},
		{"marked during the load, not released", "begin mark end", false},
		{"marked after the load", "begin end mark", false},
		{"begun while pending", "mark begin release end", false},
		{"begun while pending, ended too", "mark begin end release", false},
		{"one of two changes released", "mark mark release begin release end", false},
		{"begun after both", "mark mark release release begin end", true},
		{"published, then changed", "begin end mark release", false},
		{"a second load begun after the change", "begin mark release begin2 end2 end", true},
		{"a second load begun before the change", "begin begin2 end mark release end2", false},
		{"made by the change", "mark become", true},
		{"made by the change, inside a load", "begin mark become end", true},
		{"made by the change, then changed", "mark become mark release", false},
		{"made by the first of two", "mark mark become release", false},
		{"made by the second of two", "mark mark release become", true},
		{"made by both of two", "mark mark become become", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(shard[int])
			s.init(1 << 20)
			if got := playSteps(s, test.steps); got != test.want {
				t.Errorf("%s: published %v, want %v", test.steps, got, test.want)
			}
			if unreleased := strings.Count(test.steps, "mark") - strings.Count(test.steps, "release") - strings.Count(test.steps, "become"); s.pending["k"] != unreleased || len(s.loading) != 0 {
				t.Errorf("%s: left %d pending and %d loading", test.steps, s.pending["k"], len(s.loading))
			}
		})
	}
}

// playSteps runs the steps on one key and reports whether it has an entry then.
func playSteps(s *shard[int], steps string) bool {
	loads := make(map[string]*loading)
	for step := range strings.FieldsSeq(steps) {
		name := strings.TrimPrefix(strings.TrimPrefix(step, "begin"), "end")
		switch {
		case step == "mark":
			s.mark("k")
		case step == "release":
			s.release("k", nil)
		case step == "become":
			s.release("k", &entry[int]{key: "k", bytes: 1})
		case strings.HasPrefix(step, "begin"):
			loads[name] = s.begin("k")
		default:
			s.end("k", loads[name], &entry[int]{key: "k", bytes: 1})
		}
	}
	_, ok := s.get("k")
	return ok
}

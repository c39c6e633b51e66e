package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// A fact is what a cache holds, without a cache.
type fact struct {
	kind    int
	is      Stamp
	dropped bool
}

func (f *fact) stamp() (int, Stamp) { return f.kind, f.is }
func (f *fact) drop()               { f.dropped = true }
func (f *fact) confirm(int64)       {}
func (f *fact) bearable(int64) bool { return false }

func newChecker(kinds int, read func(lists []any) ([]found, error)) *checker {
	c := &checker{lost: context.Background, read: func(_ string, lists []any) ([]found, error) { return read(lists) }}
	for range kinds {
		c.kind("SELECT id, rev FROM facts WHERE id = ANY($1)")
	}
	return c
}

// idsOf are the different ids of a list.
func idsOf(list any) []string {
	return slices.Compact(slices.Sorted(slices.Values(list.([]string))))
}

// Who asks while a query is on its way gets the next one's answer, together
// with all who came meanwhile. What is not true any more is dropped.
func TestCheckJoinsOnlyALaterQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type query struct {
			lists  []any
			answer chan []found
		}
		queries := make(chan query)
		c := newChecker(2, func(lists []any) ([]found, error) {
			q := query{lists, make(chan []found)}
			queries <- q
			return <-q.answer, nil
		})
		a, other, b, gone := &fact{is: Stamp{"a", 1}}, &fact{kind: 1, is: Stamp{"a", 9}}, &fact{is: Stamp{"b", 5}}, &fact{kind: 1, is: Stamp{"gone", 1}}
		var asking sync.WaitGroup
		ask := func(want bool, all ...held) {
			asking.Go(func() {
				if got, err := c.current(t.Context(), all); got != want || err != nil {
					t.Errorf("current = %v, %v; want %v", got, err, want)
				}
			})
			synctest.Wait()
		}
		ask(true, a)
		first := <-queries
		ask(false, b, a) // as of now
		ask(true, b, other)
		ask(false, other, gone)
		first.answer <- []found{{0, Stamp{"a", 1}}}
		second := <-queries
		for kind, want := range [][]string{{"a", "b"}, {"a", "gone"}} {
			if got := idsOf(second.lists[kind]); !slices.Equal(got, want) {
				t.Errorf("the second query asks for %q of kind %d, want %q", got, kind, want)
			}
		}
		second.answer <- []found{{0, Stamp{"a", 2}}, {0, Stamp{"b", 5}}, {1, Stamp{"a", 9}}}
		asking.Wait()
		if !a.dropped || !gone.dropped || b.dropped || other.dropped {
			t.Errorf("dropped: %v, %v, %v, %v; want the first two", a.dropped, gone.dropped, b.dropped, other.dropped)
		}
	})
}

func TestCheckInParts(t *testing.T) {
	for _, n := range []int{1, minList - 1, minList, maxRound - 1, maxRound, maxRound + 1, 3 * maxRound} {
		r := &round{asked: map[held]struct{}{}}
		for i := range n {
			r.asked[&fact{is: Stamp{fmt.Sprint(i), 7}}] = struct{}{}
		}
		asked := 0
		c := newChecker(2, func(lists []any) (all []found, err error) {
			if n := len(lists[0].([]string)); n < minList || n > maxRound {
				t.Errorf("a query of %d", n)
			}
			if len(lists) > 1 {
				t.Errorf("a query of %d kinds, of which one was asked for", len(lists))
			}
			ids := idsOf(lists[0])
			asked += len(ids)
			for _, id := range ids {
				all = append(all, found{0, Stamp{id, 7}})
			}
			return all, nil
		})
		if err := c.ask(r, c.kinds); err != nil || asked != n || len(r.refuted) > 0 {
			t.Errorf("%d ids: %d asked for, %d refuted, %v", n, asked, len(r.refuted), err)
		}
	}
}

func TestCheckPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	c := newChecker(1, func([]any) ([]found, error) { return nil, broken })
	f := &fact{is: Stamp{"a", 0}}
	if ok, err := c.current(t.Context(), []held{f}); ok || !errors.Is(err, broken) || f.dropped {
		t.Errorf("got %v, %v; dropped %v", ok, err, f.dropped)
	}
}

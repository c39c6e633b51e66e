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

// Who asks while a query is on its way gets the next one's answer, together
// with all who came meanwhile.
func TestCheckJoinsOnlyALaterQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type query struct {
			ids    []string
			answer chan []Stamp
		}
		queries := make(chan query)
		c := &checker{lost: context.Background, read: func(ids []string) ([]Stamp, error) {
			q := query{slices.Compact(slices.Sorted(slices.Values(ids))), make(chan []Stamp)}
			queries <- q
			return <-q.answer, nil
		}}
		var asking sync.WaitGroup
		ask := func(s Stamp, want bool) {
			asking.Go(func() {
				if got, err := c.current(t.Context(), s); got != want || err != nil {
					t.Errorf("current(%v) = %v, %v; want %v", s, got, err, want)
				}
			})
			synctest.Wait()
		}
		ask(Stamp{"a", 1}, true)
		first := <-queries
		ask(Stamp{"a", 1}, false) // as of now
		ask(Stamp{"b", 5}, true)
		ask(Stamp{"gone", 1}, false)
		first.answer <- []Stamp{{"a", 1}}
		second := <-queries
		if want := []string{"a", "b", "gone"}; !slices.Equal(second.ids, want) {
			t.Errorf("the second query asks for %q, want %q", second.ids, want)
		}
		second.answer <- []Stamp{{"a", 2}, {"b", 5}}
		asking.Wait()
	})
}

func TestCheckInParts(t *testing.T) {
	for _, n := range []int{1, 2, 5, 255, 256, 257, 1000} {
		r := &round{ids: map[string]struct{}{}}
		for i := range n {
			r.ids[fmt.Sprint(i)] = struct{}{}
		}
		sizes := map[int]bool{}
		c := &checker{lost: context.Background, read: func(ids []string) (all []Stamp, err error) {
			sizes[len(ids)] = true
			for _, id := range ids {
				all = append(all, Stamp{id, 7})
			}
			return all, nil
		}}
		if err := c.ask(r); err != nil || len(r.revs) != n {
			t.Errorf("%d ids: %d answers, %v", n, len(r.revs), err)
		}
		for size := range sizes {
			if !slices.Contains([]int{1, 4, 16, 64, 256}, size) {
				t.Errorf("%d ids: a query of %d", n, size)
			}
		}
	}
}

func TestCheckPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	c := &checker{lost: context.Background, read: func([]string) ([]Stamp, error) { return nil, broken }}
	if ok, err := c.current(t.Context(), Stamp{"a", 0}); ok || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", ok, err)
	}
}

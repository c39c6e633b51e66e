package main

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// On one processor a second slot of the scheduler comes with the first change
// and goes when there has been none for a while.
func TestOverlap(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		want := func(slots int) {
			t.Helper()
			synctest.Wait()
			if got := runtime.GOMAXPROCS(0); got != slots {
				t.Errorf("%d slots, want %d", got, slots)
			}
		}
		o := new(overlap)
		for range 2 {
			o.committed()
			want(2)
			for range 3 {
				time.Sleep(overlapQuiet / 2)
				o.committed()
				want(2)
			}
			time.Sleep(2 * overlapQuiet)
			want(1)
		}
	})
}

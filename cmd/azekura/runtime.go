package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// An overlap lets requests run while a commit waits in fsync, also on a machine
// with one processor. With a single slot in Go's scheduler the writer and those
// it serves keep it to themselves: under a load of 64 connections others were
// seen to wait for seconds, with a second slot for 40 ms. But on one processor
// two slots cost reads a tenth of their speed, in threads that wake each other,
// so the second is there only while changes are made.
type overlap struct {
	commits atomic.Int64
	open    atomic.Bool
}

// overlapQuiet is how long after the last change the second slot goes.
const overlapQuiet = time.Second

// committed is told of each commit.
func (o *overlap) committed() {
	o.commits.Add(1)
	if o.open.CompareAndSwap(false, true) {
		runtime.GOMAXPROCS(2)
		o.closeLater()
	}
}

func (o *overlap) closeLater() {
	seen := o.commits.Load()
	time.AfterFunc(overlapQuiet, func() {
		if o.commits.Load() != seen {
			o.closeLater()
			return
		}
		runtime.GOMAXPROCS(1)
		o.open.Store(false)
	})
}

const (
	heapBallast = 80 << 20
	heapGrowth  = 65 // percent of heap and ballast
	startLength = time.Second

	// startGrowth puts the first collection off until 60 MiB are in use: a start
	// makes some megabytes of garbage, which need not be looked through. Before
	// there was a collection Go takes a heap of 4 MiB for granted.
	startGrowth = 100 * (heapBallast + 60<<20) / (4 << 20)
)

// calmCollector lets the heap grow by 50 MiB and two thirds of what is alive
// before garbage is collected. By Go's own rule, the double of what is alive, a
// server with little in its cache collects a hundred times a second; with a
// full cache of the default size this is about as much memory as by that rule. What makes the difference is a
// ballast that counts as alive; nothing touches it, so it takes no memory.
// GOGC and GOMEMLIMIT in the environment are somebody's own choice.
func calmCollector() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	debug.SetGCPercent(startGrowth)
	// Before anything else: out of memory that was used before, Go would have to
	// clear it, and all of it would be there.
	ballast := make([]byte, heapBallast)
	calm := sync.OnceFunc(func() { debug.SetGCPercent(heapGrowth) })
	runtime.AddCleanup(new([2]*byte), func(struct{}) { calm() }, struct{}{}) // at the first collection
	settled := time.AfterFunc(startLength, func() {
		calm()
		debug.FreeOSMemory() // of the start's garbage
	})
	return func() {
		settled.Stop()
		runtime.KeepAlive(ballast)
	}
}

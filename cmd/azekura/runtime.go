package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// overlapCommits lets requests run while a commit waits in fsync, also on a
// machine with one processor. With a single slot in Go's scheduler the writer
// and those it serves keep it to themselves: under a load of 64 connections
// others were seen to wait for seconds, with it for 40 ms.
func overlapCommits() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}

const (
	heapBallast = 64 << 20
	heapGrowth  = 50 // percent of heap and ballast
)

// calmCollector lets the heap grow by 32 MiB and half of what is alive before
// garbage is collected. By Go's own rule, the double of what is alive, a server
// with little in its cache collects a hundred times a second; with a full
// cache this is less memory than by that rule. The ballast that it returns
// counts as alive and must be kept; nothing touches it, so it takes no memory.
// GOGC and GOMEMLIMIT in the environment are somebody's own choice.
func calmCollector() (ballast []byte) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(heapGrowth)
	return make([]byte, heapBallast)
}

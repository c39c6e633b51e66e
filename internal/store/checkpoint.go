package store

import (
	"log/slog"
	"sync"
	"time"
)

const (
	checkpointFrames = 4000                  // pages in the WAL that are worth a checkpoint: the more, the more of them are the same page
	checkpointLook   = 32                    // changes between two looks at the length of the WAL
	checkpointGrace  = 50 * time.Millisecond // for readers to go, while changes wait
)

// A checkpointer copies the WAL into the database file, in the place of
// SQLite's automatic checkpoint, which keeps its failures to itself and trusts
// the disk too far: it copies up to where the oldest reader stands without an
// fsync, and never copies those pages again. If the fsync at the end then
// fails, the kernel has dropped them and tells it once; the next fsync
// succeeds, and the WAL, which alone still held them, is overwritten.
//
// So a checkpoint is made when nobody reads an older state. It is then whole,
// and counts only once its fsync has succeeded; else the next copies all again.
type checkpointer struct {
	log     *slog.Logger
	readers *readers

	unseen  int             // changes since the last look
	leaving <-chan struct{} // closed when those have gone who were too slow last time
	failing bool
}

// committed is told of changes after their COMMIT, on the connection that made
// it, and makes a checkpoint if it is due.
func (k *checkpointer) committed(c *conn, changes int) {
	k.unseen += changes
	if k.unseen < checkpointLook {
		return
	}
	k.unseen = 0
	frames, err := checkpoint(c, "NOOP")
	if err == nil && (frames < checkpointFrames || !k.alone()) {
		return
	}
	if err == nil {
		_, err = checkpoint(c, "PASSIVE")
	}
	switch {
	case err != nil && !k.failing:
		k.log.Error("the database file cannot be written, changes are kept in the WAL beside it, which grows; nothing is lost, it is tried again", "error", translate(err))
	case err == nil && k.failing:
		k.log.Warn("the database file can be written again, it holds what was in the WAL")
	}
	k.failing = err != nil
}

// alone waits until nobody reads a state older than the last commit. A copy of
// the database takes longer than changes may wait; it is not asked again
// before it has gone.
func (k *checkpointer) alone() bool {
	if k.leaving != nil {
		select {
		case <-k.leaving:
		default:
			return false
		}
	}
	k.leaving = k.readers.leave()
	grace := time.NewTimer(checkpointGrace)
	defer grace.Stop()
	select {
	case <-k.leaving:
		k.leaving = nil
		return true
	case <-grace.C:
		return false
	}
}

// checkpoint runs a checkpoint, https://www.sqlite.org/pragma.html#pragma_wal_checkpoint,
// and returns how many pages of the WAL are not in the database file after it.
func checkpoint(c *conn, mode string) (frames int, err error) {
	err = c.query(func(scan func(...any) error) (bool, error) {
		var busy, length, copied int
		err := scan(&busy, &length, &copied)
		frames = length - copied
		return true, err
	}, "PRAGMA wal_checkpoint("+mode+")")
	return frames, err
}

// readers are those who have a transaction that reads.
type readers struct {
	mu      sync.Mutex
	present *sync.WaitGroup
}

func newReaders() *readers { return &readers{present: new(sync.WaitGroup)} }

// enter is called before a transaction begins to read; it calls Done on the
// result after its end.
func (r *readers) enter() *sync.WaitGroup {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.present.Add(1)
	return r.present
}

// leave returns a channel that is closed when all who have entered before have
// left. It keeps nobody from entering.
func (r *readers) leave() <-chan struct{} {
	r.mu.Lock()
	old := r.present
	r.present = new(sync.WaitGroup)
	r.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		old.Wait()
		close(gone)
	}()
	return gone
}

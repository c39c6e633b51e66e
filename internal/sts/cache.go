package sts

import (
	"crypto/subtle"
	"sync"
	"sync/atomic"
)

// A tokenCache keeps opened tokens by access key id, within a limit of bytes.
// What it keeps is true for ever: whether a session is over or revoked is asked
// of what it finds, each time. It may be used concurrently; what it finds it
// finds without waiting for another reader.
type tokenCache struct {
	limit int64

	mu      sync.RWMutex
	bytes   int64
	entries map[string]*tokenEntry
	ring    []*tokenEntry // the same entries, in the order of the clock's hand
	hand    int
}

type tokenEntry struct {
	*opened
	bytes int64
	at    int         // index in the ring
	used  atomic.Bool // since the hand last passed
}

func newTokenCache(limit int64) *tokenCache {
	return &tokenCache{limit: limit, entries: map[string]*tokenEntry{}}
}

// get finds an opened token. A session's access key id with another token than
// its own finds nothing: that token has to be opened, which fails.
func (c *tokenCache) get(accessKeyID, token string) *opened {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.entries[accessKeyID]
	if e == nil || subtle.ConstantTimeCompare([]byte(e.token), []byte(token)) != 1 {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.opened
}

// put makes room by the CLOCK rule: the hand goes round, spares once what was
// used since it last passed, and takes the rest.
func (c *tokenCache) put(o *opened) {
	e := &tokenEntry{opened: o, bytes: o.size()}
	if e.bytes > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[o.accessKeyID] != nil {
		return // another was quicker
	}
	for c.bytes+e.bytes > c.limit {
		c.hand %= len(c.ring)
		if old := c.ring[c.hand]; !old.used.Swap(false) {
			c.remove(old)
		}
		c.hand++
	}
	e.at = len(c.ring)
	c.ring = append(c.ring, e)
	c.entries[o.accessKeyID] = e
	c.bytes += e.bytes
}

// remove fills the gap with the ring's last entry.
func (c *tokenCache) remove(e *tokenEntry) {
	last := len(c.ring) - 1
	moved := c.ring[last]
	c.ring[e.at], moved.at = moved, e.at
	c.ring[last] = nil
	c.ring = c.ring[:last]
	delete(c.entries, e.accessKeyID)
	c.bytes -= e.bytes
}

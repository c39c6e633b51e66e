package sts

import (
	"crypto/subtle"
	"sync"
	"sync/atomic"

	"azekura/internal/store"
)

// A tokenCache keeps opened tokens by access key id, within a limit of bytes.
// What it keeps is true for ever: whether a session is over or revoked is asked
// of what it finds, each time. It may be used concurrently; what it finds it
// finds without waiting for another reader.
type tokenCache struct {
	limit int64
	hits  atomic.Int64

	mu      sync.RWMutex
	bytes   int64
	entries map[string]*tokenEntry
	ring    []*tokenEntry // the same entries, in the order of the clock's hand
	hand    int
	misses  int64
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
	c.hits.Add(1)
	return e.opened
}

// put adds a token that had to be opened. It makes room by the CLOCK rule: the
// hand goes round, spares once what was used since it last passed, and takes
// the rest.
func (c *tokenCache) put(o *opened) {
	e := &tokenEntry{opened: o, bytes: o.size()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.misses++
	if e.bytes > c.limit || c.entries[o.accessKeyID] != nil { // another was quicker
		return
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

// CacheStats is of the cache of sessions.
func (s *Service) CacheStats() store.CacheStats {
	c := s.tokens
	c.mu.RLock()
	defer c.mu.RUnlock()
	return store.CacheStats{Hits: c.hits.Load(), Misses: c.misses, Bytes: c.bytes, Entries: int64(len(c.ring))}
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

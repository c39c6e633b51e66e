package sts

import (
	"crypto/subtle"
	"sync"

	"azekura/internal/api"
	"azekura/internal/sigv4"
)

// An opened token is a session's claims with what was worked out of them. It is
// shared, and but for what it keeps of itself not changed.
type opened struct {
	*claims
	accessKeyID string
	token       string
	secret      api.Sensitive
	keys        sigv4.Keys
}

func (o *opened) String() string { return o.accessKeyID }

func (o *opened) size() int64 {
	return o.claims.size() + int64(len(o.token)*2) + sigv4.KeysSize + 256
}

// A tokenCache keeps opened tokens by access key id, within a limit of bytes.
// What it keeps is true for ever: whether a session is over or revoked is asked
// of what it finds, each time. It may be used concurrently.
//
// It has two generations. What is used moves into the young one; when that has
// half of the limit it becomes the old one, and what was old is gone: an entry
// is dropped after it has not been used while half the limit was filled.
type tokenCache struct {
	half  int64 // limit of a generation, bytes
	mu    sync.RWMutex
	young map[string]*opened
	old   map[string]*opened
	bytes int64 // of young
}

func newTokenCache(limit int64) *tokenCache {
	return &tokenCache{half: limit / 2, young: map[string]*opened{}}
}

// get finds an opened token. A session's access key id with another token than
// its own finds nothing: it has to be opened, which fails.
func (c *tokenCache) get(accessKeyID, token string) *opened {
	c.mu.RLock()
	o, young := c.young[accessKeyID]
	if !young {
		o = c.old[accessKeyID]
	}
	c.mu.RUnlock()
	if o == nil || subtle.ConstantTimeCompare([]byte(o.token), []byte(token)) != 1 {
		return nil
	}
	if !young {
		c.put(o)
	}
	return o
}

func (c *tokenCache) put(o *opened) {
	size := o.size()
	if size > c.half {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young[o.accessKeyID] != nil {
		return
	}
	if c.bytes+size > c.half {
		c.old, c.young, c.bytes = c.young, map[string]*opened{}, 0
	}
	c.young[o.accessKeyID] = o
	c.bytes += size
}

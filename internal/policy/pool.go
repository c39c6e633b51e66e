package policy

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"weak"
)

// A Pool compiles documents and keeps what is in use, so that those who have
// the same policy share it: a thousand accounts under five policies take five,
// not five thousand. It keeps nothing alive that nobody else holds. The zero
// Pool is empty; it may be used concurrently.
type Pool struct {
	mu   sync.Mutex
	held map[poolKey]weak.Pointer[Document]
}

type poolKey struct {
	kind Kind
	sum  [sha256.Size]byte
}

// Compile is the document of a text, nil if it cannot be read. spent is a sum
// of bytes to which it adds about what the document takes, if nobody had it
// before: who comes later shares it.
func (p *Pool) Compile(text string, kind Kind, spent int64) (*Document, int64) {
	const reference = 64
	key := poolKey{kind, sha256.Sum256([]byte(text))}
	if held := p.find(key); held != nil {
		return held, spent + reference
	}
	document, err := Parse(text, kind)
	if err != nil {
		return nil, spent
	}
	return p.keep(key, document), spent + int64(1024+4*len(text))
}

// Len is how many documents are in use, or were a while ago.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

func (p *Pool) find(key poolKey) *Document {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[key].Value()
}

// keep notes a document, and returns it, or the one that another was quicker
// to make.
func (p *Pool) keep(key poolKey, document *Document) *Document {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held := p.held[key].Value(); held != nil {
		return held
	}
	if p.held == nil {
		p.held = make(map[poolKey]weak.Pointer[Document])
	}
	p.held[key] = weak.Make(document)
	runtime.AddCleanup(document, p.forget, key)
	return document
}

// forget removes a document that nobody holds any more, unless it has been
// made again.
func (p *Pool) forget(key poolKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key].Value() == nil {
		delete(p.held, key)
	}
}

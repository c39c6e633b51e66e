package wire

import (
	"io"
	"sync"
)

// pooledMax is the largest buffer, in bytes, that is kept for the next
// request. It holds the largest secret with room to spare.
const pooledMax = 128 << 10

// A buffer holds a body, and with it secrets: whatever memory it gives up is
// cleared first, when it grows and when it is released.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	clear(b.bytes)
	b.bytes = b.bytes[:0]
	if cap(b.bytes) <= pooledMax {
		buffers.Put(b)
	}
}

// reserve makes room for n more bytes.
func (b *buffer) reserve(n int) {
	if cap(b.bytes)-len(b.bytes) >= n {
		return
	}
	grown := make([]byte, len(b.bytes), max(512, 2*cap(b.bytes), len(b.bytes)+n))
	copy(grown, b.bytes)
	clear(b.bytes)
	b.bytes = grown
}

// add appends text. It is not append, which would leave what it copied.
func (b *buffer) add(text string) {
	b.reserve(len(text))
	b.bytes = append(b.bytes, text...)
}

// readAll appends all of r, which is expected to hold about size bytes; a
// negative size is unknown. The caller limits r.
func (b *buffer) readAll(r io.Reader, size int64) error {
	// Memory for what is only announced is not free to whoever announces it;
	// one byte more lets the end be seen without growing.
	b.reserve(int(min(max(size, 0), pooledMax-1)) + 1)
	for {
		b.reserve(1)
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

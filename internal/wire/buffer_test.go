package wire

import (
	"net/http/httptest"
	"strings"
	"testing"

	"azekura/internal/api"
	"azekura/internal/call"
)

// What a buffer gives up holds nothing of what was in it: neither what it had
// before it grew, nor what it had when it was released.
func TestBufferIsCleared(t *testing.T) {
	b := &buffer{bytes: make([]byte, 0, 64)}
	b.add("secret")
	small := b.bytes
	b.add(strings.Repeat("secret", 100))
	if string(small) != "\x00\x00\x00\x00\x00\x00" {
		t.Errorf("after growing: %q", small)
	}
	large := b.bytes
	b.release()
	if strings.Trim(string(large), "\x00") != "" {
		t.Error("after its release the buffer holds what was in it")
	}
}

func TestBufferReadAll(t *testing.T) {
	text := strings.Repeat("0123456789", 50_000)
	for _, size := range []int64{-1, 0, 3, int64(len(text)), 1 << 40} {
		var b buffer
		if err := b.readAll(strings.NewReader(text), size); err != nil {
			t.Fatal(err)
		}
		if string(b.bytes) != text {
			t.Errorf("size %d: read %d bytes, want %d", size, len(b.bytes), len(text))
		}
	}
}

// An answer that broke off in the middle of a secret is not sent before the
// error.
func TestRespondDropsHalfAnAnswer(t *testing.T) {
	b := &buffer{bytes: []byte(`{"SecretString":"sec`)}
	half := b.bytes
	w := httptest.NewRecorder()
	respond(w, &call.Call{}, b, api.UnknownOperation(), awsJSON{})
	if got := w.Body.String(); got != `{"__type":"UnknownOperationException"}` {
		t.Errorf("got %s", got)
	}
	if strings.Contains(string(half), "sec") {
		t.Error("the half answer is still in memory")
	}
}

//go:build !race

// The race detector keeps memory of its own, far too much to look through.

package server

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"azekura/internal/sigv4"
)

// A needle is a text that this program can look for without having it in
// memory: two halves whose XOR it is.
type needle struct{ one, other [64]byte }

func newNeedle() *needle {
	n := new(needle)
	rand.Read(n.one[:])
	var raw [32]byte
	rand.Read(raw[:])
	hex.Encode(n.other[:], raw[:])
	for i := range n.other {
		n.other[i] ^= n.one[i]
	}
	return n
}

// appendTo writes the needle out.
func (n *needle) appendTo(b []byte) []byte {
	for i := range n.one {
		b = append(b, n.one[i]^n.other[i])
	}
	return b
}

// in counts the needle in a text.
func (n *needle) in(text []byte) (count int) {
	for {
		at := bytes.IndexByte(text, n.one[0]^n.other[0])
		if at < 0 || len(text)-at < len(n.one) {
			return count
		}
		text = text[at:]
		same := 0
		for same < len(n.one) && text[same] == n.one[same]^n.other[same] {
			same++
		}
		if same == len(n.one) {
			count++
		}
		text = text[1:]
	}
}

// inMemory counts the needle in all of this process's memory that can be
// written to.
func (n *needle) inMemory(t *testing.T) (count int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skip(err)
	}
	defer mem.Close()
	window := make([]byte, 1<<20)
	defer clear(window)
	own := uintptr(unsafe.Pointer(&window[0]))
	seen := 0
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to uintptr
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		for _, part := range [][2]uintptr{{from, min(to, own)}, {max(from, own+uintptr(len(window))), to}} { // the window sees itself
			found, size := n.between(mem, window, part[0], part[1])
			count += found
			seen += size
		}
	}
	if seen < 1<<20 {
		t.Fatalf("saw %d bytes of memory", seen)
	}
	return count
}

// between counts the needle from one address to another, through a window.
func (n *needle) between(mem io.ReaderAt, window []byte, from, to uintptr) (count, seen int) {
	for ; from < to; from += uintptr(len(window) - len(n.one) + 1) {
		got, _ := mem.ReadAt(window[:min(uintptr(len(window)), to-from)], int64(from))
		seen += got
		count += n.in(window[:got])
		if got < len(n.one) {
			break
		}
	}
	return count, seen
}

// An answerSink takes an answer and keeps none of it.
type answerSink struct {
	header http.Header
	status int
	n      *needle
	found  int
	kept   []byte // of answers that hold nothing secret
}

func (s *answerSink) Header() http.Header { return s.header }
func (s *answerSink) WriteHeader(status int) {
	s.status = status
}
func (s *answerSink) Write(b []byte) (int, error) {
	if s.n == nil {
		s.kept = append(s.kept, b...)
		return len(b), nil
	}
	s.found += s.n.in(b)
	return len(b), nil
}

// A wiped is a server whose requests are wiped by who made them. Their targets
// are the operations of a service, as "kms" and "TrentService.Encrypt".
type wiped struct {
	t     *testing.T
	s     *Server
	creds sigv4.Credentials
}

// call has the server answer a request, and wipes its body.
func (w *wiped) call(service, target string, body []byte, n *needle) *answerSink {
	w.t.Helper()
	defer clear(body)
	r, err := http.NewRequest(http.MethodPost, w.s.Address()+"/", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Amz-Target", target)
	sigv4.Sign(r, w.creds, "us-east-1", service, sha256.Sum256(body), time.Now())
	sink := &answerSink{header: http.Header{}, n: n}
	w.s.http.Handler.ServeHTTP(sink, r)
	if sink.status != http.StatusOK {
		w.t.Fatalf("%s: %d", target, sink.status)
	}
	return sink
}

func (w *wiped) secret(op string, body []byte, n *needle) (found int) {
	w.t.Helper()
	return w.call("secretsmanager", "secretsmanager."+op, body, n).found
}

func (w *wiped) kms(op string, body []byte, n *needle) *answerSink {
	w.t.Helper()
	return w.call("kms", "TrentService."+op, body, n)
}

func newWiped(t *testing.T) *wiped {
	t.Helper()
	cfg := Defaults()
	cfg.DataDir, cfg.Listen = t.TempDir()+"/data", "127.0.0.1:0"
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &wiped{t: t, s: s}
	for _, v := range s.Environment() {
		switch v.Name {
		case "AWS_ACCESS_KEY_ID":
			w.creds.AccessKeyID = v.Value
		case "AWS_SECRET_ACCESS_KEY":
			w.creds.Secret = v.Value
		}
	}
	return w
}

// Around a needle is what a partial block of a hash or a cipher may hold.
var around = strings.Repeat("around the value ", 20)

// body is a JSON body with the needle, in its surroundings, in a member; in
// base64 if it is bytes.
func (n *needle) body(before, member string, isBytes bool) []byte {
	raw := append(n.appendTo(append(make([]byte, 0, 1024), around...)), around...)
	defer clear(raw)
	b := fmt.Appendf(make([]byte, 0, 4096), `{%s,%q:"`, before, member)
	if isBytes {
		return append(base64.StdEncoding.AppendEncode(b, raw), `"}`...)
	}
	return append(append(b, raw...), `"}`...)
}

// A value that was stored, repeated and read is nowhere in memory afterwards:
// not where it came in, was decoded, encrypted, decrypted or encoded.
func TestValuesAreWiped(t *testing.T) {
	w := newWiped(t)
	text, binary, plain := newNeedle(), newNeedle(), newNeedle()
	token := func(n int) string { return fmt.Sprintf(`"ClientRequestToken":"%032d",`, n) }
	w.secret("CreateSecret", text.body(token(1)+`"Name":"a"`, "SecretString", false), text)
	w.secret("CreateSecret", text.body(token(1)+`"Name":"a"`, "SecretString", false), text) // compared with what there is
	for range 3 {
		if w.secret("GetSecretValue", []byte(`{"SecretId":"a"}`), text) != 1 {
			t.Error("the value was not answered")
		}
	}
	w.secret("BatchGetSecretValue", []byte(`{"SecretIdList":["a"]}`), text)
	w.secret("PutSecretValue", binary.body(token(2)+`"SecretId":"a"`, "SecretBinary", true), binary)
	w.secret("GetSecretValue", []byte(`{"SecretId":"a"}`), binary)

	var key struct {
		KeyMetadata struct {
			KeyID string `json:"KeyId"`
		}
	}
	var sealed struct{ CiphertextBlob string }
	if err := json.Unmarshal(w.kms("CreateKey", []byte(`{}`), nil).kept, &key); err != nil {
		t.Fatal(err)
	}
	answer := w.kms("Encrypt", plain.body(fmt.Sprintf(`"KeyId":%q`, key.KeyMetadata.KeyID), "Plaintext", true), nil)
	if err := json.Unmarshal(answer.kept, &sealed); err != nil {
		t.Fatal(err)
	}
	w.kms("Decrypt", fmt.Appendf(nil, `{"CiphertextBlob":%q}`, sealed.CiphertextBlob), plain)

	for name, n := range map[string]*needle{"text": text, "bytes": binary, "plaintext": plain} {
		if count := n.inMemory(t); count > 0 {
			t.Errorf("the %s is %d times in memory", name, count)
		}
	}
	held := text.appendTo(nil)
	if count := text.inMemory(t); count != 1 {
		t.Errorf("what this test holds is %d times in memory, want once", count)
	}
	clear(held)
}

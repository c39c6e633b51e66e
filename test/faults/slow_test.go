package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"azekura/test/process"
)

// Senders of a byte now and then, of the header and of the body, and callers
// who ask for much and do not read the answers, many at once: the server hangs
// up on them all when their time is over, and serves the others meanwhile.
func TestSlowPeers(t *testing.T) {
	s, err := process.StartWith(process.Config{Command: []string{bin}, DataDir: t.TempDir() + "/data", Args: []string{
		"--read-header-timeout", "5s", "--read-timeout", "15s", "--write-timeout", "15s", "--idle-timeout", "15s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	call(t, s, "CreateSecret", map[string]any{"Name": "big", "ClientRequestToken": strings.Repeat("t", 32), "SecretString": strings.Repeat("v", 60_000)})
	create(t, s, "s")
	request := whole(t, s, "GetSecretValue", get("big"))
	head, body, _ := bytes.Cut(whole(t, s, "GetSecretValue", get(strings.Repeat("n", 500))), []byte("\r\n\r\n"))
	head = append(head, "\r\n\r\n"...)
	signed := bytes.Index(head, []byte("Authorization"))

	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { trickle(t, s, head[:signed], head[signed:]) })
		wg.Go(func() { trickle(t, s, head, body) })
		wg.Go(func() { pushWithoutReading(t, s, request) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	const limit = 400 << 10 // KiB
	most := 0
	for n, over := 0, false; !over; n++ {
		served(t, s, "GetSecretValue", get("s"))
		served(t, s, "CreateSecret", map[string]any{"Name": fmt.Sprintf("s-%d", n), "ClientRequestToken": strings.Repeat("t", 32), "SecretString": "v"})
		most = max(most, residentKiB(t, s.PID()))
		select {
		case <-done:
			over = true
		default:
		}
	}
	t.Logf("%d KiB resident", most)
	if most > limit {
		t.Errorf("%d KiB resident under slow peers, more than %d", most, limit)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// served calls like an SDK: on a slow machine its time may be over, too.
func served(t *testing.T, s *process.Server, op string, in any) {
	t.Helper()
	eventually(t, op, func() bool {
		err := s.Call(t.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, op, in, nil)
		if refusal, refused := errors.AsType[*process.Refusal](err); refused && refusal.Status != http.StatusRequestTimeout {
			t.Fatalf("%s: %v", op, err)
		}
		return err == nil
	})
}

// whole is a signed request as it is on the wire.
func whole(t *testing.T, s *process.Server, op string, in any) []byte {
	t.Helper()
	r, err := s.Request(t.Context(), op, in)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dial connects for two minutes at most, which is longer than the server may
// leave a slow peer connected.
func dial(t *testing.T, s *process.Server) net.Conn {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Error(err)
		return nil
	}
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

// trickle sends the first part at once and the rest byte by byte, until the
// server hangs up.
func trickle(t *testing.T, s *process.Server, first, rest []byte) {
	c := dial(t, s)
	if c == nil {
		return
	}
	defer c.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a sender that trickles was left connected")
		}
	}()
	c.Write(first)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, b := range rest {
		select {
		case <-gone:
			return
		case <-tick.C:
			c.Write([]byte{b}) // into a closed connection too: gone tells
		}
	}
	t.Error("a sender that trickles came to its end")
}

// pushWithoutReading asks again and again, and reads nothing, until the server
// hangs up.
func pushWithoutReading(t *testing.T, s *process.Server, request []byte) {
	c := dial(t, s)
	if c == nil {
		return
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	for {
		if _, err := c.Write(request); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a caller that does not read was left connected")
			return
		} else if err != nil {
			return
		}
	}
}

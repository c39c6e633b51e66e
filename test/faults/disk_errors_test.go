package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/test/process"
)

// A journal is what one writer knows: each secret is created and then given a
// second value.
type journal struct {
	name         string
	acknowledged map[string]string // by secret, the last value that was acknowledged
	unknown      map[string]string // the value of a change that was answered with an error, or cut
	refused      int
}

func value(name string, n int) string {
	return fmt.Sprintf("%s value %d %s", name, n, strings.Repeat("v", rand.IntN(50_000)))
}

// write makes one change. The error is that of the connection, or an answer
// that a client would not send again.
func (j *journal) write(ctx context.Context, s *process.Server, client *http.Client, i int) error {
	name := fmt.Sprintf("%s-%06d", j.name, i/2)
	text, op := value(name, i%2), "CreateSecret"
	in := map[string]any{"Name": name, "ClientRequestToken": fmt.Sprintf("%032d", i), "SecretString": text}
	if i%2 == 1 {
		op = "PutSecretValue"
		in["SecretId"] = name
		delete(in, "Name")
		if j.acknowledged[name] == "" {
			return nil // its create failed
		}
	}
	err := s.Call(ctx, client, op, in, nil)
	if err == nil {
		j.acknowledged[name] = text
		return nil
	}
	j.unknown[name] = text
	if refusal, ok := errors.AsType[*process.Refusal](err); ok && refusal.Status == http.StatusInternalServerError {
		j.refused++
		return nil
	}
	return err
}

// A load is writers, and readers of what is not cached, until it is stopped.
type load struct {
	journals []*journal
	written  atomic.Int64 // changes that were acknowledged or refused
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

func startLoad(t *testing.T, s *process.Server, name string) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	t.Cleanup(func() { stop(); l.wg.Wait() })
	for n := range 4 {
		j := &journal{name: fmt.Sprintf("%s-%d", name, n), acknowledged: map[string]string{}, unknown: map[string]string{}}
		l.journals = append(l.journals, j)
		l.wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				if err := j.write(ctx, s, client, i); err != nil {
					if ctx.Err() == nil {
						t.Errorf("a write: %v", err)
					}
					return
				}
				l.written.Add(1)
			}
		})
	}
	l.wg.Go(func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			s.Call(ctx, client, "ListSecrets", map[string]any{"MaxResults": 100}, nil)
		}
	})
	return l
}

// await waits for so many more changes, acknowledged or refused.
func (l *load) await(t *testing.T, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d more changes", n), func() func() bool {
		want := l.written.Load() + n
		return func() bool { return l.written.Load() >= want }
	}())
}

// end stops the load and waits for what is in flight.
func (l *load) end() { l.stop(); l.wg.Wait() }

func (l *load) counts() (acknowledged, refused int) {
	for _, j := range l.journals {
		acknowledged += len(j.acknowledged)
		refused += j.refused
	}
	return acknowledged, refused
}

// check wants every acknowledged value, and of the others the whole or nothing.
func (l *load) check(t *testing.T, s *process.Server) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for _, j := range l.journals {
		names := map[string]bool{}
		for name := range j.acknowledged {
			names[name] = true
		}
		for name := range j.unknown {
			names[name] = true
		}
		for name := range names {
			var got struct{ SecretString string }
			err := s.Call(t.Context(), client, "GetSecretValue", get(name), &got)
			refusal, refused := errors.AsType[*process.Refusal](err)
			switch {
			case refused && refusal.Status == http.StatusBadRequest && j.acknowledged[name] == "":
			case err != nil:
				t.Fatalf("%s, acknowledged %.40q: %v", name, j.acknowledged[name], err)
			case got.SecretString != j.acknowledged[name] && got.SecretString != j.unknown[name]:
				t.Fatalf("%s is %.40q, acknowledged was %.40q", name, got.SecretString, j.acknowledged[name])
			}
		}
	}
}

// eventually waits for what must come.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within five minutes", what)
		}
	}
}

// The disk fails fsyncs, writes or reads for a while, some times over, and
// loses what it could not write. The server refuses what it cannot do, goes on
// by itself, and keeps what it has acknowledged: while it runs, when it is
// killed and started again, and when the power fails.
func TestDiskErrors(t *testing.T) {
	for name, fail := range map[string]func(op, path string) bool{
		"fsync of the WAL":           func(op, path string) bool { return op == opSync && strings.HasSuffix(path, "-wal") },
		"fsync of the database file": func(op, path string) bool { return op == opSync && strings.HasSuffix(path, ".db") },
		"some fsyncs":                func(op, path string) bool { return op == opSync && rand.IntN(3) == 0 },
		"writes":                     func(op, path string) bool { return op == opWrite && rand.IntN(20) == 0 },
		"reads":                      func(op, path string) bool { return op == opRead && rand.IntN(2) == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			var loads []*load
			for round := range 2 {
				s := start(t, filepath.Join(d.mounted, "data"))
				l := startLoad(t, s, fmt.Sprintf("round-%d", round))
				loads = append(loads, l)
				failAndHeal(t, d, l, fail)
				for _, l := range loads[:round] { // nothing was lost by the kill, or since
					l.check(t, s)
				}
				d.failOnce(t, fail)
				l.stop()
				s.Kill()
				l.end()
				d.failWhen(nil)
				if acknowledged, refused := l.counts(); acknowledged < 50 {
					t.Errorf("%d secrets acknowledged, %d changes refused", acknowledged, refused)
				}
				if !strings.Contains(s.Log(), "disk") {
					t.Errorf("the log does not say what is wrong:\n%.2000s", s.Log())
				}
				checkAfterPowerCut(t, d, loads)
			}
		})
	}
}

// failAndHeal makes the disk fail some times over, in the middle of the load,
// and wants changes to be made again each time.
func failAndHeal(t *testing.T, d *disk, l *load, fail func(op, path string) bool) {
	t.Helper()
	l.await(t, 200) // so that there is something to lose, and a checkpoint to come
	for range 3 {
		d.failOnce(t, fail)
		d.failWhen(nil)
		l.await(t, 200)
	}
}

// failOnce makes the disk fail until it has failed.
func (d *disk) failOnce(t *testing.T, fail func(op, path string) bool) {
	t.Helper()
	before := d.failures()
	d.failWhen(fail)
	eventually(t, "an error of the disk", func() bool { return d.failures() > before })
}

// checkAfterPowerCut starts the server with what a loss of power now would leave.
func checkAfterPowerCut(t *testing.T, d *disk, loads []*load) {
	t.Helper()
	s := start(t, filepath.Join(d.powerCut(t), "data"))
	for _, l := range loads {
		l.check(t, s)
	}
	s.Kill()
}

// Without any error of the disk, too, the power may fail at any time: pages that
// were not forced to it are there or not, as chance has it.
func TestPowerCut(t *testing.T) {
	for range 3 {
		d := newDisk(t)
		s := start(t, filepath.Join(d.mounted, "data"))
		l := startLoad(t, s, "s")
		l.await(t, 200+rand.Int64N(400))
		l.stop()
		s.Kill()
		l.end()
		checkAfterPowerCut(t, d, []*load{l})
	}
}

// A commit whose fsync failed looks whole to a server that is started again:
// the kernel still has its pages, and does not write them any more. What is
// acknowledged from then on must not stand on them.
func TestRestartAfterAFailedFsync(t *testing.T) {
	d := newDisk(t)
	dir := filepath.Join(d.mounted, "data")
	s := start(t, dir)
	create(t, s, "before")
	d.failWhen(func(op, path string) bool { return op == opSync && strings.HasSuffix(path, "-wal") })
	err := s.Call(t.Context(), http.DefaultClient, "CreateSecret", map[string]any{"Name": "refused", "ClientRequestToken": strings.Repeat("t", 32), "SecretString": strings.Repeat("r", 60_000)}, nil)
	if refusal, ok := errors.AsType[*process.Refusal](err); !ok || refusal.Status != http.StatusInternalServerError {
		t.Fatalf("a change that could not be made durable: %v", err)
	}
	s.Kill()
	d.failWhen(nil)
	s = start(t, dir)
	create(t, s, "after")
	s.Kill()
	s = start(t, filepath.Join(d.powerCut(t), "data"))
	call(t, s, "GetSecretValue", get("before"))
	call(t, s, "GetSecretValue", get("after"))
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// Package crash kills the server at random moments under a write load and
// checks that every acknowledged change is there after the next start, and
// that nothing is half there.
package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"azekura/test/process"
)

var rounds = flag.Int("rounds", 25, "how often the server is killed")

const writers = 8

// A ledger is what one writer knows of its secrets.
type ledger struct {
	acknowledged map[string]string // version id to value
	current      map[string]string // secret to the version that is AWSCURRENT
	inFlight     map[string]string // secret to a version that was sent and not answered
	deleted      map[string]bool
	versions     map[string]int // how many a secret may have
}

func newLedger() *ledger {
	return &ledger{acknowledged: map[string]string{}, current: map[string]string{}, inFlight: map[string]string{}, deleted: map[string]bool{}, versions: map[string]int{}}
}

func TestKill(t *testing.T) {
	bin, err := process.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/data"
	ledgers := make([]*ledger, writers)
	for i := range ledgers {
		ledgers[i] = newLedger()
	}
	for round := range *rounds {
		server, err := process.Start(dir, bin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Kill) // a failed check ends the test with the server running
		verify(t, server, ledgers)
		load(t, server, ledgers, round)
	}
	server, err := process.Start(dir, bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	verify(t, server, ledgers)
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	total := 0
	for _, l := range ledgers {
		total += len(l.acknowledged)
	}
	if total == 0 {
		t.Error("no change was acknowledged in any round")
	}
	t.Logf("%d rounds, %d acknowledged versions", *rounds, total)
}

// load writes from all writers until the server is killed under them, after
// so many acknowledged writes as chance says: a count and not a time, so that
// the kill falls into the work on a slow machine, too.
func load(t *testing.T, server *process.Server, ledgers []*ledger, round int) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	budget := make(chan struct{}, 1<<16)
	var wg sync.WaitGroup
	for n, l := range ledgers {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				if err := l.write(ctx, server, client, fmt.Sprintf("w%d-%d", n, i%5), round, i); err != nil {
					if _, refused := errors.AsType[*process.Refusal](err); refused {
						t.Error(err)
					}
					return
				}
				budget <- struct{}{}
			}
		})
	}
	for range 20 + rand.IntN(400) {
		<-budget
	}
	server.Kill()
	stop()
	wg.Wait()
}

// write makes one change and notes what came of it.
func (l *ledger) write(ctx context.Context, server *process.Server, client *http.Client, name string, round, i int) error {
	if l.current[name] != "" && (rand.IntN(20) == 0 || l.versions[name] > 80) { // the quota is 100
		return l.remove(ctx, server, client, name)
	}
	version := fmt.Sprintf("%s-%06d-%06d-%s", name, round, i, strings.Repeat("x", 32))[:40]
	value := version + strings.Repeat("y", rand.IntN(3000))
	op, in := "PutSecretValue", map[string]any{"SecretId": name, "ClientRequestToken": version, "SecretString": value}
	if l.current[name] == "" {
		op, in = "CreateSecret", map[string]any{"Name": name, "ClientRequestToken": version, "SecretString": value}
	}
	l.inFlight[name] = version
	l.versions[name]++
	l.acknowledged[version] = value
	if err := server.Call(ctx, client, op, in, nil); err != nil {
		return err
	}
	delete(l.inFlight, name)
	l.current[name] = version
	return nil
}

func (l *ledger) remove(ctx context.Context, server *process.Server, client *http.Client, name string) error {
	l.deleted[name] = true
	in := map[string]any{"SecretId": name, "ForceDeleteWithoutRecovery": true}
	if err := server.Call(ctx, client, "DeleteSecret", in, nil); err != nil {
		return err
	}
	delete(l.deleted, name)
	delete(l.current, name)
	delete(l.inFlight, name)
	delete(l.versions, name)
	return nil
}

// verify checks every secret against the ledgers and settles what was in
// flight: it is there whole, or not at all.
func verify(t *testing.T, server *process.Server, ledgers []*ledger) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	for n, l := range ledgers {
		for k := range 5 {
			l.settle(t, server, client, fmt.Sprintf("w%d-%d", n, k))
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func (l *ledger) settle(t *testing.T, server *process.Server, client *http.Client, name string) {
	t.Helper()
	var got struct{ SecretString, VersionId string }
	err := server.Call(t.Context(), client, "GetSecretValue", map[string]any{"SecretId": name}, &got)
	want, sent := l.current[name], l.inFlight[name]
	refusal, refused := errors.AsType[*process.Refusal](err)
	switch {
	case err != nil && !refused:
		t.Errorf("%s: %v", name, err)
	case refused && strings.Contains(refusal.Body, "can't find the specified secret."):
		if want != "" && !l.deleted[name] {
			t.Errorf("%s: acknowledged version %s is lost with its secret", name, want)
		}
		delete(l.current, name)
	case refused:
		t.Errorf("%s is half there: %v", name, err)
	case got.VersionId != want && got.VersionId != sent:
		t.Errorf("%s is at version %s, want %s, or %s which was in flight", name, got.VersionId, want, sent)
	case got.SecretString != l.acknowledged[got.VersionId]:
		t.Errorf("%s holds another value than was sent with version %s", name, got.VersionId)
	default:
		l.current[name] = got.VersionId
		l.settleOlder(t, server, client, name, want)
	}
	delete(l.inFlight, name)
	delete(l.deleted, name)
}

// settleOlder checks that the version that was acknowledged last is readable
// even if one that was in flight has overtaken it, and that exactly one
// version is current.
func (l *ledger) settleOlder(t *testing.T, server *process.Server, client *http.Client, name, acknowledged string) {
	t.Helper()
	var described struct{ VersionIdsToStages map[string][]string }
	if err := server.Call(t.Context(), client, "DescribeSecret", map[string]any{"SecretId": name}, &described); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	labels := map[string]int{}
	for _, stages := range described.VersionIdsToStages {
		for _, stage := range stages {
			labels[stage]++
		}
	}
	if labels["AWSCURRENT"] != 1 || labels["AWSPREVIOUS"] > 1 || len(labels) > 2 {
		t.Errorf("%s has the labels %v", name, described.VersionIdsToStages)
	}
	if acknowledged == "" {
		return
	}
	var got struct{ SecretString string }
	in := map[string]any{"SecretId": name, "VersionId": acknowledged}
	if err := server.Call(t.Context(), client, "GetSecretValue", in, &got); err != nil || got.SecretString != l.acknowledged[acknowledged] {
		t.Errorf("%s: acknowledged version %s: %v", name, acknowledged, err)
	}
}

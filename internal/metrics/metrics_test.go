package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/wire"
)

func serving(ops ...string) *Metrics {
	m := New("v1")
	s := call.Service{Name: "secretsmanager"}
	for _, op := range ops {
		s.Ops = append(s.Ops, call.Op{Name: op})
	}
	m.Service(s)
	return m
}

func exposition(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	text := exposition(t, m)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			var have []string
			for got := range strings.Lines(text) {
				if strings.HasPrefix(got, name) {
					have = append(have, got)
				}
			}
			t.Errorf("no line %s among\n%s", line, strings.Join(have, ""))
		}
	}
}

func TestClassOfEachStatus(t *testing.T) {
	for status, want := range map[int]string{200: "2xx", 400: "4xx", 408: "4xx", 413: "4xx", 499: "4xx", 500: "5xx", 503: "5xx"} {
		if got := classes[class(status)]; got != want {
			t.Errorf("%d counts as %s, want %s", status, got, want)
		}
	}
}

func TestEveryRefusalHasItsLabel(t *testing.T) {
	m := serving()
	seen := map[string]bool{}
	for kind := range m.refused {
		label := kindLabel(sigv4.Kind(kind))
		if label == unknown || seen[label] {
			t.Errorf("kind %v is labelled %q", sigv4.Kind(kind), label)
		}
		seen[label] = true
	}
	if next := sigv4.Kind(len(m.refused)); next.String() != "unknown kind" {
		t.Errorf("%v is not counted", next)
	}
	// A kind that nobody has counted must not bring a request down.
	for _, kind := range []sigv4.Kind{-1, sigv4.Kind(len(m.refused))} {
		m.Finished(wire.Outcome{Status: 500, Refused: &sigv4.Error{Kind: kind}})
	}
	wantLines(t, m, `azekura_requests_total{code="5xx",operation="unknown",service="unknown"} 2`)
}

func TestDurations(t *testing.T) {
	m := serving("ListSecrets")
	for _, d := range []time.Duration{100 * time.Microsecond, 101 * time.Microsecond, 10 * time.Second, time.Minute} {
		m.Finished(wire.Outcome{Service: "secretsmanager", Op: "ListSecrets", Status: 200, Duration: d})
	}
	bucket := `azekura_request_duration_seconds_bucket{operation="ListSecrets",service="secretsmanager",le="`
	wantLines(t, m, bucket+`0.0001"} 1`, bucket+`0.00025"} 2`, bucket+`5"} 2`, bucket+`10"} 3`, bucket+`+Inf"} 4`)
}

func TestCommits(t *testing.T) {
	m := serving()
	m.Committed(store.Commit{Changes: 256, Took: time.Millisecond})
	m.Committed(store.Commit{Changes: 3, Took: 2 * time.Second})
	m.Committed(store.Commit{Changes: 100, Took: time.Second, Err: errors.New("full")})
	wantLines(t, m,
		`azekura_store_commit_failures_total 1`,
		`azekura_store_commit_changes_bucket{le="2"} 0`,
		`azekura_store_commit_changes_bucket{le="4"} 1`,
		`azekura_store_commit_changes_bucket{le="256"} 2`,
		`azekura_store_commit_changes_sum 259`,
		`azekura_store_commit_duration_seconds_bucket{le="0.001"} 1`,
		`azekura_store_commit_duration_seconds_sum 2.001`,
	)
}

func TestSources(t *testing.T) {
	m := serving()
	m.Watch(Sources{
		InFlight: func() int64 { return 7 },
		Queued:   func() int { return 9 },
		Losing:   func() int64 { return 14 },
		Sealed:   func() bool { return true },
		Slowed:   func() uint64 { return 11 },

		WrongPasswords: func() uint64 { return 12 },
		WrongCodes:     func() uint64 { return 13 },

		Caches: map[string]func() store.CacheStats{
			"a": func() store.CacheStats { return store.CacheStats{Hits: 1, Misses: 2, Bytes: 3, Entries: 4} },
			"b": func() store.CacheStats { return store.CacheStats{Hits: 5} },
		},
		Pool: func() (store.PoolState, bool) {
			return store.PoolState{Used: 1, Idle: 2, Most: 16, Waits: 3, Waited: 1500 * time.Millisecond}, true
		},
	})
	wantLines(t, m,
		"# TYPE azekura_cache_hits_total counter", "# TYPE azekura_cache_bytes gauge",
		"azekura_requests_in_flight 7", "azekura_wrong_passwords_total 12", "azekura_wrong_mfa_codes_total 13",
		"azekura_store_queue_length 9", "azekura_secrets_losing_their_key 14", "azekura_sealed 1",
		`azekura_cache_hits_total{cache="a"} 1`, `azekura_cache_misses_total{cache="a"} 2`,
		`azekura_cache_bytes{cache="a"} 3`, `azekura_cache_entries{cache="a"} 4`,
		`azekura_cache_hits_total{cache="b"} 5`,
		`azekura_store_connections{state="used"} 1`, `azekura_store_connections{state="idle"} 2`, "azekura_store_connections_max 16",
		"azekura_store_connection_waits_total 3", "azekura_store_connection_wait_seconds_total 1.5",
	)
}

var outcomes = []wire.Outcome{
	{Service: "secretsmanager", Op: "GetSecretValue", Status: 200, Duration: time.Millisecond},
	{Status: 404, Duration: time.Millisecond},
	{Service: "secretsmanager", Op: "GetSecretValue", Status: 400, Duration: time.Millisecond, Refused: sigv4.Refuse(sigv4.Mismatch)},
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := serving("GetSecretValue")
	allocated := testing.AllocsPerRun(100, func() {
		for _, o := range outcomes {
			m.Finished(o)
		}
		m.Committed(store.Commit{Changes: 3, Took: time.Millisecond})
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func BenchmarkFinished(b *testing.B) {
	m := serving("CreateSecret", "GetSecretValue", "ListSecrets", "PutSecretValue")
	b.ReportAllocs()
	for b.Loop() {
		m.Finished(outcomes[0])
	}
}

func BenchmarkFinishedParallel(b *testing.B) {
	m := serving("CreateSecret", "GetSecretValue", "ListSecrets", "PutSecretValue")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Finished(outcomes[0])
		}
	})
}

func BenchmarkCommitted(b *testing.B) {
	m := serving()
	b.ReportAllocs()
	for b.Loop() {
		m.Committed(store.Commit{Changes: 16, Took: time.Millisecond})
	}
}

func BenchmarkScrape(b *testing.B) {
	m := serving("CreateSecret", "GetSecretValue", "ListSecrets", "PutSecretValue")
	h := m.Handler(slog.New(slog.DiscardHandler))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

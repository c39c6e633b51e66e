package server_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
	"azekura/internal/store/storetest"
)

func watched(t *testing.T) *servertest.Server {
	t.Helper()
	cfg := servertest.Config(t)
	cfg.MetricsListen, cfg.Version = "127.0.0.1:0", "v1.2.3"
	return servertest.Start(t, cfg)
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// scrape reads all series, by name and labels as they are written.
func scrape(t *testing.T, s *servertest.Server) map[string]float64 {
	t.Helper()
	status, text := get(t, s.MetricsURL)
	if status != http.StatusOK {
		t.Fatalf("scrape: status %d, %s", status, text)
	}
	series := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndex(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(line[cut:]), 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		series[line[:cut]] = value
	}
	return series
}

// wantGrowth compares how much series have grown. A series that is not there
// is one that nobody can draw.
func wantGrowth(t *testing.T, before, after map[string]float64, want map[string]float64) {
	t.Helper()
	for _, series := range slices.Sorted(maps.Keys(want)) {
		if _, there := after[series]; !there {
			t.Errorf("no series %s", series)
		}
		if got := after[series] - before[series]; got != want[series] {
			t.Errorf("%s grew by %v, want %v", series, got, want[series])
		}
	}
}

func requests(op, code string) string {
	service := "secretsmanager"
	if op == "unknown" {
		service = "unknown"
	}
	return `azekura_requests_total{code="` + code + `",operation="` + op + `",service="` + service + `"}`
}

func TestMetricsCountCalls(t *testing.T) {
	s := watched(t)
	before := scrape(t, s)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "b"})
	for range 3 {
		s.MustCall(t, "GetSecretValue", map[string]string{"SecretId": "a"})
	}
	s.Call(t, "GetSecretValue", map[string]string{"SecretId": "none"})
	after := scrape(t, s)
	duration := `azekura_request_duration_seconds_`
	wantGrowth(t, before, after, map[string]float64{
		requests("CreateSecret", "2xx"):                                                    1,
		requests("CreateSecret", "4xx"):                                                    0,
		requests("GetSecretValue", "2xx"):                                                  3,
		requests("GetSecretValue", "4xx"):                                                  1,
		requests("GetSecretValue", "5xx"):                                                  0,
		requests("unknown", "4xx"):                                                         0,
		duration + `count{operation="GetSecretValue",service="secretsmanager"}`:            4,
		duration + `bucket{operation="GetSecretValue",service="secretsmanager",le="+Inf"}`: 4,
	})
	seconds := after[duration+`sum{operation="GetSecretValue",service="secretsmanager"}`]
	if seconds <= 0 {
		t.Errorf("four calls took %v s", seconds)
	}
}

func TestMetricsOfStoreAndCaches(t *testing.T) {
	s := watched(t)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "b"}) // makes the KMS key
	read := func() { s.MustCall(t, "GetSecretValue", map[string]string{"SecretId": "a"}) }
	read() // the day's first, which notes the day and so changes the secret
	read()
	before := scrape(t, s)
	read()
	read()
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "b", "SecretString": "b"})
	after := scrape(t, s)
	wantGrowth(t, before, after, map[string]float64{
		`azekura_cache_hits_total{cache="secrets"}`:   2,
		`azekura_cache_misses_total{cache="secrets"}`: 0,
		`azekura_cache_entries{cache="secrets"}`:      1, // the new one
		`azekura_store_commit_failures_total`:         0,
	})
	changes := after["azekura_store_commit_changes_sum"] - before["azekura_store_commit_changes_sum"]
	if changes < 1 || changes > 3 { // the purge of a start and the note of the key's first use can come now
		t.Errorf("%v changes were committed, want 1", changes)
	}
	if after["azekura_store_commit_duration_seconds_count"] != after["azekura_store_commit_changes_count"] {
		t.Error("commits have a time or a size, and not both")
	}
	for _, series := range []string{
		`azekura_cache_bytes{cache="secrets"}`, `azekura_cache_entries{cache="secrets"}`,
		`azekura_cache_hits_total{cache="credentials"}`, `azekura_cache_bytes{cache="kms_keys"}`,
		`azekura_cache_misses_total{cache="kms_aliases"}`, `azekura_cache_entries{cache="kms_aliases"}`,
		`azekura_store_commit_duration_seconds_sum`,
	} {
		if after[series] <= 0 {
			t.Errorf("%s is %v", series, after[series])
		}
	}
	if _, there := after["azekura_store_queue_length"]; !there {
		t.Error("the queue is not told")
	}
}

func TestMetricsOfTheProcess(t *testing.T) {
	series := scrape(t, watched(t))
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes"} {
		if series[name] <= 0 {
			t.Errorf("%s is %v", name, series[name])
		}
	}
	build := `azekura_build_info{goversion="` + runtime.Version() + `",version="v1.2.3"}`
	if series[build] != 1 {
		t.Errorf("%s is %v", build, series[build])
	}
}

// While a sender keeps its body back, its request is in flight.
func TestMetricsInFlight(t *testing.T) {
	s := watched(t)
	arrived := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(arrived) }})
	r, err := s.Request(ctx, "ListSecrets", map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	body, send := io.Pipe()
	r.Header.Set("Expect", "100-continue")
	r.Body, r.GetBody = body, nil
	answered := make(chan error, 1)
	go func() {
		res, err := s.HTTP.Do(r)
		if err == nil {
			res.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	if n := scrape(t, s)["azekura_requests_in_flight"]; n != 1 {
		t.Errorf("%v requests in flight, want 1", n)
	}
	if _, err := io.WriteString(send, "{}"); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if n := scrape(t, s)["azekura_requests_in_flight"]; n != 0 {
		t.Errorf("%v requests in flight after the answer", n)
	}
}

// Whatever strangers send, there are as many series as before.
func TestMetricsLabelsAreBounded(t *testing.T) {
	s := watched(t)
	s.MustCall(t, "ListSecrets", map[string]string{})
	before := scrape(t, s)
	send := func(method, path string, targets ...string) {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Amz-Target"] = targets
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	send("POST", "/", "secretsmanager.Planted")
	send("POST", "/", "planted.GetSecretValue")
	send("POST", "/", "secretsmanager.getsecretvalue")
	send("POST", "/", "secretsmanager.GetSecretValue", "secretsmanager.Planted")
	send("POST", "/")
	send("PLANTED", "/", "secretsmanager.GetSecretValue")
	send("POST", "/planted", "secretsmanager.GetSecretValue")
	after := scrape(t, s)
	wantGrowth(t, before, after, map[string]float64{
		requests("unknown", "4xx"):        7,
		requests("GetSecretValue", "4xx"): 0,
		`azekura_request_duration_seconds_count{operation="unknown",service="unknown"}`: 7,
	})
	names := func(series map[string]float64) (names []string) {
		for name := range series {
			if strings.HasPrefix(name, "azekura_") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	if diff := cmp.Diff(names(before), names(after)); diff != "" {
		t.Errorf("series (-before +after):\n%s", diff)
	}
}

func TestMetricsCountFailedAuthentications(t *testing.T) {
	s := watched(t)
	before := scrape(t, s)
	mine := s.Credentials
	attempt := func(spoil func(r *http.Request)) {
		r, err := s.Request(t.Context(), "ListSecrets", map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		spoil(r)
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	intact := func(*http.Request) {}
	attempt(func(r *http.Request) { r.Header.Del("Authorization") })
	attempt(func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=planted") })
	s.Credentials.AccessKeyID = "AKIAPLANTED000000000"
	attempt(intact)
	attempt(intact)
	s.Credentials = sigv4.Credentials{AccessKeyID: mine.AccessKeyID, Secret: strings.Repeat("x", len(mine.Secret))}
	attempt(intact)
	attempt(intact)
	attempt(intact)
	s.Credentials = mine
	attempt(intact)
	kind := func(k string) string { return `azekura_authentication_failures_total{kind="` + k + `"}` }
	wantGrowth(t, before, scrape(t, s), map[string]float64{
		kind("missing"):                1,
		kind("incomplete"):             1,
		kind("unknown_key"):            2,
		kind("mismatch"):               3,
		kind("expired_token"):          0,
		kind("closed_account"):         0,
		requests("ListSecrets", "4xx"): 7,
		requests("ListSecrets", "2xx"): 1,
	})
}

func TestMetricsHoldNothingSecret(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.MetricsListen, cfg.Pprof = "127.0.0.1:0", true
	s := servertest.Start(t, cfg)
	s.MustCall(t, "CreateSecret", map[string]any{
		"Name": "planted-name", "Description": "planted-description", "SecretString": "planted-value",
		"Tags": []map[string]string{{"Key": "planted-key", "Value": "planted-tag"}},
	})
	s.MustCall(t, "GetSecretValue", map[string]string{"SecretId": "planted-name"})
	s.Call(t, "GetSecretValue", map[string]string{"SecretId": "planted-missing"})
	s.Call(t, "PlantedOperation", map[string]string{"SecretId": "planted-name"})
	admin := s.Credentials
	s.Credentials = sigv4.Credentials{AccessKeyID: "planted-access-key", Secret: "planted-secret-access-key"}
	s.Call(t, "ListSecrets", map[string]string{})

	base := strings.TrimSuffix(s.MetricsURL, "/metrics")
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		status, text := get(t, base+path)
		if status != http.StatusOK || text == "" {
			t.Fatalf("%s: status %d", path, status)
		}
		for _, secret := range []string{
			"planted", admin.AccessKeyID, admin.Secret, cfg.AccountID, "arn:", "user/admin", cfg.DataDir,
		} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
	}
}

// The page lists every figure of ours with its type and labels, and no other;
// over PostgreSQL there are the most.
func TestMetricsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	cfg := servertest.Config(t)
	cfg.MetricsListen, cfg.DatabaseURL = "127.0.0.1:0", storetest.PostgresURL(t)
	s := servertest.Start(t, cfg)
	_, text := get(t, s.MetricsURL)
	served := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (azekura_\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		served[m[1]] = m[2] + labels(text, m[1])
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(azekura_\\w+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		names := strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(m[3]))
		slices.Sort(names)
		listed[m[1]] = m[2] + " " + strings.Join(names, " ")
	}
	if diff := cmp.Diff(served, listed); diff != "" || len(served) == 0 {
		t.Errorf("docs/metrics.md (-served +listed):\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("Prometheus's own rules: %v, %v", problems, err)
	}
}

// labels are the names of a metric's labels, sorted, but for a histogram's own.
func labels(text, metric string) string {
	series := regexp.MustCompile(`(?m)^` + metric + `(_count)?(\{.*\})? `).FindStringSubmatch(text)
	var names []string
	for _, m := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(series[2], -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return " " + strings.Join(names, " ")
}

func TestMetricsListener(t *testing.T) {
	off := servertest.New(t)
	if off.MetricsURL != "" {
		t.Errorf("metrics are on by default, at %s", off.MetricsURL)
	}
	s := watched(t)
	base := strings.TrimSuffix(s.MetricsURL, "/metrics")
	for _, test := range []struct {
		url  string
		want int
	}{
		{s.URL + "/metrics", http.StatusNotFound}, // not on the API's listener
		{base + "/", http.StatusNotFound},         // nor the API on this one
		{base + "/debug/pprof/", http.StatusNotFound},
		{base + "/debug/pprof/heap", http.StatusNotFound},
		{base + "/debug/pprof/cmdline", http.StatusNotFound},
	} {
		if status, _ := get(t, test.url); status != test.want {
			t.Errorf("%s: status %d, want %d", test.url, status, test.want)
		}
	}
	s.Stop(t)
	if res, err := http.Get(s.MetricsURL); err == nil {
		res.Body.Close()
		t.Error("metrics are served by a server that has stopped")
	}
}

func TestPprof(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.MetricsListen, cfg.Pprof = "127.0.0.1:0", true
	s := servertest.Start(t, cfg)
	base := strings.TrimSuffix(s.MetricsURL, "/metrics") + "/debug/pprof/"
	for path, want := range map[string]int{
		"": 200, "heap": 200, "goroutine": 200, "symbol": 200, "trace?seconds=0.01": 200,
		"cmdline": 404, // a command line can hold a password
	} {
		if status, _ := get(t, base+path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	if res, err := http.Post(s.URL+"/debug/pprof/", "", new(bytes.Buffer)); err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("on the API's listener: %v, %v", res, err)
	}
}

func TestMetricsAddress(t *testing.T) {
	for _, test := range []struct {
		name          string
		listen        string
		remote, pprof bool
		refused       string // what the error says, or ""
	}{
		{"loopback", "127.0.0.1:0", false, true, ""},
		{"loopback by name", "localhost:0", false, true, ""},
		{"loopback, IPv6", "[::1]:0", false, true, ""},
		{"any", "0.0.0.0:0", false, false, "--metrics-remote"},
		{"any, unsaid", ":0", false, false, "--metrics-remote"},
		{"any, IPv6", "[::]:0", false, false, "--metrics-remote"},
		{"another machine's", "192.0.2.1:9464", false, false, "--metrics-remote"},
		{"any, allowed", "0.0.0.0:0", true, false, ""},
		{"any, allowed, with pprof", "0.0.0.0:0", true, true, "loopback"},
		{"pprof alone", "", false, true, "--metrics-listen"},
		{"no port", "127.0.0.1", false, false, "host:port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := servertest.Config(t)
			cfg.DataDir = ""
			cfg.MetricsListen, cfg.MetricsRemote, cfg.Pprof = test.listen, test.remote, test.pprof
			s, err := server.New(t.Context(), cfg)
			if err == nil {
				defer s.Close()
			}
			switch {
			case test.refused == "" && err != nil:
				t.Error(err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("got %v, want a refusal that names %q", err, test.refused)
			}
		})
	}
}

func TestMetricsAddressInUse(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.MetricsListen = strings.TrimSuffix(strings.TrimPrefix(watched(t).MetricsURL, "http://"), "/metrics")
	s, err := server.New(t.Context(), cfg)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "--metrics-listen") {
		t.Errorf("got %v", err)
	}
}

// Package metrics counts what the server does, in Prometheus's form.
//
// A label has values from lists that are complete before the first request:
// registered operations, classes of answers, kinds of refusals, names of
// caches. So no sender can make a new series, and no name, value or principal
// can become one.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/wire"
)

// Metrics are the figures of one server. Make them with New, tell them of each
// Service and the Sources, then count: Finished and Committed may be called by
// many goroutines, take well under a microsecond and allocate nothing.
type Metrics struct {
	registry *prometheus.Registry

	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	operations map[name]func() *operation // read-only once requests arrive
	unknown    *operation
	refused    [sigv4.Mismatch + 1]prometheus.Counter // by sigv4.Kind

	commitSeconds, commitChanges prometheus.Histogram
	commitFailures               prometheus.Counter
}

type name struct{ service, op string }

// An operation has its counters at hand, so that a request looks up one map
// and hashes no labels.
type operation struct {
	requests [len(classes)]prometheus.Counter
	seconds  prometheus.Observer
}

// unknown stands where a request named no operation that is served.
const unknown = "unknown"

// classes are the values of the label code.
var classes = [...]string{"2xx", "4xx", "5xx"}

func class(status int) int {
	switch {
	case status >= http.StatusInternalServerError:
		return 2
	case status >= http.StatusBadRequest:
		return 1
	}
	return 0
}

// New makes the figures of a build; version is a label of azekura_build_info.
// They live in a registry of their own, so one process can have several.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "azekura_requests_total",
			Help: "Requests answered, by operation and class of the HTTP status.",
		}, []string{"service", "operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "azekura_request_duration_seconds",
			Help:    "Time from the end of a request's headers to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"service", "operation"}),
		operations: map[name]func() *operation{},
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "azekura_store_commit_duration_seconds",
			Help:    "Time of COMMIT alone, which is the wait for the disk, of commits that succeeded.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		commitChanges: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "azekura_store_commit_changes",
			Help:    "Changes made durable by one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9), // to 256, the largest batch
		}),
		commitFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "azekura_store_commit_failures_total",
			Help: "Commits that failed; all changes in them were refused.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "azekura_build_info",
		Help:        "1, labelled with the build that runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.seconds, m.commitSeconds, m.commitChanges, m.commitFailures, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.unknown = m.operation(name{unknown, unknown})
	m.countRefusals()
	return m
}

// countRefusals makes the counter of each kind.
func (m *Metrics) countRefusals() {
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "azekura_authentication_failures_total",
		Help: "Requests refused because their sender was not proven, by kind.",
	}, []string{"kind"})
	for kind := range m.refused {
		m.refused[kind] = refusals.WithLabelValues(kindLabel(sigv4.Kind(kind)))
	}
	m.registry.MustRegister(refusals)
}

func kindLabel(k sigv4.Kind) string {
	switch k {
	case sigv4.Missing:
		return "missing"
	case sigv4.Incomplete:
		return "incomplete"
	case sigv4.UnknownKey:
		return "unknown_key"
	case sigv4.ExpiredToken:
		return "expired_token"
	case sigv4.Closed:
		return "closed_account"
	case sigv4.Mismatch:
		return "mismatch"
	}
	return unknown
}

func (m *Metrics) operation(n name) *operation {
	o := &operation{seconds: m.seconds.WithLabelValues(n.service, n.op)}
	for i, c := range classes {
		o.requests[i] = m.requests.WithLabelValues(n.service, n.op, c)
	}
	return o
}

// Service makes the series of a service's operations, from 0: what has not
// happened yet is a figure too, and an alert on a first failure needs it. What
// is not told here before the first request counts as unknown. They are made
// when somebody looks: a start need not wait for a thousand series.
func (m *Metrics) Service(s call.Service) {
	for _, op := range s.Ops {
		n := name{s.Name, op.Name}
		m.operations[n] = sync.OnceValue(func() *operation { return m.operation(n) })
	}
}

// Finished counts a request.
func (m *Metrics) Finished(o wire.Outcome) {
	op := m.unknown
	if known := m.operations[name{o.Service, o.Op}]; known != nil {
		op = known()
	}
	op.requests[class(o.Status)].Inc()
	op.seconds.Observe(o.Duration.Seconds())
	if o.Refused != nil && o.Refused.Kind >= 0 && int(o.Refused.Kind) < len(m.refused) {
		m.refused[o.Refused.Kind].Inc()
	}
}

// Committed counts a commit.
func (m *Metrics) Committed(c store.Commit) {
	if c.Err != nil {
		m.commitFailures.Inc()
		return
	}
	m.commitSeconds.Observe(c.Took.Seconds())
	m.commitChanges.Observe(float64(c.Changes))
}

// Handler answers with all figures. It runs at most two answers at a time: who
// asks more often is not worth the server's time.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	answer := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 2,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, operation := range m.operations {
			operation()
		}
		answer.ServeHTTP(w, r)
	})
}

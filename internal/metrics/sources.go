package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"azekura/internal/store"
)

// Sources are the figures that are read when somebody asks for them. The
// functions are called concurrently with everything else.
type Sources struct {
	InFlight func() int64  // requests
	Queued   func() int    // changes that wait to be written
	Slowed   func() uint64 // requests refused unseen after too many wrong signatures
	Sealed   func() bool   // whether the root key cannot be reached
	Losing   func() int64  // secrets whose KMS key is scheduled for deletion
	Caches   map[string]func() store.CacheStats

	WrongPasswords, WrongCodes func() uint64 // guesses, or slips, of users

	// Pool is that of the database's connections; false says that it has none.
	Pool func() (store.PoolState, bool)
}

// Watch registers where to read figures. It may be called once.
func (m *Metrics) Watch(s Sources) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "azekura_requests_in_flight",
			Help: "Requests that have arrived and are not answered yet.",
		}, func() float64 { return float64(s.InFlight()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "azekura_store_queue_length",
			Help: "Changes that wait for their turn to be written.",
		}, func() float64 { return float64(s.Queued()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "azekura_guesses_slowed_total",
			Help: "Requests refused without a look at their signature, after too many wrong ones.",
		}, func() float64 { return float64(s.Slowed()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "azekura_wrong_passwords_total",
			Help: "Wrong passwords of users.",
		}, func() float64 { return float64(s.WrongPasswords()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "azekura_wrong_mfa_codes_total",
			Help: "Codes of multi-factor devices that were wrong, or used before.",
		}, func() float64 { return float64(s.WrongCodes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "azekura_sealed",
			Help: "1 while the root key cannot be reached and no request is served, else 0.",
		}, func() float64 {
			if s.Sealed() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "azekura_secrets_losing_their_key",
			Help: "Secrets under a KMS key that is scheduled for deletion, as of the last minute.",
		}, func() float64 { return float64(s.Losing()) }),
		caches(s.Caches),
		pool(s.Pool),
	)
}

// pool has figures over PostgreSQL only.
type pool func() (store.PoolState, bool)

var (
	poolConnections = prometheus.NewDesc("azekura_store_connections", "Connections to PostgreSQL.", []string{"state"}, nil)
	poolMost        = prometheus.NewDesc("azekura_store_connections_max", "Connections to PostgreSQL that there may be.", nil, nil)
	poolWaits       = prometheus.NewDesc("azekura_store_connection_waits_total", "Waits for a connection to PostgreSQL.", nil, nil)
	poolWaited      = prometheus.NewDesc("azekura_store_connection_wait_seconds_total", "Time waited for connections to PostgreSQL.", nil, nil)
)

func (p pool) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolMost, poolWaits, poolWaited} {
		to <- d
	}
}

func (p pool) Collect(to chan<- prometheus.Metric) {
	state, ok := p()
	if !ok { // no figures are better than zeros
		return
	}
	to <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(state.Used), "used")
	to <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(state.Idle), "idle")
	to <- prometheus.MustNewConstMetric(poolMost, prometheus.GaugeValue, float64(state.Most))
	to <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(state.Waits))
	to <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, state.Waited.Seconds())
}

// caches asks each cache once for an answer, so that its figures belong
// together.
type caches map[string]func() store.CacheStats

var (
	cacheHits    = cacheFigure("hits_total", "Values found in the cache.")
	cacheMisses  = cacheFigure("misses_total", "Values loaded from the database.")
	cacheBytes   = cacheFigure("bytes", "Memory that the entries take, about.")
	cacheEntries = cacheFigure("entries", "Values in the cache.")
)

func cacheFigure(figure, help string) *prometheus.Desc {
	return prometheus.NewDesc("azekura_cache_"+figure, help, []string{"cache"}, nil)
}

func (c caches) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cacheHits, cacheMisses, cacheBytes, cacheEntries} {
		to <- d
	}
}

func (c caches) Collect(to chan<- prometheus.Metric) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		stats := c[name]()
		tell := func(d *prometheus.Desc, kind prometheus.ValueType, value int64) {
			to <- prometheus.MustNewConstMetric(d, kind, float64(value), name)
		}
		tell(cacheHits, prometheus.CounterValue, stats.Hits)
		tell(cacheMisses, prometheus.CounterValue, stats.Misses)
		tell(cacheBytes, prometheus.GaugeValue, stats.Bytes)
		tell(cacheEntries, prometheus.GaugeValue, stats.Entries)
	}
}

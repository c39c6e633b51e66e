package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"

	"azekura/internal/metrics"
	"azekura/internal/store"
	"azekura/internal/sts"
	"azekura/internal/wire"
)

// A monitor is the listener for the figures, apart from the API's: who scrapes
// needs no way to the API, and who calls the API has none to the figures.
type monitor struct {
	http     *http.Server
	listener net.Listener
}

// metricsAddress is what to listen on for metrics. Whoever reaches it is
// answered without a signature, so it is this machine unless MetricsRemote.
// Profiles are for this machine always: they show what the server is doing
// line by line, and taking them costs time.
func (c *Config) metricsAddress() (*net.TCPAddr, error) {
	if c.MetricsListen == "" {
		if c.Pprof {
			return nil, errors.New("pprof: it is served beside the metrics: give --metrics-listen too")
		}
		return nil, nil
	}
	addr, err := net.ResolveTCPAddr("tcp", c.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("metrics-listen %q: it takes host:port: %w", c.MetricsListen, err)
	}
	if addr.IP.IsLoopback() {
		return addr, nil
	}
	if !c.MetricsRemote {
		return nil, fmt.Errorf("refuse to show metrics on %s, where anybody who reaches it reads them: "+
			"choose a loopback address, or give --metrics-remote", c.MetricsListen)
	}
	if c.Pprof {
		return nil, fmt.Errorf("refuse to serve pprof on %s: profiles are for a loopback address only", c.MetricsListen)
	}
	return addr, nil
}

// newMonitor opens the address for the figures; nil if there is none.
func (s *Server) newMonitor(m *metrics.Metrics) (*monitor, error) {
	addr, err := s.cfg.metricsAddress()
	if addr == nil {
		return nil, err
	}
	l, err := listenOn(addr, "metrics-listen")
	if err != nil {
		return nil, err
	}
	return &monitor{http: s.limited(s.monitorRoutes(m)), listener: l}, nil
}

// monitorRoutes leaves out pprof's cmdline: a command line may hold a
// database's password.
func (s *Server) monitorRoutes(m *metrics.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler(s.cfg.Log))
	if s.cfg.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// serve answers until close. The API does not depend on it.
func (m *monitor) serve(s *Server) {
	if err := m.http.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		s.cfg.Log.Error("metrics are not served any more", "error", err)
	}
}

func (m *monitor) close() error {
	err := m.http.Close()
	if closing := m.listener.Close(); !errors.Is(closing, net.ErrClosed) {
		err = errors.Join(err, closing)
	}
	return err
}

// watch lets the figures that nobody reports be read where they are.
func (s *Server) watch(m *metrics.Metrics, api *wire.Handler, door *sts.Service) {
	m.Watch(metrics.Sources{
		InFlight: api.InFlight,
		Queued:   s.db.Queued,
		Slowed:   door.Slowed,
		Pool:     s.db.Pool,
		Losing:   s.losing.Load,
		Sealed:   s.sealed.Load,

		WrongPasswords: s.users.WrongPasswords,
		WrongCodes:     door.WrongCodes,

		Caches: map[string]func() store.CacheStats{
			"secrets":     s.secrets.CacheStats,
			"credentials": s.users.CredentialCacheStats,
			"identities":  s.users.IdentityCacheStats,
			"policies":    s.users.PolicyCacheStats,
			"sessions":    door.CacheStats,
			"accounts":    s.accounts.CacheStats,
			"kms_keys":    s.keys.KeyCacheStats,
			"kms_aliases": s.keys.AliasCacheStats,
			"kms_grants":  s.keys.GrantCacheStats,
		},
	})
}

// MetricsURL is where the metrics are, or empty if they are not served.
func (s *Server) MetricsURL() string {
	if s.monitor == nil {
		return ""
	}
	return endpoint(Config{Listen: s.cfg.MetricsListen}, s.monitor.listener.Addr().(*net.TCPAddr)) + "/metrics"
}

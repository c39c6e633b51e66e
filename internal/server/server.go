// Package server builds every part of Azekura, listens, and shuts down.
package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/iam"
	"azekura/internal/kms"
	"azekura/internal/metrics"
	"azekura/internal/oidc"
	"azekura/internal/organizations"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/secretsmanager"
	"azekura/internal/store"
	"azekura/internal/sts"
	"azekura/internal/wire"
)

// Config says how a server is built. Start from Defaults.
type Config struct {
	// DataDir is where everything is kept; it is made if it is not there.
	// Empty keeps nothing on disk, and makes the administrator's credentials
	// test/test.
	DataDir string

	// Seal says where the root key sleeps; its Path follows from DataDir.
	Seal seal.Config

	// DatabaseURL is that of a PostgreSQL database for everything but the root
	// key and admin.env. Servers with the same database and root key are one.
	// Empty keeps the data in DataDir.
	DatabaseURL string

	// DatabaseStandby refuses a database server that has lost its synchronous
	// standbys, see store.Config.
	DatabaseStandby bool

	// MaxStale is how long after its last check a secret may be read, with the
	// keys and credentials that it takes, while the database is away; 0 is not
	// at all.
	MaxStale time.Duration

	// Listen is host:port. Plain HTTP is refused on addresses that are not
	// loopback unless InsecureHTTP says that something in front does TLS.
	Listen       string
	InsecureHTTP bool

	// EndpointURL is how clients reach the server, for admin.env. Empty
	// derives it from the address.
	EndpointURL string

	// TrustedProxies are addresses and networks in CIDR form whose
	// X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []string

	// RateLimits are the quotas of accounts, as throttle.Parse reads them.
	RateLimits []string

	AccountID string   // 12 digits, of the first account
	Regions   []string // served; the first is the administrator's default

	TLSCert, TLSKey string // PEM files; both or none

	// OIDCCAFile is a PEM file of certificates that sign those of OpenID Connect
	// issuers, besides the ones that the system trusts; empty is none.
	OIDCCAFile string

	ShutdownGrace     time.Duration // for requests in flight when Serve ends
	ReadHeaderTimeout time.Duration // these five as in http.Server
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	MaxHeaderBytes    int

	// MetricsListen is host:port of /metrics, plain HTTP without signatures;
	// empty is off. An address that is not loopback needs MetricsRemote. Pprof
	// serves /debug/pprof/ there too, on loopback only.
	MetricsListen        string
	MetricsRemote, Pprof bool

	// Version is this program's, for the metrics and for what outlives it,
	// such as a backup.
	Version string

	CacheBytes int64 // for encrypted rows and key material together

	// Committed, if set, is called at each commit of the store, which waits for
	// it. It may be called concurrently.
	Committed func()

	Log *slog.Logger
}

// Defaults is what applies where nothing is said. A header limit of 64 KiB
// leaves room for a presigned URL with the longest session token.
func Defaults() Config {
	return Config{
		DataDir:           "azekura-data",
		Seal:              seal.Config{Kind: seal.KindFile, Mount: "transit"},
		Listen:            "127.0.0.1:4584",
		AccountID:         "111111111111",
		Regions:           []string{"us-east-1", "us-west-2", "ap-northeast-1"},
		RateLimits:        []string{"aws"},
		MaxStale:          30 * time.Second,
		ShutdownGrace:     15 * time.Second,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		CacheBytes:        64 << 20,
		Log:               slog.New(slog.DiscardHandler),
	}
}

// A Server is a whole Azekura.
type Server struct {
	cfg      Config
	db       *store.DB
	users    *iam.Service
	accounts *organizations.Service
	secrets  *secretsmanager.Service
	keys     *kms.Service
	keyring  *seal.Keyring
	http     *http.Server
	listener net.Listener
	monitor  *monitor     // nil if metrics are not served
	cert     *certificate // nil for plain HTTP
	door     *localDoor   // nil if nothing is kept
	env      atomic.Pointer[[]Variable]
	stopping atomic.Bool
	sealed   atomic.Bool                   // until unseal has succeeded
	locks    atomic.Bool                   // whether the seal must not be asked again
	root     atomic.Pointer[envelope.Root] // nil while it is sealed
	where    atomic.Pointer[seal.Config]   // nil: as cfg says
	losing   atomic.Int64                  // secrets whose KMS key is scheduled for deletion
}

// New builds a server and opens its address; nothing is answered before Serve.
// On a new data directory it makes all that has to be there. If the seal cannot
// be reached the server is built all the same, and starts sealed: see Serve. The
// caller closes the server.
func New(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.cert, err = loadCertificate(cfg.TLSCert, cfg.TLSKey); err != nil {
		return nil, err
	}
	issuers, err := issuerRoots(cfg.OIDCCAFile)
	if err != nil {
		return nil, err
	}
	figures := metrics.New(cfg.Version)
	if err := s.openStore(ctx, figures); err != nil {
		return nil, err
	}
	if err := s.build(figures, issuers); err != nil {
		return nil, err
	}
	if s.listener, err = cfg.listen(); err != nil {
		return nil, err
	}
	if err := s.unseal(ctx); err != nil && !s.staysSealed(err) {
		return nil, err
	}
	return s, nil
}

// build makes the wings and what carries requests to them. They work once the
// keyring is unsealed.
func (s *Server) build(figures *metrics.Metrics, issuers *x509.CertPool) (err error) {
	cfg := s.cfg
	s.users = iam.New(iam.Config{DB: s.db, Keyring: s.keyring, CacheBytes: cfg.CacheBytes / 32 * 6, Bind: s.bind})
	s.accounts = organizations.New(organizations.Config{
		DB: s.db, Keyring: s.keyring, Management: cfg.AccountID, Add: addMember, CacheBytes: cfg.CacheBytes / 32,
	})
	door := sts.New(sts.Config{
		IAM: s.users, Organizations: s.accounts, Keyring: s.keyring, OIDC: oidc.NewVerifier(issuers),
		Regions: cfg.Regions, CacheBytes: cfg.CacheBytes / 16,
	})
	s.keys = kms.New(kms.Config{DB: s.db, Keyring: s.keyring, Regions: cfg.Regions, CacheBytes: cfg.CacheBytes / 32 * 3})
	s.secrets = secretsmanager.New(secretsmanager.Config{
		DB: s.db, KMS: s.keys, Keyring: s.keyring, Log: cfg.Log, CacheBytes: cfg.CacheBytes / 8 * 5,
	})
	api := &wire.Handler{
		Authenticate: door.Authenticate, NewReads: s.db.NewReads, Region: cfg.Regions[0], Log: cfg.Log, Finish: figures.Finished, Closed: s.closed,
	}
	services := []call.Service{s.secrets.API(), s.users.API(), door.API(), s.accounts.API(), s.keys.API()}
	for _, service := range services {
		api.Handle(service)
		figures.Service(service)
	}
	if api.TrustedProxies, err = cfg.proxies(); err != nil {
		return err
	}
	if api.Admit, err = cfg.admit(services); err != nil {
		return err
	}
	s.watch(figures, api, door)
	s.http = s.newHTTP(api)
	s.monitor, err = s.newMonitor(figures)
	return err
}

// addMember joins what keeps accounts to what keeps their roles.
func addMember(tx *store.Tx, m organizations.Member) error { return iam.AddMember(tx, iam.Member(m)) }

// openStore opens the database that is in the data directory or named by a URL,
// or an empty one in memory.
func (s *Server) openStore(ctx context.Context, figures *metrics.Metrics) (err error) {
	cfg := store.Config{
		URL: s.cfg.DatabaseURL, NeedStandby: s.cfg.DatabaseStandby, MaxStale: s.cfg.MaxStale,
		Log: s.cfg.Log,
		Committed: func(c store.Commit) {
			figures.Committed(c)
			if s.cfg.Committed != nil {
				s.cfg.Committed()
			}
		},
	}
	if cfg.URL == "" {
		cfg.Path = databasePath(s.cfg.DataDir)
	}
	if s.cfg.DataDir != "" {
		release, err := openDataDir(s.cfg.DataDir)
		if err != nil {
			return err
		}
		defer release() // from here a file's own lock keeps others out
		if err := checkRootKey(s.cfg.DataDir, s.cfg.Seal); err != nil {
			return err
		}
	}
	if s.db, err = store.Open(ctx, cfg); err != nil {
		return err
	}
	s.keyring = seal.NewKeyring(s.db)
	if s.cfg.DataDir != "" {
		s.keyring.Reopen(func(ctx context.Context) (envelope.Root, error) { return seal.Open(ctx, s.sealSettings()) })
	}
	if s.cfg.DataDir == "" {
		return nil
	}
	s.door, err = openDoor(s.cfg.DataDir, s, s.cfg.Log)
	return err
}

func (s *Server) newHTTP(api http.Handler) *http.Server {
	h := s.limited(s.routes(api))
	if s.cert != nil {
		h.TLSConfig = s.cert.config()
	}
	return h
}

// limited sets every limit: a zero in http.Server is none.
func (s *Server) limited(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.WriteTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
}

// bind puts policies under those that the organization has for an account.
func (s *Server) bind(ctx context.Context, account string, set *policy.Set) (*policy.Set, error) {
	a, err := s.accounts.Account(ctx, nil, account)
	if err != nil {
		return nil, err
	}
	return a.Bind(set), nil
}

// URL is where clients reach the server: EndpointURL, or the address it
// listens on.
func (s *Server) URL() string {
	if s.cfg.EndpointURL != "" {
		return s.cfg.EndpointURL
	}
	return s.Address()
}

// Address is the URL of the address that the server listens on.
func (s *Server) Address() string { return endpoint(s.cfg, s.listener.Addr().(*net.TCPAddr)) }

// Environment is what admin.env gives to a client: the first administrator's
// credentials, region and endpoint. It is nil while the server is sealed.
func (s *Server) Environment() []Variable {
	if env := s.env.Load(); env != nil {
		return slices.Clone(*env)
	}
	return nil
}

// ReloadCertificate reads the TLS files again. New connections get the new
// certificate; if it cannot be read the old one stays.
func (s *Server) ReloadCertificate() error {
	if s.cert == nil {
		return nil
	}
	return s.cert.reload()
}

// Serve answers requests until ctx ends, then lets those in flight finish, for
// ShutdownGrace at most; the error says if some did not. A server that started
// sealed refuses all requests with 503 until its seal can be reached, which it
// tries again and again; a seal that comes back with another key ends it. Serve may be
// called once.
func (s *Server) Serve(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	work.Go(func() {
		switch unsealed, err := s.awaitSeal(ctx); {
		case err != nil:
			failed <- err
		case unsealed:
			work.Go(func() { s.users.Run(ctx) })
			s.work(ctx)
		}
	})
	if s.monitor != nil { // to the end: how a stop goes is worth seeing
		defer s.monitor.close()
		work.Go(func() { s.monitor.serve(s) })
	}
	if s.door != nil {
		work.Go(func() { s.serveDoor(ctx) })
	}

	served := make(chan error, 1)
	go func() { served <- s.accept() }()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", s.cfg.Listen, err)
	case err := <-failed:
		s.http.Close()
		<-served
		return fmt.Errorf("unseal: %w", err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownGrace)
	defer cancel()
	s.cfg.Log.Info("stopping: no new connections, requests in flight may finish", "grace", s.cfg.ShutdownGrace)
	err := s.http.Shutdown(grace)
	if err != nil {
		s.http.Close()
		err = fmt.Errorf("stop: requests were still in flight after %s and were cut", s.cfg.ShutdownGrace)
	}
	<-served
	return err
}

func (s *Server) accept() error {
	if s.cert != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// serveDoor does what the owner of the data directory asks for until ctx ends;
// what is being done then is broken off. A server without a door still serves.
func (s *Server) serveDoor(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { s.door.http.Close() })()
	if err := s.door.serve(); err != nil {
		s.cfg.Log.Error("no backups can be made, and no root key changed, before the next start", "error", err)
	}
}

// chores are what the server does by the minute, on one node of several.
func (s *Server) chores() []chore {
	return []chore{
		{s.secrets.Purge, "purged secrets past their recovery window"},
		{s.losses(), ""},
		{s.keys.Purge, "purged KMS keys past their waiting period"},
		{s.keys.Expire, "deleted imported KMS key material that has expired"},
		{s.keys.Rotate, "rotated KMS keys whose rotation was due"},
	}
}

// A chore says how much it has done; done is for the log.
type chore struct {
	do   func(ctx context.Context, now time.Time) (int, error)
	done string
}

func (s *Server) work(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	chores := s.chores()
	for {
		for _, c := range chores {
			switch n, err := c.do(ctx, time.Now()); {
			case errors.Is(err, store.ErrUnavailable): // the store has told
			case err != nil && ctx.Err() == nil:
				s.cfg.Log.Error("a chore of each minute failed; the next minute tries again", "chore", c.done, "error", err)
			case n > 0:
				s.cfg.Log.Info(c.done, "count", n)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close cuts what is still open and closes the store, which writes out what it
// has acknowledged. It may be called more than once.
func (s *Server) Close() error {
	var errs []error
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.monitor != nil {
		errs = append(errs, s.monitor.close())
	}
	if s.door != nil {
		errs = append(errs, s.door.close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

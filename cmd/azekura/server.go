package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"azekura/internal/seal"
	"azekura/internal/server"
)

func serverVerb() *cobra.Command {
	var file string
	var scratch config
	cmd := &cobra.Command{
		Use:   "server",
		Short: "serve the API",
		Long: "server serves the API until it is told to stop by SIGINT or SIGTERM. The first start makes\n" +
			"the data directory, the root key and the first administrator's credentials.\n\n" +
			"Each setting can also stand in the environment (--data-dir is AZEKURA_DATA_DIR) and in the\n" +
			"file named by --config (data-dir: ...); flags win over the environment, it wins over the file.",
		Example: "  azekura server --data-dir azekura-data\n" +
			"  azekura server --dev\n" +
			"  azekura server --config azekura.yaml --listen 0.0.0.0:4584 --tls-cert cert.pem --tls-key key.pem",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				file = os.Getenv(variable("config"))
			}
			cfg, err := load(cmd.Flags(), file, os.Getenv)
			if err != nil {
				return err
			}
			if cfg.dev && fips140.Enforced() {
				return errors.New("--dev takes test/test for credentials, which are shorter than GODEBUG=fips140=only lets a key be: set fips140=on, or use a data directory")
			}
			if cfg.dev && cmd.Flags().Changed("data-dir") {
				return errors.New("--dev keeps nothing on disk: leave --data-dir out, or leave --dev out to keep what you store")
			}
			return serve(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&file, "config", "", "YAML file of settings, see docs/azekura.yaml")
	cmd.Flags().AddFlagSet(scratch.settings())
	return cmd
}

// serve runs the server until ctx ends or a signal asks it to stop, then lets
// what is in flight finish.
func serve(ctx context.Context, cfg *config, stdout, stderr io.Writer) (err error) {
	log, flush, err := newLogger(cfg, stderr)
	if err != nil {
		return err
	}
	defer flush()
	if err := guardMemory(log, cfg.coreDumps); err != nil {
		return err
	}
	defer calmCollector()()
	if cfg.dev {
		cfg.DataDir = ""
	}
	asked, restore := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Before stopping begins signals are deadly again: a second one ends the
	// process at once. Nothing acknowledged is lost by that.
	context.AfterFunc(asked, func() {
		restore()
		stop()
	})

	cfg.Log, cfg.Version = log, thisBuild().Version
	if runtime.GOMAXPROCS(0) == 1 {
		cfg.Committed = new(overlap).committed
	}
	srv, err := server.New(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	if cfg.TLSCert != "" {
		defer reloadOnHangup(srv, log)()
	}
	announce(stdout, cfg, srv)
	return srv.Serve(ctx)
}

// reloadOnHangup reads the certificate again whenever SIGHUP arrives, until
// the function it returns is called.
func reloadOnHangup(srv *server.Server, log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			if err := srv.ReloadCertificate(); err != nil {
				log.Error("the old certificate stays in use", "error", err)
				continue
			}
			log.Info("certificate read again")
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
	}
}

// announce tells a person what was started and how to use it. The only
// credentials it ever prints are those of --dev, which everybody knows.
func announce(w io.Writer, cfg *config, srv *server.Server) {
	fmt.Fprintf(w, "azekura %s\nlistening on %s\n", thisBuild().Version, srv.Address())
	if url := srv.MetricsURL(); url != "" {
		fmt.Fprintf(w, "metrics on %s\n", url)
	}
	if cfg.dev {
		fmt.Fprintln(w, "nothing is kept on disk, and anybody who can connect is an administrator; use it with:")
		printExports(w, "sh", srv.Environment())
		return
	}
	switch {
	case cfg.Seal.Kind != seal.KindFile && cfg.DatabaseURL != "":
		fmt.Fprintf(w, "data in PostgreSQL, its root key sealed by %s\n", cfg.Seal.Kind)
	case cfg.Seal.Kind != seal.KindFile:
		fmt.Fprintf(w, "data in %s, its root key sealed by %s\n", cfg.DataDir, cfg.Seal.Kind)
	case cfg.DatabaseURL != "":
		fmt.Fprintf(w, "data in PostgreSQL, under the root-key in %s (it opens everything: keep a copy)\n", cfg.DataDir)
	default:
		fmt.Fprintf(w, "data in %s (its root-key opens everything: keep a copy apart from the data)\n", cfg.DataDir)
	}
	fmt.Fprintf(w, "credentials in %s; load them with:\n  eval \"$(%s env --data-dir %s)\"\n",
		server.AdminEnvPath(cfg.DataDir), shellWord(os.Args[0]), shellWord(cfg.DataDir))
}

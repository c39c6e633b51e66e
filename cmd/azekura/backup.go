package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"azekura/internal/backup"
	"azekura/internal/seal"
	"azekura/internal/server"
)

func backupVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "write the data into one encrypted file",
		Long: "backup writes all that a data directory holds, but not its root key, into one encrypted file.\n" +
			"A server that has the directory open makes the backup and goes on serving; so do the servers\n" +
			"of the PostgreSQL database that --database-url names, which is read directly. The file holds\n" +
			"all that was acknowledged before, and can be restored into either. FILE gets its name when\n" +
			"it is whole: whatever happens before, what had that name stays.\n\n" +
			"Restoring takes the root key. Keep a copy of DIR/root-key, in another place than the backups.",
		Example: "  azekura backup /backups/azekura-$(date +%F).backup --data-dir azekura-data\n" +
			"  azekura backup db.backup --data-dir azekura-data --database-url postgres://azekura@db/azekura\n" +
			"  azekura backup verify /backups/azekura-2026-01-31.backup --root-key azekura-data/root-key",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd.Flags(), "", os.Getenv)
			if err != nil {
				return err
			}
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			cfg.Version = thisBuild().Version
			m, err := server.Backup(ctx, cfg.Config, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: %s\n", args[0], summary(m))
			return nil
		},
	}
	addStoreFlags(cmd)
	cmd.AddCommand(verifyVerb())
	return cmd
}

func verifyVerb() *cobra.Command {
	var rootKey string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "say whether a backup is whole and what it holds",
		Long: "verify reads all of a backup. With the root key it decrypts it, compares every digest, checks\n" +
			"the database in it and counts its rows; for that it needs room for the database in TMPDIR.\n" +
			"Without the root key it can tell rot and a cut file, but not a forged one.",
		Example: "  azekura backup verify /backups/azekura-2026-01-31.backup --root-key root-key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd.Flags(), "", os.Getenv)
			if err != nil {
				return err
			}
			where := rootKeyIn(cfg, rootKey)
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			m, err := server.VerifyBackup(ctx, args[0], where)
			if err != nil {
				return err
			}
			return describe(cmd.OutOrStdout(), args[0], m, where)
		},
	}
	cmd.Flags().StringVar(&rootKey, "root-key", "", "file with the root key the backup was made under")
	addSettings(cmd, isSeal)
	return cmd
}

// rootKeyIn is where the root key of a backup sleeps: a file is named by itself,
// as the data directory may be gone.
func rootKeyIn(cfg *config, file string) seal.Config {
	where := cfg.Seal
	if where.Kind == seal.KindFile {
		where = seal.Config{Kind: seal.KindFile, Path: file}
	}
	return where
}

func restoreVerb() *cobra.Command {
	var rootKey string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "make a data directory or a database of a backup",
		Long: "restore makes a data directory of a backup and the root key it was made under. The directory\n" +
			"must be empty, or not exist yet. Everything is checked, as by backup verify, before the\n" +
			"directory can be used; the root key is copied into it, and the first start of a server makes\n" +
			"admin.env again.\n\n" +
			"With --database-url the data goes into that PostgreSQL database, which must be empty, and the\n" +
			"root key into the directory, unless it is there already. It does not matter which of the two\n" +
			"the backup was made of. A restore that was broken off is finished by the same command, or\n" +
			"given up by azekura migrate --undo --to postgres.",
		Example: "  azekura restore /backups/azekura-2026-01-31.backup --root-key root-key --data-dir restored\n" +
			"  azekura server --data-dir restored\n\n" +
			"  azekura restore db.backup --root-key root-key --data-dir node --database-url postgres://azekura@db/azekura",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd.Flags(), "", os.Getenv)
			if err != nil {
				return err
			}
			where := rootKeyIn(cfg, rootKey)
			if where == (seal.Config{Kind: seal.KindFile}) {
				return errors.New("--root-key has to name the file with the root key that the backup was made under; if it sleeps elsewhere, --seal has to say where")
			}
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			meter := newMeter(cmd.ErrOrStderr())
			m, err := server.Restoration{
				File: args[0], Seal: where, DataDir: cfg.DataDir,
				DatabaseURL: cfg.DatabaseURL, DatabaseStandby: cfg.DatabaseStandby, Progress: meter.report,
			}.Run(ctx)
			meter.close()
			if err != nil {
				return err
			}
			into, more := cfg.DataDir, ""
			if cfg.DatabaseURL != "" {
				into, more = "the PostgreSQL database", " --database-url ..."
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored %s: %s\nstart it with:\n  %s server --data-dir %s%s\n",
				into, summary(m), shellWord(os.Args[0]), shellWord(cfg.DataDir), more)
			return nil
		},
	}
	addStoreFlags(cmd)
	cmd.Flags().StringVar(&rootKey, "root-key", "", "file with the root key the backup was made under")
	return cmd
}

// addStoreFlags adds the settings that say where the data is, and its root key.
func addStoreFlags(cmd *cobra.Command) {
	addSettings(cmd, func(name string) bool {
		return name == "data-dir" || name == "database-url" || name == "database-standby" || isSeal(name)
	})
}

func addSettings(cmd *cobra.Command, wanted func(name string) bool) {
	var scratch config
	scratch.settings().VisitAll(func(f *pflag.Flag) {
		if wanted(f.Name) {
			cmd.Flags().AddFlag(f)
		}
	})
}

func isSeal(name string) bool { return name == "seal" || strings.HasPrefix(name, "seal-") }

// untilSignal lets what was begun clean up behind itself when it is stopped.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
}

func summary(m backup.Manifest) string {
	return fmt.Sprintf("account %s as of %s, %d bytes of data, root key %s",
		m.Account, m.Created.Format(time.RFC3339), m.Size, m.Root)
}

// describe says what was proven first, since an operator may read no further.
// What the manifest says is quoted where a stranger could have written it.
func describe(w io.Writer, file string, m backup.Manifest, where seal.Config) error {
	proven := "is whole and authentic, and the database in it is sound"
	if where == (seal.Config{Kind: seal.KindFile}) {
		proven = "is whole by its checksum; nothing more can be proven without --root-key, and this is what it says of itself"
	}
	_, err := fmt.Fprintf(w, "%s %s\naccount   %q\ncreated   %s by azekura %q\nroot key  %q (fingerprint)\ndatabase  %d bytes, schema %d, SHA-256 %s\n",
		file, proven, m.Account, m.Created.Format(time.RFC3339Nano), m.Version, m.Root, m.Size, m.Schema, m.SHA256)
	for _, table := range slices.Sorted(maps.Keys(m.Rows)) {
		if err == nil {
			_, err = fmt.Fprintf(w, "%9d rows in %q\n", m.Rows[table], table)
		}
	}
	return err
}

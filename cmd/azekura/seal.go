package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"azekura/internal/seal"
	"azekura/internal/server"
)

func sealVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "seal",
		Short:   "change the root key, or where it sleeps",
		Long:    "seal changes the root key above all data, or where it sleeps, while the server runs or stopped.\nIts first four verbs ask the server that has the data directory, if there is one.",
		Example: "  azekura seal status --data-dir azekura-data\n  azekura seal rotate --data-dir azekura-data",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(sealStatusVerb(), sealRotateVerb(), sealMigrateVerb(), sealSplitVerb(), sealCombineVerb())
	return cmd
}

// sealing is what the settings of a seal's verb say.
func sealing(cmd *cobra.Command) (server.Sealing, error) {
	cfg, err := load(cmd.Flags(), "", os.Getenv)
	if err != nil {
		return server.Sealing{}, err
	}
	return server.Sealing{
		DataDir: cfg.DataDir, DatabaseURL: cfg.DatabaseURL, DatabaseStandby: cfg.DatabaseStandby, Seal: cfg.Seal,
		Progress: func(done, all int) {
			if step := max(1, all/10); all > 1 && (done%step == 0 || done == all) {
				fmt.Fprintf(cmd.ErrOrStderr(), "wrapped %d of %d keys\n", done, all)
			}
		},
	}, nil
}

func sealStatusVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "say where the root key sleeps, and whether the server is sealed",
		Example: "  azekura seal status --data-dir azekura-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := sealing(cmd)
			if err != nil {
				return err
			}
			text, err := s.Status(cmd.Context())
			if err != nil {
				return fmt.Errorf("seal status: %w", err)
			}
			fmt.Fprint(cmd.OutOrStdout(), text)
			return nil
		},
	}
	addStoreFlags(cmd)
	return cmd
}

func sealRotateVerb() *cobra.Command {
	var newKey bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "make a new root key",
		Long: "rotate makes a new root key and puts the keyring under it. A running server goes on serving.\n" +
			"The old root key file stays as DIR/root-key.old: backups made before need it. Move it to them,\n" +
			"or delete it, and make a copy of the new one. Other servers of the same PostgreSQL database go\n" +
			"on, and need a copy of DIR/root-key before their next start.\n\n" +
			"A key that sleeps in a KMS, in Vault or in an HSM is rotated there; rotate then wraps the\n" +
			"keyring under its newest version. --keyring also adds a key to the keyring, under which all is\n" +
			"sealed from then on; over PostgreSQL with a root key file it does only that.",
		Example: "  azekura seal rotate --data-dir azekura-data\n  azekura seal rotate --data-dir azekura-data --keyring",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := sealing(cmd)
			if err != nil {
				return err
			}
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			fingerprint, err := s.Rotate(ctx, newKey)
			if err != nil {
				return fmt.Errorf("seal rotate: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the keyring is under the root key %s\n", fingerprint)
			if s.Seal.Kind == seal.KindFile {
				fmt.Fprintln(cmd.OutOrStdout(), "copy root-key to a safe place; root-key.old belongs to the backups that were made before")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&newKey, "keyring", false, "also add a new key to the keyring")
	addStoreFlags(cmd)
	return cmd
}

func sealMigrateVerb() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "let the root key sleep elsewhere",
		Long: "migrate puts the keyring under the root key of another seal, whose settings are in a YAML file\n" +
			"as of --config (see docs/seals.md); all others in it are left aside. Secrets of the new seal are\n" +
			"in files: seal-passphrase-file, seal-token-file, seal-pin-file. A running server goes on serving;\n" +
			"give it the new settings before its next start. A root key file that is not used any more stays\n" +
			"as DIR/root-key.old, which backups made before need.",
		Example: "  azekura seal migrate --data-dir azekura-data --to hsm.yaml\n" +
			"  azekura seal migrate --data-dir azekura-data --seal awskms --seal-key arn:aws:kms:... --to file.yaml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var next config
			if to == "" {
				return errors.New("--to has to name the YAML file with the settings of the new seal")
			}
			if err := readFile(to, next.settings()); err != nil {
				return err
			}
			s, err := sealing(cmd)
			if err != nil {
				return err
			}
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			fingerprint, err := s.Migrate(ctx, next.Seal)
			if err != nil {
				return fmt.Errorf("seal migrate: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the keyring is under the root key %s of the seal %s: start servers with its settings from now on\n", fingerprint, next.Seal.Kind)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "YAML file with the settings of the new seal")
	addStoreFlags(cmd)
	return cmd
}

func sealSplitVerb() *cobra.Command {
	var shares, threshold int
	cmd := &cobra.Command{
		Use:   "split FILE",
		Short: "split a passphrase or a root key file among several people",
		Long: "split makes shares of a file that holds a passphrase or a root key, by Shamir's scheme: so many\n" +
			"of them give it back, and fewer say nothing about it. Each is one line, for paper or a password\n" +
			"safe. They are written to FILE.share-1, FILE.share-2, ...; hand them out, and delete the files.",
		Example: "  azekura seal split passphrase --shares 5 --threshold 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			defer clear(secret)
			lines, err := seal.Split(secret, shares, threshold)
			if err != nil {
				return err
			}
			for i, line := range lines {
				if err := writeOwn(fmt.Sprintf("%s.share-%d", args[0], i+1), []byte(line+"\n")); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s.share-1 to %s.share-%d; any %d of them give it back\n", args[0], args[0], shares, threshold)
			return nil
		},
	}
	cmd.Flags().IntVar(&shares, "shares", 5, "how many to make")
	cmd.Flags().IntVar(&threshold, "threshold", 3, "how many of them give the secret back")
	return cmd
}

func sealCombineVerb() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:     "combine SHARE...",
		Short:   "put shares together again",
		Long:    "combine reads shares from files, as many as seal split was told are needed, and writes what they\nwere made of to the file that --out names, which must not be there yet.",
		Example: "  azekura seal combine passphrase.share-1 passphrase.share-4 passphrase.share-5 --out passphrase",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return errors.New("--out has to name the file for what the shares were made of")
			}
			var lines []string
			for _, path := range args {
				text, err := readShort(path)
				if err != nil {
					return err
				}
				lines = append(lines, strings.TrimSpace(text))
			}
			secret, err := seal.Combine(lines)
			if err != nil {
				return fmt.Errorf("seal combine: %w", err)
			}
			defer clear(secret)
			return writeOwn(to, secret)
		},
	}
	cmd.Flags().StringVar(&to, "out", "", "file to write, for its owner only")
	return cmd
}

// readShort reads a file that should be short.
func readShort(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 64 << 10
	var b bytes.Buffer
	_, err = io.Copy(&b, io.LimitReader(f, most))
	return b.String(), err
}

// writeOwn writes a file that is not there yet, for its owner only.
func writeOwn(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"azekura/internal/server"
)

func envVerb() *cobra.Command {
	var shell string
	var scratch config
	settings := scratch.settings()
	cmd := &cobra.Command{
		Use:   "env",
		Short: "print the first administrator's credentials as shell exports",
		Long: "env prints the credentials of the first administrator and the server's address,\n" +
			"from admin.env in the data directory, as commands for a shell to evaluate.",
		Example: "  eval \"$(azekura env --data-dir azekura-data)\"\n" +
			"  azekura env --data-dir azekura-data --shell fish | source",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags(), "", os.Getenv)
			if err != nil {
				return err
			}
			vars, err := server.ReadAdminEnv(cfg.DataDir)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: start the server once with --data-dir %s, or name the directory it was started with", err, cfg.DataDir)
			}
			if err != nil {
				return err
			}
			return printExports(cmd.OutOrStdout(), shell, vars)
		},
	}
	cmd.Flags().AddFlag(settings.Lookup("data-dir"))
	cmd.Flags().StringVar(&shell, "shell", "sh", "sh (any POSIX shell) or fish")
	return cmd
}

func printExports(w io.Writer, shell string, vars []server.Variable) error {
	var line func(name, value string) string
	switch shell {
	case "sh":
		line = func(name, value string) string {
			return "export " + name + "=" + shellQuote(value)
		}
	case "fish":
		quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
		line = func(name, value string) string {
			return "set -gx " + name + " '" + quote.Replace(value) + "'"
		}
	default:
		return fmt.Errorf("--shell %q: it can be sh or fish", shell)
	}
	for _, v := range vars {
		if _, err := fmt.Fprintln(w, line(v.Name, v.Value)); err != nil {
			return err
		}
	}
	return nil
}

// shellQuote makes one word of s for a POSIX shell, which takes everything
// between single quotes as it stands.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, `'`, `'\''`) + "'"
}

// shellWord is shellQuote, but for words that need no quotes.
func shellWord(s string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./-]+$`).MatchString(s) {
		return s
	}
	return shellQuote(s)
}

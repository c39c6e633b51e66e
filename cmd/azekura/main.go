// Command azekura is the whole of Azekura: each verb is one file.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func verbs() []*cobra.Command {
	return []*cobra.Command{
		serverVerb(),
		envVerb(),
		backupVerb(),
		restoreVerb(),
		migrateVerb(),
		sealVerb(),
		versionVerb(),
	}
}

func main() {
	if err := harden(); err != nil {
		fmt.Fprintf(os.Stderr, "azekura: %v\n", err)
		os.Exit(1)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code. What goes wrong is
// one line on stderr, for a person: what was being done, and what to do next.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "azekura",
		Short:         "a self-hosted secrets manager that speaks the AWS Secrets Manager API",
		Example:       "  azekura server --dev",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(verbs()...)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "azekura: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

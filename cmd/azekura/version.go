package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	FIPS     fips   `json:"fips140"`
}

// fips is which of Go's cryptographic modules is in the build, "latest" for the
// library's own that nobody has certified, and the mode that it runs in.
type fips struct {
	Module string `json:"module"`
	Mode   string `json:"mode"` // off, on, only: as GODEBUG=fips140= has them
}

func thisFIPS() fips {
	f := fips{Module: fips140.Version(), Mode: "off"}
	switch {
	case fips140.Enforced():
		f.Mode = "only"
	case fips140.Enabled():
		f.Mode = "on"
	}
	return f
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, FIPS: thisFIPS()}
	if b.Version != "" {
		return b
	}
	b.Version = "devel"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Version += "-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return b
}

func versionVerb() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "say which build this is, and which cryptography it runs on",
		Example: "  azekura version\n  azekura version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "azekura %s %s %s\nFIPS 140-3 module %s, mode %s\n",
				b.Version, b.Go, b.Platform, b.FIPS.Module, b.FIPS.Mode)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

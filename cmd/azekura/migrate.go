package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"azekura/internal/server"
	"azekura/internal/store"
)

func migrateVerb() *cobra.Command {
	var to string
	var undo bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "copy the data from SQLite to PostgreSQL, or back",
		Long: "migrate copies all data from the data directory into an empty PostgreSQL database\n" +
			"(--to postgres), or from there into the data directory (--to sqlite), and compares every row.\n" +
			"The root key and admin.env stay in the data directory, which servers need with both.\n\n" +
			"Stop every server first. The source stays as it is. A migration that was broken off goes on\n" +
			"when it is run again; until it has finished no server starts on the destination. To give it\n" +
			"up, run the same command with --undo.",
		Example: "  azekura migrate --data-dir azekura-data --database-url postgres://azekura@db/azekura --to postgres\n" +
			"  azekura server --data-dir azekura-data --database-url postgres://azekura@db/azekura\n\n" +
			"  azekura migrate --data-dir azekura-data --database-url postgres://azekura@db/azekura --to sqlite",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags(), "", os.Getenv)
			if err != nil {
				return err
			}
			m := server.Migration{
				DataDir: cfg.DataDir, DatabaseURL: cfg.DatabaseURL, DatabaseStandby: cfg.DatabaseStandby, Seal: cfg.Seal, To: server.Engine(to),
			}
			ctx, restore := untilSignal(cmd.Context())
			defer restore()
			if undo {
				if err := m.Undo(ctx); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "removed the unfinished copy; the source was not touched")
				return nil
			}
			return migrate(ctx, m, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "postgres or sqlite")
	cmd.Flags().BoolVar(&undo, "undo", false, "remove what an unfinished migration, or a restore into PostgreSQL, has left")
	addStoreFlags(cmd)
	cmd.MarkFlagRequired("to") // the flag exists
	return cmd
}

func migrate(ctx context.Context, m server.Migration, stdout, stderr io.Writer) error {
	meter := newMeter(stderr)
	m.Progress = meter.report
	c, err := m.Run(ctx)
	meter.close()
	if err != nil {
		return err
	}
	var rows int64
	for _, n := range c.Rows {
		rows += n
	}
	fmt.Fprintf(stdout, "copied and compared %d rows in %d tables, schema %d, digest %s\n", rows, len(c.Rows), c.Schema, c.Digest)
	command := shellWord(os.Args[0]) + " server --data-dir " + shellWord(m.DataDir)
	if m.To == server.PostgreSQL {
		fmt.Fprintf(stdout, "start every server from now on with the database's URL, or it serves the old data:\n  %s --database-url ...\n", command)
	} else {
		fmt.Fprintf(stdout, "start it from now on without the database's URL, or it serves the old data:\n  %s\n", command)
	}
	return nil
}

// A meter tells a person how far a copy is: on a terminal in one line that is
// written over, elsewhere in a line every ten seconds and for each step.
type meter struct {
	out      io.Writer
	every    time.Duration
	line     string // how one is written
	ending   string // of the last of a step
	step     string
	began    time.Time // the step
	told     time.Time
	finished bool // the step, as far as was told
}

func newMeter(out io.Writer) *meter {
	m := &meter{out: out, every: 10 * time.Second, line: "%s\n"}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			m.every, m.line = 200*time.Millisecond, "\r%s\x1b[K"
			m.ending = "\n"
		}
	}
	return m
}

func (m *meter) report(p store.Progress) {
	now := time.Now()
	if p.Step != m.step {
		m.close()
		m.step, m.began, m.told, m.finished = p.Step, now, time.Time{}, false
	}
	done := p.Rows == p.Total
	if now.Sub(m.told) < m.every && (!done || m.finished) {
		return
	}
	m.told, m.finished = now, done
	fmt.Fprintf(m.out, m.line, progressLine(p, now.Sub(m.began)))
}

// close ends the line of the step, if there was one.
func (m *meter) close() {
	if m.step != "" {
		fmt.Fprint(m.out, m.ending)
	}
}

func progressLine(p store.Progress, took time.Duration) string {
	percent := 100.0
	if p.Total > 0 {
		percent = float64(p.Rows) / float64(p.Total) * 100
	}
	line := fmt.Sprintf("%s: %d of %d rows (%.0f %%)", p.Step, p.Rows, p.Total, percent)
	if s := took.Seconds(); s >= 1 {
		line += fmt.Sprintf(", %.0f rows a second", float64(p.Rows)/s)
	}
	return line + ", table " + p.Table
}

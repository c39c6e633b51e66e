package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A section is one part of the report.
type section struct {
	title  string
	text   string // before the tables
	tables []*table
	notes  []string // after the tables
	goals  []*goal
}

// A goal is a figure with the target that was set for it.
type goal struct {
	what, target string
	figure       string
	met          bool
}

func (g *goal) verdict() string {
	if g.met {
		return "met"
	}
	return "**missed**"
}

// atLeast and atMost hold the median against a target.
func (s *section) atLeast(what string, figure spreadOf, limit float64) *goal {
	return s.goal(&goal{what, "at least " + short(limit), figure.String(), figure.median >= limit})
}

func (s *section) atMost(what string, figure spreadOf, limit float64) *goal {
	return s.goal(&goal{what, "at most " + short(limit), figure.String(), figure.median <= limit})
}

func (s *section) goal(g *goal) *goal {
	s.goals = append(s.goals, g)
	return g
}

func (s *section) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// A table compares two servers, line by line.
type table struct {
	head []string
	rows [][]string
}

func (s *section) table(first, ours, reference string) *table {
	t := &table{head: []string{first, "figure", ours, reference, "ratio", "target", ""}}
	s.tables = append(s.tables, t)
	return t
}

// plain is a table whose cells are given.
func (s *section) plain(head ...string) *table {
	t := &table{head: head}
	s.tables = append(s.tables, t)
	return t
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// compare adds a line for one figure; g is the goal that it has, or nil.
func (t *table) compare(name string, f figure, ours, reference series, g *goal) {
	t.ratio(name, f.name, short(ours.median(f))+f.unit, short(reference.median(f))+f.unit, ours.over(reference, f), g)
}

func (t *table) ratio(name, what, ours, reference string, ratio spreadOf, g *goal) {
	if len(t.rows) > 0 && t.named(len(t.rows)-1) == name {
		name = ""
	}
	cells := []string{name, what, ours, reference, ratio.String(), "", ""}
	if g != nil {
		cells[5], cells[6] = g.target, g.verdict()
	}
	t.row(cells...)
}

// busy adds lines that say how much of its processor each side used, and how
// much of its own the generator had left: a side that had time left while the
// generator had some, too, was held up by something else.
func (t *table) busy(ours, reference series) {
	for _, f := range []figure{
		{name: "server busy", of: func(s sample) float64 { return 100 * s.busy }},
		{name: "generator idle", of: func(s sample) float64 { return 100 * s.idle }},
	} {
		t.row("", f.name, fmt.Sprintf("%.0f %%", ours.median(f)), fmt.Sprintf("%.0f %%", reference.median(f)), "", "", "")
	}
}

// named is the name that a line goes by: its own or that of one above.
func (t *table) named(line int) string {
	for line > 0 && t.rows[line][0] == "" {
		line--
	}
	return t.rows[line][0]
}

func (t *table) render(b *strings.Builder) {
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, cells := range t.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
}

// A report is all that was measured, on which machine.
type report struct {
	settings
	machine  machine
	sections []section
	began    time.Time
	took     time.Duration
}

const preface = `# Performance

Made by ` + "`make bench`" + `, which overwrites this page. The floor is a bare net/http server of about 150 lines
([test/bench/floor/main.go](../test/bench/floor/main.go)) that verifies the same signature with the same package, decrypts 1 KiB with
AES-256-GCM and writes the same JSON; its PutSecretValue appends 1.5 KiB to a file and syncs it, one request after the other.
It has no store, no policy, no log and no second secret.
`

const method = `
## Method

- What is compared takes turns: a round runs every load once, every other round in the opposite order. The first round warms
  up and does not count. A ratio is taken within a round; shown is the median over the rounds, with the least and the most,
  and a target is held against the median. Trust the ratios, not the absolute figures: those are of this machine, that day.
- What serves has one processor, the load generator another. PostgreSQL belongs to what serves.
- A connection sends its next request when it has its answer, so requests/s and latency are two sides of one thing. Latency is
  measured by the generator, whose own work is in it, the same for both sides.
- The generator is one thread that polls its connections and never sleeps: to wake a sleeping one would cost the server 4 µs at
  each answer, which a client on another machine would not, and only the server that leaves it time to sleep. How much of its
  time it found nothing to do is shown: it is not what limits either side. It sends requests that are signed beforehand, and
  checks status and length of each answer. Over TLS it is a goroutine a connection, for plain HTTP beside it, too.
- CPU is the processor time of the server's process by the kernel's scheduler clock, user and system, divided by the requests.
- Server busy is the part of the time that the server's process had its processor. With one connection the rest is the way there
  and back; else it was spent in waiting for the disk.
- The server's settings are the defaults, unless a section says otherwise, but for rate-limit: AWS's quotas would be what is
  measured. That includes a log line a request, to a file.
- ` + "`.cache/bench -only reads,tls -report FILE`" + ` measures some sections alone, ` + "`-help`" + ` tells the rest.
- 1 MB is 1,000,000 bytes, 1 KiB is 1,024.
`

func (r *report) render() string {
	var b strings.Builder
	b.WriteString(preface)
	fmt.Fprintf(&b, "\n%s\n", r.machine)
	fmt.Fprintf(&b, "\nMeasured on %s by `%s` in %v: %s of %v for each load.\n",
		r.began.UTC().Format("2006-01-02 15:04 UTC"), r.commandLine(), r.took.Round(time.Second), plural(r.rounds, "round"), r.duration)
	r.renderGoals(&b)
	for i := range r.sections {
		s := &r.sections[i]
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		if s.text != "" {
			fmt.Fprintf(&b, "\n%s\n", s.text)
		}
		for _, t := range s.tables {
			t.render(&b)
		}
		for _, note := range s.notes {
			fmt.Fprintf(&b, "\n%s\n", note)
		}
	}
	b.WriteString(method)
	return b.String()
}

func (r *report) renderGoals(b *strings.Builder) {
	met, all := 0, 0
	t := table{head: []string{"target", "", "measured", ""}}
	for _, s := range r.sections {
		for _, g := range s.goals {
			t.row(g.what, g.target, g.figure, g.verdict())
			all++
			if g.met {
				met++
			}
		}
	}
	fmt.Fprintf(b, "\n## Targets: %d of %d met\n", met, all)
	t.render(b)
}

// commandLine is what makes this report again.
func (r *report) commandLine() string {
	if len(os.Args) == 1 {
		return "make bench"
	}
	return strings.Join(append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...), " ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// A machine is what a figure depends on besides the programs.
type machine struct {
	processor, memory, kernel, disk, server string
	processors                              int
}

func (m machine) String() string {
	return fmt.Sprintf("%s (%s), %s of memory, Linux %s, data on %s, %s; the server is `%s`.",
		plural(m.processors, "processor"), m.processor, m.memory, m.kernel, m.disk, runtime.Version(), m.server)
}

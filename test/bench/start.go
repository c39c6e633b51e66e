package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"azekura/internal/sigv4"
)

// startRounds is for each measuring round so many starts: one takes
// milliseconds and is easily disturbed.
const startRounds = 4

// settle is how long a server that has answered once is left alone before its
// memory is looked at.
const settle = 3 * time.Second

// A starter is one way to start a server.
type starter struct {
	command     []string
	credentials sigv4.Credentials
	region      string
}

// firstAnswer starts a server, asks for a secret at once, and ends it. It
// returns the time from the start of the process to the answer.
func (b *bench) firstAnswer(s starter, log *os.File) (took time.Duration, err error) {
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stderr = log
	began := time.Now()
	c, err := launch(b.cpus.server, cmd)
	if err != nil {
		return 0, err
	}
	defer c.end()
	t := target{url: c.address, region: s.region, credentials: s.credentials}
	request, err := t.request("GetSecretValue", fmt.Sprintf(`{"SecretId":%q}`, secretName(0)))
	if err != nil {
		return 0, err
	}
	conn, err := t.dial()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	if _, err := readAnswer(bufio.NewReader(conn), nil); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// startTimes starts servers by turns, and returns what each took, in
// milliseconds.
func (b *bench) startTimes(starters ...starter) ([][]float64, error) {
	log, err := os.OpenFile(filepath.Join(b.work, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	times := make([][]float64, len(starters))
	for round := range startRounds*b.rounds + 1 {
		for i, s := range starters {
			took, err := b.firstAnswer(s, log)
			if err != nil {
				return nil, fmt.Errorf("start %s: %w", s.command[0], err)
			}
			if round > 0 {
				times[i] = append(times[i], float64(took.Nanoseconds())/1e6)
			}
		}
	}
	return times, nil
}

// overStore is the start of our server over a data directory.
func (b *bench) overStore(dir string) (starter, error) {
	credentials, region, err := administrator(dir)
	return starter{b.command(dir), credentials, region}, err
}

// compareStarts adds the line of two starts; the goal holds the ratio against
// a limit.
func compareStarts(s *section, t *table, name, what string, ours, reference []float64, limit float64) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / reference[i]
	}
	ratio := spreadOver(ratios)
	t.ratio(name, "start to first answer", short(spreadOver(ours).median)+" ms", short(spreadOver(reference).median)+" ms",
		ratio, s.atMost(what, ratio, limit))
}

// start measures a server that does nothing yet.
func (b *bench) start() (section, error) {
	s := section{title: "Start, size, idle memory"}
	s.text = fmt.Sprintf(`A start is measured from the start of the process to the answer to a first signed GetSecretValue, %d times. The store is empty
but for the one secret that is read, has been opened before, and was closed in order.`, startRounds*b.rounds)
	dir, err := b.store(1, 1)
	if err != nil {
		return s, err
	}
	ours, err := b.overStore(dir)
	if err != nil {
		return s, err
	}
	floor := starter{b.floorCommand(), floorCredentials, floorRegion}
	b.say("starting both %d times ...", startRounds*b.rounds+1)
	times, err := b.startTimes(ours, floor)
	if err != nil {
		return s, err
	}
	compareStarts(&s, s.table("store", "azekura", "floor"), "empty", "Start to first answer against the floor's", times[0], times[1], 3)
	idle, err := b.idle(dir)
	if err != nil {
		return s, err
	}
	size, err := os.Stat(b.server)
	if err != nil {
		return s, err
	}
	t := s.plain("what", "measured", "target", "")
	for _, g := range []*goal{
		s.atMost("Idle RSS, MB", idle, 40),
		s.atMost("Binary, MB", spreadOver([]float64{float64(size.Size()) / 1e6}), 60),
	} {
		t.row(g.what, g.figure, g.target, g.verdict())
	}
	s.note("Idle is %v after a first answer, default settings.", settle)
	return s, nil
}

// idle is the memory, in MB, of servers that have answered once and do nothing.
func (b *bench) idle(dir string) (spreadOf, error) {
	var values []float64
	for range b.rounds {
		b.say("leaving an idle server alone ...")
		n, err := b.serve(b.cpus.server, dir)
		if err != nil {
			return spreadOf{}, err
		}
		defer n.kill()
		if err := n.call("GetSecretValue", map[string]string{"SecretId": secretName(0)}, nil); err != nil {
			return spreadOf{}, err
		}
		time.Sleep(settle)
		m, err := memoryOf(n.pid)
		if err != nil {
			return spreadOf{}, err
		}
		values = append(values, float64(m.now)/1e6)
		if err := n.stop(); err != nil {
			return spreadOf{}, err
		}
	}
	return spreadOver(values), nil
}

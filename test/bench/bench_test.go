package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spreadOf
	}{
		{[]float64{3}, spreadOf{3, 3, 3}},
		{[]float64{9, 1, 2}, spreadOf{1, 2, 9}},
		{[]float64{4, 1, 2, 9}, spreadOf{1, 3, 9}},
	} {
		if got := spreadOver(c.values); got != c.want {
			t.Errorf("spread over %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// Ratios are taken within a round, not between medians.
func TestRatioWithinARound(t *testing.T) {
	perSecond, _, _, _ := figures()
	ours, reference := series{{perSecond: 10}, {perSecond: 40}, {perSecond: 30}}, series{{perSecond: 5}, {perSecond: 80}, {perSecond: 30}}
	if got, want := ours.over(reference, perSecond), (spreadOf{0.5, 1, 2}); got != want {
		t.Errorf("the ratio is %v, want %v", got, want)
	}
}

// A figure that is shown rounded to its target has still missed it.
func TestVerdictIsOfTheUnroundedMedian(t *testing.T) {
	var s section
	for _, g := range []struct {
		*goal
		met bool
	}{
		{s.atLeast("", spreadOf{0.7, 0.7499, 0.9}, 0.75), false},
		{s.atLeast("", spreadOf{0.7, 0.75, 0.9}, 0.75), true},
		{s.atMost("", spreadOf{1, 1.4001, 2}, 1.4), false},
		{s.atMost("", spreadOf{1, 1.4, 2}, 1.4), true},
	} {
		if g.goal.met != g.met {
			t.Errorf("%v, target %s: met is %v", g.figure, g.target, g.goal.met)
		}
	}
	r := report{sections: []section{s}}
	if text := r.render(); !strings.Contains(text, "Targets: 2 of 4 met") || strings.Count(text, "**missed**") != 2 {
		t.Error(text)
	}
}

func TestPartOfARunNeverOverwritesTheReport(t *testing.T) {
	for _, c := range []struct {
		s    settings
		want string
	}{
		{settings{report: wholeReport}, "start,reads,writes,access,keys,postgres,rotation,million,tls"},
		{settings{only: "tls,reads", report: "other.md"}, "reads,tls"},
		{settings{only: "tls", report: "docs/../docs/performance.md"}, "error"},
		{settings{only: "tls,nothing", report: "other.md"}, "error"},
	} {
		chosen, err := c.s.chosen()
		var got []string
		for _, p := range chosen {
			got = append(got, p.name)
		}
		if err != nil {
			got = []string{"error"}
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("-only %q -report %s runs %v, want %s", c.s.only, c.s.report, got, c.want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"
	in := bufio.NewReader(strings.NewReader(ok + ok + "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno" + "HTTP/1.1 200 OK\r\n\r\n"))
	if n, err := readAnswer(in, nil); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	var body bytes.Buffer
	if n, err := readAnswer(in, &body); n != 3 || err != nil || body.String() != "abc" {
		t.Fatal(n, err, body.String())
	}
	if _, err := readAnswer(in, nil); err == nil || !strings.Contains(err.Error(), "no") {
		t.Error(err)
	}
	if _, err := readAnswer(in, nil); err == nil {
		t.Error("an answer without a length was taken")
	}
}

// Each round reads the same set in another order, or other secrets.
func TestPatterns(t *testing.T) {
	seen := map[int]bool{}
	for round := range 3 {
		for _, n := range spread(10, 1000)(round) {
			seen[n] = true
			if n%100 != 0 {
				t.Errorf("secret %d is not one of ten spread over a thousand", n)
			}
		}
	}
	if len(seen) != 10 {
		t.Errorf("three rounds read %d secrets", len(seen))
	}
	if all := anywhere(20, 20)(1); len(all) != 20 || len(anywhere(5, 20)(1)) != 5 {
		t.Error(all)
	}
}

// An answer may come in any pieces.
func TestAnswerSize(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 12\r\nZ: 1\r\n\r\n"
	for n := range len(answer) {
		if headers, body, err := answerSize([]byte(answer[:n])); headers != 0 || body != 0 || err != nil {
			t.Errorf("%q: %d, %d, %v", answer[:n], headers, body, err)
		}
	}
	if headers, body, err := answerSize([]byte(answer + "abc")); headers != len(answer) || body != 12 || err != nil {
		t.Errorf("%d, %d, %v", headers, body, err)
	}
	for _, wrong := range []string{"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nX: Content-Length: 1\r\n\r\n"} {
		if _, _, err := answerSize([]byte(wrong)); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

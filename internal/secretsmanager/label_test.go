package secretsmanager

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The traces in testdata/labels.txt are those recorded from AWS.
func TestLabelTraces(t *testing.T) {
	text, err := os.ReadFile("testdata/labels.txt")
	if err != nil {
		t.Fatal(err)
	}
	for trace := range strings.SplitSeq(string(text), "\n\n") {
		name, steps, _ := strings.Cut(strings.TrimSpace(trace), "\n")
		t.Run(strings.TrimPrefix(name, "# "), func(t *testing.T) {
			l := labels{}
			for step := range strings.Lines(steps) {
				runLabelStep(t, l, strings.TrimSpace(step))
			}
		})
	}
}

// runLabelStep runs "put v2 AWSPENDING,PUT1", "move AWSCURRENT v1 v2" (from,
// to; - for none), or checks "= v1 AWSPREVIOUS; v2 AWSCURRENT".
func runLabelStep(t *testing.T, l labels, step string) {
	t.Helper()
	words := strings.Fields(step)
	switch words[0] {
	case "put":
		stages := []string{current}
		if len(words) > 2 {
			stages = strings.Split(words[2], ",")
		}
		l.put(words[1], stages)
	case "move":
		if err := l.move(words[1], version1(words[3]), version1(words[2])); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	case "=":
		var got []string
		for _, v := range slices.Compact(slices.Sorted(maps.Values(l))) {
			got = append(got, v+" "+strings.Join(l.of(v), ","))
		}
		if diff := cmp.Diff(strings.TrimPrefix(step, "= "), strings.Join(got, "; ")); diff != "" {
			t.Fatal(diff)
		}
	default:
		t.Fatalf("unknown step %q", step)
	}
}

func version1(word string) *string {
	if word == "-" {
		return nil
	}
	return &word
}

func TestMoveRefusals(t *testing.T) {
	for _, tt := range []struct{ stage, from, to, want string }{
		{"AWSCURRENT", "-", "v3", "InvalidParameterException: The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version v2, so you must explicitly reference that version in RemoveFromVersionId."},
		{"AWSPREVIOUS", "-", "v3", "InvalidParameterException: The parameter RemoveFromVersionId can't be empty. Staging label AWSPREVIOUS is currently attached to version v1, so you must explicitly reference that version in RemoveFromVersionId."},
		{"AWSCURRENT", "v2", "-", "InvalidParameterException: You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."},
		{"AWSCURRENT", "v1", "v3", "InvalidParameterException: When you move staging label AWSCURRENT, if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label AWSCURRENT."},
		{"NEW", "v1", "v3", "InvalidParameterException: When you move staging label NEW, if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label NEW."},
		{"NEW", "-", "-", "InvalidParameterException: You must specify MoveToVersionId, RemoveFromVersionId, or both."},
	} {
		l := labels{"AWSPREVIOUS": "v1", "AWSCURRENT": "v2"}
		err := l.move(tt.stage, version1(tt.to), version1(tt.from))
		if err == nil || err.Error() != tt.want {
			t.Errorf("move %s from %s to %s:\n got %v\nwant %s", tt.stage, tt.from, tt.to, err, tt.want)
		}
		if !maps.Equal(l, labels{"AWSPREVIOUS": "v1", "AWSCURRENT": "v2"}) {
			t.Errorf("a refused move left %v", l)
		}
	}
}

// Whatever is done: AWSCURRENT stays once it is there, AWSPREVIOUS is on
// another version than AWSCURRENT unless somebody put it there by hand, and
// what is written is what is read.
func TestLabelProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := labels{}
		versions := rapid.SampledFrom([]string{"v1", "v2", "v3", "v4"})
		stages := rapid.SampledFrom([]string{current, pending, "CUSTOM", "OTHER"})
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			before := maps.Clone(l)
			if rapid.Bool().Draw(t, "put") {
				l.put(versions.Draw(t, "version"), rapid.SliceOfN(stages, 1, 3).Draw(t, "stages"))
			} else {
				from, to := versions.Draw(t, "from"), versions.Draw(t, "to")
				_ = l.move(stages.Draw(t, "stage"), &to, &from)
			}
			if before[current] != "" && l[current] == "" {
				t.Fatalf("AWSCURRENT was lost: %v to %v", before, l)
			}
			if l[previous] != "" && l[previous] == l[current] {
				t.Fatalf("one version is both current and previous: %v", l)
			}
			if before[current] != l[current] && before[current] != "" && l[previous] != before[current] {
				t.Fatalf("the old current is not previous: %v to %v", before, l)
			}
			column, err := l.Value()
			if err != nil {
				t.Fatal(err)
			}
			var read labels
			if err := read.Scan(column); err != nil || !maps.Equal(read, l) {
				t.Fatalf("%v is read back as %v, %v", l, read, err)
			}
		}
	})
}

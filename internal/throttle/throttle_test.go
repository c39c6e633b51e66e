package throttle

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func limits(t testing.TB, settings ...string) Limits {
	t.Helper()
	l, err := Parse(settings)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// passed is how many of n calls at one moment are let through.
func passed(c *Calls, account, region, operation string, n int, now time.Time) int {
	some := 0
	for range n {
		if c.Take(account, region, operation, now) == 0 {
			some++
		}
	}
	return some
}

func TestASecondsWorthMayComeAtOnce(t *testing.T) {
	const put, update = "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"
	c := NewCalls(limits(t, "aws"))
	if n := passed(c, "1", "r", put, 80, noon); n != 50 {
		t.Errorf("%d of 50 passed", n)
	}
	if wait := c.Take("1", "r", update, noon); wait != 20*time.Millisecond {
		t.Errorf("another of its group has to wait %v", wait)
	}
	for name, n := range map[string]int{
		"another account": passed(c, "2", "r", put, 1, noon), "another region": passed(c, "1", "s", put, 1, noon),
		"another group": passed(c, "1", "r", "secretsmanager:CreateSecret", 1, noon), "no quota": passed(c, "1", "r", "iam:ListUsers", 1, noon),
	} {
		if n != 1 {
			t.Errorf("%s has to wait, too", name)
		}
	}
	if n := passed(c, "1", "r", put, 80, noon.Add(100*time.Millisecond)); n != 5 {
		t.Errorf("after a tenth of a second %d of 5 passed", n)
	}
	if n := passed(c, "1", "r", put, 80, noon.Add(time.Hour)); n != 50 {
		t.Errorf("after an hour %d passed, want a second's worth", n)
	}
}

func TestWaitingAsToldIsEnough(t *testing.T) {
	for _, setting := range []string{"s:Op=1", "s:Op=3", "s:Op=50", "s:Op=10000", "s:Op=9999999"} {
		c, now := NewCalls(limits(t, "off", setting)), noon
		waited := 0
		for range 40_000 {
			if wait := c.Take("1", "r", "s:Op", now); wait > 0 {
				waited++
				if now = now.Add(wait); c.Take("1", "r", "s:Op", now) != 0 {
					t.Fatalf("%s: had to wait again", setting)
				}
			}
		}
		if waited == 0 && setting != "s:Op=9999999" {
			t.Errorf("%s: nobody had to wait", setting)
		}
	}
}

func TestAClockSetBackIsNoLockOut(t *testing.T) {
	c := NewCalls(limits(t, "aws"))
	const op = "secretsmanager:CreateSecret"
	passed(c, "1", "r", op, 80, noon)
	early := noon.Add(-time.Hour)
	if wait := c.Take("1", "r", op, early); wait > time.Second {
		t.Errorf("wait %v", wait)
	}
	if n := passed(c, "1", "r", op, 80, early.Add(2*time.Second)); n == 0 {
		t.Error("nothing passes after a clock was set back")
	}
}

func TestParallelCallsShareAQuota(t *testing.T) {
	c := NewCalls(limits(t, "off", "s:Op=1000"))
	var all sync.WaitGroup
	var passes atomic.Int64
	for range 8 {
		all.Go(func() { passes.Add(int64(passed(c, "1", "r", "s:Op", 400, noon))) })
	}
	all.Wait()
	if passes.Load() != 1000 {
		t.Errorf("%d passed, want 1000", passes.Load())
	}
}

func TestSettings(t *testing.T) {
	const get, put, update = "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"
	for name, test := range map[string]struct {
		settings  string
		operation string
		want      int // passes of 100,000 at once
	}{
		"nothing said is aws":       {"", get, 10_000},
		"off":                       {"off", get, 100_000},
		"off but for one":           {"off " + put + "=7", put, 7},
		"one more than aws":         {get + "=20000", get, 20_000},
		"none for one":              {get + "=0", get, 100_000},
		"the others keep theirs":    {put + "=7", update, 50},
		"out of the group":          {put + "=7", put, 7},
		"aws, said":                 {"aws", "sts:AssumeRole", 600},
		"an operation without":      {"aws", "iam:CreateUser", 100_000},
		"an operation without, set": {"aws iam:CreateUser=5", "iam:CreateUser", 5},
	} {
		c := NewCalls(limits(t, strings.Fields(test.settings)...))
		if n := passed(c, "1", "r", test.operation, 100_000, noon); n != test.want {
			t.Errorf("%s: %d passed, want %d", name, n, test.want)
		}
	}
	for _, bad := range []string{"on", "aws off", "a=1", "a:=1", ":b=1", "a:b", "a:b=", "a:b=-1", "a:b=1.5", "a:b=10000001", "a:b=1 a:b=2", "a:b=9999999999"} {
		if _, err := Parse(strings.Fields(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	c := NewCalls(limits(t))
	c.Take("111111111111", "us-east-1", "secretsmanager:GetSecretValue", noon)
	if n := testing.AllocsPerRun(100, func() { c.Take("111111111111", "us-east-1", "secretsmanager:GetSecretValue", noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGuessingIsSlowed(t *testing.T) {
	f := NewFailures(10, time.Second)
	if f.Wait("10.0.0.1", "AKIA", noon) != 0 {
		t.Error("the first try has to wait")
	}
	tries := 0
	for now := noon; now.Before(noon.Add(time.Minute)); now = now.Add(10 * time.Millisecond) {
		if f.Wait("10.0.0.1", "AKIA", now) == 0 {
			f.Failed("10.0.0.1", "AKIA", now)
			tries++
		}
	}
	if tries < 65 || tries > 71 {
		t.Errorf("%d tries in a minute, want 10 and one a second", tries)
	}
	end := noon.Add(time.Minute)
	if f.Wait("10.0.0.2", "AKIA", end) != 0 || f.Wait("10.0.0.1", "AKIB", end) != 0 {
		t.Error("others have to wait")
	}
	wait := f.Wait("10.0.0.1", "AKIA", end)
	if wait > time.Second || f.Wait("10.0.0.1", "AKIA", end.Add(wait)) != 0 {
		t.Errorf("has to wait %v, and then again", wait)
	}
	early := end.Add(-24 * time.Hour)
	if wait := f.Wait("10.0.0.1", "AKIA", early); wait > time.Second || f.Wait("10.0.0.1", "AKIA", early.Add(wait)) != 0 {
		t.Errorf("a clock set back locks out for %v, and for longer", wait)
	}
	if f.Wait("10.0.0.1", "AKIA", end.Add(time.Minute)) != 0 {
		t.Error("a failure is never forgotten")
	}
}

func TestNamesOfFailuresAreApart(t *testing.T) {
	f := NewFailures(1, time.Hour)
	f.Failed("ab", "c", noon)
	if f.Wait("ab", "c", noon) == 0 || f.Wait("a", "bc", noon) != 0 {
		t.Error("ab c and a bc are one")
	}
}

// Of many tries at once as many are let through as one after the other, and
// those that succeed do not count.
func TestTriesAtOnce(t *testing.T) {
	now := noon
	f := NewFailures(5, time.Minute)
	var let atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if f.Begin("a", "b", now) == 0 {
				let.Add(1)
			}
		})
	}
	all.Wait()
	if let.Load() != 5 {
		t.Errorf("%d tries were let through, want 5", let.Load())
	}
	if wait := f.Begin("a", "b", now); wait != time.Minute {
		t.Errorf("the next one waits %v, want a minute", wait)
	}
	for range 64 {
		if wait := f.Begin("c", "d", now); wait != 0 {
			t.Fatalf("one who succeeds waits %v", wait)
		}
		f.Succeeded("c", "d")
	}
}

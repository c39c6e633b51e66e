package sigv4

import (
	"fmt"
	"sync"
	"testing"
)

func TestSigningKeys(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	var keys Keys
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 5 * maxKept {
				date := fmt.Sprintf("202603%02d", i%(2*maxKept))
				for range 2 { // derived, then kept
					if keys.Of(secret, date, "us-east-1", "iam") != DeriveKey(secret, date, "us-east-1", "iam") {
						t.Errorf("the wrong key for %s", date)
					}
				}
			}
		})
	}
	all.Wait()
	if n := len(*keys.kept.Load()); n != maxKept {
		t.Errorf("%d signing keys are kept, want %d", n, maxKept)
	}
	a := keys.Of(secret, "20260314", "us-east-1", "iam")
	for name, b := range map[string]Key{
		"date":    keys.Of(secret, "20260315", "us-east-1", "iam"),
		"region":  keys.Of(secret, "20260314", "us-west-2", "iam"),
		"service": keys.Of(secret, "20260314", "us-east-1", "sts"),
	} {
		if a == b {
			t.Errorf("another %s gives the same key", name)
		}
	}
}

func TestSigningKeyIsKept(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	var keys Keys
	keys.Of(secret, "20260314", "us-east-1", "secretsmanager")
	if n := testing.AllocsPerRun(100, func() { keys.Of(secret, "20260314", "us-east-1", "secretsmanager") }); n != 0 {
		t.Errorf("%v allocations for a key that is kept", n)
	}
}

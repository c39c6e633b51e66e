package sigv4

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
)

// Keys keeps the signing keys that were last derived from one secret access
// key. Its zero value is empty and ready. It may be used concurrently, must not
// be copied, and prints as ***.
type Keys struct {
	kept atomic.Pointer[[]scopedKey] // copied on write, latest first
}

// maxKept bounds what Keys keeps: a few services in a few regions, on two days
// around midnight.
const maxKept = 16

// KeysSize is about what Keys takes in memory when full, in bytes.
const KeysSize = maxKept * 160

type scopedKey struct {
	date, region, service string
	key                   Key
}

func (*Keys) String() string             { return redacted }
func (*Keys) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// Of is DeriveKey of a secret, which must be the same at every call. Which
// scopes are asked for is a stranger's choice; to push others out costs them
// four HMACs.
func (k *Keys) Of(secret, date, region, service string) Key {
	var kept []scopedKey
	if p := k.kept.Load(); p != nil {
		kept = *p
	}
	for i := range kept {
		if s := &kept[i]; s.date == date && s.region == region && s.service == service {
			return s.key
		}
	}
	fresh := scopedKey{strings.Clone(date), strings.Clone(region), strings.Clone(service),
		DeriveKey(secret, date, region, service)}
	longer := slices.Concat([]scopedKey{fresh}, kept[:min(len(kept), maxKept-1)])
	k.kept.Store(&longer) // who loses a race derives again
	return fresh.key
}

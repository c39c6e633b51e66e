package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
)

// every has a member of each kind that encoding/json reads as we do.
type every struct {
	Text   *string           `api:"min=1,max=3,pattern=[a-z]+"`
	Hidden *api.Sensitive    `api:"min=1"`
	Blob   api.SensitiveBlob `api:"max=2"`
	Number *int64            `api:"min=3"`
	On     *bool
	List   []string          `api:"max=2" elem:"enum=a|b"`
	Map    map[string]string `key:"max=1"`
	Inner  *every
	Many   []inner
}

type inner struct{ A, B *string }

// FuzzDecode holds the decoder against encoding/json: what we read, it reads
// too, and to the same values. What it reads beyond that, we refuse.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, ` {"Text":"a","x":[{"y":null}]} `, `{"Text":"\u00e9\ud83d\ude00\"\\\/","text":1}`, `{"Hidden":"h","Blob":"AAE="}`,
		`{"Number":-12,"On":true,"List":["a","c"],"Map":{"k":"v"}}`, `{"Inner":{"Inner":{"Many":[{},{"A":"1","B":null}]}}}`,
		`{"Text":"a","Text":"b"}`, `{"Number":1e3}`, `[1]`, `{"Text":"\ud800"}`, "{\"Text\":\"\xff\"}", `{"Blob":"AB=="}`, `{}{}`,
	} {
		f.Add([]byte(seed))
	}
	p, err := planOf(reflect.TypeFor[every]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got every
		if err := decode(slices.Clone(body), &got, p); err != nil {
			if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "SerializationException" {
				t.Fatalf("got %v, want a SerializationException", err)
			}
			return
		}
		if err := check(&got, p); err != nil && !strings.HasPrefix(err.Error(), "ValidationException: ") {
			t.Errorf("got %v, want a ValidationException", err)
		}
		again := roundTrip(t, &got, p)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("written and read again (-first +second):\n%s", diff)
		}
		if len(body) == 0 || foldsNames(t, body, p) {
			return
		}
		var oracle every
		if err := json.Unmarshal(body, &oracle); err != nil {
			t.Fatalf("we read what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(oracle, got); diff != "" {
			t.Errorf("(-encoding/json +wire):\n%s", diff)
		}
	})
}

func roundTrip(t *testing.T, in *every, p *plan) every {
	t.Helper()
	var b buffer
	encode(&b, in, p)
	var again every
	if err := decode(b.bytes, &again, p); err != nil {
		t.Fatalf("we refuse what we wrote: %v", err)
	}
	return again
}

// foldsNames says whether body has a name that only encoding/json takes for a
// member's, because it does not look at case.
func foldsNames(t *testing.T, body []byte, p *plan) bool {
	t.Helper()
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		t.Fatalf("we read what encoding/json refuses: %v", err)
	}
	known := []string{"A", "B"}
	for name := range p.byName {
		known = append(known, name)
	}
	var folds func(any) bool
	folds = func(v any) bool {
		switch v := v.(type) {
		case []any:
			return slices.ContainsFunc(v, folds)
		case map[string]any:
			for name, value := range v {
				isCopy := func(k string) bool { return k != name && strings.EqualFold(k, name) }
				if slices.ContainsFunc(known, isCopy) || folds(value) {
					return true
				}
			}
		}
		return false
	}
	return folds(tree)
}

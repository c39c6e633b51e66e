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
	"azekura/internal/api/apitest"
	model "azekura/internal/api/secretsmanager"
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
		if err := check(&got, p, open); err != nil && !strings.HasPrefix(err.Error(), "ValidationException: ") {
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

// shapes are the inputs and outputs of every operation that has any.
var shapes = []any{
	new(model.BatchGetSecretValueInput), new(model.CreateSecretInput), new(model.DeleteResourcePolicyInput), new(model.DeleteSecretInput),
	new(model.DescribeSecretInput), new(model.GetRandomPasswordInput), new(model.GetResourcePolicyInput), new(model.GetSecretValueInput),
	new(model.ListSecretVersionIdsInput), new(model.ListSecretsInput), new(model.PutResourcePolicyInput), new(model.PutSecretValueInput),
	new(model.RestoreSecretInput), new(model.TagResourceInput), new(model.UntagResourceInput), new(model.UpdateSecretInput),
	new(model.UpdateSecretVersionStageInput), new(model.ValidateResourcePolicyInput),
	new(model.BatchGetSecretValueOutput), new(model.CreateSecretOutput), new(model.DescribeSecretOutput), new(model.GetSecretValueOutput),
	new(model.ListSecretsOutput), new(model.ListSecretVersionIdsOutput), new(model.ValidateResourcePolicyOutput),
}

// FuzzShapes: what is read into a shape of the API is written, and read again,
// as the same; what is written is JSON to encoding/json too, and the second
// time it is written it does not change.
func FuzzShapes(f *testing.F) {
	for i, s := range shapes {
		p := planFor(f, s)
		apitest.Smallest(s)
		var b buffer
		encode(&b, s, p)
		f.Add(uint8(i), b.bytes)
	}
	f.Add(uint8(1), []byte(`{"Name":"s","SecretBinary":"AAE=","Tags":[{"Key":"k","Value":"v"}],"AddReplicaRegions":[{"Region":"us-west-2","KmsKeyId":null}]}`))
	f.Add(uint8(9), []byte(`{"Filters":[{"Key":"name","Values":["a","!b"]}],"MaxResults":3,"SortOrder":"asc"}`))
	f.Add(uint8(20), []byte(`{"CreatedDate":1523477145.713,"VersionIdsToStages":{"v":["AWSCURRENT"]},"RotationEnabled":false}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		s := shapes[int(which)%len(shapes)]
		p := planFor(t, s)
		once := reflect.New(reflect.TypeOf(s).Elem()).Interface()
		if err := decode(slices.Clone(body), once, p); err != nil {
			if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "SerializationException" {
				t.Fatalf("got %v, want a SerializationException", err)
			}
			return
		}
		if err := check(once, p, open); err != nil && !strings.HasPrefix(err.Error(), "ValidationException: ") {
			t.Errorf("got %v, want a ValidationException", err)
		}
		var first, second buffer
		encode(&first, once, p)
		if !json.Valid(first.bytes) {
			t.Fatalf("we wrote what is no JSON: %q", first.bytes)
		}
		twice := reflect.New(reflect.TypeOf(s).Elem()).Interface()
		if err := decode(slices.Clone(first.bytes), twice, p); err != nil {
			t.Fatalf("we refuse what we wrote: %v", err)
		}
		encode(&second, twice, p)
		if string(first.bytes) != string(second.bytes) {
			t.Errorf("written twice:\n%s\n%s", first.bytes, second.bytes)
		}
	})
}

func planFor(t testing.TB, shape any) *plan {
	t.Helper()
	p, err := planOf(reflect.TypeOf(shape).Elem())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

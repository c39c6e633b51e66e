package kms

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"azekura/internal/api"
	"azekura/internal/api/apitest"
	model "azekura/internal/api/kms"
	"azekura/internal/policy"
)

// notServed are the operations of the model that are refused as unknown: keys
// in stores that are not ours, and GetKeyLastUsage.
var notServed = []string{
	"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores", "DisconnectCustomKeyStore",
	"UpdateCustomKeyStore", "GetKeyLastUsage",
}

// Every operation of the model is served or on the list of those that are not.
func TestComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Clone(notServed)
	for _, op := range (&Service{}).API().Ops {
		got = append(got, op.Name)
		if !regexp.MustCompile(`\b` + op.Name + `\b`).Match(page) {
			t.Errorf("docs/api.md does not name %s", op.Name)
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(model.Operations)); !slices.Equal(got, want) {
		t.Errorf("served or refused: %v\nthe model has %v", got, want)
	}
}

// setKey names a key wherever an input asks for one, and gives it a ciphertext
// where it could do without.
func setKey(in any, keyARN string) {
	if f := reflect.ValueOf(in).Elem().FieldByName("CiphertextBlob"); f.IsValid() {
		f.SetBytes([]byte("junk"))
	}
	for _, member := range []string{"KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId"} {
		if f := reflect.ValueOf(in).Elem().FieldByName(member); f.IsValid() {
			f.Set(reflect.ValueOf(&keyARN))
		}
	}
}

// No operation serves a caller without permission, whether the key is there or
// not, and none tells such a caller which it is.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	key := *w.newKey(nil).Arn
	all := w.policies
	for _, policies := range []*policy.Set{nil, {}, granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)} {
		w.policies = policies
		for _, op := range w.API().Ops {
			var said []string
			for _, id := range []string{key, keyARN(account, region, newID(false))} {
				in := op.New()
				apitest.Smallest(in)
				setKey(in, id)
				_, err := op.Run(t.Context(), w.call(op.Name, in), in)
				e, ok := errors.AsType[*api.Error](err)
				if !ok || e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "is not authorized to perform: kms:") {
					t.Errorf("%s on %s: got %v", op.Name, id, err)
					continue
				}
				said = append(said, strings.ReplaceAll(e.Message, id, "KEY"))
			}
			if len(said) == 2 && said[0] != said[1] {
				t.Errorf("%s tells whether there is a key: %q, or %q if not", op.Name, said[0], said[1])
			}
		}
	}
	w.policies = all
	if got := do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &key}); *got.KeyMetadata.KeyState != stateEnabled {
		t.Error("the refused calls changed the key")
	}
}

package kms

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/store"
)

func defaultKey(t *testing.T, s *Service, c *call.Call) *Key {
	t.Helper()
	key, err := s.Resolve(t.Context(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDefaultKeyHasManyNames(t *testing.T) {
	w := newWorld(t)
	s, c := w.Service, w.from(account, region)
	key := defaultKey(t, s, c)
	if !key.Managed || key.ARN != "arn:aws:kms:us-east-1:111111111111:key/"+key.ID {
		t.Errorf("the default key is %s, managed %v", key.ARN, key.Managed)
	}
	for _, name := range []string{"alias/aws/secretsmanager", "arn:aws:kms:us-east-1:111111111111:alias/aws/secretsmanager", key.ID, key.ARN} {
		if got, err := s.Resolve(t.Context(), c, name); err != nil || got.ID != key.ID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Accounts and regions have default keys of their own, and nobody has one made
// elsewhere by naming it.
func TestKeysThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	s, db, c := w.Service, w.db, w.from(account, region)
	other := defaultKey(t, s, w.from("222222222222", "us-east-1"))
	west := defaultKey(t, s, w.from(account, "us-west-2"))
	for name, want := range map[string]string{
		"alias/x": "Alias arn:aws:kms:us-east-1:111111111111:alias/x is not found.",
		"arn:aws:kms:us-east-1:111111111111:alias/x": "Alias arn:aws:kms:us-east-1:111111111111:alias/x is not found.",
		"nonsense":                             "Invalid keyId 'nonsense'",
		"1234abcd-12ab-34cd-56ef-1234567890ab": "Key 'arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab' does not exist",
		other.ID:                               "Key 'arn:aws:kms:us-east-1:111111111111:key/" + other.ID + "' does not exist",
		west.ID:                                "Key 'arn:aws:kms:us-east-1:111111111111:key/" + west.ID + "' does not exist",
		west.ARN:                               "Invalid arn us-east-1",
		"arn:aws:kms:us-east-1:333333333333:alias/aws/secretsmanager":                            "Alias arn:aws:kms:us-east-1:333333333333:alias/aws/secretsmanager is not found.",
		"arn:aws:kms:us-east-1::alias/aws/secretsmanager":                                        "Alias arn:aws:kms:us-east-1::alias/aws/secretsmanager is not found.",
		"arn:aws:kms:us-east-1:111111111111:key/alias/aws/secretsmanager":                        "Invalid arn us-east-1",
		"arn:aws:secretsmanager:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab": "Invalid arn us-east-1",
		"arn:": "Invalid arn us-east-1",
	} {
		_, err := s.Resolve(t.Context(), c, name)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "NotFoundException" || e.Message != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	keys := 0
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		keys, err = store.One(tx, func(n *int) []any { return []any{n} }, `SELECT count(*) FROM kms_keys`)
		return err
	})
	if err != nil || keys != 2 {
		t.Errorf("%d keys were made, %v", keys, err)
	}
}

func TestOneDefaultKey(t *testing.T) {
	w := newWorld(t)
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			service := w.Service
			if i%2 == 0 { // another node, with caches of its own
				service = w.again()
			}
			key, err := service.Resolve(t.Context(), w.from(account, "us-east-1"), "")
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = key.ID
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] != ids[15] || ids[0] == "" {
		t.Errorf("several default keys: %v", slices.Compact(ids))
	}
}

func TestDataKey(t *testing.T) {
	w := newWorld(t)
	s, c := w.Service, w.from(account, region)
	key := defaultKey(t, s, c)
	plain, blob, err := s.NewDataKey(t.Context(), c, key, Context{"a": "1", "b": "2"})
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range map[string]*Service{"same": s, "restarted": w.again()} {
		if got, err := service.DecryptDataKey(t.Context(), c, blob, Context{"b": "2", "a": "1"}); err != nil || got != plain {
			t.Errorf("%s: another key came back, %v", name, err)
		}
	}
	refuse := func(what string, c *call.Call, blob []byte, ec Context, code string) {
		t.Helper()
		got, err := s.DecryptDataKey(t.Context(), c, blob, ec)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != code || got != (envelope.Key{}) {
			t.Errorf("%s: got %v, want %s", what, err, code)
		}
	}
	const invalid = "InvalidCiphertextException"
	for _, ec := range []Context{nil, {"a": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2", "c": ""}, {"a1": "", "b": "2"}} {
		refuse(fmt.Sprint("context ", ec), c, blob, ec, invalid)
	}
	for i := range blob {
		for bit := range 8 {
			flipped := slices.Clone(blob)
			flipped[i] ^= 1 << bit
			refuse(fmt.Sprint("flipped byte ", i), c, flipped, Context{"a": "1", "b": "2"}, invalid)
		}
		refuse(fmt.Sprint("cut at ", i), c, blob[:i], Context{"a": "1", "b": "2"}, invalid)
	}
	refuse("another account", w.from("222222222222", "us-east-1"), blob, Context{"a": "1", "b": "2"}, "AccessDeniedException")
	refuse("another region", w.from(account, "us-west-2"), blob, Context{"a": "1", "b": "2"}, invalid)
	elsewhere := w.from(account, region)
	elsewhere.Service = "ssm"
	refuse("another service", elsewhere, blob, Context{"a": "1", "b": "2"}, "AccessDeniedException")
	for what, stranger := range map[string]*Key{"zero": {}, "without material": {ID: key.ID, account: account, region: "us-east-1"}} {
		if _, _, err := s.NewDataKey(t.Context(), c, stranger, nil); err == nil {
			t.Errorf("%s key made a data key", what)
		}
	}
	if _, _, err := s.NewDataKey(t.Context(), w.from("222222222222", "us-east-1"), key, nil); err == nil {
		t.Error("another account's key made a data key")
	}
}

// Material that is moved to another version or another key does not open.
func TestMovedMaterial(t *testing.T) {
	for what, move := range map[string]string{
		"version": `UPDATE kms_material SET version = 2`,
		"key":     `UPDATE kms_material SET material = (SELECT m.material FROM kms_material m WHERE m.key_id <> kms_material.key_id)`,
	} {
		w := newWorld(t)
		s, db, c := w.Service, w.db, w.from(account, region)
		defaultKey(t, s, c)
		defaultKey(t, s, w.from(account, "us-west-2"))
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(move)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.again().Resolve(t.Context(), c, ""); !errors.Is(err, envelope.ErrOpen) {
			t.Errorf("moved to another %s: %v", what, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	secret := envelope.Key([]byte("0123456789abcdef0123456789abcdef"))
	key := &Key{ID: "id", versions: []version{{number: 1, sealer: envelope.NewSealer(&secret)}}}
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		fmt.Fprintf(&all, verb+"\n"+verb+"\n", key, *key)
	}
	slog.New(slog.NewTextHandler(&all, nil)).Info("x", "key", key)
	for _, form := range []string{"0123456789abcdef", "30313233", "48 49 50", "0x30, 0x31"} {
		if strings.Contains(all.String(), form) {
			t.Errorf("key bytes are printed as %q", form)
		}
	}
}

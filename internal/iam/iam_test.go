package iam

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const account = "111111111111"

func newService(t *testing.T, db *store.DB) *Service {
	t.Helper()
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{DB: db, Keyring: keyring})
}

// again is a second service over the same store, with an empty cache.
func again(s *Service) *Service { return New(Config{DB: s.db, Keyring: s.keyring}) }

func bootstrapped(t *testing.T) (*Service, AccessKey) {
	t.Helper()
	s := newService(t, storetest.Open(t))
	key, made, err := s.Bootstrap(t.Context(), account)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	return s, key
}

// change runs one statement and tells the cache of an access key.
func change(t *testing.T, s *Service, accessKeyID, query string, args ...any) {
	t.Helper()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		s.credentials.Changed(tx, accessKeyID)
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBootstrap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newService(t, db)
		if _, err := s.AdminKey(t.Context()); !errors.Is(err, ErrNoAdminKey) {
			t.Errorf("on an empty store: %v", err)
		}
		key, made, err := s.Bootstrap(t.Context(), account)
		if err != nil || !made {
			t.Fatal(made, err)
		}
		if of, _ := AccountOf(key.AccessKeyID); len(key.Secret) != 40 || of != account {
			t.Errorf("an access key %v with a secret of %d characters", key, len(key.Secret))
		}
		if second, made, err := again(s).Bootstrap(t.Context(), account); err != nil || made || second != (AccessKey{}) {
			t.Errorf("the second time: made %v, %v", made, err)
		}
		if got, err := again(s).AdminKey(t.Context()); err != nil || got != key {
			t.Errorf("the administrator's key is another, %v", err)
		}
		_, _, err = again(s).Bootstrap(t.Context(), "222222222222")
		if err == nil || !strings.Contains(err.Error(), "belongs to account 111111111111, not to 222222222222") {
			t.Errorf("another account: %v", err)
		}
	})
}

func TestBootstrapHappensOnce(t *testing.T) {
	s := newService(t, storetest.Open(t))
	var made atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, first, err := again(s).Bootstrap(t.Context(), account)
			if err != nil {
				t.Error(err)
			}
			if first {
				made.Add(1)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestBootstrapWithAGivenKey(t *testing.T) {
	s := newService(t, storetest.Memory(t))
	given := AccessKey{AccessKeyID: "test", Secret: "test"}
	if key, made, err := s.BootstrapWith(t.Context(), account, given); err != nil || !made || key != given {
		t.Fatal(key, made, err)
	}
	if c, err := s.Credential(t.Context(), "test"); err != nil || c.Secret != "test" {
		t.Error(c, err)
	}
}

func TestBootstrapRefusesWhatIsNoAccount(t *testing.T) {
	s := newService(t, storetest.Memory(t))
	for _, account := range []string{"", "1", "11111111111a", "1111111111111", "111111111111\n"} {
		if _, made, err := s.BootstrapWith(t.Context(), account, AccessKey{"test", "test"}); err == nil || made {
			t.Errorf("%q was taken", account)
		}
	}
	for _, key := range []AccessKey{{}, {AccessKeyID: "test"}, {Secret: "test"}, {"a/b", "test"}} {
		if _, made, err := s.BootstrapWith(t.Context(), account, key); err == nil || made {
			t.Errorf("the key %v was taken", key)
		}
	}
}

func TestCredential(t *testing.T) {
	s, key := bootstrapped(t)
	for name, s := range map[string]*Service{"cached": s, "loaded": again(s)} {
		c, err := s.Credential(t.Context(), key.AccessKeyID)
		if err != nil {
			t.Fatal(name, err)
		}
		if c.AccessKeyID != key.AccessKeyID || c.Secret != key.Secret || !c.Active {
			t.Errorf("%s: another key, or not active", name)
		}
		const admin = "arn:aws:iam::111111111111:user/admin"
		want := call.Principal{
			Principal: policy.Principal{Kind: policy.User, ARN: admin, Account: account, Entity: admin, ID: c.Principal.ID},
			UserName:  "admin",
		}
		if diff := gocmp.Diff(want, c.Principal); diff != "" {
			t.Errorf("%s: principal (-want +got):\n%s", name, diff)
		}
		if !strings.HasPrefix(c.Principal.ID, "AIDA") || len(c.Principal.ID) != 21 {
			t.Errorf("%s: user id %s", name, c.Principal.ID)
		}
		if d := c.Policies.Decide(anything()); !d.Allowed || d.By != administratorAccess {
			t.Errorf("%s: the administrator may not: %+v", name, d)
		}
	}
}

func anything() (policy.Request, *policy.Document) {
	return policy.Request{
		Principal: &policy.Principal{Kind: policy.User, ARN: "arn:aws:iam::111111111111:user/admin", Account: account},
		Action:    "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf",
	}, nil
}

func TestUnknownAccessKeys(t *testing.T) {
	s, key := bootstrapped(t)
	for _, id := range []string{
		"", "test", strings.ToLower(key.AccessKeyID), key.AccessKeyID + " ", key.AccessKeyID[:19], "' OR ''='", strings.Repeat("A", 1<<20),
	} {
		if c, err := s.Credential(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%.40q: %v, %v", id, c, err)
		}
	}
}

func TestChangesOfAnAccessKeyAreSeenAtOnce(t *testing.T) {
	s, key := bootstrapped(t)
	before, err := s.Credential(t.Context(), key.AccessKeyID)
	if err != nil || !before.Active {
		t.Fatal(before, err)
	}
	change(t, s, key.AccessKeyID, `UPDATE iam_access_keys SET status = 'Inactive' WHERE id = $1`, key.AccessKeyID)
	if c, err := s.Credential(t.Context(), key.AccessKeyID); err != nil || c.Active {
		t.Errorf("an inactive key is active, %v", err)
	}
	if _, err := s.AdminKey(t.Context()); !errors.Is(err, ErrNoAdminKey) {
		t.Errorf("an inactive key is the administrator's: %v", err)
	}
	change(t, s, key.AccessKeyID, `DELETE FROM iam_access_keys WHERE id = $1`, key.AccessKeyID)
	if _, err := s.Credential(t.Context(), key.AccessKeyID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted key is found: %v", err)
	}
}

// Neither a secret put into another key's row, nor a key given to another
// user, opens.
func TestMovedSecretsDoNotOpen(t *testing.T) {
	const eve = `INSERT INTO iam_users (id, account, path, name, folded, created_at) VALUES ('AIDAEVE', '111111111111', '/', 'eve', 'eve', 0)`
	for name, test := range map[string]struct {
		id   string // of the key that is to be found; "" for the administrator's
		move []string
	}{
		"to another key":  {"AKIAOTHER", []string{`UPDATE iam_access_keys SET id = 'AKIAOTHER'`}},
		"to another user": {"", []string{eve, `UPDATE iam_access_keys SET user_id = 'AIDAEVE'`}},
	} {
		t.Run(name, func(t *testing.T) {
			s, key := bootstrapped(t)
			id := cmp.Or(test.id, key.AccessKeyID)
			for _, statement := range test.move {
				change(t, s, id, statement)
			}
			c, err := s.Credential(t.Context(), id)
			if err == nil || errors.Is(err, store.ErrNotFound) || c != nil {
				t.Errorf("a moved secret: %v, %v", c, err)
			}
			if err != nil && strings.Contains(err.Error(), string(key.Secret)) {
				t.Error("the error tells the secret")
			}
		})
	}
}

func TestAPolicyThatCannotBeReadDenies(t *testing.T) {
	s, key := bootstrapped(t)
	c, err := s.Credential(t.Context(), key.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	change(t, s, key.AccessKeyID, `INSERT INTO iam_attached_policies (identity_id, policy_arn, attached_at) VALUES ($1, $2, 0)`,
		c.Principal.ID, "arn:aws:iam::aws:policy/NoSuchPolicy")
	if c, err = s.Credential(t.Context(), key.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if d := c.Policies.Decide(anything()); d.Allowed {
		t.Errorf("allowed: %+v", d)
	}
	change(t, s, key.AccessKeyID, `DELETE FROM iam_attached_policies`)
	if c, err = s.Credential(t.Context(), key.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if d := c.Policies.Decide(anything()); d.Allowed {
		t.Errorf("allowed without a policy: %+v", d)
	}
}

package iam

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/policy"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

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
	if c, err := s.Credential(t.Context(), nil, "test"); err != nil || c.Secret != "test" {
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

// A new account has one role, of full access, which the account that manages
// it may assume, and nobody else.
func TestAddMember(t *testing.T) {
	s, _ := bootstrapped(t)
	add := func() error {
		return s.db.Update(t.Context(), func(tx *store.Tx) error {
			return AddMember(tx, Member{ID: "222222222222", Management: account, RoleName: "Enter", Created: 1})
		})
	}
	if err := add(); err != nil {
		t.Fatal(err)
	}
	if err := add(); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the second time: %v", err)
	}
	role, err := s.Role(t.Context(), nil, "222222222222", "Enter")
	if err != nil || role.ARN != "arn:aws:iam::222222222222:role/Enter" || role.MaxSession != time.Hour {
		t.Fatalf("the role is %+v, %v", role, err)
	}
	inside := role.Principal()
	do := policy.Request{Principal: &inside.Principal, Action: "kms:CreateKey", Resource: "*"}
	if d := role.Policies.Decide(do, nil); !d.Allowed {
		t.Errorf("the role may not do everything: %+v", d)
	}
	all := policy.NewSet(policy.Policy{Name: "all", Document: awsManaged(administratorAccess).compiled()})
	for caller, want := range map[string]bool{account: true, "222222222222": false, "333333333333": false} {
		user := "arn:aws:iam::" + caller + ":user/ann"
		ann := policy.Principal{Kind: policy.User, ARN: user, Entity: user, Account: caller, ID: "AIDAQAAAAAAAGMKEM7X5A"}
		enter := policy.Request{Principal: &ann, Action: "sts:AssumeRole", Resource: role.ARN, MustAllow: true}
		if d := all.Decide(enter, role.Trust); d.Allowed != want {
			t.Errorf("a user of %s: %+v", caller, d)
		}
	}
}

package secretsmanager

import (
	"errors"
	"testing"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"
)

// number reads one number beside the service.
func (w *world) number(query string) int64 {
	w.t.Helper()
	var n int64
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		n, err = store.One(tx, func(n *int64) []any { return []any{n} }, query)
		return err
	})
	if err != nil {
		w.t.Fatal(query, err)
	}
	return n
}

// A call that is repeated because its answer was lost changes nothing, and
// writes all the same: answered from what it has read, it would acknowledge a
// change that a failover can still lose.
func TestRepeatsWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := worldOver(t, db)
		const policyText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"secretsmanager:*","Resource":"*"}]}`
		create := &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("x")}
		do(w, w.CreateSecret, create)
		tags := []model.Tag{{Key: new("k"), Value: new("v")}}
		for _, step := range []struct {
			name string
			call func()
		}{
			{"CreateSecret", func() { do(w, w.CreateSecret, create) }},
			{"PutSecretValue", func() {
				do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token("v2"), SecretString: secretText("y")})
			}},
			{"UpdateSecret", func() {
				do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v3"), SecretString: secretText("z")})
			}},
			{"UpdateSecretVersionStage", func() {
				do(w, w.UpdateSecretVersionStage, &model.UpdateSecretVersionStageInput{SecretId: new("s"), VersionStage: new("old"), MoveToVersionId: token("v1")})
			}},
			{"TagResource", func() { do(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: tags}) }},
			{"UntagResource", func() { do(w, w.UntagResource, &model.UntagResourceInput{SecretId: new("s"), TagKeys: []string{"k"}}) }},
			{"PutResourcePolicy", func() {
				do(w, w.PutResourcePolicy, &model.PutResourcePolicyInput{SecretId: new("s"), ResourcePolicy: new(policyText)})
			}},
			{"DeleteResourcePolicy", func() { do(w, w.DeleteResourcePolicy, &model.DeleteResourcePolicyInput{SecretId: new("s")}) }},
			{"RestoreSecret", func() { do(w, w.RestoreSecret, &model.RestoreSecretInput{SecretId: new("s")}) }},
		} {
			step.call()
			before := w.number(`SELECT rev FROM secrets`)
			step.call()
			if after := w.number(`SELECT rev FROM secrets`); after <= before {
				t.Errorf("%s, repeated: the row has rev %d as before", step.name, after)
			}
		}
	})
}

// A forced deletion succeeds for a secret that is not there, which may be
// because it was deleted a moment ago by a call that got no answer. There is no
// row left to write, so something else is written.
func TestRepeatedDeletionWrites(t *testing.T) {
	w := worldOver(t, storetest.Postgres(t))
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1")})
	remove := func() {
		do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)})
	}
	remove()
	for want := range int64(3) {
		if got := w.number(`SELECT COALESCE(MAX(term), 0) FROM leases`); got != want {
			t.Errorf("%d repeats have written %d times", want, got)
		}
		remove()
	}
}

// A call whose COMMIT was not answered may have been done or not. Repeated with
// its token it has been done once.
func TestLostAnswers(t *testing.T) {
	for name, set := range map[string]func(*pgproxy.Proxy) *pgproxy.Trap{
		"not done": func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("COMMIT", pgproxy.Cut) },
		"done":     func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("COMMIT", pgproxy.Cut) },
	} {
		t.Run(name, func(t *testing.T) {
			proxy, err := pgproxy.New(storetest.PostgresURL(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Close)
			db, err := store.Open(t.Context(), store.Config{URL: pgproxy.URL(proxy)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			w := worldOver(t, db)
			if _, err := w.kms.Resolve(t.Context(), w.call("CreateSecret", nil), ""); err != nil { // makes the default key
				t.Fatal(err)
			}
			create := &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("x")}
			lost(w, set(proxy), w.CreateSecret, create)
			first := do(w, w.CreateSecret, create)
			put := &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token("v2"), SecretString: secretText("y")}
			lost(w, set(proxy), w.PutSecretValue, put)
			second := do(w, w.PutSecretValue, put)
			got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
			if *got.ARN != *first.ARN || *got.VersionId != *second.VersionId || string(*got.SecretString) != "y" {
				t.Errorf("got version %s of %s", *got.VersionId, *got.ARN)
			}
			if n := w.number(`SELECT count(*) FROM secret_versions`); n != 2 {
				t.Errorf("%d versions, want 2", n)
			}
		})
	}
}

// lost makes a call whose answer is lost.
func lost[In, Out any](w *world, trap *pgproxy.Trap, serve method[In, Out], in *In) {
	w.t.Helper()
	_, err := serve(w.t.Context(), w.call(w.op(in), in), in)
	if !errors.Is(err, store.ErrUnknown) || !trap.HasSprung() {
		w.t.Fatalf("%s: %v, want ErrUnknown", w.op(in), err)
	}
}

// A node that lost its lease while it purged deletes nothing any more.
func TestPurgeAfterTheLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := worldOver(t, db)
		do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1")})
		do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s")})
		due := w.now.Add(31 * 24 * time.Hour)
		lease, err := db.Acquire(t.Context(), "purge secrets", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.Purge(t.Context(), due); n != 0 || err != nil {
			t.Errorf("purged %d beside another who does, %v", n, err)
		}
		if err := db.Release(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		if n, err := w.purgeSome(t.Context(), lease, api.At(due), 100); n != 0 || !errors.Is(err, store.ErrHeld) {
			t.Errorf("purged %d under a lease that is over, %v", n, err)
		}
		do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
		if n, err := w.Purge(t.Context(), due); n != 1 || err != nil {
			t.Errorf("purged %d, %v; want 1", n, err)
		}
	})
}

package wire_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// A readBench serves what stands in two rows of a database that others change,
// too: who calls, and what is read.
type readBench struct {
	*bench
	t             *testing.T
	rows          *store.Cache[row]
	other         *store.DB
	authenticated int
}

type row struct {
	id  string
	rev int64
}

func (b *readBench) change(id string) {
	b.t.Helper()
	err := b.other.Update(b.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE rows SET rev = rev + 1 WHERE id = $1`, id)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *readBench) rev(c *call.Call, id string) (int64, error) {
	r, err := b.rows.Get(b.t.Context(), c.Reads, id)
	return r.rev, err
}

// newReadBench has the caller and the thing cached with their rev 1.
func newReadBench(t *testing.T, bind func(string, func(context.Context, *call.Call, *model.GetRandomPasswordInput) (*model.GetRandomPasswordOutput, error)) call.Op,
	serve func(b *readBench, c *call.Call) error) *readBench {
	t.Helper()
	url := storetest.PostgresURL(t)
	open := func() *store.DB {
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	db := open()
	b := &readBench{t: t, other: open()}
	err := b.other.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`CREATE TABLE rows (id TEXT PRIMARY KEY, rev BIGINT NOT NULL)`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO rows VALUES ('caller', 1), ('thing', 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	load := func(tx *store.Tx, id string) (row, error) {
		return store.One(tx, func(r *row) []any { return []any{&r.id, &r.rev} }, `SELECT id, rev FROM rows WHERE id = $1`, id)
	}
	b.rows = store.NewCache(db, 1<<20, func(row) int64 { return 32 }, load).Checked(
		func(r row) store.Stamp { return store.Stamp{ID: r.id, Rev: r.rev} }, `SELECT id, rev FROM rows WHERE id = ANY($1)`)
	b.bench = newBench(bind("GetRandomPassword", func(_ context.Context, c *call.Call, in *model.GetRandomPasswordInput) (*model.GetRandomPasswordOutput, error) {
		if in.PasswordLength == nil || *in.PasswordLength != 7 {
			t.Errorf("the input is %v", in.PasswordLength)
		}
		if err := serve(b, c); err != nil {
			return nil, err
		}
		rev, err := b.rev(c, "thing")
		return &model.GetRandomPasswordOutput{RandomPassword: new(api.Sensitive(fmt.Sprint(c.Principal.ARN, " ", rev)))}, err
	}))
	b.NewReads = db.NewReads
	b.Authenticate = func(r *http.Request, _ string, _ netip.Addr, _ time.Time, reads *store.Reads) (func([32]byte) (*call.Call, error), error) {
		b.authenticated++
		c, err := b.rows.Get(r.Context(), reads, "caller")
		if err != nil {
			return nil, err
		}
		if c.rev == 1 && b.authenticated > 100 {
			return nil, sigv4.Refuse(sigv4.UnknownKey)
		}
		caller := &call.Call{Region: "us-east-1"}
		caller.Principal.ARN = fmt.Sprint("caller ", c.rev)
		return func([32]byte) (*call.Call, error) { return caller, nil }, nil
	}
	for _, id := range []string{"caller", "thing"} {
		if _, err := b.rev(&call.Call{}, id); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

const sevenLong = `{"PasswordLength":7}`

func said(text string) string { return `{"RandomPassword":"` + text + `"}` }

// An answer goes by what is true while the call lasts, though all of it was
// cached: what has changed is read again, from the caller on.
func TestReadAgain(t *testing.T) {
	served := 0
	b := newReadBench(t, call.BindRead, func(b *readBench, c *call.Call) error {
		if c.Reads == nil {
			t.Error("nothing can be confirmed")
		}
		if served++; served == 1 {
			b.change("caller")
		}
		return nil
	})
	admitted := 0
	b.Admit = func(*call.Call) time.Duration { admitted++; return 0 }
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 2 1"))
	b.change("thing")
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 2 2"))
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 2 2"))
	if served != 5 || b.authenticated != 5 || admitted != 3 {
		t.Errorf("served %d times, authenticated %d times, admitted %d times; want 5, 5 and 3", served, b.authenticated, admitted)
	}
}

// So does a refusal, the door's and the operation's.
func TestRefuseAgain(t *testing.T) {
	b := newReadBench(t, call.BindRead, func(b *readBench, c *call.Call) error {
		if rev, err := b.rev(c, "thing"); err != nil || rev == 1 {
			return api.AccessDenied("no")
		}
		return nil
	})
	denied := b.call("GetRandomPassword", sevenLong)
	want(t, denied, 400, `{"__type":"AccessDeniedException","message":"no"}`)
	b.change("thing")
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 1 2"))
	b.change("caller")
	b.authenticated = 100 // the caller that is cached is not let in
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 2 2"))
}

// An operation whose reads are never true to the end is answered all the same.
func TestReadWhatNeverRests(t *testing.T) {
	served := 0
	b := newReadBench(t, call.BindRead, func(b *readBench, c *call.Call) error {
		served++
		if _, err := b.rev(c, "thing"); err != nil {
			return err
		}
		b.change("thing")
		return nil
	})
	want(t, b.call("GetRandomPassword", sevenLong), 200, said(fmt.Sprint("caller 1 ", served+1)))
	if served != 4 {
		t.Errorf("served %d times", served)
	}
}

// A change is made once, by a caller who has been confirmed before.
func TestChangeOnce(t *testing.T) {
	served := 0
	b := newReadBench(t, call.Bind, func(b *readBench, c *call.Call) error {
		served++
		if c.Reads != nil {
			t.Error("what is read is not confirmed at once")
		}
		b.change("caller") // too late to matter
		return nil
	})
	b.change("caller")
	b.change("thing")
	want(t, b.call("GetRandomPassword", sevenLong), 200, said("caller 2 2"))
	if served != 1 || b.authenticated != 2 {
		t.Errorf("served %d times, authenticated %d times; want 1 and 2", served, b.authenticated)
	}
}

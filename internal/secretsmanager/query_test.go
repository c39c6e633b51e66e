package secretsmanager

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// What is asked for by name or page by page costs as much as it returns; the
// first also before PostgreSQL has looked at the table, as for a minute after a
// restore, when it knows nothing of what is in it.
func TestPostgresLooksOnlyAtWhatItReturns(t *testing.T) {
	const many, page = 5000, 20
	db := storetest.Postgres(t)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for n := range many {
			s := &secret{id: uuid.Must(uuid.NewV7()).String(), account: account, region: region, name: fmt.Sprintf("s/%05d", n),
				created: api.Timestamp(n), changed: api.Timestamp(n)}
			if err := insertSecret(tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(lock string) query {
		return func(tx *store.Tx) (int, error) {
			_, err := selectSecret(tx, account, region, "s/02500", lock)
			return 1, err
		}
	}
	list := func(by order, within *span, after *position) query {
		return func(tx *store.Tx) (int, error) {
			found, err := selectPage(tx, account, region, by, within, after, page)
			return len(found), err
		}
	}
	byName, byCreation, byChange := order{column: "name"}, order{column: "created_at"}, order{column: "changed_at", descending: true}
	byNameOnly := map[string]query{"by name": get(""), "by name, to change": get(" FOR UPDATE")}
	costsWhatItReturns(t, db, "no statistics", byNameOnly)
	if err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE secrets"); return err }); err != nil {
		t.Fatal(err)
	}
	costsWhatItReturns(t, db, "by name", byNameOnly)
	costsWhatItReturns(t, db, "lists", map[string]query{
		"first page":            list(byCreation, nil, nil),
		"page in the middle":    list(byCreation, nil, &position{Number: 2500}),
		"last changed":          list(byChange, nil, nil),
		"last changed, further": list(byChange, nil, &position{Number: 2500}),
		"names":                 list(byName, nil, &position{Text: "s/02500"}),
		"prefix of all, names":  list(byName, &span{"s/", "s/\x7f"}, nil),
		"prefix of few, names":  list(byName, &span{"s/0001", "s/0001\x7f"}, nil),
	})
	costsWhatItReturns(t, db, "a sorted list", map[string]query{
		"prefix of few, created": twice(list(byCreation, &span{"s/0001", "s/0001\x7f"}, nil)),
	})
}

// twice is a query that looks at what it returns once more: at the columns that
// it sorts by, and then at the rows.
func twice(ask query) query {
	return func(tx *store.Tx) (int, error) {
		n, err := ask(tx)
		return 2 * n, err
	}
}

// A query returns how many rows it was given.
type query func(*store.Tx) (int, error)

func costsWhatItReturns(t *testing.T, db *store.DB, when string, queries map[string]query) {
	for name, ask := range queries {
		t.Run(when+"/"+name, func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				before, err := looked(tx)
				if err != nil {
					return err
				}
				const times = 10
				returned := 0
				for range times { // the first few are planned for their arguments, then all alike
					n, err := ask(tx)
					if err != nil {
						return err
					}
					returned += n
				}
				after, err := looked(tx)
				if after-before > returned+2*times || returned == 0 { // a sort looks a row ahead
					t.Errorf("looked at %d rows to return %d", after-before, returned)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// looked is how many rows of the table the connection has read, all told.
func looked(tx *store.Tx) (int, error) {
	return store.One(tx, func(n *int) []any { return []any{n} },
		`SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'secrets'`)
}

package seal

import "azekura/internal/store"

type keyringRow struct {
	id      string
	wrapped []byte
	root    string // fingerprint
	created int64  // milliseconds since 1970
}

// selectKeyring reads all keys, the newest last: their ids are made in order.
func selectKeyring(tx *store.Tx) ([]keyringRow, error) {
	return store.Collect(tx, func(r *keyringRow) []any { return []any{&r.id, &r.wrapped, &r.root, &r.created} },
		`SELECT id, wrapped, root, created_at FROM keyring ORDER BY id`)
}

func insertKeyring(tx *store.Tx, r keyringRow) error {
	_, err := tx.Exec(`INSERT INTO keyring (id, wrapped, root, created_at) VALUES ($1, $2, $3, $4)`, r.id, r.wrapped, r.root, r.created)
	return err
}

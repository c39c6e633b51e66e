package seal

import "azekura/internal/store"

type keyringRow struct {
	number  int64
	id      string
	wrapped []byte
	root    string // fingerprint
	created int64  // milliseconds since 1970
}

// selectKeyring reads all keys, the newest last.
func selectKeyring(tx *store.Tx) ([]keyringRow, error) {
	return store.Collect(tx, func(r *keyringRow) []any { return []any{&r.number, &r.id, &r.wrapped, &r.root, &r.created} },
		`SELECT number, id, wrapped, root, created_at FROM keyring ORDER BY number`)
}

// selectNewer reads the keys with numbers above one, in their order.
func selectNewer(tx *store.Tx, number int64) ([]keyringRow, error) {
	return store.Collect(tx, func(r *keyringRow) []any { return []any{&r.number, &r.id, &r.wrapped, &r.root, &r.created} },
		`SELECT number, id, wrapped, root, created_at FROM keyring WHERE number > $1 ORDER BY number`, number)
}

func insertKeyring(tx *store.Tx, r keyringRow) error {
	_, err := tx.Exec(`INSERT INTO keyring (number, id, wrapped, root, created_at) VALUES ($1, $2, $3, $4, $5)`,
		r.number, r.id, r.wrapped, r.root, r.created)
	return err
}

// rewrapKeyring writes a key as another root key has wrapped it, if it still is
// as it was.
func rewrapKeyring(tx *store.Tx, was, is keyringRow) (done bool, err error) {
	n, err := tx.Exec(`UPDATE keyring SET wrapped = $3, root = $4 WHERE number = $1 AND wrapped = $2`, was.number, was.wrapped, is.wrapped, is.root)
	return n == 1, err
}

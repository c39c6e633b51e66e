package kms

import (
	"strings"
	"time"

	"azekura/internal/store"
)

const managerAWS = "AWS"

type keyRow struct{ id, account, region, manager string }

func selectKey(tx *store.Tx, id string) (keyRow, error) {
	return store.One(tx, func(r *keyRow) []any { return []any{&r.id, &r.account, &r.region, &r.manager} },
		`SELECT id, account, region, manager FROM kms_keys WHERE id = $1`, id)
}

// insertKey adds a key with its first material and an alias.
func insertKey(tx *store.Tx, k keyRow, sealed []byte, alias string) error {
	now := time.Now().UnixMilli()
	if _, err := tx.Exec(`INSERT INTO kms_keys (id, account, region, manager, created_at) VALUES ($1, $2, $3, $4, $5)`,
		k.id, k.account, k.region, k.manager, now); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO kms_material (key_id, version, material, created_at) VALUES ($1, 1, $2, $3)`, k.id, sealed, now); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO kms_aliases (account, region, name, key_id) VALUES ($1, $2, $3, $4)`, k.account, k.region, alias, k.id)
	return err
}

type materialRow struct {
	version uint32
	sealed  []byte
}

func selectMaterial(tx *store.Tx, keyID string) ([]materialRow, error) {
	return store.Collect(tx, func(r *materialRow) []any { return []any{&r.version, &r.sealed} },
		`SELECT version, material FROM kms_material WHERE key_id = $1`, keyID)
}

// selectStamps reads the newest versions of keys: of a key nothing else changes.
const selectStamps = `SELECT key_id, MAX(version) FROM kms_material WHERE key_id = ANY($1) GROUP BY key_id`

// selectAlias finds the key of an alias by its aliasKey.
func selectAlias(tx *store.Tx, key string) (string, error) {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ := strings.Cut(rest, "/")
	return store.One(tx, func(id *string) []any { return []any{id} },
		`SELECT key_id FROM kms_aliases WHERE account = $1 AND region = $2 AND name = $3`, account, region, name)
}

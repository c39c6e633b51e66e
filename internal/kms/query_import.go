package kms

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

func selectImport(tx *store.Tx, keyID string) (imported, error) {
	return store.One(tx, func(i *imported) []any { return []any{&i.fingerprint, &i.expires, &i.description} },
		`SELECT fingerprint, expires_at, description FROM kms_imports WHERE key_id = $1`, keyID)
}

func putImport(tx *store.Tx, keyID string, i imported) error {
	_, err := tx.Exec(`INSERT INTO kms_imports (key_id, fingerprint, expires_at, description) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key_id) DO UPDATE SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, description = excluded.description`,
		keyID, i.fingerprint, i.expires, i.description)
	return err
}

func endExpiry(tx *store.Tx, keyID string) error {
	_, err := tx.Exec(`UPDATE kms_imports SET expires_at = 0 WHERE key_id = $1`, keyID)
	return err
}

// putMaterial adds a version of a key, in the place of one of that number.
func putMaterial(tx *store.Tx, keyID string, r materialRow) error {
	if _, err := tx.Exec(`DELETE FROM kms_material WHERE key_id = $1 AND version = $2`, keyID, r.number); err != nil {
		return err
	}
	return insertMaterial(tx, keyID, r)
}

// receiveMaterial makes a key that waited for material usable, in all of its
// regions.
func receiveMaterial(tx *store.Tx, keyID string) error {
	_, err := tx.Exec(`UPDATE kms_keys SET rev = rev + 1, state = CASE WHEN state = 'PendingImport' THEN 'Enabled' ELSE state END WHERE id = $1`, keyID)
	return err
}

// deleteMaterial takes a key's material away, in all of its regions.
func deleteMaterial(tx *store.Tx, keyID string) error {
	if _, err := tx.Exec(`DELETE FROM kms_material WHERE key_id = $1`, keyID); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE kms_keys SET rev = rev + 1, state = CASE WHEN state IN ('Enabled', 'Disabled') THEN 'PendingImport' ELSE state END WHERE id = $1`, keyID)
	return err
}

// selectDueExpiries reads an id and a region of keys whose imported material
// has expired and is still there.
func selectDueExpiries(tx *store.Tx, now api.Timestamp, limit int) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT MIN(k.region || '/' || k.id) FROM kms_imports i JOIN kms_keys k ON k.id = i.key_id
		WHERE i.expires_at > 0 AND i.expires_at <= $1 GROUP BY k.id LIMIT $2`, now, limit)
}

package kms

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

// one is where the only column of a row goes.
func one[T any](v *T) []any { return []any{v} }

const keyColumns = `arn, account, region, id, rev, manager, spec, key_usage, origin, state, description, policy, tags,
	primary_region, rotation_days, rotate_at, window_days, delete_at, created_at`

func selectKey(tx *store.Tx, region, id, lock string) (*Key, error) {
	var manager string
	k, err := store.One(tx, func(k *Key) []any {
		return []any{&k.ARN, &k.account, &k.region, &k.ID, &k.rev, &manager, &k.spec, &k.usage, &k.origin, &k.state, &k.description, &k.policyText,
			&k.tags, &k.primary, &k.rotationDays, &k.rotateAt, &k.windowDays, &k.deleteAt, &k.created}
	}, `SELECT `+keyColumns+` FROM kms_keys WHERE id = $1 AND region = $2`+lock, id, region)
	k.Managed = manager == managerAWS
	return &k, err
}

// selectStamps reads the revs of keys by their ARNs.
const selectStamps = `SELECT arn, rev FROM kms_keys WHERE arn = ANY($1)`

func selectRev(tx *store.Tx, keyARN string) (int64, error) {
	return store.One(tx, one[int64], `SELECT rev FROM kms_keys WHERE arn = $1`, keyARN)
}

// selectRegions reads in which regions a multi-Region key is.
func selectRegions(tx *store.Tx, id string) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT region FROM kms_keys WHERE id = $1 ORDER BY region`, id)
}

// selectKeyIDs reads the ids that follow after of an account's keys that are
// not gone, in their order.
func selectKeyIDs(tx *store.Tx, account, region, after string, now int64, limit int) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT id FROM kms_keys WHERE account = $1 AND region = $2 AND id > $3
		AND (delete_at = 0 OR delete_at > $4) ORDER BY id LIMIT $5`, account, region, after, now, limit)
}

func countKeys(tx *store.Tx, account, region string) (int, error) {
	return store.One(tx, one[int], `SELECT COUNT(*) FROM kms_keys WHERE account = $1 AND region = $2 AND manager <> 'AWS'`, account, region)
}

// insertKey adds a key with its first material; nil is none.
func insertKey(tx *store.Tx, k *Key, sealed []byte) error {
	manager := managerCustomer
	if k.Managed {
		manager = managerAWS
	}
	if _, err := tx.Exec(`INSERT INTO kms_keys (`+keyColumns+`)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		k.ARN, k.account, k.region, k.ID, manager, string(k.spec), string(k.usage), k.origin, k.state, k.description, k.policyText, k.tags,
		k.primary, k.rotationDays, k.rotateAt, k.windowDays, k.deleteAt, k.created); err != nil {
		return err
	}
	if sealed == nil {
		return nil
	}
	return insertMaterial(tx, k.ID, materialRow{number: 1, sealed: sealed, created: k.created})
}

// updateKey writes back what can change.
func updateKey(tx *store.Tx, k *Key) error {
	_, err := tx.Exec(`UPDATE kms_keys SET rev = rev + 1, state = $2, description = $3, policy = $4, tags = $5, primary_region = $6,
		rotation_days = $7, rotate_at = $8, window_days = $9, delete_at = $10 WHERE arn = $1`,
		k.ARN, k.state, k.description, k.policyText, k.tags, k.primary, k.rotationDays, k.rotateAt, k.windowDays, k.deleteAt)
	return err
}

type materialRow struct {
	number   uint32
	sealed   []byte
	rotation string
	created  api.Timestamp
}

// selectMaterial reads all versions of a key, oldest first.
func selectMaterial(tx *store.Tx, keyID string) ([]materialRow, error) {
	return store.Collect(tx, func(r *materialRow) []any { return []any{&r.number, &r.sealed, &r.rotation, &r.created} },
		`SELECT version, material, rotation, created_at FROM kms_material WHERE key_id = $1 ORDER BY version`, keyID)
}

func insertMaterial(tx *store.Tx, keyID string, r materialRow) error {
	_, err := tx.Exec(`INSERT INTO kms_material (key_id, version, material, rotation, created_at) VALUES ($1, $2, $3, $4, $5)`,
		keyID, r.number, r.sealed, r.rotation, r.created)
	return err
}

// newestMaterial is the number of a key's newest version, 0 if it has none.
func newestMaterial(tx *store.Tx, keyID string) (uint32, error) {
	return store.One(tx, one[uint32], `SELECT COALESCE(MAX(version), 0) FROM kms_material WHERE key_id = $1`, keyID)
}

// updateRelated writes back what all rows of a multi-Region key have in common.
func updateRelated(tx *store.Tx, k *Key) error {
	_, err := tx.Exec(`UPDATE kms_keys SET rev = rev + 1, primary_region = $2, rotation_days = $3, rotate_at = $4 WHERE id = $1`,
		k.ID, k.primary, k.rotationDays, k.rotateAt)
	return err
}

// selectDueRotations reads the ids and regions of enabled keys whose automatic
// rotation is due: of a multi-Region key those of the primary.
func selectDueRotations(tx *store.Tx, now api.Timestamp, limit int) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT region || '/' || id FROM kms_keys WHERE rotate_at > 0 AND rotate_at <= $1
		AND state = 'Enabled' AND primary_region IN ('', region) ORDER BY rotate_at LIMIT $2`, now, limit)
}

// selectDueDeletions reads the ids and regions of keys whose waiting period is
// over.
func selectDueDeletions(tx *store.Tx, now api.Timestamp, limit int) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT region || '/' || id FROM kms_keys WHERE delete_at > 0 AND delete_at <= $1 ORDER BY delete_at LIMIT $2`, now, limit)
}

// deleteKey removes a key in its region, with what hangs on it, and its
// material if it is in no other.
func deleteKey(tx *store.Tx, k *Key) error {
	if _, err := tx.Exec(`DELETE FROM kms_keys WHERE arn = $1`, k.ARN); err != nil {
		return err
	}
	for _, table := range []string{"kms_material", "kms_imports"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE key_id = $1 AND NOT EXISTS (SELECT 1 FROM kms_keys WHERE id = $1)`, k.ID); err != nil {
			return err
		}
	}
	return nil
}

// selectDoomed reads the keys that are scheduled for deletion.
func selectDoomed(tx *store.Tx, now api.Timestamp) ([]Doomed, error) {
	return store.Collect(tx, func(d *Doomed) []any { return []any{&d.ARN, &d.Ends} },
		`SELECT arn, delete_at FROM kms_keys WHERE window_days > 0 AND (delete_at = 0 OR delete_at > $1) ORDER BY arn`, now)
}

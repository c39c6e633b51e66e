package kms

import (
	"azekura/internal/store"
)

const grantColumns = `id, key_arn, name, grantee, retiring, issuer, operations, constraints, created_at`

func grantDest(g *grant) []any {
	return []any{&g.id, &g.keyARN, &g.name, &g.grantee, &g.retiring, &g.issuer, &g.operations, &g.constraints, &g.created}
}

func selectGrant(tx *store.Tx, id string) (grant, error) {
	return store.One(tx, grantDest, `SELECT `+grantColumns+` FROM kms_grants WHERE id = $1`, id)
}

// selectGrantsTo reads the grants of a key to a grantee.
func selectGrantsTo(tx *store.Tx, keyARN, grantee string) ([]grant, error) {
	return store.Collect(tx, grantDest, `SELECT `+grantColumns+` FROM kms_grants WHERE key_arn = $1 AND grantee = $2 ORDER BY id`, keyARN, grantee)
}

// selectGrants reads the grants of a key whose ids follow after, in their
// order: all, or those to a grantee.
func selectGrants(tx *store.Tx, keyARN, grantee, after string, limit int) ([]grant, error) {
	return store.Collect(tx, grantDest, `SELECT `+grantColumns+` FROM kms_grants WHERE key_arn = $1 AND id > $2 AND ($3 = '' OR grantee = $3) ORDER BY id LIMIT $4`,
		keyARN, after, grantee, limit)
}

// selectRetirable reads the grants in a region that a principal may retire,
// and whose ids follow after, in their order.
func selectRetirable(tx *store.Tx, retiring, region, after string, limit int) ([]grant, error) {
	return store.Collect(tx, grantDest, `SELECT g.id, g.key_arn, g.name, g.grantee, g.retiring, g.issuer, g.operations, g.constraints, g.created_at
		FROM kms_grants g JOIN kms_keys k ON k.arn = g.key_arn WHERE g.retiring = $1 AND g.retiring <> '' AND g.id > $2 AND k.region = $3 ORDER BY g.id LIMIT $4`,
		retiring, after, region, limit)
}

func countGrants(tx *store.Tx, keyARN string) (int, error) {
	return store.One(tx, one[int], `SELECT COUNT(*) FROM kms_grants WHERE key_arn = $1`, keyARN)
}

func hasGrants(tx *store.Tx, keyARN string) (bool, error) {
	n, err := store.One(tx, one[int], `SELECT COUNT(*) FROM (SELECT 1 FROM kms_grants WHERE key_arn = $1 LIMIT 1) g`, keyARN)
	return n > 0, err
}

func insertGrant(tx *store.Tx, g *grant) error {
	_, err := tx.Exec(`INSERT INTO kms_grants (`+grantColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		g.id, g.keyARN, g.name, g.grantee, g.retiring, g.issuer, g.operations, g.constraints, g.created)
	return err
}

func deleteGrant(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM kms_grants WHERE id = $1`, id)
	return err
}

package iam

import (
	"strings"

	"azekura/internal/store"
)

func selectFirstAccount(tx *store.Tx) (string, error) {
	return store.One(tx, func(id *string) []any { return []any{id} }, `SELECT id FROM iam_accounts WHERE is_first`)
}

func insertFirstAccount(tx *store.Tx, id string, now int64) error {
	_, err := tx.Exec(`INSERT INTO iam_accounts (id, is_first, created_at) VALUES ($1, TRUE, $2)`, id, now)
	return err
}

type userRow struct{ id, account, path, name string }

func insertUser(tx *store.Tx, u userRow, now int64) error {
	_, err := tx.Exec(`INSERT INTO iam_users (id, account, path, name, folded, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		u.id, u.account, u.path, u.name, strings.ToLower(u.name), now)
	return err
}

type accessKeyRow struct {
	id, userID, status string
	secret             []byte // sealed
}

const accessKeyColumns = `k.id, k.user_id, k.status, k.secret`

func accessKeyDest(k *accessKeyRow) []any { return []any{&k.id, &k.userID, &k.status, &k.secret} }

func insertAccessKey(tx *store.Tx, k accessKeyRow, now int64) error {
	_, err := tx.Exec(`INSERT INTO iam_access_keys (id, user_id, status, secret, created_at) VALUES ($1, $2, $3, $4, $5)`,
		k.id, k.userID, k.status, k.secret, now)
	return err
}

type ownedKey struct {
	accessKeyRow
	user    userRow
	userRev int64
}

// selectAccessKey reads an access key and the user it belongs to.
func selectAccessKey(tx *store.Tx, id string) (ownedKey, error) {
	return store.One(tx, func(k *ownedKey) []any {
		return append(accessKeyDest(&k.accessKeyRow), &k.user.id, &k.user.account, &k.user.path, &k.user.name, &k.userRev)
	}, `SELECT `+accessKeyColumns+`, u.id, u.account, u.path, u.name, u.rev
		FROM iam_access_keys k JOIN iam_users u ON u.id = k.user_id WHERE k.id = $1`, id)
}

// selectStamps reads the revs of the users of access keys.
func selectStamps(tx *store.Tx, ids []string) ([]store.Stamp, error) {
	return store.Collect(tx, store.StampRow, `SELECT k.id, u.rev FROM iam_access_keys k JOIN iam_users u ON u.id = k.user_id
		WHERE k.id IN `+store.InList(len(ids)), store.Args(ids)...)
}

// selectOldestKey reads the oldest access key of a status that a user has.
func selectOldestKey(tx *store.Tx, account, name, status string) (accessKeyRow, error) {
	return store.One(tx, accessKeyDest, `SELECT `+accessKeyColumns+`
		FROM iam_access_keys k JOIN iam_users u ON u.id = k.user_id
		WHERE u.account = $1 AND u.folded = $2 AND k.status = $3 ORDER BY k.created_at, k.id LIMIT 1`,
		account, strings.ToLower(name), status)
}

func selectAttachedPolicies(tx *store.Tx, identityID string) ([]string, error) {
	return store.Collect(tx, func(arn *string) []any { return []any{arn} },
		`SELECT policy_arn FROM iam_attached_policies WHERE identity_id = $1 ORDER BY policy_arn`, identityID)
}

func insertAttachedPolicy(tx *store.Tx, identityID, policyARN string, now int64) error {
	_, err := tx.Exec(`INSERT INTO iam_attached_policies (identity_id, policy_arn, attached_at) VALUES ($1, $2, $3)`,
		identityID, policyARN, now)
	return err
}

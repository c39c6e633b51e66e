package iam

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

// A keyRow is an access key as the database keeps it.
type keyRow struct {
	id, userID, status      string
	secret                  []byte // sealed
	rev                     int64
	created, used           api.Timestamp // used is 0 before the first use
	usedService, usedRegion string
}

const keyColumns = `k.id, k.user_id, k.status, k.secret, k.rev, k.created_at, k.used_at, k.used_service, k.used_region`

func keyDest(k *keyRow) []any {
	return []any{&k.id, &k.userID, &k.status, &k.secret, &k.rev, &k.created, &k.used, &k.usedService, &k.usedRegion}
}

func insertAccessKey(tx *store.Tx, k keyRow) error {
	_, err := tx.Exec(`INSERT INTO iam_access_keys (id, user_id, status, secret, rev, created_at, used_at, used_service, used_region)
		VALUES ($1, $2, $3, $4, 1, $5, 0, '', '')`, k.id, k.userID, k.status, k.secret, k.created)
	return err
}

func selectAccessKey(tx *store.Tx, id string) (keyRow, error) {
	return store.One(tx, keyDest, `SELECT `+keyColumns+` FROM iam_access_keys k WHERE k.id = $1`, id)
}

// selectAccessKeys reads the access keys of a user, the oldest first.
func selectAccessKeys(tx *store.Tx, userID string) ([]keyRow, error) {
	return store.Collect(tx, keyDest, `SELECT `+keyColumns+` FROM iam_access_keys k WHERE k.user_id = $1 ORDER BY k.created_at, k.id`, userID)
}

func updateAccessKey(tx *store.Tx, id, status string) error {
	_, err := tx.Exec(`UPDATE iam_access_keys SET rev = rev + 1, status = $2 WHERE id = $1`, id, status)
	return err
}

func deleteAccessKey(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM iam_access_keys WHERE id = $1`, id)
	return err
}

const selectKeyStamps = `SELECT id, rev FROM iam_access_keys WHERE id = ANY($1)`

// noteKey says that an access key was used. It is no change of the key: caches
// keep what they have.
func noteKey(tx *store.Tx, id, service, region string, at api.Timestamp) error {
	_, err := tx.Exec(`UPDATE iam_access_keys SET used_at = $2, used_service = $3, used_region = $4 WHERE id = $1 AND used_at < $2`,
		id, at, service, region)
	return err
}

// selectAccessKeysOf reads the access keys of users, of whom there must be
// some, by their ids; the oldest of each first.
func selectAccessKeysOf(tx *store.Tx, userIDs []string) (map[string][]keyRow, error) {
	found, err := store.Collect(tx, keyDest, `SELECT `+keyColumns+` FROM iam_access_keys k
		WHERE k.user_id IN `+store.InList(len(userIDs))+` ORDER BY k.created_at, k.id`, store.Args(userIDs)...)
	byUser := make(map[string][]keyRow, len(found))
	for _, k := range found {
		byUser[k.userID] = append(byUser[k.userID], k)
	}
	return byUser, err
}

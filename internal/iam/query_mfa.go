package iam

import (
	"azekura/internal/api"
	"azekura/internal/store"
	"azekura/internal/totp"
)

// A deviceRow is a virtual MFA device as the database keeps it.
type deviceRow struct {
	serial, account string
	userID          *string   // nil if it is not enabled
	seed            []byte    // sealed
	step            totp.Step // of the last code that was taken; 0 if none was
	tags            tags
	enabled         api.Timestamp
}

// isOf says whether the device is enabled for a user.
func (d *deviceRow) isOf(userID string) bool { return d.userID != nil && *d.userID == userID }

const deviceColumns = `serial, account, user_id, seed, step, tags, enabled_at`

func deviceDest(d *deviceRow) []any {
	return []any{&d.serial, &d.account, &d.userID, &d.seed, &d.step, &d.tags, &d.enabled}
}

func selectDevice(tx *store.Tx, serial, lock string) (deviceRow, error) {
	return store.One(tx, deviceDest, `SELECT `+deviceColumns+` FROM iam_mfa_devices WHERE serial = $1`+lock, serial)
}

// selectDevicesOf reads the devices of a user, in the order of their serials.
func selectDevicesOf(tx *store.Tx, userID string) ([]deviceRow, error) {
	return store.Collect(tx, deviceDest, `SELECT `+deviceColumns+` FROM iam_mfa_devices WHERE user_id = $1 ORDER BY serial`, userID)
}

// assignments are the conditions of ListVirtualMFADevices.
var assignments = map[string]string{"Assigned": ` AND user_id IS NOT NULL`, "Unassigned": ` AND user_id IS NULL`}

// selectDevices reads the devices of an account whose serials follow after, in
// the order of these.
func selectDevices(tx *store.Tx, account, assignment, after string, limit int) ([]deviceRow, error) {
	return store.Collect(tx, deviceDest, `SELECT `+deviceColumns+` FROM iam_mfa_devices
		WHERE account = $1 AND serial > $2`+assignments[assignment]+` ORDER BY serial LIMIT $3`, account, after, limit)
}

// insertDevice adds a device, unless there is one of that serial.
func insertDevice(tx *store.Tx, d *deviceRow) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_mfa_devices (`+deviceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (serial) DO NOTHING`,
		d.serial, d.account, d.userID, d.seed, d.step, d.tags, d.enabled)
	return n == 1, err
}

func updateDevice(tx *store.Tx, d *deviceRow) error {
	_, err := tx.Exec(`UPDATE iam_mfa_devices SET user_id = $2, step = $3, tags = $4, enabled_at = $5 WHERE serial = $1`,
		d.serial, d.userID, d.step, d.tags, d.enabled)
	return err
}

func deleteDevice(tx *store.Tx, serial string) error {
	_, err := tx.Exec(`DELETE FROM iam_mfa_devices WHERE serial = $1`, serial)
	return err
}

// countDevices counts the devices of an account, and those that are enabled.
func countDevices(tx *store.Tx, account string) (all, enabled int64, err error) {
	counts, err := store.One(tx, func(n *[2]int64) []any { return []any{&n[0], &n[1]} },
		`SELECT COUNT(*), COUNT(user_id) FROM iam_mfa_devices WHERE account = $1`, account)
	return counts[0], counts[1], err
}

// selectWithDevice says which of some users have an MFA device.
func selectWithDevice(tx *store.Tx, userIDs []string) (map[string]bool, error) {
	found, err := store.Collect(tx, one[string], `SELECT DISTINCT user_id FROM iam_mfa_devices
		WHERE user_id IN `+store.InList(len(userIDs)), store.Args(userIDs)...)
	has := make(map[string]bool, len(found))
	for _, id := range found {
		has[id] = true
	}
	return has, err
}

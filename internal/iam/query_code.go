package iam

import (
	"azekura/internal/store"
	"azekura/internal/totp"
)

// A deviceRow is a virtual multi-factor device as the database keeps it.
type deviceRow struct {
	seed []byte    // sealed
	step totp.Step // of the last code that was taken; 0 if none was
}

// selectDevice reads a device that is enabled for a user, and locks it.
func selectDevice(tx *store.Tx, userID, serial string) (deviceRow, error) {
	return store.One(tx, func(d *deviceRow) []any { return []any{&d.seed, &d.step} },
		`SELECT seed, step FROM iam_mfa_devices WHERE serial = $1 AND user_id = $2`+tx.ForUpdate(), serial, userID)
}

func updateDeviceStep(tx *store.Tx, serial string, step totp.Step) error {
	_, err := tx.Exec(`UPDATE iam_mfa_devices SET step = $2 WHERE serial = $1`, serial, int64(step))
	return err
}

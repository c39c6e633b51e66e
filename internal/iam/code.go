package iam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"azekura/internal/envelope"
	"azekura/internal/store"
	"azekura/internal/totp"
)

// ErrNoDevice and ErrCode are the answers to codes that are not taken: no
// device with that serial number is the user's, or the code is not the
// device's now, or was used.
var (
	ErrNoDevice = errors.New("the user has no such multi-factor device")
	ErrCode     = errors.New("the code is not the device's, or not any more")
)

// TakeCode takes the code that a user's enabled device shows. It is of no use
// a second time: the device's row is locked, and keeps the step of the last
// code that was taken.
func (s *Service) TakeCode(ctx context.Context, userID, serial, code string, now time.Time) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		d, err := selectDevice(tx, serial, tx.ForUpdate())
		if errors.Is(err, store.ErrNotFound) || err == nil && !d.isOf(userID) {
			return ErrNoDevice
		}
		if err != nil {
			return err
		}
		seed, err := s.openSeed(&d)
		if err != nil {
			return err
		}
		step, ok := seed.Check(code, now, d.step)
		if !ok {
			return ErrCode
		}
		d.step = step
		return updateDevice(tx, &d)
	})
}

func (s *Service) openSeed(d *deviceRow) (totp.Seed, error) {
	seed, err := s.keyring.Open(d.seed, seedAAD(d.serial))
	if err != nil {
		return nil, fmt.Errorf("open the seed of a multi-factor device: %w", err)
	}
	return seed, nil
}

// seedAAD binds a sealed seed to its device: who can write to the database
// cannot give a device of another's a seed that they know.
func seedAAD(serial string) []byte { return envelope.AAD("iam mfa device", serial) }

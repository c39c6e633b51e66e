package iam

import (
	"context"
	"errors"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// maxDevices is how many MFA devices a user may have.
const maxDevices = 8

// EnableMFADevice gives a user a device, which has to prove with two codes in a
// row that it is there.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableMFADevice.html
func (s *Service) EnableMFADevice(ctx context.Context, c *call.Call, in *model.EnableMFADeviceInput) (*model.EnableMFADeviceOutput, error) {
	return nil, s.change(ctx, c, userKind, *in.UserName, func(tx *store.Tx, e *entity) error {
		d, err := selectDevice(tx, *in.SerialNumber, tx.ForUpdate())
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && d.account != e.account:
			return noVirtualDevice(*in.SerialNumber)
		case err != nil:
			return err
		case d.userID != nil:
			return model.EntityAlreadyExists("Device %s already exists", d.serial)
		}
		held, err := selectDevicesOf(tx, e.id)
		if err != nil {
			return err
		}
		if len(held) >= maxDevices {
			return exceeds("MFADevicesPerUser", maxDevices)
		}
		d.userID, d.enabled = &e.id, api.At(c.Time)
		return s.takePair(tx, &d, *in.AuthenticationCode1, *in.AuthenticationCode2, c.Time)
	})
}

// takePair takes two codes in a row from a device, and writes it back.
func (s *Service) takePair(tx *store.Tx, d *deviceRow, first, second string, now time.Time) error {
	seed, err := s.openSeed(d)
	if err != nil {
		return err
	}
	step, ok := seed.CheckPair(first, second, now, d.step)
	if !ok {
		return model.InvalidAuthenticationCode("Authentication code for device is not valid.")
	}
	d.step = step
	return updateDevice(tx, d)
}

func noVirtualDevice(serial string) error {
	return model.NoSuchEntity("VirtualMFADevice with serial number %s doesn't exist.", serial)
}

// deviceOf is a device of a user, locked.
func deviceOf(tx *store.Tx, e *entity, serial, lock string) (*deviceRow, error) {
	d, err := selectDevice(tx, serial, lock)
	if errors.Is(err, store.ErrNotFound) || err == nil && !d.isOf(e.id) {
		return nil, model.NoSuchEntity("Device %s not found", serial)
	}
	return &d, err
}

// ResyncMFADevice brings a device of a user back in step, with two codes in a
// row.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ResyncMFADevice.html
func (s *Service) ResyncMFADevice(ctx context.Context, c *call.Call, in *model.ResyncMFADeviceInput) (*model.ResyncMFADeviceOutput, error) {
	return nil, s.change(ctx, c, userKind, *in.UserName, func(tx *store.Tx, e *entity) error {
		d, err := deviceOf(tx, e, *in.SerialNumber, tx.ForUpdate())
		if err != nil {
			return err
		}
		return s.takePair(tx, d, *in.AuthenticationCode1, *in.AuthenticationCode2, c.Time)
	})
}

// DeactivateMFADevice takes a device from a user, the caller unless another is
// named. It can be enabled again, for anybody, by who holds it.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeactivateMFADevice.html
func (s *Service) DeactivateMFADevice(ctx context.Context, c *call.Call, in *model.DeactivateMFADeviceInput) (*model.DeactivateMFADeviceOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, s.change(ctx, c, userKind, name, func(tx *store.Tx, e *entity) error {
		d, err := deviceOf(tx, e, *in.SerialNumber, tx.ForUpdate())
		if err != nil {
			return err
		}
		d.userID, d.enabled = nil, 0
		return updateDevice(tx, d)
	})
}

// ListMFADevices lists the devices of a user, the caller unless another is
// named, in the order of their serial numbers.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListMFADevices.html
func (s *Service) ListMFADevices(ctx context.Context, c *call.Call, in *model.ListMFADevicesInput) (*model.ListMFADevicesOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var held []deviceRow
	e, err := s.look(ctx, c, userKind, name, func(tx *store.Tx, e *entity) (err error) {
		held, err = selectDevicesOf(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, held, deviceSerial)
	if err != nil {
		return nil, err
	}
	out := &model.ListMFADevicesOutput{MFADevices: []model.MFADevice{}, IsTruncated: new(next != nil), Marker: next}
	for i := range page {
		out.MFADevices = append(out.MFADevices, model.MFADevice{UserName: &e.name, SerialNumber: &page[i].serial, EnableDate: &page[i].enabled})
	}
	return out, nil
}

func deviceSerial(d deviceRow) string { return d.serial }

// GetMFADevice shows a device of a user, the caller unless another is named.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetMFADevice.html
func (s *Service) GetMFADevice(ctx context.Context, c *call.Call, in *model.GetMFADeviceInput) (*model.GetMFADeviceOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var d *deviceRow
	e, err := s.look(ctx, c, userKind, name, func(tx *store.Tx, e *entity) (err error) {
		d, err = deviceOf(tx, e, *in.SerialNumber, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetMFADeviceOutput{UserName: &e.name, SerialNumber: &d.serial, EnableDate: &d.enabled}, nil
}

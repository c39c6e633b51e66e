package iam

import (
	"cmp"
	"context"
	"encoding/base32"
	"errors"
	"net/url"

	"rsc.io/qr"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/store"
	"azekura/internal/totp"
)

// maxVirtualDevices is AWS's quota of an account: that of its users.
const maxVirtualDevices = 5000

// maxSerial is how long the ARN of a device may be.
const maxSerial = 256

// CreateVirtualMFADevice makes a device, for any user to enable. It is the only
// answer that ever shows the seed: as text, and as a picture for an app to
// scan.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateVirtualMFADevice.html
func (s *Service) CreateVirtualMFADevice(ctx context.Context, c *call.Call, in *model.CreateVirtualMFADeviceInput) (*model.CreateVirtualMFADeviceOutput, error) {
	account := c.Principal.Account
	d := &deviceRow{serial: arnOf(account, "mfa", cmp.Or(deref(in.Path), "/"), *in.VirtualMFADeviceName), account: account}
	target := call.Target{ARN: d.serial, Keys: conditionKeys(c, nil, "")}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("iam:TagMFADevice", target); err != nil {
			return nil, err
		}
	}
	var err error
	if d.tags, err = tagsOf(in.Tags); err != nil {
		return nil, err
	}
	if len(d.serial) > maxSerial {
		return nil, validation("1 validation error detected: Value at 'virtualMFADeviceName' failed to satisfy constraint: Member must have length less than or equal to %d",
			maxSerial-(len(d.serial)-len(*in.VirtualMFADeviceName)))
	}
	seed := totp.NewSeed()
	d.seed = s.keyring.Seal(seed, seedAAD(d.serial))
	alias, err := s.insertDevice(ctx, d)
	if err != nil {
		return nil, err
	}
	text := base32.StdEncoding.EncodeToString(seed)
	picture, err := qrCode(*in.VirtualMFADeviceName, cmp.Or(alias, account), text)
	if err != nil {
		return nil, err
	}
	return &model.CreateVirtualMFADeviceOutput{VirtualMFADevice: &model.VirtualMFADevice{
		SerialNumber: &d.serial, Base32StringSeed: api.SensitiveBlob(text), QRCodePNG: picture, Tags: d.tags.model(),
	}}, nil
}

// insertDevice adds a device, and reads the account's alias.
func (s *Service) insertDevice(ctx context.Context, d *deviceRow) (alias string, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		added, err := insertDevice(tx, d)
		if err != nil {
			return err
		}
		if !added {
			return model.EntityAlreadyExists("MFADevice entity at the same path and name already exists.")
		}
		all, _, err := countDevices(tx, d.account)
		if err == nil && all > maxVirtualDevices {
			err = exceeds("VirtualMFADevicesPerAccount", maxVirtualDevices)
		}
		if err != nil {
			return err
		}
		alias, err = selectAlias(tx, d.account)
		return err
	})
	return alias, err
}

// qrCode is a PNG of the URI that authenticator apps scan, in the form that
// IAM's documentation gives.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_VirtualMFADevice.html
func qrCode(device, account, seed string) (api.SensitiveBlob, error) {
	code, err := qr.Encode("otpauth://totp/"+url.PathEscape(device+"@"+account)+"?secret="+seed, qr.M)
	if err != nil {
		return nil, err
	}
	return code.PNG(), nil
}

// lookDevice finds the virtual device that a serial number means, if the call
// may have it.
func (s *Service) lookDevice(ctx context.Context, c *call.Call, serial string) (d *deviceRow, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		d, err = permittedDevice(tx, c, serial, "")
		return err
	})
	return d, err
}

// changeDevice finds the virtual device that a serial number means, decides
// whether the call may, and runs fn on it, in one transaction. fn may run twice.
func (s *Service) changeDevice(ctx context.Context, c *call.Call, serial string, fn func(*store.Tx, *deviceRow) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		d, err := permittedDevice(tx, c, serial, tx.ForUpdate())
		if err != nil {
			return err
		}
		return fn(tx, d)
	})
}

// permittedDevice decides whether the call may have the virtual device that a
// serial number means, and returns it. Whoever may not have it is not told
// whether it exists.
func permittedDevice(tx *store.Tx, c *call.Call, serial, lock string) (*deviceRow, error) {
	target := call.Target{ARN: serial, Named: serial}
	if a, err := arn.Parse(serial); err != nil || a.Account == "" {
		target.ARN = arnOf(c.Principal.Account, "mfa", "/", serial) // that of hardware, which nobody has here
	}
	d, err := selectDevice(tx, serial, lock)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	target.Keys = conditionKeys(c, d.tags, "")
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if missing {
		return nil, noVirtualDevice(serial)
	}
	return &d, nil
}

// DeleteVirtualMFADevice deletes a device that nobody has enabled.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteVirtualMFADevice.html
func (s *Service) DeleteVirtualMFADevice(ctx context.Context, c *call.Call, in *model.DeleteVirtualMFADeviceInput) (*model.DeleteVirtualMFADeviceOutput, error) {
	return nil, s.changeDevice(ctx, c, *in.SerialNumber, func(tx *store.Tx, d *deviceRow) error {
		if d.userID != nil {
			return conflict("deactivate MFA device")
		}
		return deleteDevice(tx, d.serial)
	})
}

// ListVirtualMFADevices lists the devices of the account, in the order of their
// serial numbers.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListVirtualMFADevices.html
func (s *Service) ListVirtualMFADevices(ctx context.Context, c *call.Call, in *model.ListVirtualMFADevicesInput) (*model.ListVirtualMFADevicesOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	after, err := s.readMarker(c, in.Marker)
	if err != nil {
		return nil, err
	}
	size := sizeOf(in.MaxItems)
	var held []deviceRow
	var owners map[string]*entity
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		if held, err = selectDevices(tx, c.Principal.Account, deref(in.AssignmentStatus), after, size+1); err != nil {
			return err
		}
		owners, err = ownersOf(tx, held)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := cut(s, c, held, size, deviceSerial)
	out := &model.ListVirtualMFADevicesOutput{VirtualMFADevices: []model.VirtualMFADevice{}, IsTruncated: new(next != nil), Marker: next}
	for i := range page {
		d := model.VirtualMFADevice{SerialNumber: &page[i].serial}
		if owner := page[i].userID; owner != nil {
			d.User, d.EnableDate = new(owners[*owner].listedUser()), &page[i].enabled
		}
		out.VirtualMFADevices = append(out.VirtualMFADevices, d)
	}
	return out, nil
}

// ownersOf are the users who have enabled devices, by their ids.
func ownersOf(tx *store.Tx, held []deviceRow) (map[string]*entity, error) {
	var ids []string
	for _, d := range held {
		if d.userID != nil {
			ids = append(ids, *d.userID)
		}
	}
	return entitiesByID(tx, userKind, ids)
}

// TagMFADevice sets tags of a device.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagMFADevice.html
func (s *Service) TagMFADevice(ctx context.Context, c *call.Call, in *model.TagMFADeviceInput) (*model.TagMFADeviceOutput, error) {
	return nil, s.changeDevice(ctx, c, *in.SerialNumber, func(tx *store.Tx, d *deviceRow) error {
		set, err := tagsOf(in.Tags)
		if err != nil {
			return err
		}
		if d.tags, err = d.tags.with(set); err != nil {
			return err
		}
		return updateDevice(tx, d)
	})
}

// UntagMFADevice removes tags of a device by their keys.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagMFADevice.html
func (s *Service) UntagMFADevice(ctx context.Context, c *call.Call, in *model.UntagMFADeviceInput) (*model.UntagMFADeviceOutput, error) {
	return nil, s.changeDevice(ctx, c, *in.SerialNumber, func(tx *store.Tx, d *deviceRow) error {
		d.tags = d.tags.without(in.TagKeys)
		return updateDevice(tx, d)
	})
}

// ListMFADeviceTags lists the tags of a device.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListMFADeviceTags.html
func (s *Service) ListMFADeviceTags(ctx context.Context, c *call.Call, in *model.ListMFADeviceTagsInput) (*model.ListMFADeviceTagsOutput, error) {
	d, err := s.lookDevice(ctx, c, *in.SerialNumber)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, d.tags.sorted(), tagName)
	if err != nil {
		return nil, err
	}
	return &model.ListMFADeviceTagsOutput{Tags: page, IsTruncated: new(next != nil), Marker: next}, nil
}

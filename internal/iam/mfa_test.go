package iam

import (
	"bytes"
	"encoding/base32"
	"errors"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/store"
	"azekura/internal/totp"
)

// device makes a virtual device, and returns its serial number and seed.
func (w *world) device(name string) (serial *string, seed totp.Seed) {
	w.t.Helper()
	d := do(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name}).VirtualMFADevice
	seed, err := base32.StdEncoding.DecodeString(string(d.Base32StringSeed))
	if err != nil {
		w.t.Fatal(err)
	}
	return d.SerialNumber, seed
}

// codes are the last two codes of a device at the time of the next call.
func (w *world) codes(seed totp.Seed) (first, second *string) {
	step := totp.At(w.now.Add(time.Second))
	return new(seed.Code(step - 1)), new(seed.Code(step))
}

func (w *world) enable(user string, serial *string, seed totp.Seed) {
	w.t.Helper()
	first, second := w.codes(seed)
	do(w, w.EnableMFADevice, &model.EnableMFADeviceInput{UserName: &user, SerialNumber: serial, AuthenticationCode1: first, AuthenticationCode2: second})
}

func TestDeviceLife(t *testing.T) {
	each(t, func(w *world) {
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann")}).User
		made := do(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("phone"), Path: new("/eng/"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}}).VirtualMFADevice
		const serial = "arn:aws:iam::111111111111:mfa/eng/phone"
		if *made.SerialNumber != serial || len(made.Tags) != 1 || len(made.Base32StringSeed) != 64 || made.User != nil || made.EnableDate != nil {
			w.t.Errorf("made %+v", made)
		}
		if picture, err := png.Decode(bytes.NewReader(made.QRCodePNG)); err != nil || picture.Bounds().Dx() < 200 {
			w.t.Errorf("the picture: %v", err)
		}
		seed, err := base32.StdEncoding.DecodeString(string(made.Base32StringSeed))
		if err != nil {
			w.t.Fatal(err)
		}
		listed := func(status string) []model.VirtualMFADevice {
			w.t.Helper()
			return do(w, w.ListVirtualMFADevices, &model.ListVirtualMFADevicesInput{AssignmentStatus: &status}).VirtualMFADevices
		}
		expect := func(what string, assigned, unassigned []model.VirtualMFADevice) {
			w.t.Helper()
			for status, want := range map[string][]model.VirtualMFADevice{"Assigned": assigned, "Unassigned": unassigned, "Any": append(assigned, unassigned...)} {
				if diff := gocmp.Diff(want, listed(status)); diff != "" {
					w.t.Errorf("%s, %s (-want +got):\n%s", what, status, diff)
				}
			}
		}
		none, alone := []model.VirtualMFADevice{}, []model.VirtualMFADevice{{SerialNumber: new(serial)}}
		expect("made", none, alone)

		user := new("ann")
		in := func(first, second *string) *model.EnableMFADeviceInput {
			return &model.EnableMFADeviceInput{UserName: user, SerialNumber: new(serial), AuthenticationCode1: first, AuthenticationCode2: second}
		}
		first, second := w.codes(seed)
		const wrong, wrongText = "InvalidAuthenticationCode", "Authentication code for device is not valid."
		refuse(w, w.EnableMFADevice, in(second, first), wrong, wrongText)
		refuse(w, w.EnableMFADevice, in(second, second), wrong, wrongText)
		w.enable("ann", new(serial), seed)
		enabled := api.At(w.now)
		expect("enabled", []model.VirtualMFADevice{{SerialNumber: new(serial), EnableDate: &enabled, User: &model.User{
			Path: ann.Path, UserName: ann.UserName, UserId: ann.UserId, Arn: ann.Arn, CreateDate: ann.CreateDate,
		}}}, none)
		first, second = w.codes(seed)
		refuse(w, w.EnableMFADevice, in(first, second), "EntityAlreadyExists", "Device "+serial+" already exists")
		if got := do(w, w.ListMFADevices, &model.ListMFADevicesInput{UserName: user}).MFADevices; len(got) != 1 || *got[0].SerialNumber != serial || *got[0].UserName != "ann" || *got[0].EnableDate != enabled {
			w.t.Errorf("ann's: %+v", got)
		}
		if got := do(w, w.GetMFADevice, &model.GetMFADeviceInput{UserName: user, SerialNumber: new(serial)}); *got.SerialNumber != serial || *got.EnableDate != enabled {
			w.t.Errorf("got: %+v", got)
		}
		if got := do(w, w.ListMFADevices, &model.ListMFADevicesInput{}).MFADevices; len(got) != 0 {
			w.t.Errorf("the caller's: %+v", got)
		}
		refuse(w, w.DeleteVirtualMFADevice, &model.DeleteVirtualMFADeviceInput{SerialNumber: new(serial)}, "DeleteConflict", "Cannot delete entity, must deactivate MFA device first.")
		refuse(w, w.DeleteUser, &model.DeleteUserInput{UserName: user}, "DeleteConflict", "Cannot delete entity, must delete MFA device first.")

		// The codes that enabled it are taken; later ones bring it back in step.
		resync := func(first, second *string) *model.ResyncMFADeviceInput {
			return &model.ResyncMFADeviceInput{UserName: user, SerialNumber: new(serial), AuthenticationCode1: first, AuthenticationCode2: second}
		}
		refuse(w, w.ResyncMFADevice, resync(first, second), wrong, wrongText)
		w.now = w.now.Add(time.Minute)
		first, second = w.codes(seed)
		do(w, w.ResyncMFADevice, resync(first, second))

		refuse(w, w.DeactivateMFADevice, &model.DeactivateMFADeviceInput{SerialNumber: new(serial)}, "NoSuchEntity", "Device "+serial+" not found")
		do(w, w.DeactivateMFADevice, &model.DeactivateMFADeviceInput{UserName: user, SerialNumber: new(serial)})
		expect("deactivated", none, alone)
		refuse(w, w.GetMFADevice, &model.GetMFADeviceInput{UserName: user, SerialNumber: new(serial)}, "NoSuchEntity", "Device "+serial+" not found")

		do(w, w.TagMFADevice, &model.TagMFADeviceInput{SerialNumber: new(serial), Tags: []model.Tag{{Key: new("a"), Value: new("b")}}})
		do(w, w.UntagMFADevice, &model.UntagMFADeviceInput{SerialNumber: new(serial), TagKeys: []string{"K"}})
		want := []model.Tag{{Key: new("a"), Value: new("b")}}
		if diff := gocmp.Diff(want, do(w, w.ListMFADeviceTags, &model.ListMFADeviceTagsInput{SerialNumber: new(serial)}).Tags); diff != "" {
			w.t.Errorf("tags (-want +got):\n%s", diff)
		}
		do(w, w.DeleteVirtualMFADevice, &model.DeleteVirtualMFADeviceInput{SerialNumber: new(serial)})
		expect("deleted", none, none)
		refuse(w, w.EnableMFADevice, in(first, second), "NoSuchEntity", "VirtualMFADevice with serial number "+serial+" doesn't exist.")
	})
}

func TestDevicesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.device("there")
	refuse(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("there")}, "EntityAlreadyExists", "MFADevice entity at the same path and name already exists.")
	refuse(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new(strings.Repeat("a", 227))}, "ValidationError",
		"1 validation error detected: Value at 'virtualMFADeviceName' failed to satisfy constraint: Member must have length less than or equal to 226")
	for _, serial := range []string{"GAHT12345678", "arn:aws:iam::111111111111:mfa/missing"} {
		refuse(w, w.DeleteVirtualMFADevice, &model.DeleteVirtualMFADeviceInput{SerialNumber: &serial}, "NoSuchEntity", "VirtualMFADevice with serial number "+serial+" doesn't exist.")
	}
	for i := range maxDevices {
		serial, seed := w.device(fmt.Sprint("d", i))
		w.enable("admin", serial, seed)
	}
	serial, seed := w.device("ninth")
	first, second := w.codes(seed)
	refuse(w, w.EnableMFADevice, &model.EnableMFADeviceInput{UserName: new("admin"), SerialNumber: serial, AuthenticationCode1: first, AuthenticationCode2: second},
		"LimitExceeded", "Cannot exceed quota for MFADevicesPerUser: 8")
	var got []string
	for marker := (*string)(nil); ; {
		out := do(w, w.ListMFADevices, &model.ListMFADevicesInput{MaxItems: new(int64(3)), Marker: marker})
		for _, d := range out.MFADevices {
			got = append(got, strings.TrimPrefix(*d.SerialNumber, "arn:aws:iam::111111111111:mfa/"))
		}
		if marker = out.Marker; marker == nil {
			break
		}
	}
	if strings.Join(got, " ") != "d0 d1 d2 d3 d4 d5 d6 d7" {
		t.Errorf("in pages: %v", got)
	}
	if out := do(w, w.ListVirtualMFADevices, &model.ListVirtualMFADevicesInput{MaxItems: new(int64(9))}); len(out.VirtualMFADevices) != 9 || !*out.IsTruncated {
		t.Errorf("%d devices", len(out.VirtualMFADevices))
	}
}

// A seed that is put into another device's row does not open, and none is kept
// in the clear.
func TestMovedSeedsDoNotOpen(t *testing.T) {
	w := newWorld(t)
	id := *do(w, w.GetUser, &model.GetUserInput{}).User.UserId
	mine, seed := w.device("mine")
	theirs, theirSeed := w.device("theirs")
	w.enable("admin", theirs, theirSeed)
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		d, err := selectDevice(tx, *mine, "")
		if err == nil && bytes.Contains(d.seed, seed) {
			t.Error("the seed is there in the clear")
		}
		if err == nil {
			_, err = tx.Exec(`UPDATE iam_mfa_devices SET seed = $1 WHERE serial = $2`, d.seed, *theirs)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	now := w.now.Add(time.Minute)
	if err := w.TakeCode(t.Context(), id, *theirs, seed.Code(totp.At(now)), now); err == nil || errors.Is(err, ErrCode) {
		t.Errorf("a moved seed: %v", err)
	}
}

// The picture is a QR code: its three corners have the finder pattern.
func TestQRCode(t *testing.T) {
	blob, err := qrCode("phone", "my-company", strings.Repeat("A", 64))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	dark := func(x, y int) bool {
		r, _, _, _ := picture.At(x, y).RGBA()
		return r < 0x8000
	}
	var margin int
	for !dark(margin, margin) {
		margin++
	}
	cell := 0
	for dark(margin+cell, margin) {
		cell++
	}
	cell /= 7
	side := picture.Bounds().Dx()
	for _, corner := range []image.Point{{margin, margin}, {side - margin - 7*cell, margin}, {margin, side - margin - 7*cell}} {
		row := ""
		for i := range 7 {
			if dark(corner.X+i*cell+cell/2, corner.Y+3*cell+cell/2) {
				row += "#"
			} else {
				row += "."
			}
		}
		if row != "#.###.#" {
			t.Errorf("the corner at %v has %s", corner, row)
		}
	}
}

package iam

import (
	"errors"
	"sync"
	"testing"

	model "azekura/internal/api/iam"
	"azekura/internal/store"
	"azekura/internal/totp"
)

// A code is taken once, however many ask at the same time, and only of the
// user's own device.
func TestTakeCode(t *testing.T) {
	each(t, func(w *world) {
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann")}).User
		bob := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("bob")}).User
		seed, serial := totp.NewSeed(), "arn:aws:iam::"+account+":mfa/ann"
		err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO iam_mfa_devices (serial, account, user_id, seed, step, tags, enabled_at) VALUES ($1, $2, $3, $4, 0, '[]', 0)`,
				serial, account, *ann.UserId, w.keyring.Seal(seed, seedAAD(serial)))
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
		take := func(userID, serial, code string) error {
			return w.TakeCode(w.t.Context(), userID, serial, code, w.now)
		}
		code := seed.Code(totp.At(w.now))
		for _, test := range []struct {
			user, serial, code string
			want               error
		}{
			{*bob.UserId, serial, code, ErrNoDevice},
			{*ann.UserId, serial + "2", code, ErrNoDevice},
			{*ann.UserId, serial, seed.Code(totp.At(w.now) + 2), ErrCode},
		} {
			if err := take(test.user, test.serial, test.code); !errors.Is(err, test.want) {
				w.t.Errorf("got %v, want %v", err, test.want)
			}
		}
		var all sync.WaitGroup
		answers := make(chan error, 8)
		for range cap(answers) {
			all.Go(func() { answers <- take(*ann.UserId, serial, code) })
		}
		all.Wait()
		close(answers)
		taken := 0
		for err := range answers {
			switch {
			case err == nil:
				taken++
			case !errors.Is(err, ErrCode):
				w.t.Error(err)
			}
		}
		if taken != 1 {
			w.t.Errorf("the code was taken %d times", taken)
		}
	})
}

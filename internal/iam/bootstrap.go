package iam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"azekura/internal/api"
	"azekura/internal/envelope"
	"azekura/internal/store"
)

// An AccessKey is what a user signs with. It prints without its secret.
type AccessKey struct {
	AccessKeyID string
	Secret      api.Sensitive
}

const adminName = "admin"

// ErrNoAdminKey says that the first administrator, or every access key of
// theirs, is gone or inactive.
var ErrNoAdminKey = errors.New("the first administrator has no active access key")

// Bootstrap makes the first account, its user admin with AdministratorAccess,
// and an access key for it, all or nothing. On a store that has a first account
// it changes nothing and returns false; if that is another account than the one
// asked for, an error says so.
func (s *Service) Bootstrap(ctx context.Context, account string) (AccessKey, bool, error) {
	id, err := NewAccessKeyID(PrefixAccessKey, account)
	if err != nil {
		return AccessKey{}, false, fmt.Errorf("make the first account: %w", err)
	}
	return s.BootstrapWith(ctx, account, AccessKey{id, api.Sensitive(newSecret())})
}

// BootstrapWith is Bootstrap with a given access key, whose id need not be of
// IAM's form.
func (s *Service) BootstrapWith(ctx context.Context, account string, key AccessKey) (AccessKey, bool, error) {
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(account) || !isAccessKeyID(key.AccessKeyID) || key.Secret == "" {
		return AccessKey{}, false, errors.New("make the first account: it needs an id of 12 digits and an access key")
	}
	made := false
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		err := belongsTo(tx, account)
		if made = errors.Is(err, store.ErrNotFound); !made {
			return err
		}
		return s.insertAdministrator(tx, account, key)
	})
	if errors.Is(err, store.ErrConflict) { // another process was quicker
		made = false
		err = s.db.View(ctx, func(tx *store.Tx) error { return belongsTo(tx, account) })
	}
	if err != nil {
		return AccessKey{}, false, fmt.Errorf("make the first account: %w", err)
	}
	if !made {
		return AccessKey{}, false, nil
	}
	return key, true, nil
}

// FirstAccount is the account that was made with the store; ErrNotFound of the
// store if there is none yet.
func FirstAccount(tx *store.Tx) (string, error) { return selectFirstAccount(tx) }

// belongsTo says whether the first account is the one wanted; ErrNotFound if
// there is none yet.
func belongsTo(tx *store.Tx, account string) error {
	first, err := selectFirstAccount(tx)
	if err == nil && first != account {
		return fmt.Errorf("the data belongs to account %s, not to %s: start with account id %s, or with an empty data directory", first, account, first)
	}
	return err
}

func (s *Service) insertAdministrator(tx *store.Tx, account string, key AccessKey) error {
	now := api.At(time.Now())
	if err := addAccount(tx, account, true, now); err != nil {
		return err
	}
	admin := &entity{kind: userKind, id: newID(userKind.prefix), account: account, path: "/", name: adminName, created: now}
	added, err := insertUser(tx, admin)
	if err != nil || !added {
		return cmp.Or(err, store.ErrConflict)
	}
	all := attachment{identityID: admin.id, policyARN: administratorAccess, purpose: forPermissions}
	if err := insertAttached(tx, all, account, now); err != nil {
		return err
	}
	return s.insertKey(tx, admin, key, now)
}

// addAccount makes an account; store.ErrConflict if there is one of that id.
func addAccount(tx *store.Tx, account string, first bool, now api.Timestamp) error {
	added, err := insertAccount(tx, account, first, now)
	if err == nil && !added {
		err = store.ErrConflict
	}
	return err
}

// insertKey gives a user an access key.
func (s *Service) insertKey(tx *store.Tx, user *entity, key AccessKey, now api.Timestamp) error {
	s.credentials.Changed(tx, key.AccessKeyID)
	return insertAccessKey(tx, keyRow{
		id: key.AccessKeyID, userID: user.id, status: statusActive, created: now,
		secret: s.keyring.Seal([]byte(key.Secret), secretAAD(key.AccessKeyID, user.id)),
	})
}

// AdminKey is the oldest active access key of the first administrator, to be
// shown again to who owns the data directory; ErrNoAdminKey if there is none.
func (s *Service) AdminKey(ctx context.Context) (AccessKey, error) {
	var row keyRow
	err := s.db.View(ctx, func(tx *store.Tx) error {
		account, err := selectFirstAccount(tx)
		if err != nil {
			return err
		}
		admin, err := selectEntity(tx, userKind, account, adminName, "")
		if err != nil {
			return err
		}
		keys, err := selectAccessKeys(tx, admin.id)
		i := slices.IndexFunc(keys, func(k keyRow) bool { return k.status == statusActive })
		if i < 0 {
			return cmp.Or(err, store.ErrNotFound)
		}
		row = keys[i]
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return AccessKey{}, ErrNoAdminKey
	}
	if err != nil {
		return AccessKey{}, fmt.Errorf("read the first administrator's access key: %w", err)
	}
	return s.openKey(row)
}

func (s *Service) openKey(row keyRow) (AccessKey, error) {
	secret, err := s.keyring.Open(row.secret, secretAAD(row.id, row.userID))
	if err != nil {
		return AccessKey{}, fmt.Errorf("open the secret of access key %s: %w", row.id, err)
	}
	return AccessKey{row.id, api.Sensitive(secret)}, nil
}

// secretAAD binds a sealed secret to its access key and user: who can write to
// the database can neither give a key a secret that they know from another,
// nor a key of their own to the administrator.
func secretAAD(accessKeyID, userID string) []byte {
	return envelope.AAD("iam access key", accessKeyID, userID)
}

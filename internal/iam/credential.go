package iam

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"azekura/internal/api"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// A Credential is a user's access key. It is shared, must not be changed, and
// is replaced when anything about it changes. It prints as its access key id.
type Credential struct {
	AccessKeyID string
	Secret      api.Sensitive
	Active      bool
	UserID      string // whose it is, see Service.Identity

	rev     int64
	noted   atomic.Int64 // when it was last noted as used, in milliseconds since 1970
	signing sigv4.Keys
}

func (c *Credential) String() string               { return c.AccessKeyID }
func (c *Credential) Format(f fmt.State, _ rune)   { io.WriteString(f, c.AccessKeyID) }
func (c *Credential) LogValue() slog.Value         { return slog.StringValue(c.AccessKeyID) }
func (c *Credential) MarshalText() ([]byte, error) { return []byte(c.AccessKeyID), nil }

// SigningKey is the key that the credential signs with on a date (YYYYMMDD) in
// a region for a service. The last few are kept, for as long as the credential
// is: with it they go when the access key changes.
func (c *Credential) SigningKey(date, region, service string) sigv4.Key {
	return c.signing.Of(string(c.Secret), date, region, service)
}

func (c *Credential) stamp() store.Stamp { return store.Stamp{ID: c.AccessKeyID, Rev: c.rev} }

// size is about what a credential takes in memory, in bytes, once it keeps all
// the signing keys that it may.
func (c *Credential) size() int64 {
	return int64(512 + sigv4.KeysSize + len(c.AccessKeyID) + len(c.Secret))
}

// Credential finds an access key by its id; the error is store.ErrNotFound if
// there is none. Whether it is active is for the caller to look at.
// What was found is to be confirmed by reads, unless they are nil.
func (s *Service) Credential(ctx context.Context, reads *store.Reads, accessKeyID string) (*Credential, error) {
	if !isAccessKeyID(accessKeyID) {
		return nil, fmt.Errorf("find an access key: %w", store.ErrNotFound)
	}
	c, err := s.credentials.Get(ctx, reads, accessKeyID)
	if err != nil {
		return nil, fmt.Errorf("find an access key: %w", err)
	}
	return c, nil
}

// isAccessKeyID says whether an access key could have that id: IAM's pattern
// and greatest length, but no least length.
func isAccessKeyID(id string) bool {
	const maxLength = 128
	if id == "" || len(id) > maxLength {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

func (s *Service) loadCredential(tx *store.Tx, accessKeyID string) (*Credential, error) {
	row, err := selectAccessKey(tx, accessKeyID)
	if err != nil {
		return nil, err
	}
	key, err := s.openKey(row)
	if err != nil {
		return nil, err
	}
	c := &Credential{AccessKeyID: key.AccessKeyID, Secret: key.Secret, Active: row.status == statusActive, UserID: row.userID, rev: row.rev}
	c.noted.Store(int64(row.used))
	return c, nil
}

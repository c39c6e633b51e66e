package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/store"
)

// A name is what a KeyId stands for: a key of an account, whether or not there
// is one.
type name struct {
	account, region string
	id              string // "" for an alias that is not there
	shown           string // the ARN that a denial shows, which the caller could have made up
	missing         *api.Error
}

// aliased are the operations whose KeyId may be an alias.
// https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html
var aliased = map[string]bool{
	"DescribeKey": true, "GetPublicKey": true, "Encrypt": true, "Decrypt": true, "ReEncrypt": true,
	"GenerateDataKey": true, "GenerateDataKeyWithoutPlaintext": true, "GenerateDataKeyPair": true, "GenerateDataKeyPairWithoutPlaintext": true,
	"Sign": true, "Verify": true, "GenerateMac": true, "VerifyMac": true, "DeriveSharedSecret": true,
}

// acrossAccounts are the operations whose key may be another account's, named
// by an ARN.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
var acrossAccounts = map[string]bool{
	"DescribeKey": true, "GetPublicKey": true, "Encrypt": true, "Decrypt": true, "ReEncrypt": true,
	"GenerateDataKey": true, "GenerateDataKeyWithoutPlaintext": true, "GenerateDataKeyPair": true, "GenerateDataKeyPairWithoutPlaintext": true,
	"Sign": true, "Verify": true, "GenerateMac": true, "VerifyMac": true, "DeriveSharedSecret": true,
	"GetKeyRotationStatus": true, "CreateGrant": true, "ListGrants": true, "RetireGrant": true, "RevokeGrant": true,
}

// named reads a KeyId: an id, an alias where the operation takes one, or the
// ARN of either. What is no name at all is a NotFoundException, which tells
// nothing of what there is.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func (s *Service) named(ctx context.Context, c *call.Call, keyID string) (name, error) {
	n := name{account: c.Principal.Account, region: c.Region}
	text := keyID
	if strings.HasPrefix(keyID, "arn:") {
		a, err := arn.Parse(keyID)
		if err != nil || a.Service != "kms" || a.Region != c.Region {
			return n, model.NotFound("Invalid arn %s", c.Region)
		}
		n.account = a.Account
		id, isKey := strings.CutPrefix(a.Resource, "key/")
		if text = id; !isKey {
			text = a.Resource
		}
		if isKey != isKeyID(id) || !isKey && !strings.HasPrefix(text, aliasPrefix) {
			return n, model.NotFound("Invalid arn %s", c.Region)
		}
	}
	if strings.HasPrefix(text, aliasPrefix) && aliased[c.Op] {
		return s.byAlias(ctx, c, n, text)
	}
	if !isKeyID(text) {
		return n, model.NotFound("Invalid keyId '%s'", keyID)
	}
	n.id = text
	n.shown = keyARN(n.account, n.region, n.id)
	n.missing = model.NotFound("Key '%s' does not exist", n.shown)
	return n, nil
}

// byAlias is the key that an alias of an account means.
func (s *Service) byAlias(ctx context.Context, c *call.Call, n name, alias string) (name, error) {
	n.shown = aliasARN(n.account, n.region, alias)
	n.missing = model.NotFound("Alias %s is not found.", n.shown)
	held, err := s.aliases.Get(ctx, c.Reads, aliasKey(n.account, n.region, alias))
	if errors.Is(err, store.ErrNotFound) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	n.id = idOf(held)
	return n, nil
}

const (
	aliasPrefix       = "alias/"
	multiRegionPrefix = "mrk-"
)

// isKeyID says whether a text has the form of a key's id.
func isKeyID(id string) bool {
	digits, multi := strings.CutPrefix(id, multiRegionPrefix)
	if multi {
		return len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
	}
	return len(id) == 36 && uuid.Validate(id) == nil && id == strings.ToLower(id)
}

// newID is a new key's id.
func newID(multiRegion bool) string {
	id := uuid.NewString()
	if multiRegion {
		return multiRegionPrefix + strings.ReplaceAll(id, "-", "")
	}
	return id
}

func aliasKey(account, region, alias string) string { return account + "/" + region + "/" + alias }

package sts

import (
	"encoding/base64"
	"errors"

	"azekura/internal/api"
	"azekura/internal/envelope"
	"azekura/internal/iam"
	"azekura/internal/seal"
)

// credentials are what a session signs with.
type credentials struct {
	accessKeyID string
	secret      api.Sensitive
	token       string
}

// maxClaims bounds the claims of a session, in bytes, and maxTokenLength the
// tokens that are looked into, in characters: what the first makes, and less
// than what sigv4 lets pass.
const (
	maxClaims      = 10 << 10
	maxTokenLength = 14 << 10
)

// secretBytes make the 40 characters of base64 that secret access keys have.
const secretBytes = 30

// errToken says that a token is not one of this deployment for the access key
// it came with: cut, changed, made up, of another session or another keyring.
// Which of these helps nobody but a forger.
var errToken = errors.New("this is no session token for the access key")

// issue makes a session's credentials. Nothing is stored: the token is the
// claims, sealed for the access key id, and the secret follows from the token.
func issue(ring *seal.Keyring, c *claims) (credentials, error) {
	id, err := iam.NewAccessKeyID(iam.PrefixSession, c.account)
	if err != nil {
		return credentials{}, err
	}
	blob := ring.Seal(c.encode(), claimsAAD(id))
	secret, err := sessionSecret(ring, id, blob)
	if err != nil {
		return credentials{}, err
	}
	return credentials{id, secret, tokenEncoding.EncodeToString(blob)}, nil
}

// open reads the claims of a token that came with an access key id, and derives
// the secret. Every error is errToken. Whether the session is over, and whether
// there still is whose it is, is for the caller to look at.
func open(ring *seal.Keyring, accessKeyID, token string) (*claims, api.Sensitive, error) {
	if len(token) > maxTokenLength {
		return nil, "", errToken
	}
	blob, err := tokenEncoding.DecodeString(token)
	if err != nil || tokenEncoding.EncodeToString(blob) != token { // the decoder passes over line breaks
		return nil, "", errToken
	}
	text, err := ring.Open(blob, claimsAAD(accessKeyID))
	if err != nil {
		return nil, "", errToken
	}
	c, err := decodeClaims(text)
	if err != nil {
		return nil, "", errToken
	}
	secret, err := sessionSecret(ring, accessKeyID, blob)
	if err != nil {
		return nil, "", errToken
	}
	return c, secret, nil
}

// tokenEncoding is safe in headers, URLs and shells as it is.
var tokenEncoding = base64.RawURLEncoding

func sessionSecret(ring *seal.Keyring, accessKeyID string, blob []byte) (api.Sensitive, error) {
	b, err := ring.Secret(blob, envelope.AAD("sts session secret", accessKeyID), secretBytes)
	if err != nil {
		return "", err
	}
	return api.Sensitive(base64.StdEncoding.EncodeToString(b)), nil
}

// claimsAAD binds a token to its access key id: with the id of another session,
// which logs and audit trails name, it is not a session's.
func claimsAAD(accessKeyID string) []byte { return envelope.AAD("sts session", accessKeyID) }

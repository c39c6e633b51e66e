// Package sigv4 signs requests and verifies their signatures, after AWS's
// Signature Version 4, in the Authorization header or in the query (presigned
// URLs). It is pure: keys and the time are arguments.
//
// A server reads the claim of a request, checks what can be checked without a
// key, finds the key, reads and hashes the body, and verifies:
//
//	claim, err := sigv4.Parse(r)
//	err = claim.CheckScope("secretsmanager", regions)
//	err = claim.CheckTime(now)
//	key := sigv4.DeriveKey(secretOf(claim.AccessKeyID), claim.Date, claim.Region, claim.Service)
//	err = claim.Verify(r, key, sha256.Sum256(body))
//
// Nothing in a Claim is to be believed before Verify has returned nil.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	// timeForm is ISO 8601's basic form, as X-Amz-Date has it.
	timeForm = "20060102T150405Z"
	dateForm = "20060102"

	redacted = "***"
)

// A Kind is a way for a request not to be authentic. AWS has a code for each,
// which differs between its protocols.
type Kind int

const (
	Missing      Kind = iota // no signature at all
	Incomplete               // a signature that cannot be read
	UnknownKey               // an access key that is not, or not with this token
	ExpiredToken             // a session that is over
	Closed                   // an account that is closed
	Mismatch                 // a signature of something else: another key, time, scope or request
)

func (k Kind) String() string {
	switch k {
	case Missing:
		return "missing signature"
	case Incomplete:
		return "incomplete signature"
	case UnknownKey:
		return "unknown key"
	case ExpiredToken:
		return "expired token"
	case Closed:
		return "closed account"
	case Mismatch:
		return "signature mismatch"
	}
	return "unknown kind"
}

// An Error is the refusal of a request. Message is AWS's text for the caller.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Kind.String() + ": " + e.Message }

// Refuse is the refusal of a kind in AWS's general words.
func Refuse(k Kind) *Error {
	switch k {
	case Missing:
		return &Error{k, "Missing Authentication Token"}
	case UnknownKey:
		return &Error{k, "The security token included in the request is invalid."}
	case ExpiredToken:
		return &Error{k, "The security token included in the request is expired"}
	case Closed:
		return &Error{k, "The AWS Access Key Id needs a subscription for the service"}
	case Mismatch:
		return &Error{k, "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	return &Error{Kind: k, Message: "The request signature does not conform to AWS standards."}
}

// Credentials are what a caller signs with. Token is of a session's
// credentials, and otherwise empty. They print without secret and token.
type Credentials struct{ AccessKeyID, Secret, Token string }

func (c Credentials) String() string               { return c.AccessKeyID }
func (c Credentials) Format(f fmt.State, _ rune)   { io.WriteString(f, c.AccessKeyID) }
func (c Credentials) LogValue() slog.Value         { return slog.StringValue(c.AccessKeyID) }
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.AccessKeyID), nil }

// A Key signs for one day, region and service. It can be kept for that long,
// and must be kept as safe as the secret. It prints as ***.
type Key [32]byte

func (Key) String() string               { return redacted }
func (Key) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Key) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// DeriveKey is the signing key of a secret access key for a date (YYYYMMDD),
// region and service, which are those of a claim. Under fips140=only a secret
// shorter than ten characters panics; AWS's have forty.
func DeriveKey(secret, date, region, service string) Key {
	key := sum([]byte("AWS4"+secret), date)
	key = sum(key[:], region)
	key = sum(key[:], service)
	return sum(key[:], terminator)
}

func sum(key []byte, text string) Key {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, text)
	return Key(h.Sum(nil))
}

// Package api holds what all AWS APIs share: errors meant for the caller,
// values that must not be printed, timestamps. The packages below it hold the
// shapes of one service each, generated from the service's public model.
//
// In the generated shapes every scalar is a pointer and every list, map and
// blob may be nil: nil means that the member is absent, on the way in (where a
// JSON null counts as absent) and on the way out (where it is left out; only in
// XML a list that the model requires is there and empty).
// The constraints of the model stand in struct tags, see package gen.
package api

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
)

const redacted = "***"

// Sensitive is text that must not be seen by anybody but the caller who asked
// for it. However it is printed, logged or marshalled it reads ***; only
// package wire, and who converts it to a string on purpose, sees the text.
type Sensitive string

func (Sensitive) String() string               { return redacted }
func (Sensitive) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Sensitive) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Sensitive) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Sensitive) LogValue() slog.Value         { return slog.StringValue(redacted) }

// SensitiveBlob is Sensitive for bytes. Nil is absent.
type SensitiveBlob []byte

func (SensitiveBlob) String() string               { return redacted }
func (SensitiveBlob) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (SensitiveBlob) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (SensitiveBlob) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (SensitiveBlob) LogValue() slog.Value         { return slog.StringValue(redacted) }

// A Timestamp is an instant to the millisecond, since 1970, UTC: the unit of
// the store, and the precision of AWS's answers.
type Timestamp int64

// Time is t as an instant, in UTC.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// At is the timestamp of an instant; what is finer than a millisecond is cut.
func At(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) }

// Day is the start of t's day in UTC: the grain of LastAccessedDate.
func (t Timestamp) Day() Timestamp {
	return At(t.Time().Truncate(24 * time.Hour))
}

// AppendJSON appends t as AWS's JSON protocols write it: seconds since 1970
// with up to three digits of fraction.
func (t Timestamp) AppendJSON(b []byte) []byte {
	return strconv.AppendFloat(b, float64(t)/1000, 'f', -1, 64)
}

func (t Timestamp) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

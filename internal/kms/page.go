package kms

import (
	"encoding/base64"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/envelope"
)

// pageLimits are how many items a page of an operation has if Limit is absent,
// and the most that it may ask for.
type pageLimits struct{ usual, most int64 }

// A page is a part of a list: size items after the one with a sort key. Its
// marker is the sort key of its last item, sealed, so that callers neither read
// anything from it nor make one up. It opens only for the same account, region,
// operation and scope: what the list is of.
type page struct {
	after string // "" for the first page
	size  int
	seal  func(last string) *string
}

func (s *Service) page(c *call.Call, marker *string, limit *int64, limits pageLimits, scope ...string) (*page, error) {
	aad := envelope.AAD("kms page", append([]string{c.Principal.Account, c.Region, c.Op}, scope...)...)
	p := &page{size: int(limits.usual), seal: func(last string) *string {
		return new(base64.RawURLEncoding.EncodeToString(s.keyring.Seal([]byte(last), aad)))
	}}
	if limit != nil {
		if *limit > limits.most {
			return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to %d",
				*limit, limits.most)
		}
		p.size = int(*limit)
	}
	if marker == nil {
		return p, nil
	}
	blob, err := base64.RawURLEncoding.DecodeString(*marker)
	if err != nil {
		return nil, errMarker()
	}
	after, err := s.keyring.Open(blob, aad)
	if err != nil {
		return nil, errMarker()
	}
	p.after = string(after)
	return p, nil
}

func errMarker() error { return model.InvalidMarker("The marker is invalid.") }

// cut makes the page of items that were read with one more than fit, if there
// was one more; next is then where the next page begins.
func cut[T any](p *page, items []T, key func(*T) string) (some []T, next *string) {
	if len(items) <= p.size {
		return items, nil
	}
	return items[:p.size], p.seal(key(&items[p.size-1]))
}

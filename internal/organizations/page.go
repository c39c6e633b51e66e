package organizations

import (
	"encoding/base64"

	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/envelope"
)

// pageSize is how many items a page has if MaxResults is absent.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
const pageSize = 20

// A page is a part of a list: size items after the one with a sort key. Its
// token is the sort key of its last item, sealed, so that callers neither read
// anything from it nor make one up. It opens only for the same account,
// operation and scope: what the list is of.
type page struct {
	after string // "" for the first page
	size  int
	seal  func(last string) *string
}

func (s *Service) page(c *call.Call, token *string, maxResults *int64, scope ...string) (*page, error) {
	aad := envelope.AAD("organizations page", append([]string{c.Principal.Account, c.Op}, scope...)...)
	p := &page{size: pageSize, seal: func(last string) *string {
		return new(base64.RawURLEncoding.EncodeToString(s.keyring.Seal([]byte(last), aad)))
	}}
	if maxResults != nil {
		p.size = int(*maxResults)
	}
	if token == nil {
		return p, nil
	}
	blob, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil {
		return nil, errToken()
	}
	after, err := s.keyring.Open(blob, aad)
	if err != nil {
		return nil, errToken()
	}
	p.after = string(after)
	return p, nil
}

func errToken() error {
	return model.InvalidInput("The provided pagination token is invalid.")
}

// cut makes the page of items that were read with one more than fit, if there
// was one more; next is then where the next page begins.
func cut[T any](p *page, items []T, key func(*T) string) (some []T, next *string) {
	if len(items) <= p.size {
		return items, nil
	}
	return items[:p.size], p.seal(key(&items[p.size-1]))
}

// cutAll is cut for a list that is short enough to be read whole. items are in
// the order of their keys, by bytes.
func cutAll[T any](p *page, items []T, key func(*T) string) (some []T, next *string) {
	for len(items) > 0 && p.after != "" && key(&items[0]) <= p.after {
		items = items[1:]
	}
	return cut(p, items, key)
}

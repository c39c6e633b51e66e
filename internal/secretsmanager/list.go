package secretsmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
)

// Bounds on the work for one page. A page whose filters match little ends when
// that many secrets have been looked at, short or even empty, with a token:
// AWS's pages do the same, and its clients go on.
const (
	scanLimit   = 2000
	prefixLimit = 1000
)

// ListSecrets lists the secrets of the caller's account and region. It is not
// filtered by what the caller may do with each.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
func (s *Service) ListSecrets(ctx context.Context, c *call.Call, in *model.ListSecretsInput) (*model.ListSecretsOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	page, next, err := s.page(ctx, c, listing{
		filters: in.Filters, by: orderOf(in.SortBy, in.SortOrder),
		planned: in.IncludePlannedDeletion != nil && *in.IncludePlannedDeletion,
		token:   in.NextToken, max: in.MaxResults, most: 100,
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListSecretsOutput{SecretList: []model.SecretListEntry{}, NextToken: next}
	for i := range page {
		out.SecretList = append(out.SecretList, page[i].entry())
	}
	return out, nil
}

func orderOf(by, direction *string) order {
	columns := map[string]string{"name": "name", "last-changed-date": "changed_at", "last-accessed-date": "accessed_at"}
	return order{
		column:     cmp.Or(columns[deref(by)], "created_at"),
		descending: deref(direction) == "desc",
	}
}

// position is where a secret stands in the order.
func (o order) position(s *secret) position {
	switch o.column {
	case "name":
		return position{Text: s.name, ID: s.id}
	case "changed_at":
		return position{Number: int64(s.changed), ID: s.id}
	case "accessed_at":
		return position{Number: int64(s.accessed), ID: s.id}
	}
	return position{Number: int64(s.created), ID: s.id}
}

// compare says whether a comes before b (negative) in the order, or after.
func (o order) compare(a, b position) int {
	n := cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Text, b.Text), cmp.Compare(a.ID, b.ID))
	if o.descending {
		return -n
	}
	return n
}

// A listing is what is to be listed, and which page of it.
type listing struct {
	filters []model.Filter
	by      order
	planned bool // with the secrets that are scheduled for deletion
	now     api.Timestamp
	token   *string
	max     *int64
	most    int // the page's size unless max is given
}

// page reads one page of a listing, in one snapshot of the store. A page
// begins after the last secret that the one before it looked at, so what is
// added or deleted meanwhile neither hides nor repeats another secret.
func (s *Service) page(ctx context.Context, c *call.Call, l listing) (page []secret, next *string, err error) {
	parsed, err := parseFilters(l.filters)
	if err != nil {
		return nil, nil, err
	}
	if l.by.column == "" {
		l.by = orderOf(nil, nil)
	}
	l.now = api.At(c.Time)
	scope, err := l.scope()
	if err != nil {
		return nil, nil, err
	}
	after, err := s.readToken(c, l.token, scope)
	if err != nil {
		return nil, nil, err
	}
	size := l.most
	if l.max != nil {
		size = int(*l.max)
	}
	var end *position
	err = s.db.View(ctx, func(tx *store.Tx) error {
		read, err := l.source(tx, c, parsed.namePrefixes(l.filters))
		if err != nil {
			return err
		}
		page, end, err = l.collect(read, parsed, after, size)
		return err
	})
	if err != nil || end == nil {
		return page, nil, err
	}
	return page, s.writeToken(c, *end, scope), nil
}

// scope is what a page's token is good for.
func (l listing) scope() ([]string, error) {
	filters, err := json.Marshal(l.filters)
	if err != nil {
		return nil, err
	}
	sorted, err := json.Marshal([]any{l.by.column, l.by.descending, l.planned})
	return []string{"secrets", string(filters), string(sorted)}, err
}

// A source reads the secrets that follow a position in some order.
type source func(after *position, limit int) ([]secret, error)

// source walks the index of the listing's order. If the filters ask for names
// that begin with certain prefixes it reads these alone, by an index in the
// order of names, and else sorted by the store; but if they are many it walks
// all the same: then some are met soon, and sorting would cost more.
func (l listing) source(tx *store.Tx, c *call.Call, prefixes []string) (source, error) {
	walk := func(after *position, limit int) ([]secret, error) {
		return selectPage(tx, c.Principal.Account, c.Region, l.by, nil, after, limit)
	}
	if prefixes == nil {
		return walk, nil
	}
	spans := spansOf(prefixes)
	for i, n := 0, 0; i < len(spans) && l.by.column != "name"; i++ {
		some, err := countNames(tx, c.Principal.Account, c.Region, spans[i], prefixLimit+1-n)
		if err != nil {
			return nil, err
		}
		if n += some; n > prefixLimit {
			return walk, nil
		}
	}
	return func(after *position, limit int) ([]secret, error) {
		var found []secret
		for _, within := range l.by.ahead(spans, after) {
			some, err := selectPage(tx, c.Principal.Account, c.Region, l.by, &within, after, limit)
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
		}
		slices.SortFunc(found, func(a, b secret) int { return l.by.compare(l.by.position(&a), l.by.position(&b)) })
		return found[:min(limit, len(found))], nil
	}, nil
}

// spansOf are the names that begin with any of some prefixes, as spans that do
// not overlap.
func spansOf(prefixes []string) []span {
	var spans []span
	last := ""
	for _, prefix := range slices.Sorted(slices.Values(prefixes)) {
		if len(spans) > 0 && strings.HasPrefix(prefix, last) {
			continue
		}
		// A name is ASCII, so this is after all names that begin so.
		spans = append(spans, span{prefix, prefix + "\x7f"})
		last = prefix
	}
	return spans
}

// ahead cuts off what of spans lies before a position, if the order is that of
// names: each page would walk there from the span's begin. The position's own
// name stays within.
func (o order) ahead(spans []span, after *position) []span {
	if o.column != "name" || after == nil {
		return spans
	}
	var rest []span
	for _, s := range spans {
		if o.descending {
			s.to = min(s.to, after.Text+"\x01") // PostgreSQL has no \x00, and no name has either
		} else {
			s.from = max(s.from, after.Text)
		}
		if s.from < s.to {
			rest = append(rest, s)
		}
	}
	return rest
}

// collect gathers up to size matching secrets. It returns where the next page
// begins after, nil if nothing follows.
func (l listing) collect(read source, match filters, after *position, size int) (page []secret, end *position, err error) {
	for scanned := 0; scanned < scanLimit; {
		rows, err := read(after, size+1)
		if err != nil {
			return nil, nil, err
		}
		for i := range rows {
			row := &rows[i]
			fits := l.fits(row, match)
			if fits && len(page) == size {
				return page, after, nil
			}
			if fits {
				page = append(page, *row)
			}
			after = new(l.by.position(row))
		}
		if scanned += len(rows); len(rows) <= size {
			return page, nil, nil
		}
	}
	return page, after, nil
}

// fits says whether a secret belongs to the listing.
func (l listing) fits(row *secret, match filters) bool {
	if row.deleted != nil && !l.planned || row.gone(l.now) {
		return false
	}
	return match.match(row)
}

package iam

import (
	"azekura/internal/store"
)

// A providerRow is an OpenID Connect provider as the database keeps it.
type providerRow struct {
	account, url string // without the scheme
	clients      texts
}

func selectProvider(tx *store.Tx, account, url string) (providerRow, error) {
	return store.One(tx, func(p *providerRow) []any { return []any{&p.account, &p.url, &p.clients} },
		`SELECT account, url, clients FROM iam_oidc_providers WHERE account = $1 AND url = $2`, account, url)
}

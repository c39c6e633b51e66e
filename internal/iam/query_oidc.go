package iam

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

// A providerRow is an OpenID Connect provider as the database keeps it. An
// operation has one only from lookProvider and changeProvider, which decide.
type providerRow struct {
	account, url         string // without the scheme
	clients, thumbprints texts
	tags                 tags
	created              api.Timestamp
}

const providerColumns = `account, url, clients, thumbprints, tags, created_at`

func providerDest(p *providerRow) []any {
	return []any{&p.account, &p.url, &p.clients, &p.thumbprints, &p.tags, &p.created}
}

func selectProvider(tx *store.Tx, account, url, lock string) (providerRow, error) {
	return store.One(tx, providerDest,
		`SELECT `+providerColumns+` FROM iam_oidc_providers WHERE account = $1 AND url = $2`+lock, account, url)
}

// selectProviders reads the providers of an account, of which a quota bounds
// the number, in the order of their URLs.
func selectProviders(tx *store.Tx, account string) ([]providerRow, error) {
	return store.Collect(tx, providerDest,
		`SELECT `+providerColumns+` FROM iam_oidc_providers WHERE account = $1 ORDER BY url`, account)
}

// insertProvider adds a provider, unless its account has one of that URL.
func insertProvider(tx *store.Tx, p *providerRow) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_oidc_providers (`+providerColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, url) DO NOTHING`, p.account, p.url, p.clients, p.thumbprints, p.tags, p.created)
	return n == 1, err
}

func updateProvider(tx *store.Tx, p *providerRow) error {
	_, err := tx.Exec(`UPDATE iam_oidc_providers SET clients = $3, thumbprints = $4, tags = $5 WHERE account = $1 AND url = $2`,
		p.account, p.url, p.clients, p.thumbprints, p.tags)
	return err
}

func deleteProvider(tx *store.Tx, account, url string) error {
	_, err := tx.Exec(`DELETE FROM iam_oidc_providers WHERE account = $1 AND url = $2`, account, url)
	return err
}

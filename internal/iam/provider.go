package iam

import (
	"context"
	"database/sql/driver"
	"fmt"

	"azekura/internal/store"
)

// A Provider is an OpenID Connect provider that an account trusts.
type Provider struct {
	ARN     string   // arn:aws:iam::111111111111:oidc-provider/host/path
	URL     string   // without its scheme, which is https
	Clients []string // the audiences that tokens may be for
}

// OIDCProvider finds a provider of an account by its URL, without the scheme
// and with regard to case; store.ErrNotFound if there is none.
func (s *Service) OIDCProvider(ctx context.Context, account, url string) (*Provider, error) {
	if _, err := providerURL("https://" + url); err != nil { // PostgreSQL has no word for some that a stranger may write
		return nil, fmt.Errorf("find an identity provider: %w", store.ErrNotFound)
	}
	var row providerRow
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		row, err = selectProvider(tx, account, url, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find an identity provider: %w", err)
	}
	return &Provider{ARN: arnOf(account, "oidc-provider", "/", url), URL: row.url, Clients: row.clients}, nil
}

// texts is a list that the database keeps as JSON.
type texts []string

func (t texts) Value() (driver.Value, error) { return store.JSONList([]string(t)) }

func (t *texts) Scan(column any) error { return store.ScanJSON(column, (*[]string)(t)) }

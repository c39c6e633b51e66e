package iam

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/store"
)

// AWS's quotas of OpenID Connect providers.
const (
	maxProviders   = 100 // in an account
	maxClients     = 100 // of a provider
	maxThumbprints = 5
)

// providerURL is the URL of an issuer as it is kept, without its scheme, which
// has to be https. It is kept to the letter: tokens name it in the same way. A
// port may be part of it, other than with AWS: who runs an issuer of their own
// has one. What means something else in an ARN of a policy may not.
func providerURL(given string) (string, error) {
	fault := validation("Invalid Open ID Connect Provider URL")
	rest, ok := strings.CutPrefix(given, "https://")
	if !ok || strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*?#$\"\\<>", r) }) {
		return "", fault
	}
	u, err := url.Parse(given)
	if err != nil || u.User != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return "", fault
	}
	return rest, nil
}

func (p *providerRow) arn() string { return arnOf(p.account, "oidc-provider", "/", p.url) }

// lookProvider finds the provider that an ARN means, if the call may have it.
func (s *Service) lookProvider(ctx context.Context, c *call.Call, providerARN string) (p *providerRow, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		p, err = permittedProvider(tx, c, providerARN, "")
		return err
	})
	return p, err
}

// changeProvider finds the provider that an ARN means, decides whether the call
// may, runs fn on it, and writes it back, in one transaction. fn may run twice.
func (s *Service) changeProvider(ctx context.Context, c *call.Call, providerARN string, fn func(*providerRow) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		p, err := permittedProvider(tx, c, providerARN, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		return updateProvider(tx, p)
	})
}

// permittedProvider decides whether the call may have the provider that an ARN
// means, and returns it. Whoever may not have it is not told whether it exists.
func permittedProvider(tx *store.Tx, c *call.Call, providerARN, lock string) (*providerRow, error) {
	a, err := arn.Parse(providerARN)
	if err != nil {
		return nil, validation("Invalid ARN:  Could not be parsed!")
	}
	name, ok := strings.CutPrefix(a.Resource, "oidc-provider/")
	if !ok || a.Service != "iam" {
		return nil, validation("ARN %s is not valid.", providerARN)
	}
	p, err := selectProvider(tx, a.Account, name, lock)
	if err == nil && p.arn() != providerARN { // in a form that no policy means
		p, err = providerRow{}, store.ErrNotFound
	}
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	if err := c.Allow(call.Target{ARN: providerARN, Keys: conditionKeys(c, p.tags, "")}); err != nil {
		return nil, err
	}
	if missing {
		return nil, model.NoSuchEntity("OpenIDConnect Provider not found for arn %s", providerARN)
	}
	return &p, nil
}

// CreateOpenIDConnectProvider makes an issuer one that the account trusts. It
// is not asked anything: its keys are fetched when the first token comes, and
// its certificate is then held against the system's authorities, not against
// thumbprints, which are kept and shown only.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.CreateOpenIDConnectProviderInput) (*model.CreateOpenIDConnectProviderOutput, error) {
	issuer, fault := providerURL(*in.Url)
	p := &providerRow{account: c.Principal.Account, url: issuer, thumbprints: in.ThumbprintList, created: api.At(c.Time)}
	target := call.Target{ARN: p.arn(), Keys: conditionKeys(c, nil, "")}
	if fault != nil {
		target.ARN = arnOf(p.account, "oidc-provider", "/", "*")
	}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("iam:TagOpenIDConnectProvider", target); err != nil {
			return nil, err
		}
	}
	if fault != nil {
		return nil, fault
	}
	for _, id := range in.ClientIDList {
		p.addClient(id)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	var err error
	if p.tags, err = tagsOf(in.Tags); err != nil {
		return nil, err
	}
	if err := s.insertProvider(ctx, p); err != nil {
		return nil, err
	}
	return &model.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: new(p.arn()), Tags: p.tags.model()}, nil
}

func (s *Service) insertProvider(ctx context.Context, p *providerRow) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		added, err := insertProvider(tx, p)
		if err != nil {
			return err
		}
		if !added {
			return model.EntityAlreadyExists("Provider with url https://%s already exists.", p.url)
		}
		held, err := selectProviders(tx, p.account)
		if err == nil && len(held) > maxProviders {
			err = exceeds("OpenIdConnectProvidersPerAccount", maxProviders)
		}
		return err
	})
}

// addClient adds an audience, if it is not there.
func (p *providerRow) addClient(id string) {
	if !slices.Contains(p.clients, id) {
		p.clients = append(p.clients, id)
	}
}

// check holds a provider against the quotas.
func (p *providerRow) check() error {
	switch {
	case len(p.clients) > maxClients:
		return exceeds("ClientIdsPerOpenIdConnectProvider", maxClients)
	case len(p.thumbprints) > maxThumbprints:
		return model.InvalidInput("Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	}
	return nil
}

// GetOpenIDConnectProvider shows a provider.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetOpenIDConnectProvider.html
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.GetOpenIDConnectProviderInput) (*model.GetOpenIDConnectProviderOutput, error) {
	p, err := s.lookProvider(ctx, c, *in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &model.GetOpenIDConnectProviderOutput{
		Url: new(p.shownURL()), ClientIDList: p.clients, ThumbprintList: p.thumbprints, CreateDate: &p.created, Tags: p.tags.model(),
	}, nil
}

// shownURL is the URL as AWS shows it, without its scheme, unless it has a port:
// who reads it as a URL, as Terraform does to compare it, finds none in
// host:port.
func (p *providerRow) shownURL() string {
	if host, _, _ := strings.Cut(p.url, "/"); strings.Contains(host, ":") {
		return "https://" + p.url
	}
	return p.url
}

// ListOpenIDConnectProviders lists the providers of the account, in the order
// of their URLs.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, c *call.Call, _ *model.ListOpenIDConnectProvidersInput) (*model.ListOpenIDConnectProvidersOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	var held []providerRow
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		held, err = selectProviders(tx, c.Principal.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := []model.OpenIDConnectProviderListEntry{}
	for i := range held {
		all = append(all, model.OpenIDConnectProviderListEntry{Arn: new(held[i].arn())})
	}
	return &model.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: all}, nil
}

// AddClientIDToOpenIDConnectProvider adds an audience that tokens may be for.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.AddClientIDToOpenIDConnectProviderInput) (*model.AddClientIDToOpenIDConnectProviderOutput, error) {
	return nil, s.changeProvider(ctx, c, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.addClient(*in.ClientID)
		return p.check()
	})
}

// RemoveClientIDFromOpenIDConnectProvider removes an audience, if it is there.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveClientIDFromOpenIDConnectProvider.html
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.RemoveClientIDFromOpenIDConnectProviderInput) (*model.RemoveClientIDFromOpenIDConnectProviderOutput, error) {
	return nil, s.changeProvider(ctx, c, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.clients = slices.DeleteFunc(p.clients, func(id string) bool { return id == *in.ClientID })
		return nil
	})
}

// UpdateOpenIDConnectProviderThumbprint sets the thumbprints.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateOpenIDConnectProviderThumbprint.html
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, c *call.Call, in *model.UpdateOpenIDConnectProviderThumbprintInput) (*model.UpdateOpenIDConnectProviderThumbprintOutput, error) {
	return nil, s.changeProvider(ctx, c, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.thumbprints = in.ThumbprintList
		return p.check()
	})
}

// DeleteOpenIDConnectProvider deletes a provider, if it is there.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteOpenIDConnectProvider.html
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.DeleteOpenIDConnectProviderInput) (*model.DeleteOpenIDConnectProviderOutput, error) {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		p, err := permittedProvider(tx, c, *in.OpenIDConnectProviderArn, tx.ForUpdate())
		if err != nil {
			return err
		}
		return deleteProvider(tx, p.account, p.url)
	})
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "NoSuchEntity" {
		err = nil
	}
	return nil, err
}

// TagOpenIDConnectProvider sets tags of a provider.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagOpenIDConnectProvider.html
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.TagOpenIDConnectProviderInput) (*model.TagOpenIDConnectProviderOutput, error) {
	return nil, s.changeProvider(ctx, c, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		set, err := tagsOf(in.Tags)
		if err != nil {
			return err
		}
		p.tags, err = p.tags.with(set)
		return err
	})
}

// UntagOpenIDConnectProvider removes tags of a provider by their keys.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagOpenIDConnectProvider.html
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, c *call.Call, in *model.UntagOpenIDConnectProviderInput) (*model.UntagOpenIDConnectProviderOutput, error) {
	return nil, s.changeProvider(ctx, c, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.tags = p.tags.without(in.TagKeys)
		return nil
	})
}

// ListOpenIDConnectProviderTags lists the tags of a provider.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviderTags.html
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, c *call.Call, in *model.ListOpenIDConnectProviderTagsInput) (*model.ListOpenIDConnectProviderTagsOutput, error) {
	p, err := s.lookProvider(ctx, c, *in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, p.tags.sorted(), tagName)
	if err != nil {
		return nil, err
	}
	return &model.ListOpenIDConnectProviderTagsOutput{Tags: page, IsTruncated: new(next != nil), Marker: next}, nil
}

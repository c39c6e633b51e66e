package kms

import (
	"context"
	"database/sql/driver"
	"maps"
	"slices"
	"strings"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A grant lets one principal do some things with a key, as a statement in the
// key's policy would that names it.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
type grant struct {
	id, keyARN, name string
	grantee          string // as iam.StorePrincipal has it, or the name of a service
	retiring         string // the same; "" for nobody
	issuer           string // account whose principal made it
	operations       texts
	constraints      constraints
	created          api.Timestamp

	document *policy.Document // nil in a grant that is not to decide
}

// texts is a list as the database keeps it.
type texts []string

func (t texts) Value() (driver.Value, error) { return store.JSONList([]string(t)) }
func (t *texts) Scan(column any) error       { return store.ScanJSON(column, (*[]string)(t)) }

// constraints narrow a grant down. The zero constraints do not.
type constraints struct {
	Subset    map[string]string `json:"subset,omitzero"`
	Equals    map[string]string `json:"equals,omitzero"` // empty: only requests without a context
	SourceARN string            `json:"source,omitempty"`
}

func (c constraints) Value() (driver.Value, error) { return store.JSON(c) }
func (c *constraints) Scan(column any) error       { return store.ScanJSON(column, c) }

func (c *constraints) bindContext() bool { return c.Subset != nil || c.Equals != nil }

// admit says whether a request with an encryption context, for a resource of a
// service's, is within the constraints.
func (c *constraints) admit(ec map[string]string, sourceARN string) bool {
	if c.Equals != nil && !maps.Equal(c.Equals, ec) || c.SourceARN != "" && c.SourceARN != sourceARN {
		return false
	}
	for name, value := range c.Subset {
		if held, there := ec[name]; !there || held != value {
			return false
		}
	}
	return true
}

// cover says whether what inner admits is admitted by c, too.
func (c *constraints) cover(inner *constraints) bool {
	if c.SourceARN != "" && c.SourceARN != inner.SourceARN || c.Equals != nil && !maps.Equal(c.Equals, inner.Equals) {
		return false
	}
	for name, value := range c.Subset {
		if inner.Equals[name] != value && inner.Subset[name] != value {
			return false
		}
	}
	return true
}

// withContext are the operations of grants whose requests have an encryption
// context.
var withContext = []string{
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"ReEncryptFrom", "ReEncryptTo",
}

// compile makes the grant ready to decide.
func (g *grant) compile() (err error) {
	kind := "AWS"
	if strings.HasSuffix(g.grantee, ".amazonaws.com") {
		kind = "Service"
	}
	g.document, err = policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*","Principal":{"`+kind+`":"`+g.grantee+
		`"},"Action":["kms:`+strings.Join(g.operations, `","kms:`)+`"]}}`, policy.Key)
	return err
}

// A grantSet is the grants of a key to one grantee, as the cache keeps it.
type grantSet struct {
	keyARN string
	rev    int64 // of the key
	grants []grant
}

func (s *grantSet) size() int64 { return 256 + 2048*int64(len(s.grants)) }

func (s *grantSet) stamp() store.Stamp { return store.Stamp{ID: s.keyARN, Rev: s.rev} }

func grantKey(keyARN, grantee string) string { return keyARN + "|" + grantee }

func (s *Service) loadGrants(tx *store.Tx, at string) (*grantSet, error) {
	keyARN, grantee, _ := strings.Cut(at, "|")
	rev, err := selectRev(tx, keyARN)
	if err != nil {
		return nil, err
	}
	grants, err := grantsTo(tx, keyARN, grantee)
	return &grantSet{keyARN: keyARN, rev: rev, grants: grants}, err
}

func grantsTo(tx *store.Tx, keyARN, grantee string) ([]grant, error) {
	grants, err := selectGrantsTo(tx, keyARN, grantee)
	for i := range grants {
		if err == nil {
			err = grants[i].compile()
		}
	}
	return grants, err
}

// granter finds the grants of a key to a grantee.
type granter func(keyARN, grantee string) ([]grant, error)

// cached finds grants for a call outside of a transaction.
func (s *Service) cached(ctx context.Context, c *call.Call) granter {
	return func(keyARN, grantee string) ([]grant, error) {
		set, err := s.grants.Get(ctx, c.Reads, grantKey(keyARN, grantee))
		if err != nil {
			return nil, err
		}
		return set.grants, nil
	}
}

// within finds grants in a transaction.
func within(tx *store.Tx) granter {
	return func(keyARN, grantee string) ([]grant, error) { return grantsTo(tx, keyARN, grantee) }
}

// allow decides about a key that is there: the key's policy has to consent, by
// itself or by leaving it to the account's own policies, or else a grant, which
// is then returned. Nothing overrules a statement that denies.
// https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
func (s *Service) allow(c *call.Call, action string, k *Key, grants granter) (by *grant, err error) {
	denied := c.AllowAction(action, k.target(c))
	if denied == nil || c.Decision.Explicit || !k.granted {
		return nil, denied
	}
	for _, grantee := range grantees(c) {
		held, err := grants(k.ARN, grantee)
		if err != nil {
			return nil, err
		}
		for i := range held {
			g := &held[i]
			if !g.bears(c, action) {
				continue
			}
			target := k.target(c)
			target.Policy = g.document
			if d := c.Would(action, target); d.Allowed {
				c.Decision = d
				return g, nil
			}
		}
	}
	return nil, denied
}

// bears says whether a grant is about what a call does, within its constraints.
func (g *grant) bears(c *call.Call, action string) bool {
	operation := strings.TrimPrefix(action, "kms:")
	if !slices.Contains(g.operations, operation) {
		return false
	}
	if g.constraints.bindContext() && !slices.Contains(withContext, operation) {
		return true // such as DescribeKey, which constraints say nothing about
	}
	return g.constraints.admit(encryptionContext(c.Input), c.SourceARN)
}

// grantees are the names by which grants may know the caller.
func grantees(c *call.Call) []string {
	p := &c.Principal
	var names []string
	for _, name := range []string{p.ID, p.ARN, p.Entity, "arn:aws:iam::" + p.Account + ":root"} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

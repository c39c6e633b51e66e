package secretsmanager

import (
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A secret is a row of the secrets table with what hangs on it. A *secret in
// the hands of an operation is proof that the call was allowed: only
// authorized, update and the pages of a list hand them out.
type secret struct {
	id                    string // ours, never shown
	account, region, name string
	suffix                string
	rev                   int64
	description           string
	kmsKeyID              string // as the caller gave it; "" for aws/secretsmanager
	policyText            string // the resource policy; "" for none
	stages                labels // in one from the cache nil until placed has been called
	held                  int    // versions, deprecated ones too
	tags                  tags
	tagged                bool // has or had tags
	created, changed      api.Timestamp
	accessed              api.Timestamp  // a day, 0 before the first read
	deleted               *api.Timestamp // planned end, nil unless scheduled

	fullARN string // "" if it has not been asked for often
	policy  *policy.Document

	versions []version // only in one from the cache: those with a staging label, oldest first
}

// A version is one value of a secret.
type version struct {
	id       string
	stages   []string // in byte order; nil for a deprecated version
	kind     string   // kindString, kindBinary, or "" before it has a value
	kmsKey   string   // ARN of the key that sealed dataKey; "" for aws/secretsmanager
	dataKey  []byte   // sealed by KMS
	value    []byte   // sealed by the data key
	created  api.Timestamp
	accessed api.Timestamp
}

const (
	kindString = "string"
	kindBinary = "binary"
)

func (s *secret) arn() string {
	if s.fullARN != "" {
		return s.fullARN
	}
	return arnOf(s.account, s.region, s.name, s.suffix)
}

func (s *secret) key() string { return cacheKey(s.account, s.region, s.name) }

func cacheKey(account, region, name string) string { return account + "/" + region + "/" + name }

// splitCacheKey undoes cacheKey: of the three only a name can hold a slash.
func splitCacheKey(key string) (account, region, name string) {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ = strings.Cut(rest, "/")
	return account, region, name
}

// gone says whether the recovery window is over: such a secret does not exist
// any more, whether or not the purge has come by.
func (s *secret) gone(now api.Timestamp) bool { return s.deleted != nil && *s.deleted <= now }

// alive refuses what may not be done to a secret that is scheduled for
// deletion.
func (s *secret) alive() error {
	if s.deleted != nil {
		return model.InvalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return nil
}

// placed says where the staging labels are.
func (s *secret) placed() labels {
	if s.stages == nil {
		s.stages = make(labels, len(s.versions))
		for _, v := range s.versions {
			for _, label := range v.stages {
				s.stages[label] = v.id
			}
		}
	}
	return s.stages
}

// staged finds the version that has a staging label, in a secret from the
// cache; nil if there is none.
func (s *secret) staged(label string) *version {
	for i := range s.versions {
		if slices.Contains(s.versions[i].stages, label) {
			return &s.versions[i]
		}
	}
	return nil
}

// labelled finds a version that has any label, in a secret from the cache.
func (s *secret) labelled(id string) *version {
	for i := range s.versions {
		if s.versions[i].id == id {
			return &s.versions[i]
		}
	}
	return nil
}

// loadSecret reads the secret that has a name, without any check of who asks
// and without its versions. suffix is that of a locking read, or "".
func loadSecret(tx *store.Tx, account, region, name, suffix string) (*secret, error) {
	sec, err := selectSecret(tx, account, region, name, suffix)
	if err != nil {
		return nil, err
	}
	return sec, sec.complete()
}

// complete makes what is made of a row once.
func (s *secret) complete() (err error) {
	s.fullARN = s.arn()
	if s.policyText != "" {
		s.policy, err = policy.Parse(s.policyText, policy.Resource)
	}
	return err
}

// loadSnapshot is what the cache keeps: loadSecret with the labelled versions
// and their sealed values, which a read needs.
func loadSnapshot(tx *store.Tx, account, region, name string) (kept, error) {
	sec, err := loadSecret(tx, account, region, name, "")
	if err != nil {
		return kept{}, err
	}
	if sec.versions, err = selectLabelled(tx, sec); err != nil {
		return kept{}, err
	}
	return sec.keep(), nil
}

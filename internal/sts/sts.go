// Package sts says who makes a request: it finds the principal behind a
// signature and proves it. It also serves AWS's STS API, version 2011-06-15,
// which makes sessions: temporary credentials of roles, users and federated
// users.
package sts

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/oidc"
	"azekura/internal/organizations"
	"azekura/internal/seal"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/throttle"
)

// Config is what a Service works with. All fields but CacheBytes are needed.
type Config struct {
	IAM           *iam.Service
	Organizations *organizations.Service
	Keyring       *seal.Keyring  // seals sessions
	OIDC          *oidc.Verifier // asks issuers of web identities
	Regions       []string       // served; a request signed for another is refused, but see regionsOf
	// CacheBytes bounds the memory for sessions in use; 0 stands for 8 MiB.
	CacheBytes int64
}

// A Service authenticates and makes sessions. It may be used concurrently.
type Service struct {
	iam     *iam.Service
	orgs    *organizations.Service
	ring    *seal.Keyring
	issuers *oidc.Verifier
	regions []string // served
	global  []string // and that of the services that are in no region
	tokens  *tokenCache
	codes   *throttle.Failures // of multi-factor devices
	wrong   atomic.Uint64      // codes
	guesses *guesses
}

// Wrong codes of a device: some pass, then one in each of a code's lives. A
// thief of an access key, who has three codes in a million right at a time,
// would guess for months.
const (
	freeCodes = 5
	codePause = 30 * time.Second
)

// globalRegion is that of AWS's services that are in no region.
const globalRegion = "us-east-1"

// regionsOf are those that a request for a service may be signed for. IAM and
// Organizations are in no region, and STS has an endpoint that is in none:
// clients sign for us-east-1 then, whichever regions are served.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_region-endpoints.html
func (s *Service) regionsOf(service string) []string {
	switch service {
	case "iam", "organizations", "sts":
		return s.global
	}
	return s.regions
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 8 << 20
	}
	global := cfg.Regions
	if !slices.Contains(global, globalRegion) {
		global = append(slices.Clip(global), globalRegion)
	}
	return &Service{
		iam: cfg.IAM, orgs: cfg.Organizations, ring: cfg.Keyring, issuers: cfg.OIDC, regions: cfg.Regions, global: global,
		tokens: newTokenCache(cfg.CacheBytes), codes: throttle.NewFailures(freeCodes, codePause), guesses: newGuesses(),
	}
}

// Authenticate finds out who made a request for a service, in two stages. What
// can be refused without the body is refused at once, so that strangers cannot
// make the server read one. The function it returns takes the body's hash,
// checks the signature, and makes the call, with Region, Principal, Policies and
// AccessKeyID. It may be called once, while r is still as it was received.
//
// Who signs wrongly too often, with one access key and from one address, has to
// wait: the answer is then that of a quota that is used up.
//
// What the call, or a refusal, goes by is to be confirmed by reads, unless they
// are nil.
//
// Refusals are of type *sigv4.Error or *api.Error; any other error is the
// server's own. An unknown access key and a wrong signature are told apart, as
// AWS does: access key ids are no secret, so neither is hidden by taking the
// same time.
func (s *Service) Authenticate(r *http.Request, service string, from netip.Addr, now time.Time, reads *store.Reads) (func(bodySHA256 [sha256.Size]byte) (*call.Call, error), error) {
	claim, err := sigv4.Parse(r)
	if err != nil {
		return nil, err
	}
	if err := claim.CheckScope(service, s.regionsOf(service)); err != nil {
		return nil, err
	}
	if err := claim.CheckTime(now); err != nil {
		return nil, err
	}
	if err := s.guesses.before(from, claim.AccessKeyID, now); err != nil {
		return nil, err
	}
	who, err := s.caller(r.Context(), reads, claim, now)
	if err != nil {
		return nil, s.guesses.unknown(from, now, err)
	}
	return func(bodySHA256 [sha256.Size]byte) (*call.Call, error) {
		if err := claim.Verify(r, who.signingKey(claim), bodySHA256); err != nil {
			s.guesses.wrong(from, claim.AccessKeyID, now)
			return nil, err
		}
		who.used(s.iam, claim, now)
		return &call.Call{
			Region:      claim.Region,
			Principal:   *who.principal,
			Policies:    who.policies,
			AccessKeyID: claim.AccessKeyID,
		}, nil
	}, nil
}

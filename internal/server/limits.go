package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/throttle"
)

// proxies are TrustedProxies, parsed. An address is a network of one.
func (c *Config) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if a, errAddr := netip.ParseAddr(text); errAddr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("trusted-proxy %q: it takes addresses, and networks such as 10.0.0.0/8", text)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("trusted-proxy %q: whoever can reach the server could then name any address as its own; name the proxies", text)
		}
		all = append(all, p)
	}
	return all, nil
}

// Of the operations that need no signature, AssumeRoleWithWebIdentity, one
// address may call so many at once, and then one in each pause. Each makes the
// server verify a stranger's token.
const (
	strangerBurst = 200
	strangerPause = 20 * time.Millisecond
)

// admit counts calls against RateLimits. Their operations must be served: a
// misspelt one would be no limit at all.
func (c *Config) admit(services []call.Service) (func(*call.Call) time.Duration, error) {
	limits, err := throttle.Parse(c.RateLimits)
	if err != nil {
		return nil, fmt.Errorf("rate-limit: %w", err)
	}
	served := map[string]map[string]string{} // the quota's name of an operation, by service and operation
	for _, s := range services {
		served[s.Name] = map[string]string{}
		for _, op := range s.Ops {
			served[s.Name][op.Name] = s.Name + ":" + op.Name
		}
	}
	for _, setting := range c.RateLimits {
		name, _, own := strings.Cut(setting, "=")
		service, op, _ := strings.Cut(name, ":")
		if own && served[service][op] == "" {
			return nil, fmt.Errorf("rate-limit %q: there is no such operation", setting)
		}
	}
	if slices.Equal(c.RateLimits, []string{"off"}) {
		return nil, nil
	}
	calls, strangers := throttle.NewCalls(limits), throttle.NewFailures(strangerBurst, strangerPause)
	return func(c *call.Call) time.Duration {
		if c.Principal.Kind == policy.Anonymous { // of no account that could have a quota
			return strangers.Begin(throttle.Sender(c.SourceIP), c.Op, c.Time)
		}
		return calls.Take(c.Principal.Account, c.Region, served[c.Service][c.Op], c.Time)
	}, nil
}

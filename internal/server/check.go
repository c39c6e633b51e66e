package server

import (
	"errors"
	"fmt"
	"regexp"

	"azekura/internal/throttle"
)

// check finds what is wrong with a configuration before anything is touched.
func (c *Config) check() error {
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(c.AccountID) {
		return fmt.Errorf("account-id %q: it takes 12 digits", c.AccountID)
	}
	if len(c.Regions) == 0 {
		return errors.New("region: at least one is needed")
	}
	region := regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	for _, r := range c.Regions {
		if !region.MatchString(r) {
			return fmt.Errorf("region %q: it takes names such as us-east-1", r)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls-cert and tls-key: one is useless without the other")
	}
	if c.DatabaseURL != "" && c.DataDir == "" {
		return errors.New("database-url: it needs a data-dir too, for the root key; without one nothing is kept")
	}
	if err := c.Seal.Check(); err != nil {
		return err
	}
	if c.MaxStale < 0 {
		return fmt.Errorf("max-stale %s: it takes 0, which is off, or more", c.MaxStale)
	}
	if c.EndpointURL != "" {
		if err := checkEndpoint(c.EndpointURL); err != nil {
			return err
		}
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	if _, err := throttle.Parse(c.RateLimits); err != nil {
		return fmt.Errorf("rate-limit: %w", err)
	}
	if _, err := c.metricsAddress(); err != nil {
		return err
	}
	_, err := c.address()
	return err
}

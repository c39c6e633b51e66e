package call

import (
	"strconv"
	"strings"
	"time"

	"azekura/internal/policy"
)

// keyValues holds the values of the condition keys that the decisions about a
// call have asked for, each found out once. The first few need no memory of
// their own.
type keyValues struct {
	used   int
	names  [8]string
	values [8][1]string
}

// Value makes of one value the list that policy.Keys returns, in the call's
// own memory as long as there is some.
func (c *Call) Value(value string) ([]string, bool) { return c.keep("", value), true }

// ValueIfAny is Value, or for "" that of a key that the call does not have.
func (c *Call) ValueIfAny(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return c.Value(value)
}

func (c *Call) keep(name, value string) []string {
	k := &c.keys
	if k.used == len(k.names) {
		return []string{value}
	}
	k.names[k.used], k.values[k.used][0] = name, value
	k.used++
	return k.values[k.used-1][:]
}

// Learn gives the call a condition key, in lower case, that is not to be found
// in the request as it is and has been looked up before anything is decided.
func (c *Call) Learn(key, value string) { c.keep(key, value) }

// key looks up a condition key, in lower case, for a decision about a target.
func (c *Call) key(t *Target, key string) ([]string, bool) {
	for i := range c.keys.used {
		if c.keys.names[i] == key {
			return c.keys.values[i][:], true
		}
	}
	own, global := strings.CutPrefix(key, "aws:")
	if values, ok := c.Principal.Claims[key]; ok && !global {
		return values, true
	}
	if !global || isTargets(own) {
		if t.Keys == nil {
			return nil, false
		}
		return t.Keys(key)
	}
	switch own {
	case "resourceaccount":
		return c.ValueIfAny(t.owner(c))
	case "resourceorgid":
		return c.ValueIfAny(t.organization(c))
	case "calledvia":
		return c.Via, len(c.Via) > 0
	case "principalorgpaths":
		return c.ValueIfAny(c.Principal.OrganizationPath)
	}
	value, present := c.principalKey(own)
	if !present {
		value, present = c.requestKey(own)
	}
	if !present {
		return nil, false
	}
	return c.keep(key, value), true
}

// isTargets says whether a global key is about what the call acts on.
func isTargets(own string) bool {
	return own == "tagkeys" || strings.HasPrefix(own, "resourcetag/") || strings.HasPrefix(own, "requesttag/")
}

// owner is the account of the target, "" if it has none.
func (t *Target) owner(c *Call) string {
	if t.Account != "" || t.ARN == "*" {
		return t.Account
	}
	const account = 4
	for i, part := range strings.SplitN(t.ARN, ":", account+2) {
		if i == account {
			return part
		}
	}
	return ""
}

// organization is the id of the organization that the target's account belongs
// to, "" if it has none. All accounts of a deployment belong to one, so it is
// the caller's; but not that of what AWS itself owns.
func (t *Target) organization(c *Call) string {
	switch t.owner(c) {
	case "", "aws":
		return ""
	}
	return c.Principal.Organization
}

// principalKey is the part of a condition key about the caller, without aws:.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (c *Call) principalKey(key string) (value string, present bool) {
	p := &c.Principal
	temporary, signed := !p.Issued.IsZero(), p.Kind != policy.Anonymous && p.Kind != policy.Provider
	if tag, ok := strings.CutPrefix(key, "principaltag/"); ok {
		value, present = p.Tags[tag]
		return value, present
	}
	switch key {
	case "principalarn":
		if p.Kind == policy.Role {
			return p.Entity, true
		}
		return p.ARN, signed && p.Kind != policy.Service
	case "principalaccount":
		return p.Account, signed && p.Account != ""
	case "principaltype":
		return p.keyType(), true
	case "principalorgid":
		return p.Organization, p.Organization != ""
	case "principalisawsservice":
		return strconv.FormatBool(p.Kind == policy.Service), signed
	case "principalservicename":
		return p.ARN, p.Kind == policy.Service
	case "userid":
		return p.UserID(), p.Kind != policy.Service
	case "username":
		return p.UserName, p.Kind == policy.User
	case "tokenissuetime":
		return p.Issued.UTC().Format(time.RFC3339), temporary
	case "multifactorauthpresent":
		return strconv.FormatBool(!p.MFATime.IsZero()), temporary || !p.MFATime.IsZero()
	case "multifactorauthage":
		return strconv.FormatInt(int64(c.Time.Sub(p.MFATime)/time.Second), 10), !p.MFATime.IsZero()
	case "sourceidentity":
		return p.SourceIdentity, p.SourceIdentity != ""
	case "federatedprovider":
		return p.Provider, p.Provider != ""
	}
	return "", false
}

// requestKey is the part of a condition key about the request, without aws:.
func (c *Call) requestKey(key string) (value string, present bool) {
	direct := len(c.Via) == 0
	switch key {
	case "sourceip":
		return c.SourceIP.Unmap().WithZone("").String(), direct && c.SourceIP.IsValid()
	case "securetransport":
		return strconv.FormatBool(c.Secure || !direct), true
	case "useragent":
		return c.UserAgent, c.UserAgent != ""
	case "referer":
		return c.Referer, c.Referer != ""
	case "currenttime":
		return c.Time.UTC().Format(time.RFC3339), true
	case "epochtime":
		return strconv.FormatInt(c.Time.Unix(), 10), true
	case "requestedregion":
		return c.Region, c.Region != ""
	case "viaawsservice":
		return strconv.FormatBool(!direct), true
	case "calledviafirst":
		if !direct {
			return c.Via[0], true
		}
	case "calledvialast":
		if !direct {
			return c.Via[len(c.Via)-1], true
		}
	case "sourcearn":
		return c.SourceARN, c.SourceARN != ""
	case "sourceaccount":
		return c.SourceAccount, c.SourceAccount != ""
	}
	return "", false
}

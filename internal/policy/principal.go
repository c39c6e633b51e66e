package policy

import (
	"fmt"
	"slices"
	"strings"

	"azekura/internal/arn"
)

// principals is who a statement names.
type principals struct {
	everyone  bool
	aws       []string // ARNs and unique ids
	accounts  []string // whole accounts, by id
	services  []string
	providers []string // who vouches for federated users
	others    []string // canonical users of S3: they name nobody here
}

// principalKeys are the names in a Principal, in AWS's spelling.
var principalKeys = []string{"AWS", "Service", "Federated", "CanonicalUser"}

// readPrincipals checks the value of a Principal or NotPrincipal.
func readPrincipals(n node) (principals, *SyntaxError) {
	var p principals
	if n.kind == stringNode {
		if n.text != "*" {
			return p, badPrincipal("", n.text)
		}
		p.everyone = true
		return p, nil
	}
	if n.kind != objectNode || len(n.members) == 0 {
		return p, syntax("a principal is \"*\" or an object")
	}
	for _, m := range n.members {
		values, ok := m.value.texts()
		if !ok || len(values) == 0 {
			return p, syntax("principal %.40q: want a string or a list of strings", m.name)
		}
		if !slices.Contains(principalKeys, m.name) {
			return p, syntax("unknown kind of principal %.40q", m.name)
		}
		for _, v := range values {
			if !p.add(m.name, v) {
				return p, badPrincipal(m.name, v)
			}
		}
	}
	return p, nil
}

func badPrincipal(key, value string) *SyntaxError {
	label := ""
	if key != "" {
		label = `"` + key + `":`
	}
	return &SyntaxError{
		Message:       fmt.Sprintf(`Invalid principal in policy: %s"%.2048s"`, label, value),
		Principal:     value,
		PrincipalType: key,
	}
}

func (p *principals) add(key, value string) bool {
	switch key {
	case "AWS":
		return p.addAWS(value)
	case "Service":
		p.services = append(p.services, value)
		return isService(value)
	case "Federated":
		p.providers = append(p.providers, value)
		return isProvider(value)
	}
	p.others = append(p.others, value)
	return len(value) == 64 && isOnly(value, "0123456789abcdef")
}

func (p *principals) addAWS(value string) bool {
	switch {
	case value == "*":
		p.everyone = true
		return true
	case len(value) == 12 && isDigits(value):
		p.accounts = append(p.accounts, value)
		return true
	case isUniqueID(value):
		p.aws = append(p.aws, value)
		return true
	}
	a, err := arn.Parse(value)
	if err != nil || strings.ContainsAny(a.Resource, "*?") || a.Region != "" || !isDigits(a.Account) {
		return false
	}
	if a.Service == "iam" && a.Resource == "root" {
		p.accounts = append(p.accounts, a.Account)
		return true
	}
	p.aws = append(p.aws, value)
	kind, name, _ := strings.Cut(a.Resource, "/")
	if a.Service == "iam" {
		return (kind == "user" || kind == "role") && name != "" && !strings.HasSuffix(name, "/")
	}
	role, session, _ := strings.Cut(name, "/")
	switch {
	case a.Service != "sts" || role == "":
		return false
	case kind == "assumed-role":
		return session != "" && !strings.Contains(session, "/")
	}
	return kind == "federated-user" && session == ""
}

func isDigits(s string) bool { return s != "" && isOnly(s, digits) }

// isUniqueID says whether s is the id of a user or a role, which is what IAM
// stores in place of its ARN.
func isUniqueID(s string) bool {
	return (strings.HasPrefix(s, "AIDA") || strings.HasPrefix(s, "AROA")) && len(s) >= 16 && len(s) <= 128 &&
		isOnly(s, uppers+digits)
}

func isService(s string) bool {
	name, isAWS := strings.CutSuffix(strings.TrimSuffix(s, ".cn"), ".amazonaws.com")
	return isAWS && name != "" && isHost(name)
}

// isProvider says whether s names who vouches for federated users: a web
// identity's host, or the ARN of a provider registered with IAM.
func isProvider(s string) bool {
	if a, err := arn.Parse(s); err == nil {
		kind, name, _ := strings.Cut(a.Resource, "/")
		return a.Service == "iam" && isDigits(a.Account) && name != "" && (kind == "oidc-provider" || kind == "saml-provider")
	}
	return strings.Contains(s, ".") && isHost(s)
}

func isHost(s string) bool {
	return !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && len(s) <= 253 &&
		isOnly(s, lowers+digits+"-.")
}

// IsPrincipal says whether a text names a principal of AWS as a policy's
// "Principal": {"AWS": ...} does, and not everyone.
func IsPrincipal(text string) bool { return text != "*" && new(principals).addAWS(text) }

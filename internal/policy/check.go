package policy

import (
	"fmt"
	"slices"
	"strings"
)

// IAM's texts for what a document can get wrong.
const (
	messageSyntax    = "Syntax errors in policy."
	messageJSON      = "This policy contains invalid Json"
	messageVersion   = "Policy document must be version 2012-10-17 or greater."
	messageLegacy    = "The policy failed legacy parsing"
	messageSid       = "Statement IDs (SID) in a single policy must be unique."
	messageActions   = "Policy statement must contain actions."
	messageResources = "Policy statement must contain resources."
	messageNoVendor  = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	messageColons    = "Actions/Condition can contain only one colon."
	messageRegexes   = "Resource vendor must be fully qualified and cannot contain regexes."
	messagePrincipal = "Policy document should not specify a principal."
	messageNobody    = "Missing required field Principal"
	messageForbidden = "Has prohibited field %s."
	messageAssume    = "AssumeRole policy may only specify STS AssumeRole actions."
)

const (
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	uppers  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	letters = lowers + uppers
)

// isOnly says whether s holds no character but those of set.
func isOnly(s, set string) bool { return strings.Trim(s, set) == "" }

// check goes through what a document can get wrong in the order in which IAM
// does: each rule over all statements before the next rule.
func (d *draft) check(kind Kind) *SyntaxError {
	for _, rule := range []func(Kind) *SyntaxError{
		d.checkShape,
		d.checkVersion,
		d.each((*draftStatement).checkLegacy),
		d.checkSids,
		d.each((*draftStatement).checkActions),
		d.each((*draftStatement).checkConditionKeys),
		d.checkResources,
		d.checkPrincipals,
		d.checkVariables,
	} {
		if fault := rule(kind); fault != nil {
			return fault
		}
	}
	return nil
}

// each is a rule for statements of any kind.
func (d *draft) each(rule func(*draftStatement) *SyntaxError) func(Kind) *SyntaxError {
	return func(Kind) *SyntaxError {
		for i := range d.statements {
			if fault := rule(&d.statements[i]); fault != nil {
				return d.statements[i].at(fault)
			}
		}
		return nil
	}
}

// at tells the operator which statement a fault is in.
func (s *draftStatement) at(fault *SyntaxError) *SyntaxError {
	detail := "statement " + s.label
	if fault.Detail != "" {
		detail += ": " + fault.Detail
	}
	return &SyntaxError{Message: fault.Message, Detail: detail, Principal: fault.Principal, PrincipalType: fault.PrincipalType}
}

func (d *draft) checkShape(kind Kind) *SyntaxError {
	sid := letters + digits
	if kind.namesPrincipals() {
		sid += " "
	}
	return d.each(func(s *draftStatement) *SyntaxError {
		switch {
		case !isOnly(s.sid, sid):
			return syntax("Sid: want letters and digits")
		case s.action != nil && s.notAction != nil:
			return syntax("both Action and NotAction")
		case s.resource != nil && s.notResource != nil:
			return syntax("both Resource and NotResource")
		case s.principal != nil && s.notPrincipal != nil:
			return syntax("both Principal and NotPrincipal")
		}
		return nil
	})(kind)
}

func (d *draft) checkVersion(kind Kind) *SyntaxError {
	if !kind.namesPrincipals() && d.version != currentVersion {
		return &SyntaxError{Message: messageVersion}
	}
	return nil
}

func (s *draftStatement) checkLegacy() *SyntaxError {
	if s.effect != "Allow" && s.effect != "Deny" {
		return &SyntaxError{Message: messageLegacy, Detail: "Effect is Allow or Deny"}
	}
	for _, r := range slices.Concat(s.resource, s.notResource) {
		if strings.Count(r, ":") < arnSegments-1 && strings.Contains(r, "::") {
			return &SyntaxError{Message: messageLegacy, Detail: fmt.Sprintf("resource %.100q has too few parts", r)}
		}
	}
	return nil
}

// checkSids refuses a Sid given twice. An empty one, which Terraform writes
// into every statement, is none.
func (d *draft) checkSids(Kind) *SyntaxError {
	seen := map[string]bool{"": false}
	for i := range d.statements {
		s := &d.statements[i]
		if seen[s.sid] {
			return s.at(&SyntaxError{Message: messageSid})
		}
		seen[s.sid] = s.sid != ""
	}
	return nil
}

func (s *draftStatement) checkActions() *SyntaxError {
	actions := slices.Concat(s.action, s.notAction)
	if len(actions) == 0 {
		return &SyntaxError{Message: messageActions}
	}
	for _, a := range actions {
		if fault := checkAction(a); fault != nil {
			return fault
		}
	}
	return nil
}

func checkAction(action string) *SyntaxError {
	if action == "*" {
		return nil
	}
	vendor, name, found := strings.Cut(action, ":")
	switch {
	case !found:
		return &SyntaxError{Message: messageNoVendor, Detail: fmt.Sprintf("action %.100q", action)}
	case strings.Contains(name, ":"):
		return &SyntaxError{Message: messageColons, Detail: fmt.Sprintf("action %.100q", action)}
	case vendor != "*" && (vendor == "" || !isOnly(vendor, letters+digits+"-.")):
		return &SyntaxError{Message: fmt.Sprintf("Vendor %.2048s is not valid", vendor)}
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return syntax("action %.100q: bad name", action)
	}
	return nil
}

func (s *draftStatement) checkConditionKeys() *SyntaxError {
	for _, c := range s.conditions {
		if strings.IndexByte(c.key, ':') < 1 {
			return &SyntaxError{Message: messageNoVendor, Detail: fmt.Sprintf("condition key %.100q", c.key)}
		}
	}
	return nil
}

func (d *draft) checkResources(kind Kind) *SyntaxError {
	if kind == Trust {
		return d.each((*draftStatement).checkTrust)(kind)
	}
	return d.each((*draftStatement).checkResources)(kind)
}

// checkTrust checks what is particular to roles' trust policies. That NotAction
// and NotPrincipal are refused like Resource is our reading of the grammar.
func (s *draftStatement) checkTrust() *SyntaxError {
	switch {
	case s.resource != nil:
		return &SyntaxError{Message: fmt.Sprintf(messageForbidden, "Resource")}
	case s.notResource != nil:
		return &SyntaxError{Message: fmt.Sprintf(messageForbidden, "NotResource")}
	case s.notPrincipal != nil:
		return &SyntaxError{Message: fmt.Sprintf(messageForbidden, "NotPrincipal")}
	case s.notAction != nil:
		return &SyntaxError{Message: messageAssume, Detail: "NotAction"}
	}
	for _, a := range s.action {
		vendor, name, _ := strings.Cut(strings.ToLower(a), ":")
		if vendor != "sts" || !slices.ContainsFunc(trustActions, func(action string) bool { return globMatches(name, action) }) {
			return &SyntaxError{Message: messageAssume, Detail: fmt.Sprintf("action %.100q", a)}
		}
	}
	return nil
}

// trustActions are those that a role's trust policy may name, in lower case
// and without their service.
var trustActions = []string{"assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "assumeroot", "tagsession", "setsourceidentity", "setcontext"}

func globMatches(pattern, s string) bool {
	g := compileGlob(pattern, dialect{wildcards: true})
	return g.match(s, nil, noColon)
}

func (s *draftStatement) checkResources() *SyntaxError {
	resources := slices.Concat(s.resource, s.notResource)
	if len(resources) == 0 {
		return &SyntaxError{Message: messageResources}
	}
	for _, r := range resources {
		if fault := checkResource(r); fault != nil {
			return fault
		}
	}
	return nil
}

// checkResource checks a resource pattern, which may end early: see
// compileResource.
func checkResource(resource string) *SyntaxError {
	if resource == "*" {
		return nil
	}
	segments := strings.SplitN(resource, ":", arnSegments)
	if len(segments) < 2 || segments[0] != "arn" {
		return &SyntaxError{Message: fmt.Sprintf(`Resource %.2048s must be in ARN format or "*".`, resource)}
	}
	given := len(segments)
	for len(segments) < arnSegments {
		segments = append(segments, "*")
	}
	partition, service, region, path := segments[1], segments[2], segments[3], segments[5]
	switch {
	case !slices.Contains([]string{"*", "aws", "aws-cn", "aws-us-gov"}, partition):
		return &SyntaxError{Message: fmt.Sprintf("Partition %.2048q is not valid for resource %.2048q.", partition, strings.Join(segments, ":"))}
	case given < 4 || service == "" || !isOnly(service, letters+digits+"-."):
		return &SyntaxError{Message: messageRegexes}
	case service == "iam" && region != "" && given == arnSegments:
		return &SyntaxError{Message: fmt.Sprintf("IAM resource %.2048s cannot contain region information.", resource)}
	case service == "iam" && path != "*" && !slices.ContainsFunc(iamPaths, func(p string) bool { return strings.HasPrefix(path, p) }):
		return &SyntaxError{Message: fmt.Sprintf(`IAM resource path must either be "*" or start with %s.`, strings.Join(iamPaths, ", "))}
	}
	return nil
}

var iamPaths = []string{"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/",
	"policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"}

func (d *draft) checkPrincipals(kind Kind) *SyntaxError {
	return d.each(func(s *draftStatement) *SyntaxError {
		named := s.principal != nil || s.notPrincipal != nil
		switch {
		case !kind.namesPrincipals() && named:
			return &SyntaxError{Message: messagePrincipal}
		case kind.namesPrincipals() && !named:
			return &SyntaxError{Message: messageNobody}
		}
		return nil
	})(kind)
}

// checkVariables refuses policy variables that do not end, have no name or a
// default without quotes, and those in the first five parts of an ARN, where
// they would stand for nothing. Documents of the old version have none: there
// ${ is two characters.
func (d *draft) checkVariables(kind Kind) *SyntaxError {
	if d.version != currentVersion {
		return nil
	}
	return d.each(func(s *draftStatement) *SyntaxError {
		resources := slices.Concat(s.resource, s.notResource)
		for _, r := range resources {
			if at := strings.Index(r, "${"); at >= 0 && strings.Count(r[:at], ":") < arnSegments-1 {
				return &SyntaxError{Message: messageLegacy, Detail: "a policy variable stands before the fifth colon of a resource"}
			}
		}
		for _, c := range s.conditions {
			resources = append(resources, c.values...)
		}
		for _, t := range resources {
			if _, ok := variablesOf(t); !ok {
				return syntax("a policy variable has no name, no end or a bad default")
			}
		}
		return nil
	})(kind)
}

package policy

import (
	"slices"
	"strings"
)

type refAnswer struct {
	allowed, explicit bool
	kind              Type
}

// refMatching says whether a statement of one of the documents, with an effect,
// bears on the request.
func refMatching(texts []string, effect string, r Request) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return slices.ContainsFunc(refStatements(text), func(s refStatement) bool {
			return s.element["Effect"] == effect && s.aboutAction(r.Action) && s.aboutResource(r.Resource, r.Keys) && s.conditionsHold(r.Keys)
		})
	})
}

// refDecide follows AWS's description step by step: an explicit deny anywhere,
// and then what has to allow.
func refDecide(docs refDocs, r Request) refAnswer {
	p := r.Principal
	if p == nil {
		p = &Principal{}
	}
	isRoot := p.Kind == Root || p.Kind == Federated && strings.HasSuffix(p.Entity, ":root")
	if isRoot {
		docs.identity, docs.boundary = nil, nil
	}
	var boundary []string
	if docs.boundary != nil {
		boundary = []string{*docs.boundary}
	}
	resourceType := ResourcePolicy
	if docs.trust {
		resourceType = TrustPolicy
	}
	if slices.ContainsFunc(docs.organization, func(level []string) bool { return refMatching(level, "Deny", r) }) {
		return refAnswer{explicit: true, kind: OrganizationPolicy}
	}
	for _, own := range []struct {
		texts []string
		kind  Type
	}{{docs.identity, IdentityPolicy}, {boundary, BoundaryPolicy}, {docs.sessions, SessionPolicy}} {
		if refMatching(own.texts, "Deny", r) {
			return refAnswer{explicit: true, kind: own.kind}
		}
	}
	denies, consent := refResource(docs, r, p, boundary != nil)
	switch {
	case denies:
		return refAnswer{explicit: true, kind: resourceType}
	case p.Kind == Anonymous:
		return refAnswer{}
	case r.Granted:
		consent = "principal"
	}
	allows := map[Type]bool{
		OrganizationPolicy: !slices.ContainsFunc(docs.organization, func(level []string) bool { return !refMatching(level, "Allow", r) }),
		IdentityPolicy:     isRoot || refMatching(docs.identity, "Allow", r),
		BoundaryPolicy:     boundary == nil || refMatching(boundary, "Allow", r),
		SessionPolicy:      p.Kind != Federated,
		resourceType:       consent != "",
	}
	if docs.sessions != nil {
		allows[SessionPolicy] = refMatching(docs.sessions, "Allow", r)
	}
	need := refNeeds(r, p, consent, resourceType)
	for _, kind := range need {
		if !allows[kind] {
			return refAnswer{kind: kind}
		}
	}
	if slices.Contains(need, IdentityPolicy) {
		return refAnswer{allowed: true, kind: IdentityPolicy}
	}
	return refAnswer{allowed: true, kind: resourceType}
}

// refNeeds are the types of policies that have to allow, in the order in which
// AWS names one that does not.
func refNeeds(r Request, p *Principal, consent string, resourceType Type) []Type {
	owner := r.ResourceAccount
	if parts := strings.Split(r.Resource, ":"); owner == "" && len(parts) > 5 {
		owner = parts[4]
	}
	sameAccount := owner == "" || owner == "aws" || owner == p.Account
	actsAlone := (p.Kind == Service || p.Kind == Provider) && consent == "principal"
	need := []Type{OrganizationPolicy}
	switch {
	case actsAlone, sameAccount && consent == "principal":
	case sameAccount && consent == "limited":
		need = append(need, BoundaryPolicy, SessionPolicy)
	default:
		need = append(need, IdentityPolicy, BoundaryPolicy, SessionPolicy)
	}
	if !sameAccount || r.MustAllow {
		need = append(need, resourceType)
	}
	return need
}

// refResource says whether the resource's policy denies and, if it consents,
// to whom: the "account", everyone or a role ("limited"), or the "principal".
func refResource(docs refDocs, r Request, p *Principal, bounded bool) (denies bool, consent string) {
	if docs.resource == nil {
		return false, ""
	}
	order := []string{"", "account", "limited", "principal"}
	for _, s := range refStatements(*docs.resource) {
		if !s.aboutAction(r.Action) || !s.aboutResource(r.Resource, r.Keys) || !s.conditionsHold(r.Keys) {
			continue
		}
		if s.element["Effect"] == "Deny" {
			denies = denies || s.deniesPrincipal(p, bounded)
			continue
		}
		if c := s.consents(p); slices.Index(order, c) > slices.Index(order, consent) {
			consent = c
		}
	}
	return denies, consent
}

// refLevels are the names that one caller has, from the nearest to the
// furthest, and for each all its spellings.
func refLevels(p *Principal) (self, entity, account []string) {
	switch p.Kind {
	case Service, Provider:
		return []string{p.ARN}, nil, nil
	case Anonymous:
		return nil, nil, nil
	}
	account = []string{p.Account, "arn:aws:iam::" + p.Account + ":root"}
	switch p.Kind {
	case User:
		self = []string{p.ARN, p.ID}
	case Role:
		self, entity = []string{p.ARN}, []string{p.Entity, p.ID}
	case Federated:
		self = []string{p.ARN}
		if !strings.HasSuffix(p.Entity, ":root") {
			entity = []string{p.Entity, p.ID}
		}
	}
	return self, entity, account
}

func refNamed(element any, p *Principal) (everyone bool, names func(spellings []string) bool) {
	if element == "*" {
		return true, func([]string) bool { return false }
	}
	listed := []string{}
	for by, whom := range element.(map[string]any) {
		texts := refTexts(whom)
		if by == "AWS" && slices.Contains(texts, "*") {
			everyone = true
		}
		if by == "Service" && p.Kind == Service || by == "Federated" && p.Kind == Provider || by == "AWS" && p.Kind != Service && p.Kind != Provider {
			listed = append(listed, texts...)
		}
	}
	return everyone, func(spellings []string) bool {
		return slices.ContainsFunc(spellings, func(name string) bool { return slices.Contains(listed, name) })
	}
}

func (s refStatement) deniesPrincipal(p *Principal, bounded bool) bool {
	self, entity, account := refLevels(p)
	if not, ok := s.element["NotPrincipal"]; ok {
		everyone, names := refNamed(not, p)
		if everyone {
			return false
		}
		if bounded && p.Kind != Service && p.Kind != Provider && p.Kind != Anonymous {
			return true
		}
		spared := p.Kind != Anonymous
		for _, level := range [][]string{self, entity, account} {
			spared = spared && (level == nil || names(level))
		}
		return !spared
	}
	everyone, names := refNamed(s.element["Principal"], p)
	return everyone || names(self) || names(entity) || names(account)
}

func (s refStatement) consents(p *Principal) string {
	self, entity, account := refLevels(p)
	if not, ok := s.element["NotPrincipal"]; ok {
		everyone, names := refNamed(not, p)
		if everyone || names(self) || names(entity) || names(account) {
			return ""
		}
		return "limited"
	}
	everyone, names := refNamed(s.element["Principal"], p)
	switch {
	case names(self) || everyone && s.namesPrincipalARN():
		return "principal"
	case names(entity) || everyone:
		return "limited"
	case names(account):
		return "account"
	}
	return ""
}

// namesPrincipalARN says whether a condition does what a Principal would.
func (s refStatement) namesPrincipalARN() bool {
	conditions, _ := s.element["Condition"].(map[string]any)
	for operator, of := range conditions {
		switch strings.TrimPrefix(operator, "ForAnyValue:") {
		case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike":
		default:
			continue
		}
		for key, values := range of.(map[string]any) {
			texts := refTexts(values)
			if strings.EqualFold(key, "aws:PrincipalArn") && len(texts) > 0 &&
				!slices.ContainsFunc(texts, func(v string) bool { return v == "" || strings.ContainsAny(v, "*?$") }) {
				return true
			}
		}
	}
	return false
}

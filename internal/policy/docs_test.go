package policy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	. "azekura/internal/policy"
)

// The policies of docs/access.md, each with the cases that stand in a comment
// behind it: ACTION on RESOURCE [as PRINCIPAL] [with KEY=VALUE, ...] => DECISION.
// "identity" among the keys is an identity policy that allows everything.
func TestPoliciesInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```\n(?:<!-- cases ([a-z]+)\n(.*?)-->)?").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 {
		t.Fatalf("found %d policies", len(blocks))
	}
	for _, b := range blocks {
		document, kind, cases := b[1], b[2], strings.TrimSpace(b[3])
		if cases == "" {
			t.Errorf("a policy without cases:\n%s", document)
			continue
		}
		d, err := Parse(document, map[string]Kind{"identity": Identity, "resource": Resource, "trust": Trust}[kind])
		if err != nil {
			t.Errorf("%v:\n%s", err, document)
			continue
		}
		for line := range strings.Lines(cases) {
			line = strings.TrimSpace(line)
			asked, want, _ := strings.Cut(line, " => ")
			if got := decideDocumented(t, d, kind, asked); got != want {
				t.Errorf("%s: %s", line, got)
			}
		}
	}
}

func decideDocumented(t *testing.T, d *Document, kind, asked string) string {
	t.Helper()
	asked, with, _ := strings.Cut(asked, " with ")
	asked, as, _ := strings.Cut(asked, " as ")
	action, resource, found := strings.Cut(asked, " on ")
	if !found {
		t.Fatalf("%q is no case", asked)
	}
	keys, allowsAll := map[string][]string{}, false
	for _, pair := range strings.Split(with, ", ") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			keys[key] = append(keys[key], value)
		}
		allowsAll = allowsAll || pair == "identity"
	}
	p := documentedPrincipal(as)
	r := Request{
		Principal: &p, Action: action, Resource: documentedResource(resource, kind), ResourceAccount: "111111111111", MustAllow: kind == "trust",
		Keys: func(key string) ([]string, bool) { v, ok := keys[key]; return v, ok },
	}
	var set *Set
	if allowsAll {
		all, err := Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, Identity)
		if err != nil {
			t.Fatal(err)
		}
		set = set.With(Policy{Name: "all", Document: all})
	}
	if kind == "identity" {
		set, d = set.With(Policy{Name: "docs", Document: d}), nil
	}
	switch decision := set.Decide(r, d); {
	case decision.Allowed:
		return "allow"
	case decision.Explicit:
		return "explicit"
	}
	return "implicit"
}

func documentedResource(text, kind string) string {
	path, inIAM := strings.CutPrefix(text, "iam:")
	switch {
	case text == "*":
		return text
	case inIAM || kind == "trust":
		return "arn:aws:iam::111111111111:" + path
	}
	return "arn:aws:secretsmanager:us-east-1:111111111111:" + text
}

func documentedPrincipal(text string) Principal {
	account, name, other := strings.Cut(text, ":")
	if !other {
		account, name = "111111111111", text
	}
	if name == "" {
		name = "user/ann"
	}
	entity := "arn:aws:iam::" + account + ":" + name
	p := Principal{Kind: User, ARN: entity, Account: account, Entity: entity, ID: "AIDAEXAMPLEEXAMPLE234"}
	if role, ok := strings.CutPrefix(name, "role/"); ok {
		p.Kind, p.ARN, p.ID = Role, "arn:aws:sts::"+account+":assumed-role/"+role+"/s", "AROAEXAMPLEEXAMPLE234"
	}
	if strings.HasPrefix(name, "oidc-provider/") {
		p = Principal{Kind: Provider, ARN: entity}
	}
	return p
}

package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scenario is policies and a request that are drawn together.
type scenario struct {
	generator
	docs     refDocs
	kind     Kind
	set      *Set
	resource *Document
	request  Request
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{generator: newGenerator(rapid.Uint64().Draw(t, "seed"))}
	s.docs, s.kind = s.generator.docs()
	s.set, s.resource = compiledDocs(t, s.docs, s.kind)
	s.request = s.generator.request(s.kind)
	return s
}

// one is a policy of one statement with an effect.
func (s scenario) one(t *rapid.T, effect string) Policy {
	for {
		text := s.document(Identity)
		d, err := Parse(text, Identity)
		if err != nil {
			t.Fatal(text, err)
		}
		d.statements, d.masks = d.statements[:1], d.masks[:1]
		if d.statements[0].deny == (effect == "Deny") {
			return Policy{"one", d}
		}
	}
}

// What a change of the policies can do to a decision, and what it cannot.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		before := s.set.Decide(s.request, s.resource)
		allow, deny := s.one(t, "Allow"), s.one(t, "Deny")

		if after := s.set.With(deny).Decide(s.request, s.resource); after.Allowed && !before.Allowed || before.Explicit && !after.Explicit {
			t.Errorf("a Deny more: from %+v to %+v", before, after)
		}
		if after := s.set.With(allow).Decide(s.request, s.resource); !after.Allowed && before.Allowed || after.Explicit != before.Explicit {
			t.Errorf("an Allow more: from %+v to %+v", before, after)
		}
		if s.docs.boundary == nil {
			if after := s.set.WithBoundary(allow).Decide(s.request, s.resource); after.Allowed && !before.Allowed {
				t.Errorf("a boundary widens: from %+v to %+v", before, after)
			}
		}
		if s.docs.sessions == nil && s.request.Principal.Kind != Federated {
			if after := s.set.WithSession(allow).Decide(s.request, s.resource); after.Allowed && !before.Allowed {
				t.Errorf("a session policy widens: from %+v to %+v", before, after)
			}
		}
		if s.docs.organization == nil {
			if after := s.set.WithOrganization([]Policy{allow}).Decide(s.request, s.resource); after.Allowed && !before.Allowed {
				t.Errorf("an organization widens: from %+v to %+v", before, after)
			}
		}
		if s.request.Principal = nil; s.set.Decide(s.request, s.resource).Allowed {
			t.Error("nobody is allowed")
		}
	})
}

// The order of policies does not matter, nor that of a resource's statements.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		before := s.set.Decide(s.request, s.resource)
		shuffled := func(policies []Policy) []Policy {
			return slices.Collect(func(yield func(Policy) bool) {
				for _, i := range s.Perm(len(policies)) {
					if !yield(policies[i]) {
						return
					}
				}
			})
		}
		set := s.set.copy()
		set.identity = newLayer(shuffled(set.identity.policies))
		if set.sessions != nil {
			set.sessions = newLayer(shuffled(set.sessions.policies))
		}
		slices.Reverse(set.organization)
		resource := s.resource
		if resource != nil {
			resource = new(*resource)
			resource.statements, resource.masks = slices.Clone(resource.statements), slices.Clone(resource.masks)
			slices.Reverse(resource.statements)
			slices.Reverse(resource.masks)
		}
		after := set.Decide(s.request, resource)
		if after.Allowed != before.Allowed || after.Explicit != before.Explicit || after.Type != before.Type {
			t.Errorf("from %+v to %+v", before, after)
		}
	})
}

// A set that has been asked about more actions than it remembers decides as if
// it were new.
func TestShortlistsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		fresh := s.set.Decide(s.request, s.resource)
		worn, _ := compiledDocs(t, s.docs, s.kind)
		for i := range maxShortlists + 2 {
			r := s.request
			r.Action = "secretsmanager:Other" + strings.Repeat("x", i)
			worn.Decide(r, s.resource)
		}
		for range 2 {
			if got := worn.Decide(s.request, s.resource); got != fresh {
				t.Fatalf("got %+v, want %+v", got, fresh)
			}
		}
	})
}

// An explanation names what decided.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		d := s.set.Decide(s.request, s.resource)
		x := s.set.Explain(s.request, s.resource)
		if x.Decision != d {
			t.Fatalf("decided %+v, explained %+v", d, x.Decision)
		}
		named := slices.ContainsFunc(x.Matched, func(m Match) bool {
			return m.Type == d.Type && m.By == d.By && m.Statement == d.Statement && m.Deny == d.Explicit
		})
		if d.Statement != "" && !named {
			t.Errorf("%+v is not among %+v", d, x.Matched)
		}
	})
}

// A glob matches what a regular expression says.
func TestGlob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?é:]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[abé:]{0,10}`).Draw(t, "text")
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`^(?s:` + expression + `)$`).MatchString(s)
		g := compileGlob(pattern, dialect{wildcards: true})
		if got := g.match(s, nil, noColon); got != want {
			t.Errorf("%q on %q: got %t", pattern, s, got)
		}
		folded := compileGlob(strings.ToUpper(pattern), dialect{wildcards: true, fold: true})
		if got := folded.match(s, nil, noColon); got != want {
			t.Errorf("%q on %q, letter case aside: got %t", pattern, s, got)
		}
	})
}

// In an ARN a glob matches part by part.
func TestGlobInARNs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`([ab*?]|\$\{k\}){0,3}`), 3, 7).Draw(t, "parts")
		pattern := "arn:" + strings.Join(parts, ":")
		value := rapid.StringMatching(`[ab:*]{0,3}`).Draw(t, "value of the variable")
		// Of two texts that are drawn apart hardly any match: this one is made of
		// the pattern, and may then have lost or got a character.
		s := strings.NewReplacer("*", rapid.StringMatching(`[ab:]{0,2}`).Draw(t, "star"), "?", "b", "${k}", value).Replace(pattern)
		if at := rapid.IntRange(4, len(s)).Draw(t, "at"); rapid.Bool().Draw(t, "changed") {
			s = s[:at] + rapid.StringMatching(`[ab:]?`).Draw(t, "got") + s[min(len(s), at+rapid.IntRange(0, 1).Draw(t, "lost")):]
		}
		keys := func(string) ([]string, bool) { return []string{value}, true }
		elements, _ := refPattern(pattern, true, true, keys)
		want := refMatchARN(elements, s)
		g := compileGlob(pattern, dialect{wildcards: true, variables: true, arn: true})
		e := evaluationOf(Request{Keys: keys})
		colon := fifthColon(s)
		if got := colon != noColon && g.match(s, &e, colon); got != want {
			t.Errorf("%q with %q on %q: got %t", pattern, value, s, got)
		}
	})
}

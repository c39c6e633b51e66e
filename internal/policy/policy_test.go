package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cases are those of a file in testdata: a name, and the lines after it.
func cases(t testing.TB, file string) (names, texts []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range strings.Split(string(text), "\n== ")[1:] {
		name, rest, _ := strings.Cut(c, "\n")
		names, texts = append(names, name), append(texts, strings.TrimSuffix(rest, "\n"))
	}
	return names, texts
}

func kindOf(t testing.TB, name string) Kind {
	t.Helper()
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "identity":
		return Identity
	case "resource":
		return Resource
	case "trust":
		return Trust
	case "key":
		return Key
	case "session":
		return Session
	}
	t.Fatalf("%s: want a kind", name)
	return 0
}

func TestParse(t *testing.T) {
	names, texts := cases(t, "good.txt")
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(texts[i], kindOf(t, name)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	names, texts := cases(t, "bad.txt")
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			text, want, _ := strings.Cut(texts[i], "\n=> ")
			_, err := Parse(text, kindOf(t, name))
			fault, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("got %v, want a *SyntaxError", err)
			}
			if diff := cmp.Diff(want, fault.Message); diff != "" {
				t.Errorf("%v: %s", err, diff)
			}
			if isPrincipal := strings.HasPrefix(want, "Invalid principal"); isPrincipal != (fault.Principal != "") {
				t.Errorf("Principal is %q", fault.Principal)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	longest := document + strings.Repeat(" ", MaxSize-len(document))
	if _, err := Parse(longest, Identity); err != nil {
		t.Error(err)
	}
	if _, err := Parse(longest+" ", Identity); err == nil {
		t.Error("longer than MaxSize, and parsed")
	}
	if _, err := Parse(strings.Replace(document, "Allow", "Al\xfflow", 1), Identity); err == nil {
		t.Error("not UTF-8, and parsed")
	}
}

// An operator is told which statement is wrong, and in what.
func TestSyntaxErrorNamesTheStatement(t *testing.T) {
	_, err := Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Allow","Action":"x","Resource":"*"}]}`, Identity)
	if err == nil || !strings.Contains(err.Error(), `statement #2: action "x"`) {
		t.Errorf("got %v", err)
	}
}

// document is the policy that a line of decide.txt stands for.
func document(t *testing.T, line string) *Document {
	t.Helper()
	statement := map[string]any{}
	line, condition, conditional := strings.Cut(line, " if ")
	if conditional {
		statement["Condition"] = json.RawMessage(condition)
	}
	effect, rest, _ := strings.Cut(line, " ")
	actions, resources, found := strings.Cut(rest, " on ")
	if !found {
		t.Fatalf("%q: want EFFECT [not] ACTIONS on [not] RESOURCES", line)
	}
	statement["Effect"] = effect
	set := func(name, list string) {
		if excluded, not := strings.CutPrefix(list, "not "); not {
			name, list = "Not"+name, excluded
		}
		statement[name] = strings.Split(list, ",")
	}
	set("Action", actions)
	set("Resource", resources)
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statement})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(string(text), Identity)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func describe(d Decision) string {
	switch {
	case d.Allowed:
		return fmt.Sprintf("allow by %s %s", d.By, d.Statement)
	case d.Explicit:
		return fmt.Sprintf("explicit deny by %s %s", d.By, d.Statement)
	}
	return "implicit deny"
}

func TestDecide(t *testing.T) {
	names, texts := cases(t, "decide/language.txt")
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(texts[i], "~", "arn:aws:secretsmanager:us-east-1:111122223333:secret:")
			lines := strings.Split(text, "\n")
			asked, want, _ := strings.Cut(lines[len(lines)-1], " => ")
			action, resource, _ := strings.Cut(asked, " ")
			var set *Set
			for n, line := range lines[:len(lines)-1] {
				set = set.With(Policy{fmt.Sprintf("p%d", n+1), document(t, line)})
			}
			d := set.Decide(Request{Principal: alice(), Action: action, Resource: resource}, nil)
			if got := describe(d); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func alice() *Principal {
	const arn = "arn:aws:iam::111122223333:user/alice"
	return &Principal{Kind: User, ARN: arn, Account: "111122223333", Entity: arn, ID: "AIDAALICEALICEALICE00"}
}

func setOf(name string, documents ...*Document) *Set {
	var s *Set
	for _, d := range documents {
		s = s.With(Policy{name, d})
	}
	return s
}

func TestZeroDenies(t *testing.T) {
	everything := setOf("all", document(t, "Allow * on *"))
	public := resourcePolicy(t, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)
	for name, d := range map[string]Decision{
		"nil set":           (*Set)(nil).Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}, nil),
		"zero set":          (&Set{}).Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}, nil),
		"empty set":         NewSet().Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}, nil),
		"empty document":    setOf("x", &Document{}).Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}, nil),
		"no principal":      everything.Decide(Request{Action: "iam:GetUser", Resource: "*"}, public),
		"zero principal":    everything.Decide(Request{Principal: &Principal{ARN: alice().ARN, Account: "111122223333"}, Action: "iam:GetUser", Resource: "*"}, public),
		"zero request":      everything.Decide(Request{}, public),
		"zero zero request": (*Set)(nil).Decide(Request{}, nil),
	} {
		if d != (Decision{}) {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

// A policy that is missing might have denied.
func TestMissingDocumentDenies(t *testing.T) {
	everything := document(t, "Allow * on *")
	all := setOf("x", everything)
	for name, s := range map[string]*Set{
		"last":         setOf("x", everything, nil),
		"first":        setOf("x", nil, everything),
		"boundary":     all.WithBoundary(Policy{Name: "x"}),
		"session":      all.WithSession(Policy{Name: "x"}),
		"organization": all.WithOrganization([]Policy{{Name: "x"}}),
	} {
		d := s.Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}, nil)
		if d.Allowed || !d.Explicit || d.By != "x" {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

// A set is shared by calls in flight: making another of it leaves it alone.
func TestWithLeavesTheSetAlone(t *testing.T) {
	deny := Policy{"deny", document(t, "Deny * on *")}
	one := setOf("allow", document(t, "Allow * on *"))
	r := Request{Principal: alice(), Action: "iam:GetUser", Resource: "*"}
	for _, denied := range []*Set{one.With(deny), one.WithBoundary(deny), one.WithSession(deny), one.WithSession(), one.WithOrganization([]Policy{deny})} {
		_ = one.With(Policy{"other", document(t, "Allow iam:* on *")})
		if !one.Decide(r, nil).Allowed || denied.Decide(r, nil).Allowed {
			t.Error("a set changed")
		}
	}
}

func TestBecause(t *testing.T) {
	for want, d := range map[string]Decision{
		"because no identity-based policy allows the iam:GetUser action":  {},
		"because no resource-based policy allows the iam:GetUser action":  {Type: ResourcePolicy},
		"because no permissions boundary allows the iam:GetUser action":   {Type: BoundaryPolicy},
		"because no session policy allows the iam:GetUser action":         {Type: SessionPolicy},
		"because no service control policy allows the iam:GetUser action": {Type: OrganizationPolicy},
		"because no role trust policy allows the iam:GetUser action":      {Type: TrustPolicy},
		"with an explicit deny in an identity-based policy":               {Explicit: true},
		"with an explicit deny in a resource-based policy":                {Explicit: true, Type: ResourcePolicy},
		"with an explicit deny in a permissions boundary":                 {Explicit: true, Type: BoundaryPolicy},
		"with an explicit deny in a session policy":                       {Explicit: true, Type: SessionPolicy},
		"with an explicit deny in a service control policy":               {Explicit: true, Type: OrganizationPolicy},
		"with an explicit deny in the role trust policy":                  {Explicit: true, Type: TrustPolicy},
	} {
		if got := d.Because("iam:GetUser"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func resourcePolicy(t *testing.T, statement string) *Document {
	t.Helper()
	d, err := Parse(`{"Version":"2012-10-17","Statement":`+statement+`}`, Resource)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Parse never panics, refuses with a *SyntaxError, and what it takes it takes
// again, to the same end, when another writer has put it down. What looks at
// the text takes what Parse takes.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"good.txt", "bad.txt"} {
		names, texts := cases(f, file)
		for i, name := range names {
			text, _, _ := strings.Cut(texts[i], "\n=> ")
			f.Add(text, byte(kindOf(f, name)))
		}
	}
	f.Fuzz(func(t *testing.T, text string, n byte) {
		kind := Kind(n % 5)
		d, err := Parse(text, kind)
		spans, spanError := Statements(text)
		_, keysError := ContextKeys(text)
		if err != nil {
			if _, ok := errors.AsType[*SyntaxError](err); !ok || d != nil {
				t.Fatalf("got %v, %v", d, err)
			}
			return
		}
		again, err := Parse(rewritten(t, text), kind)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(summary(d), summary(again)); diff != "" {
			t.Error(diff)
		}
		if spanError != nil || keysError != nil || len(spans) != len(d.statements) {
			t.Errorf("%d spans, %v, %v", len(spans), spanError, keysError)
		}
		if same := MapAWSPrincipals(text, func(named string) string { return named }); same != text {
			t.Errorf("with the same principals it is %q", same)
		}
		_ = d.Public()
		_ = d.LocksOut(alice(), []string{"iam:GetUser"})
	})
}

// Whatever the policies, the request and the values of its keys: a decision is
// made, it is the same each time and with an explanation, nobody is denied,
// and a Deny of everything denies.
func FuzzDecide(f *testing.F) {
	names, texts := cases(f, "good.txt")
	for i, name := range names {
		f.Add(texts[i], texts[len(texts)-1-i], byte(i), byte(kindOf(f, name)), "secretsmanager:GetSecretValue", asked, "alice")
	}
	for seed := range uint64(20) {
		g := newGenerator(seed)
		f.Add(g.document(Identity), g.document(Resource), byte(seed), byte(Resource), pick(g, genActions), pick(g, genResources), pick(g, genText))
	}
	order := []string{"U", "BU", "root", "rootB", "sess", "sess2", "Bsess", "fed", "rootfed", "lambda", "github", "anonymous"}
	denial := setOf("x", parsed(f, Identity, `{"Effect":"Deny","Action":"*","Resource":"*"}`))
	f.Fuzz(func(t *testing.T, identity, theirs string, who, n byte, action, resource, value string) {
		kind := Kind(n % 5)
		own, _ := Parse(identity, Identity)
		policy, _ := Parse(theirs, kind)
		if !kind.namesPrincipals() {
			policy = nil
		}
		caller := callers()[order[int(who)%len(order)]]
		r := Request{Principal: &caller, Action: action, Resource: resource, Keys: func(key string) ([]string, bool) {
			return []string{value, key}[:1+len(key)%2], len(key)%3 != 0
		}}
		set := setOf("p", own)
		d := set.Decide(r, policy)
		if again := set.Decide(r, policy); again != d {
			t.Errorf("got %+v, then %+v", d, again)
		}
		if x := set.Explain(r, policy); x.Decision != d {
			t.Errorf("decided %+v, explained %+v", d, x.Decision)
		}
		if caller.Kind == Anonymous && d.Allowed {
			t.Error("nobody is allowed")
		}
		isRoot := caller.isRoot()
		if d := denial.Decide(r, policy); d.Allowed && !isRoot {
			t.Errorf("everything is denied, but %+v", d)
		}
	})
}

// rewritten is a document as encoding/json writes it: names sorted, other
// blanks, other escapes.
func rewritten(t *testing.T, text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > MaxSize {
		t.Skip("grew too long")
	}
	return string(out)
}

// summary is what does not depend on the order of names in the JSON.
func summary(d *Document) []string {
	var lines []string
	for _, s := range d.statements {
		conditions := map[string]condition{}
		for _, c := range s.conditions {
			conditions[fmt.Sprintf("%+v %s", c.operator, c.key)] = c
		}
		everyone, aws, accounts := s.principals.everyone, s.principals.aws, s.principals.accounts
		lines = append(lines, fmt.Sprintf("%s %t %v %v %t %t %t %v %v %v", s.label, s.deny, s.actions, s.resources, s.notAction, s.notResource,
			everyone, aws, accounts, conditions))
	}
	return lines
}

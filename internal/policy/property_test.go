package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Parse never panics, refuses with a *SyntaxError, and what it takes it takes
// again, to the same end, when another writer has put it down.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"good.txt", "bad.txt"} {
		names, texts := cases(f, file)
		for i, name := range names {
			text, _, _ := strings.Cut(texts[i], "\n=> ")
			f.Add(text, kindOf(f, name) == Resource)
		}
	}
	f.Fuzz(func(t *testing.T, text string, resource bool) {
		kind := Identity
		if resource {
			kind = Resource
		}
		d, err := Parse(text, kind)
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
		_ = d.Public()
		_ = d.LocksOut(alice(), []string{"iam:GetUser"})
		_ = setOf("x", d).Decide(Request{Principal: alice(), Action: "iam:GetUser", Resource: "arn:aws:iam::111122223333:user/alice"}, d)
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

func drawDocument(t *rapid.T, effect string) *Document {
	actions := rapid.SampledFrom([]string{"*", "iam:*", "iam:GetUser", "IAM:get?ser", "s3:*"})
	resources := rapid.SampledFrom([]string{"*", "arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::*:user/${aws:username}", "arn:aws:s3:*"})
	statement := map[string]any{
		"Effect": effect,
		rapid.SampledFrom([]string{"Action", "NotAction"}).Draw(t, "action"):     rapid.SliceOfN(actions, 1, 3).Draw(t, "actions"),
		rapid.SampledFrom([]string{"Resource", "NotResource"}).Draw(t, "target"): rapid.SliceOfN(resources, 1, 3).Draw(t, "resources"),
	}
	if rapid.Bool().Draw(t, "conditional") {
		statement["Condition"] = map[string]any{"Bool": map[string]any{"aws:SecureTransport": true}}
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statement})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(string(text), Identity)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func drawRequest(t *rapid.T) Request {
	return Request{
		Principal: alice(),
		Action:    rapid.SampledFrom([]string{"iam:GetUser", "iam:ListUsers", "s3:GetObject"}).Draw(t, "asked action"),
		Resource:  rapid.SampledFrom([]string{"*", "arn:aws:iam::111122223333:user/alice", "arn:aws:s3:::bucket/key"}).Draw(t, "asked resource"),
	}
}

// One Deny more never allows, one Allow more never denies, and the order of
// policies does not matter.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var documents []*Document
		for range rapid.IntRange(0, 4).Draw(t, "documents") {
			documents = append(documents, drawDocument(t, rapid.SampledFrom([]string{"Allow", "Deny"}).Draw(t, "effect")))
		}
		r := drawRequest(t)
		before := setOf("x", documents...).Decide(r, nil)
		if denied := setOf("x", append(documents, drawDocument(t, "Deny"))...).Decide(r, nil); denied.Allowed && !before.Allowed {
			t.Error("a Deny more allows")
		}
		if allowed := setOf("x", append(documents, drawDocument(t, "Allow"))...).Decide(r, nil); !allowed.Allowed && before.Allowed || allowed.Explicit != before.Explicit {
			t.Error("an Allow more denies")
		}
		shuffled := setOf("x", rapid.Permutation(documents).Draw(t, "order")...).Decide(r, nil)
		if shuffled.Allowed != before.Allowed || shuffled.Explicit != before.Explicit {
			t.Error("the order matters")
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

func BenchmarkDecide(b *testing.B) {
	d, err := Parse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["secretsmanager:Get*","secretsmanager:List*"],"Resource":"arn:aws:secretsmanager:*:111122223333:secret:prod/*"},
		{"Effect":"Deny","Action":"secretsmanager:*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/root-??????"}]}`, Identity)
	if err != nil {
		b.Fatal(err)
	}
	set := setOf("x", d)
	r := Request{Principal: alice(), Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf"}
	b.ReportAllocs()
	for b.Loop() {
		if !set.Decide(r, nil).Allowed {
			b.Fatal("denied")
		}
	}
}

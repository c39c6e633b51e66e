package policy

import (
	"flag"
	"testing"
)

var agreeCases = flag.Int("cases", 50_000, "how many generated cases TestAgree asks both evaluations")

// A fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compiledDocs is the set, and the resource's policy, that documents stand
// for.
func compiledDocs(t fataler, docs refDocs, kind Kind) (*Set, *Document) {
	t.Helper()
	read := func(texts []string, kind Kind) (policies []Policy) {
		for _, text := range texts {
			d, err := Parse(text, kind)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			policies = append(policies, Policy{"p", d})
		}
		return policies
	}
	set := NewSet(read(docs.identity, Identity)...)
	if docs.boundary != nil {
		set = set.WithBoundary(read([]string{*docs.boundary}, Identity)[0])
	}
	if docs.sessions != nil {
		set = set.WithSession(read(docs.sessions, Session)...)
	}
	var levels [][]Policy
	for _, level := range docs.organization {
		levels = append(levels, read(level, Identity))
	}
	if levels != nil {
		set = set.WithOrganization(levels...)
	}
	if docs.resource == nil {
		return set, nil
	}
	return set, read([]string{*docs.resource}, kind)[0].Document
}

// Both evaluations say the same of generated policies and requests. A million
// cases take minutes: go test ./internal/policy -run TestAgree -cases 1000000
func TestAgree(t *testing.T) {
	const requests = 10 // about the same policies
	counts := map[refAnswer]int{}
	for seed := range *agreeCases / requests {
		g := newGenerator(uint64(seed))
		docs, kind := g.docs()
		set, resource := compiledDocs(t, docs, kind)
		for range requests {
			r := g.request(kind)
			d := set.Decide(r, resource)
			got := refAnswer{d.Allowed, d.Explicit, d.Type}
			want := refDecide(docs, r)
			if counts[want]++; got != want {
				t.Fatalf("seed %d: got %+v, want %+v\n%+v asks %s on %s (owner %q)\n%s", seed, got, want, *r.Principal, r.Action, r.Resource, r.ResourceAccount, describeDocs(docs, r))
			}
		}
	}
	for answer, n := range counts {
		t.Logf("%7d %+v", n, answer)
	}
	const kinds = 15 // of answers: allow by 3 types, deny and lack by 6 each
	if len(counts) < kinds {
		t.Errorf("only %d different answers: the cases are too much alike", len(counts))
	}
}

func describeDocs(docs refDocs, r Request) (text string) {
	for _, d := range docs.identity {
		text += "identity     " + d + "\n"
	}
	if docs.boundary != nil {
		text += "boundary     " + *docs.boundary + "\n"
	}
	for _, d := range docs.sessions {
		text += "session      " + d + "\n"
	}
	for _, level := range docs.organization {
		for _, d := range level {
			text += "organization " + d + "\n"
		}
	}
	if docs.resource != nil {
		text += "resource     " + *docs.resource + "\n"
	}
	for _, key := range genKeys {
		if values := refKey(r.Keys, key); values != nil {
			text += key + " = "
			for _, v := range values {
				text += "[" + v + "]"
			}
			text += "\n"
		}
	}
	return text
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// pageSize is that of the pages that are measured; 16 connections ask for them.
const (
	pageSize        = 20
	listConnections = 16
)

// A listing is one kind of page.
type listing struct {
	name  string
	input map[string]any
}

// lists measures pages of ListSecrets against reads, and in two sizes of store.
func (b *bench) lists(s *section, large, some string) error {
	return b.both(large, some, func(ours, reference *node) error {
		if err := ours.warm(b, spread(fewSecrets, b.million)(0)); err != nil {
			return err
		}
		b.say("finding a page far in ...")
		own, err := listings(ours.target, b.million)
		if err != nil {
			return err
		}
		others, err := listings(reference.target, someSecrets)
		if err != nil {
			return err
		}
		loads := []load{ours.reads(listConnections, spread(fewSecrets, b.million))}
		for i := range own {
			mine, err := ours.pages(own[i].input)
			if err != nil {
				return err
			}
			theirs, err := reference.pages(others[i].input)
			if err != nil {
				return err
			}
			loads = append(loads, mine, theirs)
		}
		b.say("ListSecrets, %d kinds of pages, with %d secrets and %d ...", len(own), b.million, someSecrets)
		results, err := b.takeTurns(loads...)
		if err != nil {
			return err
		}
		b.compareLists(s, own, results)
		return nil
	})
}

func (b *bench) compareLists(s *section, own []listing, results []series) {
	_, cpu, p50, _ := figures()
	read := results[0]
	t := s.plain("page of 20", "CPU", fmt.Sprintf("CPU with %s", thousands(someSecrets)), "ratio", "target", "", "in reads", "target", "", "p50")
	for i, l := range own {
		mine, theirs := results[1+2*i], results[2+2*i]
		inReads, grown := mine.over(read, cpu), mine.over(theirs, cpu)
		what := fmt.Sprintf("ListSecrets, %s: CPU ", l.name)
		g := s.atMost(what+fmt.Sprintf("with %s secrets against %s", thousands(b.million), thousands(someSecrets)), grown, 1.5)
		r := s.atMost(what+"against GetSecretValue's", inReads, 20)
		t.row(l.name, short(mine.median(cpu))+cpu.unit, short(theirs.median(cpu))+cpu.unit, grown.String(), g.target, g.verdict(),
			inReads.String(), r.target, r.verdict(), short(mine.median(p50))+p50.unit)
	}
	s.note("Lists are asked for by %d connections. A read takes %s µs of CPU beside them. The deep page begins after half of the secrets; the\n"+
		"prefixes match 100 secrets, %s and all.", listConnections, short(read.median(cpu)), thousands(1000))
}

// listings are the kinds of pages of a store of so many secrets.
func listings(t target, secrets int) ([]listing, error) {
	token, err := t.halfway(secrets)
	if err != nil {
		return nil, err
	}
	middle := fmt.Sprintf("%07d", secrets/2) // in decimal digits, so that leaving out the last n leaves 10^n names
	begins := func(left int, more map[string]any) map[string]any {
		prefix := "bench/secret-" + middle[:len(middle)-left]
		in := map[string]any{"MaxResults": pageSize, "Filters": []map[string]any{{"Key": "name", "Values": []string{prefix}}}}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	byName := map[string]any{"SortBy": "name"}
	return []listing{
		{"first page", map[string]any{"MaxResults": pageSize}},
		{"deep page", map[string]any{"MaxResults": pageSize, "NextToken": token}},
		{"name prefix of 100", begins(2, nil)},
		{"name prefix of 1,000", begins(3, nil)},
		{"name prefix of all", begins(len(middle), nil)},
		{"name prefix of all, by name", begins(len(middle), byName)},
	}, nil
}

// halfway walks a list in pages of 100 and returns the token of the page after
// half of the secrets.
func (t target) halfway(secrets int) (string, error) {
	in := map[string]any{"MaxResults": 100}
	for seen := 0; ; {
		var out struct {
			SecretList []struct{ Name string }
			NextToken  string
		}
		if err := t.call("ListSecrets", in, &out); err != nil {
			return "", err
		}
		if out.NextToken == "" {
			return "", fmt.Errorf("the list of %d secrets ends after %d", secrets, seen+len(out.SecretList))
		}
		if seen += len(out.SecretList); seen >= secrets/2 {
			return out.NextToken, nil
		}
		in["NextToken"] = out.NextToken
	}
}

// pages is a load of one page again and again, after a look whether it has as
// many secrets as it should.
func (t target) pages(input map[string]any) (load, error) {
	var out struct{ SecretList []struct{ Name string } }
	if err := t.call("ListSecrets", input, &out); err != nil {
		return load{}, err
	}
	if len(out.SecretList) != pageSize {
		return load{}, fmt.Errorf("a page of %d secrets, not %d", len(out.SecretList), pageSize)
	}
	body, err := json.Marshal(input)
	least := pageSize * len(`{"Name":`+strings.Repeat("x", len(secretName(0)))+`}`)
	return t.repeated("ListSecrets", listConnections, least, func(int) []string { return []string{string(body)} }), err
}

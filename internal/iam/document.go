package iam

import (
	"context"
	"errors"
	"fmt"

	model "azekura/internal/api/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// parse checks a document that is to be stored, in the words of IAM.
func parse(text string, kind policy.Kind) (*policy.Document, error) {
	document, err := policy.Parse(text, kind)
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok {
		e := model.MalformedPolicyDocument("%s", fault.Message)
		e.Err = err
		return nil, e
	}
	return document, err
}

// written counts the characters of a document as quotas do: without white
// space.
func written(text string) int {
	n := 0
	for _, r := range text {
		switch r {
		case ' ', '\t', '\r', '\n':
		default:
			n++
		}
	}
	return n
}

// A ManagedPolicy is the default version of a managed policy. It is shared.
type ManagedPolicy struct {
	ARN, ID  string
	Text     string
	Document *policy.Document // nil if it cannot be read: that denies

	rev   int64
	bytes int64
}

func (p *ManagedPolicy) stamp() store.Stamp { return store.Stamp{ID: p.ID, Rev: p.rev} }
func (p *ManagedPolicy) size() int64        { return p.bytes }

// ManagedPolicy finds a managed policy by its ARN, as sessions name them;
// store.ErrNotFound if there is none. Of whose account it is, is for the caller
// to look at. What was found is to be confirmed by reads, unless they are nil.
func (s *Service) ManagedPolicy(ctx context.Context, reads *store.Reads, policyARN string) (*ManagedPolicy, error) {
	if p := awsManaged(policyARN); p != nil {
		return &ManagedPolicy{ARN: policyARN, ID: p.id, Text: p.text, Document: p.compiled()}, nil
	}
	p, err := s.policies.Get(ctx, reads, policyARN)
	if err != nil {
		return nil, fmt.Errorf("find a managed policy: %w", err)
	}
	return p, nil
}

func (s *Service) loadManaged(tx *store.Tx, policyARN string) (*ManagedPolicy, error) {
	p, err := findPolicy(tx, policyARN, "")
	if err != nil {
		return nil, err
	}
	v, err := selectVersion(tx, p.id, p.version)
	if err != nil {
		return nil, err
	}
	m := &ManagedPolicy{ARN: policyARN, ID: p.id, Text: v.document, rev: p.rev, bytes: int64(256 + len(policyARN) + len(v.document))}
	m.Document, m.bytes = s.documents.Compile(v.document, policy.Identity, m.bytes)
	return m, nil
}

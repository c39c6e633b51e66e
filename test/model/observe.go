package model

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"azekura/test/process"
)

// Observe reads all that the server tells of a secret, each version's value
// among it. The error says what is half there; of one that is scheduled for
// deletion the server tells neither versions without labels nor the policy.
func Observe(ctx context.Context, server *process.Server, client *http.Client, secret string) (State, error) {
	id := map[string]any{"SecretId": secret}
	var a answers
	if err := server.Call(ctx, client, "DescribeSecret", id, &a); err != nil {
		if refusal, ok := errors.AsType[*process.Refusal](err); ok && code(refusal.Body) == NotFound {
			return State{}, nil
		}
		return State{}, fmt.Errorf("describe %s: %w", secret, err)
	}
	s := a.state()
	if s.Life == Scheduled {
		return s, nil
	}
	if err := server.Call(ctx, client, "GetResourcePolicy", id, &a); err != nil {
		return s, fmt.Errorf("read the policy of %s: %w", secret, err)
	}
	if a.ResourcePolicy != "" {
		s.Policy = policyText(a.ResourcePolicy)
	}
	all := map[string]any{"SecretId": secret, "IncludeDeprecated": true}
	if err := server.Call(ctx, client, "ListSecretVersionIds", all, &a); err != nil {
		return s, fmt.Errorf("list the versions of %s: %w", secret, err)
	}
	ids := make([]string, len(a.Versions))
	for i, v := range a.Versions {
		ids[i] = v.VersionId
	}
	s.Versions = VersionSet(ids)
	for _, version := range ids {
		get := Call{Op: Get, Secret: secret, Version: version}
		answer, err := get.Send(ctx, server, client)
		if err != nil {
			return s, fmt.Errorf("read version %s of %s: %w", version, secret, err)
		}
		if want := s.get(get); answer != want {
			return s, fmt.Errorf("read version %s of %s: got %q, want %q", version, secret, answer, want)
		}
	}
	return s, nil
}

// Shown is the part of a state that Observe can tell.
func (s State) Shown() State {
	if s.Life == Scheduled {
		s.Versions, s.Policy = "", ""
	}
	return s
}

// state is what DescribeSecret tells.
func (a answers) state() State {
	s := State{Life: Alive, Description: a.Description}
	if a.DeletedDate != 0 {
		s.Life = Scheduled
	}
	for _, t := range a.Tags {
		s.Tag += t.Value
	}
	for version, labels := range a.VersionIdsToStages {
		for _, label := range labels {
			s = s.label(label, version)
		}
	}
	return s
}

// label notes a label twice given, or an unknown one, as a version that is
// none, so that the state is equal to no other.
func (s State) label(label, version string) State {
	on := map[string]*string{Current: &s.Current, Previous: &s.Previous, Pending: &s.Pending, Release: &s.Release}[label]
	if on == nil {
		s.Release = "the unknown label " + label
		return s
	}
	if *on != "" {
		version = *on + " and " + version
	}
	*on = version
	return s
}

// Package model is a secret seen from outside, as AWS describes it: what it
// answers to one call at a time. Tests compare the server with it.
package model

import (
	"fmt"
	"slices"
	"strings"
)

// A State is a secret. The zero State is one that does not exist. States are
// compared with ==.
type State struct {
	Life                                Life
	Current, Previous, Pending, Release string // the versions with these labels, "" for none
	Versions                            string // the ids, each between commas
	Description, Tag, Policy            string // "" for none
}

// A Life says whether there is a secret.
type Life int

const (
	Absent Life = iota
	Alive
	Scheduled // for deletion
)

// The labels that the model knows; the last is one of a user's own.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
	Release  = "release"
)

// Labels are all of them, in byte order.
func Labels() []string { return []string{Current, Pending, Previous, Release} }

// The answers, but for those that tell of a version or of all labels.
const (
	Done            = "done"
	NotFound        = "ResourceNotFoundException"
	Exists          = "ResourceExistsException"
	InvalidRequest  = "InvalidRequestException"
	InvalidArgument = "InvalidParameterException"
)

// On is the version that has a label; "" if none has.
func (s State) On(label string) string {
	switch label {
	case Current:
		return s.Current
	case Previous:
		return s.Previous
	case Pending:
		return s.Pending
	}
	return s.Release
}

// Has says whether the secret has a version.
func (s State) Has(version string) bool {
	return version != "" && strings.Contains(s.Versions, ","+version+",")
}

// IDs are the secret's versions.
func (s State) IDs() []string {
	return strings.FieldsFunc(s.Versions, func(r rune) bool { return r == ',' })
}

// VersionSet is the Versions of a State that has those, in the order that
// makes equal sets equal.
func VersionSet(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "," + strings.Join(slices.Sorted(slices.Values(ids)), ",") + ","
}

func (s State) with(version string) State {
	if !s.Has(version) {
		s.Versions = VersionSet(append(s.IDs(), version))
	}
	return s
}

func (s State) promote(version string) State {
	if s.Current == version {
		return s
	}
	if s.Pending == s.Current {
		s.Pending = ""
	}
	s.Previous, s.Current = s.Current, version
	return s
}

// Apply does a call: the secret afterwards, and the answer.
func (s State) Apply(c Call) (State, string) {
	switch c.Op {
	case Create:
		return s.create(c.Version)
	case Delete:
		return State{}, Done
	}
	if s.Life == Absent {
		return s, NotFound
	}
	switch c.Op {
	case Restore:
		s.Life = Alive
		return s, Done
	case Describe:
		return s, s.labels()
	}
	if s.Life == Scheduled {
		return s, InvalidRequest
	}
	switch c.Op {
	case Schedule:
		s.Life = Scheduled
	case Put, PutPending, Update:
		s = s.put(c)
	case Tag:
		s.Tag = c.Text
	case Untag:
		s.Tag = ""
	case SetPolicy:
		s.Policy = c.Text
	case RemovePolicy:
		s.Policy = ""
	case Move:
		return s.move(c)
	case Get:
		return s, s.get(c)
	}
	return s, Done
}

func (s State) create(version string) (State, string) {
	switch {
	case s.Life == Scheduled:
		return s, InvalidRequest
	case s.Life == Alive && s.Has(version):
		return s, Done
	case s.Life == Alive:
		return s, Exists
	}
	return State{Life: Alive, Current: version}.with(version), Done
}

// put changes nothing if the version is there: that is the same call again.
func (s State) put(c Call) State {
	if s.Has(c.Version) {
		return s
	}
	s = s.with(c.Version)
	if c.Op == PutPending {
		s.Pending = c.Version
		return s
	}
	if c.Op == Update {
		s.Description = c.Text
	}
	s = s.promote(c.Version)
	s.Pending = ""
	return s
}

func (s State) move(c Call) (State, string) {
	holder := s.On(c.Label)
	switch {
	case c.Version != "" && !s.Has(c.Version), c.From != "" && !s.Has(c.From):
		return s, NotFound
	case c.From != "" && c.From != holder, c.From == "" && holder != "" && c.Version != holder,
		c.Version == "" && (c.From == "" || c.Label == Current):
		return s, InvalidArgument
	}
	switch c.Label {
	case Current:
		return s.promote(c.Version), Done
	case Pending:
		s.Pending = c.Version
	default:
		s.Release = c.Version
	}
	return s, Done
}

func (s State) get(c Call) string {
	version := c.Version
	if c.Label != "" {
		version = s.On(c.Label)
	}
	if !s.Has(version) {
		return NotFound
	}
	return revealed(version, s.of(version))
}

// of lists the labels of a version in byte order.
func (s State) of(version string) (labels []string) {
	for _, label := range Labels() {
		if s.On(label) == version {
			labels = append(labels, label)
		}
	}
	return labels
}

func revealed(version string, labels []string) string { return fmt.Sprint(version, " ", labels) }

// labels is the answer to Describe.
func (s State) labels() string {
	return fmt.Sprintf("%d %s %s %s %s", s.Life, s.Current, s.Previous, s.Pending, s.Release)
}

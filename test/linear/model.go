// Package linear checks that what clients see of a secret is linearizable:
// that all answers of a concurrent history could have been given by a secret
// that does one thing at a time, each between its call and its answer.
package linear

import (
	"strings"

	"github.com/anishathalye/porcupine"
)

// An input is one call on one secret. A version's value follows from its
// token, so values need not be in the model.
type input struct {
	secret, op string
	token      string // of the version that is made, moved to, or read by id
	from       string // for promote: the version that has AWSCURRENT
	label      string // for get
}

// A state is a secret, seen from outside. The zero state is one that does not
// exist.
type state struct {
	life                       life
	current, previous, pending string
	versions                   string // the tokens, each between commas
}

type life int

const (
	absent life = iota
	alive
	scheduled // for deletion
)

// Answers other than these two are error codes. An answer unknown is that of a
// call whose connection was cut: it may have happened, or not.
const (
	done    = "done"
	unknown = "unknown"
)

func (s state) has(token string) bool { return strings.Contains(s.versions, ","+token+",") }

func (s state) with(token string) state {
	if !s.has(token) {
		s.versions = "," + strings.Trim(s.versions+token, ",") + ","
	}
	return s
}

func (s state) promote(token string) state {
	if s.current == token {
		return s
	}
	if s.pending == s.current {
		s.pending = ""
	}
	s.previous, s.current = s.current, token
	return s
}

// apply does one call at a time: the secret as AWS describes it.
func (s state) apply(in input) (state, string) {
	if in.op == "create" {
		return s.create(in.token)
	}
	if in.op == "delete" {
		return state{}, done
	}
	if s.life == absent {
		return s, "ResourceNotFoundException"
	}
	if in.op == "restore" {
		s.life = alive
		return s, done
	}
	if s.life == scheduled {
		return s, "InvalidRequestException"
	}
	switch in.op {
	case "schedule":
		s.life = scheduled
		return s, done
	case "put":
		if s.has(in.token) {
			return s, done
		}
		s = s.with(in.token).promote(in.token)
		s.pending = ""
		return s, done
	case "put pending":
		if !s.has(in.token) {
			s = s.with(in.token)
			s.pending = in.token
		}
		return s, done
	case "promote":
		return s.move(in)
	}
	return s, s.get(in)
}

func (s state) create(token string) (state, string) {
	switch {
	case s.life == scheduled:
		return s, "InvalidRequestException"
	case s.life == alive && s.has(token):
		return s, done
	case s.life == alive:
		return s, "ResourceExistsException"
	}
	return state{life: alive, current: token}.with(token), done
}

func (s state) move(in input) (state, string) {
	switch {
	case !s.has(in.token), !s.has(in.from):
		return s, "ResourceNotFoundException"
	case in.from != s.current:
		return s, "InvalidParameterException"
	}
	return s.promote(in.token), done
}

func (s state) get(in input) string {
	token := in.token
	switch in.label {
	case "AWSCURRENT":
		token = s.current
	case "AWSPREVIOUS":
		token = s.previous
	case "AWSPENDING":
		token = s.pending
	}
	if token == "" || !s.has(token) {
		return "ResourceNotFoundException"
	}
	return token
}

// model is the specification for the checker, one secret apart from the next.
func model() porcupine.Model {
	spec := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
			at := map[string]int{}
			for _, op := range history {
				name := op.Input.(input).secret
				if _, seen := at[name]; !seen {
					at[name] = len(parts)
					parts = append(parts, nil)
				}
				parts[at[name]] = append(parts[at[name]], op)
			}
			return parts
		},
		Init: func() []any { return []any{state{}} },
		Step: func(before, in, answer any) []any {
			after, want := before.(state).apply(in.(input))
			switch answer.(string) {
			case want:
				return []any{after}
			case unknown:
				return []any{before, after}
			}
			return nil
		},
	}
	return spec.ToModel()
}

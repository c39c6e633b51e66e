package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"azekura/internal/api/shape"
)

// A model is what we read of a service-2.json: no documentation.
type model struct {
	Metadata struct {
		ServiceFullName string
		APIVersion      string `json:"apiVersion"`
		Protocol        string // json or query
		TargetPrefix    string // json only
		XMLNamespace    string // query only
	}
	Operations map[string]operation
	Shapes     map[string]*modelShape
}

type operation struct {
	Input, Output *reference
	Errors        []reference
}

// A reference is to a shape. LocationName and ResultWrapper are read to be
// refused, where they are not what our wire says anyway.
type reference struct {
	Shape         string
	LocationName  string
	ResultWrapper string // query only: the element around an output
}

type modelShape struct {
	Type      string
	Members   ordered[reference] // of a structure
	Required  []string           // of a structure
	Member    reference          // of a list
	Key       reference          // of a map
	Value     reference          // of a map
	Min, Max  *int64
	Pattern   string
	Enum      []string
	Sensitive bool
	Flattened bool // a list or map of the query protocol, to be refused
	Exception bool
	Fault     bool // an exception that is the server's
	Error     struct {
		Code           string
		HTTPStatusCode int `json:"httpStatusCode"`
	}
}

// rules are the constraints of a shape, wherever it is used.
func (s *modelShape) rules() (shape.Rules, error) {
	if s.Pattern != "" {
		if _, err := shape.Regexp(s.Pattern); err != nil {
			return shape.Rules{}, err
		}
	}
	return shape.Rules{
		Int32:   s.Type == "integer",
		Min:     s.Min,
		Max:     s.Max,
		Enum:    s.Enum,
		Pattern: s.Pattern,
	}, nil
}

// shape finds a shape by its name.
func (m *model) shape(name string) (*modelShape, error) {
	s, ok := m.Shapes[name]
	if !ok {
		return nil, fmt.Errorf("shape %s is not in the model", name)
	}
	return s, nil
}

// reach lists in order the structures, other than the inputs and outputs
// themselves, that the served operations can reach.
func (m *model) reach(served []string) ([]string, error) {
	seen := map[string]bool{}
	for _, name := range served {
		op := m.Operations[name]
		for _, ref := range []*reference{op.Input, op.Output} {
			if ref == nil {
				continue
			}
			if err := m.visitMembers(ref.Shape, seen); err != nil {
				return nil, err
			}
		}
	}
	var structures []string
	for name := range seen {
		if m.Shapes[name].Type == "structure" {
			structures = append(structures, name)
		}
	}
	slices.Sort(structures)
	return structures, nil
}

func (m *model) visitMembers(name string, seen map[string]bool) error {
	s, err := m.shape(name)
	if err != nil {
		return err
	}
	for _, member := range s.Members {
		if err := m.visit(member.value.Shape, seen); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) visit(name string, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	s, err := m.shape(name)
	if err != nil {
		return err
	}
	seen[name] = true
	switch s.Type {
	case "structure":
		return m.visitMembers(name, seen)
	case "list":
		return m.visit(s.Member.Shape, seen)
	case "map":
		return m.visit(s.Value.Shape, seen)
	}
	return nil
}

// ordered is a JSON object in the order in which it is written: the order of
// members is the order of fields, and of what is said of them.
type ordered[V any] []entry[V]

type entry[V any] struct {
	name  string
	value V
}

func (o *ordered[V]) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var e entry[V]
		if err := d.Decode(&e.value); err != nil {
			return err
		}
		e.name = fmt.Sprint(name)
		*o = append(*o, e)
	}
	return nil
}

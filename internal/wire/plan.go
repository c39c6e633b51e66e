package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"azekura/internal/api"
	"azekura/internal/api/shape"
)

// A plan says how a generated structure is read, checked and written: all that
// reflection and the tags tell of its type, found out once.
type plan struct {
	fields []field
	byName map[string]int // index in fields
}

// maxFields is what the decoder can tell apart in one structure.
const maxFields = 256

// A field is one member of a structure. Its number in the plan is its number
// in the Go type.
type field struct {
	name     string // on the wire
	path     string // in the texts of violations
	required bool
	*value
}

// A value is one level of a member: the member itself, an element of its list,
// a key or value of its map.
type value struct {
	kind      kind
	goType    reflect.Type // without the pointer of an optional member
	sensitive bool
	rules     shape.Rules
	pattern   func() *regexp.Regexp // nil if there is none
	structure *plan
	elem, key *value
}

type kind int

const (
	text kind = iota
	number
	boolean
	timestamp
	blob
	list
	dict
	structure
)

// planner makes plans. Shapes may hold themselves, so a plan is known before
// it is finished.
type planner map[reflect.Type]*plan

func planOf(t reflect.Type) (*plan, error) { return planner{}.structure(t) }

func (p planner) structure(t reflect.Type) (*plan, error) {
	if done, ok := p[t]; ok {
		return done, nil
	}
	if t.NumField() > maxFields {
		return nil, fmt.Errorf("%s has %d members, more than %d", t, t.NumField(), maxFields)
	}
	s := &plan{byName: map[string]int{}}
	p[t] = s
	for i := range t.NumField() {
		goField := t.Field(i)
		v, err := p.value(goField.Type, goField.Tag, shape.Member)
		if err != nil {
			return nil, fmt.Errorf("plan %s.%s: %w", t, goField.Name, err)
		}
		name := goField.Name
		if v.rules.Name != "" {
			name = v.rules.Name
		}
		s.fields = append(s.fields, field{
			name:     name,
			path:     strings.ToLower(name[:1]) + name[1:],
			required: v.rules.Required,
			value:    v,
		})
		s.byName[name] = i
	}
	return s, nil
}

func (p planner) value(t reflect.Type, tag reflect.StructTag, at shape.Level) (*value, error) {
	if at == shape.Member && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	rules, err := shape.Parse(tag, at)
	if err != nil {
		return nil, err
	}
	v := &value{goType: t, rules: rules}
	if rules.Pattern != "" {
		// To compile all of an API's takes as long as the rest of a start. That
		// each compiles was seen to when the shapes were generated.
		v.pattern = sync.OnceValue(func() *regexp.Regexp {
			re, err := shape.Regexp(rules.Pattern)
			if err != nil {
				panic(err)
			}
			return re
		})
	}
	return v, p.describe(v, tag, at)
}

func (p planner) describe(v *value, tag reflect.StructTag, at shape.Level) (err error) {
	t := v.goType
	switch {
	case t == reflect.TypeFor[api.Timestamp]():
		v.kind = timestamp
	case t.Kind() == reflect.String:
		v.kind, v.sensitive = text, t == reflect.TypeFor[api.Sensitive]()
	case t.Kind() == reflect.Int64:
		v.kind = number
	case t.Kind() == reflect.Bool:
		v.kind = boolean
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		v.kind, v.sensitive = blob, true // AWS echoes no blob, sensitive or not
	case t.Kind() == reflect.Slice:
		v.kind = list
		v.elem, err = p.value(t.Elem(), tag, at.Elem())
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		v.kind = dict
		if v.key, err = p.value(t.Key(), tag, at.Key()); err != nil {
			return err
		}
		v.elem, err = p.value(t.Elem(), tag, at.Elem())
	case t.Kind() == reflect.Struct:
		v.kind = structure
		v.structure, err = p.structure(t)
	default:
		err = fmt.Errorf("no JSON form of %s", t)
	}
	return err
}

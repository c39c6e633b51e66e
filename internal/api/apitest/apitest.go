// Package apitest makes inputs of generated shapes, for tests that walk every
// operation of an API.
package apitest

import (
	"fmt"
	"reflect"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"azekura/internal/api/shape"
)

// Smallest fills in, a pointer to a generated structure, with the smallest
// input that meets every constraint of the model: what is required is there
// and as short as it may be, what is optional is absent. It panics if the
// constraints contradict each other, or if in is something else.
func Smallest(in any) {
	v := reflect.ValueOf(in)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("apitest: got %T, want a pointer to a structure", in))
	}
	fillStruct(v.Elem())
}

func fillStruct(v reflect.Value) {
	v.SetZero()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if rules(field.Tag, shape.Member).Required {
			fill(v.Field(i), field.Tag, shape.Member)
		}
	}
}

func rules(tag reflect.StructTag, at shape.Level) shape.Rules {
	r, err := shape.Parse(tag, at)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	return r
}

func fill(v reflect.Value, tag reflect.StructTag, at shape.Level) {
	r := rules(tag, at)
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), tag, at)
	case reflect.Struct:
		fillStruct(v)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), least(r), least(r)))
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				fill(v.Index(i), tag, at.Elem())
			}
		}
	case reflect.Map:
		fillMap(v, tag, at, least(r))
	case reflect.String:
		v.SetString(text(r))
	case reflect.Int64:
		if r.Min != nil {
			v.SetInt(*r.Min)
		} else if r.Max != nil {
			v.SetInt(min(0, *r.Max))
		}
	}
}

func fillMap(v reflect.Value, tag reflect.StructTag, at shape.Level, size int) {
	if size > 1 {
		panic("apitest: a map of several keys is required")
	}
	v.Set(reflect.MakeMap(v.Type()))
	if size == 0 {
		return
	}
	key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	fill(key, tag, at.Key())
	fill(value, tag, at.Elem())
	v.SetMapIndex(key, value)
}

func least(r shape.Rules) int {
	if r.Min == nil {
		return 0
	}
	return int(*r.Min)
}

func text(r shape.Rules) string {
	switch {
	case len(r.Enum) > 0:
		return r.Enum[0]
	case r.Pattern == "":
		return strings.Repeat("a", least(r))
	}
	re, err := shape.Regexp(r.Pattern)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	for extra := range least(r) + 1 {
		s := match(tree, extra)
		if utf8.RuneCountInString(s) >= least(r) && re.MatchString(s) {
			return s
		}
	}
	panic("apitest: nothing found that meets " + r.String())
}

// match is a short text that the expression matches, with each repetition that
// has no upper bound taken extra times more than it must.
func match(re *syntax.Regexp, extra int) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpCapture:
		return match(re.Sub[0], extra)
	case syntax.OpStar:
		return strings.Repeat(match(re.Sub[0], 0), extra)
	case syntax.OpPlus:
		return strings.Repeat(match(re.Sub[0], 0), 1+extra)
	case syntax.OpRepeat:
		times := re.Min + extra
		if re.Max >= 0 {
			times = min(times, re.Max)
		}
		return strings.Repeat(match(re.Sub[0], 0), times)
	case syntax.OpAlternate:
		return match(re.Sub[0], extra)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(match(sub, extra))
		}
		return b.String()
	}
	return "" // anchors, the empty match, and what may be absent
}

// oneOf is a member of a class of ranges, a letter or digit if it has one.
func oneOf(ranges []rune) rune {
	for _, want := range "aA0" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}

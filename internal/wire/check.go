package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"azekura/internal/api"
	"azekura/internal/api/shape"
)

// maxViolations bounds the answer: each repeats a value and has a frame many
// times the size of the input that it complains of.
const maxViolations = 32

// A tone is how violations are told.
type tone int

const (
	open     tone = iota // with values and enumerations, except what is sensitive
	discreet             // with neither, as by IAM
)

// check holds a decoded input against the constraints of the model. It answers
// AWS's ValidationException, which tells all violations at once.
func check(in any, p *plan, how tone) error {
	c := checker{how: how}
	c.structure(reflect.ValueOf(in).Elem(), p, "")
	switch n := len(c.violations); n {
	case 0:
		return nil
	case 1:
		return api.Validation("1 validation error detected: " + c.violations[0])
	default:
		return api.Validation(fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.violations, "; ")))
	}
}

type checker struct {
	how        tone
	violations []string
}

// fail notes a violation; shown is how the value is repeated: " 'x'", " null"
// or "".
func (c *checker) fail(shown, path, constraint string) {
	if len(c.violations) < maxViolations {
		c.violations = append(c.violations, "Value"+shown+" at '"+path+"' failed to satisfy constraint: "+constraint)
	}
}

func (c *checker) structure(v reflect.Value, p *plan, prefix string) {
	for i := range p.fields {
		f := &p.fields[i]
		member := v.Field(i)
		if isAbsent(member) {
			if f.required {
				c.fail(" null", prefix+f.path, "Member must not be null")
			}
			continue
		}
		if f.isFree() {
			continue
		}
		c.value(reflect.Indirect(member), f.value, prefix+f.path)
	}
}

func isAbsent(member reflect.Value) bool {
	switch member.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return member.IsNil()
	}
	return false
}

// isFree says that nothing of v needs a check, and so its path need not be
// made.
func (v *value) isFree() bool {
	r := &v.rules
	return r.Min == nil && r.Max == nil && r.Enum == nil && v.pattern == nil &&
		v.structure == nil && v.elem == nil
}

func (c *checker) value(v reflect.Value, w *value, path string) {
	if w.kind == structure {
		c.structure(v, w.structure, path+".")
		return
	}
	for _, constraint := range w.broken(v, c.how) {
		c.fail(w.show(v, c.how), path, constraint)
	}
	switch w.kind {
	case list:
		c.elements(v, w, path)
	case dict:
		c.entries(v, w, path)
	}
}

// elements checks the elements of a list. AWS speaks of structures one by one,
// but of plain elements together: all their constraints in one violation of
// the list.
func (c *checker) elements(v reflect.Value, w *value, path string) {
	if w.elem.isFree() {
		return
	}
	for i := range v.Len() {
		elem := v.Index(i)
		if w.elem.isPlain() {
			if w.elem.broken(elem, c.how) != nil {
				c.fail(w.show(v, c.how), path, "Member must satisfy constraint: "+w.elem.allTexts(c.how))
				return
			}
			continue
		}
		c.value(elem, w.elem, path+"."+strconv.Itoa(i+1)+".member")
	}
}

func (c *checker) entries(v reflect.Value, w *value, path string) {
	badKey, badValue := false, false
	for at := v.MapRange(); at.Next(); {
		key, elem := at.Key(), at.Value()
		badKey = badKey || w.key.broken(key, c.how) != nil
		badValue = badValue || w.elem.isPlain() && w.elem.broken(elem, c.how) != nil
		if !w.elem.isPlain() {
			c.value(elem, w.elem, path+"."+key.String()+".member")
		}
	}
	if badKey {
		c.fail(w.show(v, c.how), path, "Map keys must satisfy constraint: "+w.key.allTexts(c.how))
	}
	if badValue {
		c.fail(w.show(v, c.how), path, "Map value must satisfy constraint: "+w.elem.allTexts(c.how))
	}
}

func (v *value) isPlain() bool { return v.elem == nil && v.structure == nil }

// broken lists the constraints of its own level that v breaks; nil if none.
func (w *value) broken(v reflect.Value, how tone) []string {
	var texts []string
	r := &w.rules
	tooSmall, tooLarge := w.outside(v)
	if tooLarge {
		texts = append(texts, w.atMost())
	}
	if tooSmall {
		texts = append(texts, w.atLeast())
	}
	if w.pattern != nil && !w.pattern().MatchString(v.String()) {
		texts = append(texts, patternText(r))
	}
	if r.Enum != nil && !slices.Contains(r.Enum, v.String()) {
		texts = append(texts, enumText(r, how))
	}
	return texts
}

func (w *value) outside(v reflect.Value) (tooSmall, tooLarge bool) {
	r := &w.rules
	if r.Min == nil && r.Max == nil {
		return false, false
	}
	var size int64
	switch w.kind {
	case text:
		size = int64(characters(v.String(), r))
	case number:
		size = v.Int()
	case blob, list, dict:
		size = int64(v.Len())
	default:
		return false, false
	}
	return r.Min != nil && size < *r.Min, r.Max != nil && size > *r.Max
}

// characters is the length of s, or any length that compares alike: characters
// are one to four bytes, so mostly there is no need to count them.
func characters(s string, r *shape.Rules) int {
	fewest, most := (len(s)+utf8.UTFMax-1)/utf8.UTFMax, len(s)
	if (r.Min == nil || int64(fewest) >= *r.Min) && (r.Max == nil || int64(most) <= *r.Max) {
		return most
	}
	return utf8.RuneCountInString(s)
}

func (w *value) atMost() string {
	return "Member must have " + w.measure() + " less than or equal to " + strconv.FormatInt(*w.rules.Max, 10)
}

func (w *value) atLeast() string {
	return "Member must have " + w.measure() + " greater than or equal to " + strconv.FormatInt(*w.rules.Min, 10)
}

func (w *value) measure() string {
	if w.kind == number {
		return "value"
	}
	return "length"
}

func patternText(r *shape.Rules) string {
	return "Member must satisfy regular expression pattern: " + r.Pattern
}

func enumText(r *shape.Rules, how tone) string {
	if how == discreet {
		return "Member must satisfy enum value set"
	}
	return "Member must satisfy enum value set: [" + strings.Join(r.Enum, ", ") + "]"
}

// allTexts are all constraints of v, as AWS tells them of elements.
func (v *value) allTexts(how tone) string {
	var texts []string
	if v.rules.Max != nil {
		texts = append(texts, v.atMost())
	}
	if v.rules.Min != nil {
		texts = append(texts, v.atLeast())
	}
	if v.rules.Pattern != "" {
		texts = append(texts, patternText(&v.rules))
	}
	if v.rules.Enum != nil {
		texts = append(texts, enumText(&v.rules, how))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// show is how a violation repeats v: quoted after a blank, or not at all. What
// could hold something sensitive further down is not repeated.
func (w *value) show(v reflect.Value, how tone) string {
	switch {
	case w.sensitive || how == discreet:
		return ""
	case w.kind == text:
		return " '" + v.String() + "'"
	case w.kind == number:
		return " '" + strconv.FormatInt(v.Int(), 10) + "'"
	case w.kind == list && v.Len() == 0:
		return " '[]'"
	case w.kind == list && w.elem.kind == text && !w.elem.sensitive:
		elems := make([]string, v.Len())
		for i := range elems {
			elems[i] = v.Index(i).String()
		}
		return " '[" + strings.Join(elems, ", ") + "]'"
	}
	return ""
}

package wire

import (
	"cmp"
	"encoding/base64"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"azekura/internal/api"
)

// encodeXML appends out, a pointer to a structure that p plans, as an XML
// element. Absent members are left out, but for lists and maps that the model
// requires; what is present but empty is an empty element. It is encode's
// counterpart: a Sensitive value becomes text here too.
func encodeXML(b *buffer, name string, out any, p *plan) {
	b.element(name, reflect.ValueOf(out).Elem(), &value{kind: structure, structure: p})
}

func (b *buffer) element(name string, v reflect.Value, w *value) {
	b.add("<" + name)
	if isEmpty(v, w) {
		b.add("/>")
		return
	}
	b.add(">")
	switch w.kind {
	case list:
		for i := range v.Len() {
			b.element("member", v.Index(i), w.elem)
		}
	case dict:
		b.entries(v, w)
	case structure:
		b.members(v, w.structure)
	default:
		b.scalar(v, w)
	}
	b.add("</" + name + ">")
}

// isEmpty says whether v's element has nothing in it.
func isEmpty(v reflect.Value, w *value) bool {
	switch w.kind {
	case text, list, dict, blob:
		return v.Len() == 0
	case structure:
		for i := range w.structure.fields {
			if w.structure.fields[i].isWritten(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return false
}

// isWritten says whether there is an element of a member. AWS's services of
// the query protocol never leave out a list that their model requires.
func (f *field) isWritten(member reflect.Value) bool {
	return !isAbsent(member) || f.required && (f.kind == list || f.kind == dict)
}

func (b *buffer) members(v reflect.Value, p *plan) {
	for i := range p.fields {
		if member := v.Field(i); p.fields[i].isWritten(member) {
			b.element(p.fields[i].name, reflect.Indirect(member), p.fields[i].value)
		}
	}
}

// entries writes a map in the order of its keys, so that equal answers are
// equal.
func (b *buffer) entries(v reflect.Value, w *value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(x.String(), y.String()) })
	for _, key := range keys {
		b.add("<entry>")
		b.element("key", key, w.key)
		b.element("value", v.MapIndex(key), w.elem)
		b.add("</entry>")
	}
}

func (b *buffer) scalar(v reflect.Value, w *value) {
	switch w.kind {
	case text:
		b.escaped(v.String())
	case number:
		b.reserve(20)
		b.bytes = strconv.AppendInt(b.bytes, v.Int(), 10)
	case boolean:
		b.add(strconv.FormatBool(v.Bool()))
	case timestamp:
		b.reserve(len(xmlTime))
		b.bytes = api.Timestamp(v.Int()).Time().AppendFormat(b.bytes, xmlTime)
	case blob:
		b.reserve(base64.StdEncoding.EncodedLen(v.Len()))
		b.bytes = base64.StdEncoding.AppendEncode(b.bytes, v.Bytes())
	}
}

// xmlTime is ISO 8601 in UTC to the second, as all services of the query
// protocol write it.
const xmlTime = "2006-01-02T15:04:05Z"

// escaped appends s as character data. What XML 1.0 has no way to write, and
// what is not UTF-8, is replaced.
func (b *buffer) escaped(s string) {
	clean := 0 // s[clean:i] needs no escape
	for i := 0; i < len(s); {
		char, size := utf8.DecodeRuneInString(s[i:])
		if in := xmlEscape(char, size); in != "" {
			b.add(s[clean:i])
			b.add(in)
			clean = i + size
		}
		i += size
	}
	b.add(s[clean:])
}

// xmlEscape is what stands for a character, or "" if it may stand for itself.
func xmlEscape(char rune, size int) string {
	switch {
	case char == '&':
		return "&amp;"
	case char == '<':
		return "&lt;"
	case char == '>':
		return "&gt;"
	case char == '"':
		return "&quot;"
	case char == '\r':
		return "&#xD;" // a bare one is read as a line feed
	case char < ' ' && char != '\t' && char != '\n', char == 0xFFFE, char == 0xFFFF,
		char == utf8.RuneError && size == 1:
		return "\ufffd"
	}
	return ""
}

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

// encode appends out, a pointer to a structure that p plans, as JSON: absent
// members are left out, what is present but empty is written. This is the one
// place where a Sensitive value becomes text again.
func encode(b *buffer, out any, p *plan) {
	b.structure(reflect.ValueOf(out).Elem(), p)
}

func (b *buffer) structure(v reflect.Value, p *plan) {
	separator := "{"
	for i := range p.fields {
		member := v.Field(i)
		if isAbsent(member) {
			continue
		}
		b.add(separator)
		b.quoted(p.fields[i].name)
		b.add(":")
		b.value(reflect.Indirect(member), p.fields[i].value)
		separator = ","
	}
	if separator == "{" {
		b.add("{")
	}
	b.add("}")
}

func (b *buffer) value(v reflect.Value, w *value) {
	switch w.kind {
	case text:
		b.quoted(v.String()) // of a Sensitive too: reflection reads the string, not its String method
	case number:
		b.reserve(20)
		b.bytes = strconv.AppendInt(b.bytes, v.Int(), 10)
	case boolean:
		b.add(strconv.FormatBool(v.Bool()))
	case timestamp:
		b.reserve(24)
		b.bytes = api.Timestamp(v.Int()).AppendJSON(b.bytes)
	case blob:
		b.base64(v.Bytes())
	case list:
		b.list(v, w)
	case dict:
		b.dict(v, w)
	case structure:
		b.structure(v, w.structure)
	}
}

func (b *buffer) list(v reflect.Value, w *value) {
	b.add("[")
	for i := range v.Len() {
		if i > 0 {
			b.add(",")
		}
		b.value(v.Index(i), w.elem)
	}
	b.add("]")
}

// dict writes a map in the order of its keys, so that equal answers are equal.
func (b *buffer) dict(v reflect.Value, w *value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(x.String(), y.String()) })
	b.add("{")
	for i, key := range keys {
		if i > 0 {
			b.add(",")
		}
		b.quoted(key.String())
		b.add(":")
		b.value(v.MapIndex(key), w.elem)
	}
	b.add("}")
}

func (b *buffer) base64(data []byte) {
	b.reserve(base64.StdEncoding.EncodedLen(len(data)) + 2)
	b.bytes = append(b.bytes, '"')
	b.bytes = base64.StdEncoding.AppendEncode(b.bytes, data)
	b.bytes = append(b.bytes, '"')
}

// quoted appends s as a JSON string: what JSON wants escaped is, and what is
// not UTF-8 is replaced.
func (b *buffer) quoted(s string) {
	b.reserve(len(s) + 2)
	b.add(`"`)
	clean := 0 // s[clean:i] needs no escape
	for i := 0; i < len(s); {
		if i+8 <= len(s) && allPlain(s[i:i+8]) { // nearly all of nearly every value
			i += 8
			continue
		}
		if plain(s[i]) {
			i++
			continue
		}
		char, size := rune(s[i]), 1
		if char >= utf8.RuneSelf {
			char, size = utf8.DecodeRuneInString(s[i:])
		}
		if escaped, must := escape(char, size); must {
			b.add(s[clean:i])
			b.add(escaped)
			clean = i + size
		}
		i += size
	}
	b.add(s[clean:])
	b.add(`"`)
}

// allPlain says whether each of eight bytes is plain.
func allPlain(s string) bool {
	_ = s[7]
	return plainWord(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
}

// plainWord looks at eight bytes at once: in each byte of a word it sets the
// highest bit if that byte is not plain. Subtracting 0x20 from a byte below it
// borrows; so does subtracting 1 from the zero that a quote or a backslash is
// after XOR with itself. A borrow can mark the byte above, too, but only beside
// one that is marked rightly.
func plainWord(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	control := w - ones*' '
	quote := (w ^ ones*'"') - ones
	backslash := (w ^ ones*'\\') - ones
	return (w|control|quote|backslash)&highs == 0
}

// plain says whether a byte stands for itself in a JSON string.
func plain(b byte) bool {
	return ' ' <= b && b < utf8.RuneSelf && b != '"' && b != '\\'
}

func escape(char rune, size int) (escaped string, must bool) {
	switch {
	case char == '"':
		return `\"`, true
	case char == '\\':
		return `\\`, true
	case char == '\n':
		return `\n`, true
	case char == '\r':
		return `\r`, true
	case char == '\t':
		return `\t`, true
	case char < ' ':
		const hex = "0123456789abcdef"
		return `\u00` + hex[char>>4:char>>4+1] + hex[char&15:char&15+1], true
	case char == utf8.RuneError && size == 1:
		return "\ufffd", true
	}
	return "", false
}

package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"azekura/internal/api"
)

// maxDepth bounds the nesting of lists and objects, and with it the stack.
const maxDepth = 32

// A reader takes a JSON text apart, more strictly than encoding/json: names
// must not repeat within an object, strings must be valid UTF-8 and escape
// whole characters. Two readers of one body that differ in what they forgive
// are a way around whichever of them checks it. Its errors name positions, not
// contents.
type reader struct {
	text  []byte // escaped strings are overwritten by what they stand for
	at    int
	depth int
}

// next skips white space and peeks at the byte that follows; 0 is the end, or
// a byte that begins nothing.
func (r *reader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		switch b := r.text[r.at]; b {
		case ' ', '\t', '\n', '\r':
		default:
			return b
		}
	}
	return 0
}

func (r *reader) invalid() error {
	if r.at >= len(r.text) {
		return api.Serialization("Unexpected end of JSON input")
	}
	return api.Serialization(fmt.Sprintf("Invalid JSON at byte %d", r.at+1))
}

func (r *reader) enter() error {
	if r.depth++; r.depth > maxDepth {
		return api.Serialization(fmt.Sprintf("Structures are nested deeper than %d levels", maxDepth))
	}
	r.at++
	return nil
}

func (r *reader) leave() {
	r.depth--
	r.at++
}

// object reads an object. It calls member with each name, which is valid until
// the next read; member reads the value and refuses names that repeat.
func (r *reader) object(member func(name []byte) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	if r.next() == '}' {
		r.leave()
		return nil
	}
	for {
		if r.next() != '"' {
			return r.invalid()
		}
		name, err := r.string()
		if err != nil {
			return err
		}
		if r.next() != ':' {
			return r.invalid()
		}
		r.at++
		if err := member(name); err != nil {
			return err
		}
		switch r.next() {
		case ',':
			r.at++
		case '}':
			r.leave()
			return nil
		default:
			return r.invalid()
		}
	}
}

// list reads a list; element reads each of its values.
func (r *reader) list(element func() error) error {
	if err := r.enter(); err != nil {
		return err
	}
	if r.next() == ']' {
		r.leave()
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch r.next() {
		case ',':
			r.at++
		case ']':
			r.leave()
			return nil
		default:
			return r.invalid()
		}
	}
}

// string reads a string, without its quotes. The result is part of the text.
func (r *reader) string() ([]byte, error) {
	r.at++
	start := r.at
	for ; r.at < len(r.text); r.at++ {
		for len(r.text)-r.at > 8 && plainWord(binary.LittleEndian.Uint64(r.text[r.at:])) {
			r.at += 8
		}
		switch b := r.text[r.at]; {
		case b == '"':
			return r.endString(start, r.at)
		case b == '\\':
			return r.escapedString(start)
		case b < ' ':
			return nil, r.invalid()
		}
	}
	return nil, r.invalid()
}

func (r *reader) endString(start, end int) ([]byte, error) {
	s := r.text[start:end]
	if !utf8.Valid(s) {
		return nil, r.invalid()
	}
	r.at++
	return s, nil
}

// escapedString reads the rest of a string with escapes. What they stand for
// is never longer than they are, so it is written over them.
func (r *reader) escapedString(start int) ([]byte, error) {
	end := r.at
	for r.at < len(r.text) {
		switch b := r.text[r.at]; {
		case b == '"':
			return r.endString(start, end)
		case b < ' ':
			return nil, r.invalid()
		case b == '\\':
			char, err := r.escape()
			if err != nil {
				return nil, err
			}
			end += utf8.EncodeRune(r.text[end:end+utf8.RuneLen(char)], char)
		default:
			r.text[end] = b
			end++
			r.at++
		}
	}
	return nil, r.invalid()
}

func (r *reader) escape() (rune, error) {
	if r.at+1 >= len(r.text) {
		r.at = len(r.text)
		return 0, r.invalid()
	}
	if r.text[r.at+1] == 'u' {
		return r.unicodeEscape()
	}
	i := bytes.IndexByte([]byte(`"\/bfnrt`), r.text[r.at+1])
	if i < 0 {
		return 0, r.invalid()
	}
	r.at += 2
	return rune("\"\\/\b\f\n\r\t"[i]), nil
}

// unicodeEscape reads \uXXXX, or two of them that are one character. Half a
// character has no UTF-8 form; others replace it, we refuse it.
func (r *reader) unicodeEscape() (rune, error) {
	char, err := r.hex()
	if err != nil || !utf16.IsSurrogate(char) {
		return char, err
	}
	if !bytes.HasPrefix(r.text[r.at:], []byte(`\u`)) {
		return 0, r.invalid()
	}
	low, err := r.hex()
	if err != nil {
		return 0, err
	}
	if char = utf16.DecodeRune(char, low); char == utf8.RuneError {
		return 0, r.invalid()
	}
	return char, nil
}

func (r *reader) hex() (rune, error) {
	const length = len(`\uXXXX`)
	if len(r.text)-r.at < length {
		r.at = len(r.text)
		return 0, r.invalid()
	}
	var char rune
	for _, b := range r.text[r.at+2 : r.at+length] {
		switch {
		case '0' <= b && b <= '9':
			char = char<<4 | rune(b-'0')
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			char = char<<4 | rune(b|0x20-'a'+10)
		default:
			return 0, r.invalid()
		}
	}
	r.at += length
	return char, nil
}

// number reads a number as it is written. The result is part of the text.
func (r *reader) number() ([]byte, error) {
	start := r.at
	r.accept('-')
	if !r.accept('0') && !r.digits() {
		return nil, r.invalid()
	}
	if r.accept('.') && !r.digits() {
		return nil, r.invalid()
	}
	if r.accept('e') || r.accept('E') {
		if !r.accept('+') {
			r.accept('-')
		}
		if !r.digits() {
			return nil, r.invalid()
		}
	}
	return r.text[start:r.at], nil
}

func (r *reader) accept(b byte) bool {
	if r.at < len(r.text) && r.text[r.at] == b {
		r.at++
		return true
	}
	return false
}

func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

func (r *reader) literal(word string) error {
	if !bytes.HasPrefix(r.text[r.at:], []byte(word)) {
		return r.invalid()
	}
	r.at += len(word)
	return nil
}

// skip reads a value that nobody wants. It must be valid all the same.
func (r *reader) skip() error {
	switch b := r.next(); b {
	case '{':
		var seen names
		return r.object(func(name []byte) error {
			if err := seen.add(name); err != nil {
				return err
			}
			return r.skip()
		})
	case '[':
		return r.list(r.skip)
	case '"':
		_, err := r.string()
		return err
	case 't':
		return r.literal("true")
	case 'f':
		return r.literal("false")
	case 'n':
		return r.literal("null")
	default:
		_, err := r.number()
		return err
	}
}

// names are those met in an object that has no plan.
type names map[string]struct{}

func (n *names) add(name []byte) error {
	if _, twice := (*n)[string(name)]; twice {
		return errTwice()
	}
	if *n == nil {
		*n = names{}
	}
	(*n)[string(name)] = struct{}{}
	return nil
}

func errTwice() error { return api.Serialization("Duplicate member name in an object") }

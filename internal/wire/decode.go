package wire

import (
	"bytes"
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"unsafe"

	"azekura/internal/api"
)

// decode reads body, one JSON object, into in, an empty structure that p
// plans. No body is an empty object, null is an absent member, and a member
// that the model does not know is skipped. It overwrites the body. Its errors
// are SerializationExceptions that hold nothing of the body.
func decode(body []byte, in any, p *plan) error {
	if len(body) == 0 {
		return nil
	}
	d := decoder{reader{text: body}}
	if d.next() != '{' {
		return d.mismatch("a Structure")
	}
	if err := d.structure(reflect.ValueOf(in).Elem(), p); err != nil {
		return err
	}
	if d.next(); d.at < len(d.text) {
		return d.invalid()
	}
	return nil
}

type decoder struct{ reader }

func (d *decoder) structure(v reflect.Value, p *plan) error {
	var (
		seen    [maxFields / 64]uint64
		unknown names
	)
	return d.object(func(name []byte) error {
		i, ok := p.byName[string(name)]
		if !ok {
			if err := unknown.add(name); err != nil {
				return err
			}
			return d.skip()
		}
		if seen[i/64]&(1<<(i%64)) != 0 {
			return errTwice()
		}
		seen[i/64] |= 1 << (i % 64)
		return d.member(v.Field(i), p.fields[i].value)
	})
}

func (d *decoder) member(v reflect.Value, w *value) error {
	if d.next() == 'n' {
		return d.literal("null")
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(w.goType)
		v.Set(p)
		v = p.Elem()
	}
	return d.value(v, w)
}

// value reads what w describes into v. Null is refused: where it would mean
// absence, member has taken it.
func (d *decoder) value(v reflect.Value, w *value) error {
	begin := d.next()
	switch {
	case w.kind == text && begin == '"':
		return d.plain(v, w)
	case w.kind == blob && begin == '"':
		return d.blob(v)
	case w.kind == number && beginsNumber(begin):
		return d.integer(v, w)
	case w.kind == timestamp && beginsNumber(begin):
		return d.timestamp(v)
	case w.kind == boolean && begin == 't':
		v.SetBool(true)
		return d.literal("true")
	case w.kind == boolean && begin == 'f':
		return d.literal("false")
	case w.kind == list && begin == '[':
		return d.elements(v, w)
	case w.kind == dict && begin == '{':
		return d.entries(v, w)
	case w.kind == structure && begin == '{':
		return d.structure(v, w.structure)
	}
	return d.mismatch(w.javaName())
}

func beginsNumber(b byte) bool { return b == '-' || '0' <= b && b <= '9' }

func (d *decoder) elements(v reflect.Value, w *value) error {
	v.Set(reflect.MakeSlice(w.goType, 0, 0))
	return d.list(func() error {
		v.Grow(1)
		v.SetLen(v.Len() + 1)
		return d.value(v.Index(v.Len()-1), w.elem)
	})
}

func (d *decoder) entries(v reflect.Value, w *value) error {
	v.Set(reflect.MakeMap(w.goType))
	return d.object(func(name []byte) error {
		key := reflect.New(w.key.goType).Elem()
		key.SetString(string(name))
		if v.MapIndex(key).IsValid() {
			return errTwice()
		}
		elem := reflect.New(w.elem.goType).Elem()
		if err := d.value(elem, w.elem); err != nil {
			return err
		}
		v.SetMapIndex(key, elem)
		return nil
	})
}

// plain takes any text but U+0000 where it is not a secret: such text is kept
// readable in the database, and PostgreSQL's TEXT has no U+0000.
func (d *decoder) plain(v reflect.Value, w *value) error {
	s, err := d.string()
	if err == nil && !w.sensitive && bytes.IndexByte(s, 0) >= 0 {
		return api.Serialization("STRING_VALUE can not be converted to a String: it holds U+0000")
	}
	if w.sensitive && len(s) > 0 {
		// Memory of its own, which can be wiped: to string(s) Go may give memory
		// that others see, too, and does for a single byte.
		own := append(make([]byte, 0, len(s)), s...)
		v.SetString(unsafe.String(&own[0], len(own)))
		return err
	}
	v.SetString(string(s))
	return err
}

var strictBase64 = base64.StdEncoding.Strict()

// blob takes standard base64 with padding and nothing else: Go's decoder would
// pass over line breaks and stray bits, and one value would have many forms.
func (d *decoder) blob(v reflect.Value) error {
	s, err := d.string()
	if err != nil {
		return err
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := strictBase64.Decode(decoded, s)
	if err != nil || bytes.IndexByte(s, '\n') >= 0 || bytes.IndexByte(s, '\r') >= 0 {
		return api.Serialization("STRING_VALUE can not be converted to a Blob: it is not base64")
	}
	v.SetBytes(decoded[:n])
	return nil
}

func (d *decoder) integer(v reflect.Value, w *value) error {
	digits, err := d.number()
	if err != nil {
		return err
	}
	size := 64
	if w.rules.Int32 {
		size = 32
	}
	n, err := strconv.ParseInt(string(digits), 10, size)
	if err != nil {
		return api.Serialization("NUMBER_VALUE can not be converted to " + w.javaName())
	}
	v.SetInt(n)
	return nil
}

// maxSeconds keeps a timestamp's milliseconds exact in a float64.
const maxSeconds = 1 << 43

func (d *decoder) timestamp(v reflect.Value) error {
	digits, err := d.number()
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(string(digits), 64)
	if err != nil || math.Abs(seconds) > maxSeconds {
		return api.Serialization("NUMBER_VALUE can not be converted to a Timestamp")
	}
	v.SetInt(int64(math.Round(seconds * 1000)))
	return nil
}

// mismatch is the answer to a value that is not what the model wants, in the
// words of AWS's Java.
func (d *decoder) mismatch(want string) error {
	token := ""
	switch b := d.next(); {
	case b == '{':
		return api.Serialization("Start of structure or map found where not expected")
	case b == '[':
		return api.Serialization("Start of list found where not expected")
	case b == '"':
		token = "STRING_VALUE"
	case b == 't':
		token = "TRUE_VALUE"
	case b == 'f':
		token = "FALSE_VALUE"
	case b == 'n':
		token = "NULL_VALUE"
	case beginsNumber(b):
		token = "NUMBER_VALUE"
	default:
		return d.invalid()
	}
	return api.Serialization(token + " can not be converted to " + want)
}

func (w *value) javaName() string {
	switch w.kind {
	case text:
		return "a String"
	case number:
		if w.rules.Int32 {
			return "an Integer"
		}
		return "a Long"
	case boolean:
		return "a Boolean"
	case timestamp:
		return "a Timestamp"
	case blob:
		return "a Blob"
	case list:
		return "a List"
	case dict:
		return "a Map"
	}
	return "a Structure"
}

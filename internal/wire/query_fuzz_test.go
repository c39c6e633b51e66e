package wire

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
)

// all has a member of each kind that a form can have.
type all struct {
	Text   *string           `api:"min=1,max=3,pattern=[a-z]+"`
	Hidden *api.Sensitive    `api:"min=1"`
	Blob   api.SensitiveBlob `api:"max=2"`
	Number *int64            `api:"int32,min=3"`
	On     *bool
	When   *api.Timestamp
	List   []string           `api:"max=2" elem:"enum=a|b"`
	Lists  [][]int64          `elem:"max=2"`
	Map    map[string]string  `key:"max=1"`
	Maps   map[string][]inner `api:"min=1"`
	Inner  *all
	Many   []inner
}

// FuzzDecodeForm reads a form as parameters and as an input. What it takes it
// can write and read again as the same; what it answers in XML encoding/xml
// reads.
func FuzzDecodeForm(f *testing.F) {
	for _, seed := range []string{
		"", "Action=A&Version=1&Text=a", "Text=&Hidden=%00&Blob=AAE%3D&Number=-12&On=true", "When=2026-01-15T12%3A00%3A00.5%2B01:00",
		"List.member.2=b&List.member.1=a", "List=&Map=&Many=&Inner=", "Lists.member.1.member.7=1&Lists.member.2=", "Map.entry.1.key=k&Map.entry.1.value=v",
		"Map.entry.1.key=k&Map.entry.1.value=v&Map.entry.2.key=k&Map.entry.2.value=v", "Maps.entry.9.key=&Maps.entry.9.value.member.1.A=x",
		"Inner.Inner.Many.member.3.B=+%2B&Inner.Inner.X.Y=1", "Many.member.1.A=1&Many.member.1.B", "Text=a&Text=b", "List.member.01=a", "List.member.1.x=a",
		"Text.a=1", "Text=%zz", "Text=%FF", "a.b.c.d.e.f=1&;", "List=x", "Many.member.1=", "Text=%26%3C%3E%0D%EF%BF%BF",
	} {
		f.Add(seed)
	}
	p := planFor(f, new(all))
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := parseForm(nil, raw)
		if err == nil {
			err = unique(params)
		}
		var got all
		if err == nil {
			err = decodeForm(params, &got, p)
		}
		if err != nil {
			if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "SerializationException" && e.Code != "MalformedQueryString" {
				t.Fatalf("got %v", err)
			}
			return
		}
		if values, err := url.ParseQuery(raw); err == nil {
			for _, param := range params {
				if !slices.Contains(values[param.name], param.value) {
					t.Errorf("net/url does not read %q", param)
				}
			}
		}
		for _, how := range []tone{open, discreet} {
			if err := check(&got, p, how); err != nil && !strings.HasPrefix(err.Error(), "ValidationException: ") {
				t.Errorf("got %v, want a ValidationException", err)
			}
		}
		var again all
		written := appendForm(nil, "", reflect.ValueOf(got), &value{kind: structure, structure: p})
		if err := decodeForm(written, &again, p); err != nil {
			t.Fatalf("we refuse what was written of it: %v\n%q", err, written)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("written and read again (-first +second):\n%s", diff)
		}
		readXML(t, &got, p)
	})
}

// appendForm writes a value as SDKs do.
func appendForm(params []parameter, name string, v reflect.Value, w *value) []parameter {
	before := len(params)
	switch w.kind {
	case structure:
		for i := range w.structure.fields {
			if member := v.Field(i); !isAbsent(member) {
				below := strings.TrimPrefix(name+"."+w.structure.fields[i].name, ".")
				params = appendForm(params, below, reflect.Indirect(member), w.structure.fields[i].value)
			}
		}
	case list:
		for i := range v.Len() {
			params = appendForm(params, name+".member."+strconv.Itoa(i+1), v.Index(i), w.elem)
		}
	case dict:
		for i, key := range v.MapKeys() {
			entry := name + ".entry." + strconv.Itoa(i+1)
			params = appendForm(params, entry+".key", key, w.key)
			params = appendForm(params, entry+".value", v.MapIndex(key), w.elem)
		}
	case text:
		return append(params, parameter{name, v.String()})
	case number:
		return append(params, parameter{name, strconv.FormatInt(v.Int(), 10)})
	case boolean:
		return append(params, parameter{name, strconv.FormatBool(v.Bool())})
	case timestamp:
		return append(params, parameter{name, api.Timestamp(v.Int()).Time().Format(time.RFC3339Nano)})
	case blob:
		return append(params, parameter{name, base64.StdEncoding.EncodeToString(v.Bytes())})
	}
	if len(params) == before && name != "" {
		return append(params, parameter{name, ""}) // there, but empty
	}
	return params
}

// readXML holds what is written of a value against encoding/xml: it is well
// formed, and its texts are those of the value, but for what XML cannot say.
func readXML(t *testing.T, in *all, p *plan) {
	t.Helper()
	var b buffer
	encodeXML(&b, "All", in, p)
	if !utf8.Valid(b.bytes) {
		t.Fatalf("not UTF-8: %q", b.bytes)
	}
	d := xml.NewDecoder(strings.NewReader(string(b.bytes)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, b.bytes)
		}
	}
	var out struct {
		Text, Hidden *string
		List         []string `xml:"List>member"`
		Many         []inner  `xml:"Many>member"`
	}
	if err := xml.Unmarshal(b.bytes, &out); err != nil {
		t.Fatal(err)
	}
	want := out
	want.Text, want.Hidden, want.List, want.Many = sayable(in.Text), sayable((*string)(in.Hidden)), nil, nil
	for _, s := range in.List {
		want.List = append(want.List, *sayable(&s))
	}
	for _, i := range in.Many {
		want.Many = append(want.Many, inner{sayable(i.A), sayable(i.B)})
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-value +encoding/xml):\n%s", diff)
	}
}

// sayable is s with U+FFFD for each character that XML 1.0 leaves out.
func sayable(s *string) *string {
	if s == nil {
		return nil
	}
	return new(strings.Map(func(char rune) rune {
		switch {
		case char == '\t', char == '\n', char == '\r', char >= ' ' && char < 0xFFFE, char > 0xFFFF:
			return char
		}
		return utf8.RuneError
	}, *s))
}

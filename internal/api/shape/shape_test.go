package shape

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	tag := reflect.StructTag(`api:"name=arn,required,min=1,max=20" elem:"enum=a|b" elem.elem:"int32,min=-3,pattern=^a{1,2}=b$" elem.key:"max=0"`)
	for _, c := range []struct {
		at   Level
		want Rules
	}{
		{Member, Rules{Name: "arn", Required: true, Min: new(int64(1)), Max: new(int64(20))}},
		{Member.Elem(), Rules{Enum: []string{"a", "b"}}},
		{Member.Elem().Elem(), Rules{Int32: true, Min: new(int64(-3)), Pattern: "^a{1,2}=b$"}},
		{Member.Elem().Key(), Rules{Max: new(int64(0))}},
		{Member.Key(), Rules{}},
	} {
		got, err := Parse(tag, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.at, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"requird", "min=x", "max=", "required,,min=1", "min=99999999999999999999"} {
		if got, err := Parse(reflect.StructTag(`api:`+strconv.Quote(text)), Member); err == nil {
			t.Errorf("%s: got %v, want an error", text, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	word := rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]{0,8}`)
	bound := rapid.Custom(func(t *rapid.T) *int64 {
		if rapid.Bool().Draw(t, "unbounded") {
			return nil
		}
		return new(rapid.Int64().Draw(t, "bound"))
	})
	rapid.Check(t, func(t *rapid.T) {
		want := Rules{
			Required: rapid.Bool().Draw(t, "required"),
			Int32:    rapid.Bool().Draw(t, "int32"),
			Min:      bound.Draw(t, "min"),
			Max:      bound.Draw(t, "max"),
			Pattern:  strings.ReplaceAll(rapid.String().Draw(t, "pattern"), "\x00", ""),
		}
		if rapid.Bool().Draw(t, "enumerated") {
			want.Enum = rapid.SliceOfN(word, 1, 4).Draw(t, "enum")
		}
		got, err := Parse(reflect.StructTag(`api:`+strconv.Quote(want.String())), Member)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want, diff)
		}
	})
}

// accountAlias looks ahead, which Go's patterns do not.
const accountAlias = `^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`

func TestRegexp(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"[0-9]+h", "12h", true},
		{"[0-9]+h", "x12h", false},
		{"[0-9]+h", "12hh", false},
		{"^a|b$", "b", true},
		{"^a|b$", "bb", false},
		{"^a$", "a\n", false},
		{`[\u0020-\u00FF]+`, "aÿ", true},
		{`[\u0020-\u00FF]+`, "aĀ", false},
		{accountAlias, "abc", true},
		{accountAlias, "a-b-0", true},
		{accountAlias, "a--b", false},
		{accountAlias, "-ab", false},
		{accountAlias, "ab-", false},
		{accountAlias, "aB", false},
	} {
		re, err := Regexp(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := re.MatchString(c.value); got != c.want {
			t.Errorf("%s on %q: got %v, want %v", c.pattern, c.value, got, c.want)
		}
	}
}

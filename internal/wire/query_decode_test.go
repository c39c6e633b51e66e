package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
)

func TestDecodeForm(t *testing.T) {
	p := planFor(t, new(all))
	for raw, want := range map[string]all{
		"":                                      {},
		"Text=":                                 {Text: new("")},
		"Text=a+b%2Bc%20d":                      {Text: new("a b+c d")},
		"Hidden=%00":                            {Hidden: new(api.Sensitive("\x00"))},
		"Blob=AAE%3D":                           {Blob: api.SensitiveBlob{0, 1}},
		"Blob=":                                 {Blob: api.SensitiveBlob{}},
		"Number=-2147483648":                    {Number: new(int64(-2147483648))},
		"On=false":                              {On: new(false)},
		"When=2026-01-15T12:00:00Z":             {When: new(api.Timestamp(1768478400000))},
		"When=2026-01-15T13:00:00.1239%2B01:00": {When: new(api.Timestamp(1768478400123))},
		"List.member.10=b&List.member.9=a":      {List: []string{"a", "b"}},
		"Lists.member.1.member.1=7&Lists.member.2=":                                 {Lists: [][]int64{{7}, {}}},
		"List=&Map=&Many=&Inner=":                                                   {List: []string{}, Map: map[string]string{}, Many: []inner{}, Inner: &all{}},
		"Map.entry.1.key=k&Map.entry.1.value=v&Map.entry.3.value=&Map.entry.3.key=": {Map: map[string]string{"k": "v", "": ""}},
		"Maps.entry.1.key=k&Maps.entry.1.value.member.2.B=x":                        {Maps: map[string][]inner{"k": {{B: new("x")}}}},
		"Many.member.1.B&Many.member.2=":                                            {Many: []inner{{B: new("")}, {}}},
		"Inner.Inner.Text=a&Inner.Nothing.member.x=1&text=b":                        {Inner: &all{Inner: &all{Text: new("a")}}},
	} {
		params, err := parseForm(nil, raw)
		if err != nil {
			t.Fatal(err)
		}
		var got all
		if err := decodeForm(params, &got, p); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
	for _, raw := range []string{
		"Blob=AAE", "Blob=AAF%3D", "Blob=AA%0AE%3D", "When=1768478400", "When=2026-01-15", "On=1", "Number=1.0", "Number=0x1", "Number=2147483648",
		"Map.entry.1.key=k", "Map.entry.1.value=v", "Map.entry.1=k", "Map.k=v", "Map.member.1.key=k&Map.member.1.value=v",
		"Map.entry.1.key=k&Map.entry.1.value=v&Map.entry.2.key=k&Map.entry.2.value=v", "Inner=a", "Inner.Text.x=a",
	} {
		params, err := parseForm(nil, raw)
		if err != nil {
			t.Fatal(err)
		}
		var got all
		if err := decodeForm(params, &got, p); err == nil {
			t.Errorf("%s was read as %+v", raw, got)
		}
	}
}

package wire_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
)

// loose has a member of every kind and no constraints.
type loose struct {
	RotationRules *rule
	Numbers       []int64
	Lists         [][]string
	Context       map[string]string
	Stages        map[string][]string
	Map           map[string]rule
	Small         *int64
	Plain         []byte
	ARN           *string
	When          *api.Timestamp
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		body string
		want loose
	}{
		{``, loose{}},
		{` { } `, loose{}},
		{`{"Small":null,"Numbers":null,"RotationRules":null,"Plain":null,"Context":null}`, loose{}},
		{`{"Numbers":[],"Plain":"","Context":{},"RotationRules":{"Region":"r"}}`,
			loose{Numbers: []int64{}, Plain: []byte{}, Context: map[string]string{}, RotationRules: &rule{Region: new("r")}}},
		{`{"Numbers":[-9223372036854775808, 9223372036854775807, -0, 7]}`, loose{Numbers: []int64{math.MinInt64, math.MaxInt64, 0, 7}}},
		{`{"ARN":"\"\\\/\b\f\n\r\t\u00e9\u8a9e\uD83D\ude00 语😀\u0001"}`, loose{ARN: new("\"\\/\b\f\n\r\té語😀 语😀\x01")}},
		{`{"\u0041\u0052N":"a"}`, loose{ARN: new("a")}},
		{`{"Plain":"AP8B"}`, loose{Plain: []byte{0, 255, 1}}},
		{`{"Plain":"\/\/8="}`, loose{Plain: []byte{255, 255}}},
		{`{"Lists":[["a"],["b"]]}`, loose{Lists: [][]string{{"a"}, {"b"}}}},
		{`{"Stages":{"v":["a"]},"Map":{"k":{"Region":"r"}}}`,
			loose{Stages: map[string][]string{"v": {"a"}}, Map: map[string]rule{"k": {Region: new("r")}}}},
		{`{"When":1523477145.713}`, loose{When: new(api.Timestamp(1523477145713))}},
		{`{"When":1.523477145713E9}`, loose{When: new(api.Timestamp(1523477145713))}},
		{`{"When":-1}`, loose{When: new(api.Timestamp(-1000))}},
		{`{"arn":"x","Arn":1,"x":{"y":[1.5e-3,true,false,null,"\u00e9",{}]},"ARN":"a"}`, loose{ARN: new("a")}},
		{`{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, loose{}},
	} {
		var got loose
		b := newBench(answering[loose, struct{}]("Loose", &got, nil, nil))
		if w := b.call("Loose", c.body); w.Code != 200 {
			t.Errorf("%s: got %s", c.body, w.Body)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const end = "Unexpected end of JSON input"
	deep := func(open string) string { return strings.Repeat(open, 100) }
	for _, c := range []struct{ body, want string }{
		{` `, end},
		{`{`, end},
		{`{"`, end},
		{`{"ARN"`, end},
		{`{"ARN":`, end},
		{`{"ARN":"\`, end},
		{`{"ARN":"\u12`, end},
		{`x`, "Invalid JSON at byte 1"},
		{`{x}`, "Invalid JSON at byte 2"},
		{`{"a" 1}`, "Invalid JSON at byte 6"},
		{`{"a":1 "b":2}`, "Invalid JSON at byte 8"},
		{`{"a":1,}`, "Invalid JSON at byte 8"},
		{`{"a":[1,]}`, "Invalid JSON at byte 9"},
		{`{"a":[1 2]}`, "Invalid JSON at byte 9"},
		{`{"a":01}`, "Invalid JSON at byte 7"},
		{`{"a":1.}`, "Invalid JSON at byte 8"},
		{`{"a":1e}`, "Invalid JSON at byte 8"},
		{`{"a":+1}`, "Invalid JSON at byte 6"},
		{`{"a":NaN}`, "Invalid JSON at byte 6"},
		{`{"a":nul}`, "Invalid JSON at byte 6"},
		{`{"ARN":nul}`, "Invalid JSON at byte 8"},
		{`{'a':1}`, "Invalid JSON at byte 2"},
		{"{\"ARN\":\"a\nb\"}", "Invalid JSON at byte 10"},
		{"{\"ARN\":\"\\n\n\"}", "Invalid JSON at byte 11"},
		{"{\"ARN\":\"\\n\xff\"}", "Invalid JSON at byte 12"},
		{"{\"ARN\":\"\xff\"}", "Invalid JSON at byte 10"},
		{"{\"\xc0\x80\":1}", "Invalid JSON at byte 5"},
		{`{"ARN":"\x"}`, "Invalid JSON at byte 9"},
		{`{"ARN":"\u00g0"}`, "Invalid JSON at byte 9"},
		{`{"ARN":"\ud83d"}`, "Invalid JSON at byte 15"},
		{`{"ARN":"\ud83dx"}`, "Invalid JSON at byte 15"},
		{`{"ARN":"\ud83d\u0041"}`, "Invalid JSON at byte 21"},
		{`{"ARN":"\ude00\ud83d"}`, "Invalid JSON at byte 21"},
		{`{} {}`, "Invalid JSON at byte 4"},
		{`{}x`, "Invalid JSON at byte 3"},
		{"{}\x00", "Invalid JSON at byte 3"},
		{"\xef\xbb\xbf{}", "Invalid JSON at byte 1"},
		{`[]`, "Start of list found where not expected"},
		{`null`, "NULL_VALUE can not be converted to a Structure"},
		{`"a"`, "STRING_VALUE can not be converted to a Structure"},
		{`{"ARN":"a","ARN":"b"}`, "Duplicate member name in an object"},
		{`{"ARN":null,"ARN":"b"}`, "Duplicate member name in an object"},
		{`{"ARN":"a","\u0041RN":"b"}`, "Duplicate member name in an object"},
		{`{"other":1,"other":2}`, "Duplicate member name in an object"},
		{`{"other":{"a":1,"a":2}}`, "Duplicate member name in an object"},
		{`{"Context":{"a":"1","a":"2"}}`, "Duplicate member name in an object"},
		{`{"ARN":{}}`, "Start of structure or map found where not expected"},
		{`{"ARN":[]}`, "Start of list found where not expected"},
		{`{"ARN":1}`, "NUMBER_VALUE can not be converted to a String"},
		{`{"ARN":true}`, "TRUE_VALUE can not be converted to a String"},
		{`{"ARN":"a\u0000"}`, "STRING_VALUE can not be converted to a String: it holds U+0000"},
		{`{"Small":"1"}`, "STRING_VALUE can not be converted to a Long"},
		{`{"Small":1.0}`, "NUMBER_VALUE can not be converted to a Long"},
		{`{"Small":1e2}`, "NUMBER_VALUE can not be converted to a Long"},
		{`{"Small":9223372036854775808}`, "NUMBER_VALUE can not be converted to a Long"},
		{`{"When":"2020"}`, "STRING_VALUE can not be converted to a Timestamp"},
		{`{"When":1e300}`, "NUMBER_VALUE can not be converted to a Timestamp"},
		{`{"When":1e999}`, "NUMBER_VALUE can not be converted to a Timestamp"},
		{`{"Numbers":{}}`, "Start of structure or map found where not expected"},
		{`{"Numbers":7}`, "NUMBER_VALUE can not be converted to a List"},
		{`{"Numbers":[null]}`, "NULL_VALUE can not be converted to a Long"},
		{`{"Context":"x"}`, "STRING_VALUE can not be converted to a Map"},
		{`{"Context":{"a":null}}`, "NULL_VALUE can not be converted to a String"},
		{`{"RotationRules":false}`, "FALSE_VALUE can not be converted to a Structure"},
		{`{"Plain":1}`, "NUMBER_VALUE can not be converted to a Blob"},
		{`{"Plain":"AAA"}`, "STRING_VALUE can not be converted to a Blob: it is not base64"},
		{`{"Plain":"AB=="}`, "STRING_VALUE can not be converted to a Blob: it is not base64"},
		{`{"Plain":"AA\n=="}`, "STRING_VALUE can not be converted to a Blob: it is not base64"},
		{`{"Plain":"_-8="}`, "STRING_VALUE can not be converted to a Blob: it is not base64"},
		{`{"x":` + deep("["), "Structures are nested deeper than 32 levels"},
		{`{"x":` + deep(`{"x":`), "Structures are nested deeper than 32 levels"},
	} {
		b := newBench(answering[constrained, struct{}]("Constrained", new(constrained), nil, nil))
		w := b.call("Constrained", c.body)
		if got, want := w.Body.String(), `{"__type":"SerializationException","message":"`+c.want+`"}`; w.Code != 400 || got != want {
			t.Errorf("%s:\n got %d %s\nwant 400 %s", c.body, w.Code, got, want)
		}
	}
}

func TestDecodeModel(t *testing.T) {
	const integer = `{"__type":"SerializationException","message":"NUMBER_VALUE can not be converted to an Integer"}`
	b := newBench(
		answering[model.ListSecretsInput, struct{}]("ListSecrets", new(model.ListSecretsInput), nil, nil),
		answering[model.GetRandomPasswordInput, struct{}]("GetRandomPassword", new(model.GetRandomPasswordInput), nil, nil),
	)
	want(t, b.call("ListSecrets", `{"MaxResults":2147483648}`), 400, integer)
	want(t, b.call("ListSecrets", `{"MaxResults":10}`), 200, "")
	want(t, b.call("GetRandomPassword", `{"ExcludeNumbers":"true"}`), 400,
		`{"__type":"SerializationException","message":"STRING_VALUE can not be converted to a Boolean"}`)
	want(t, b.call("GetRandomPassword", `{"ExcludeNumbers":true,"IncludeSpace":false}`), 200, "")
}

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const small = `{
	"metadata": {"apiVersion": "2020-01-01", "serviceFullName": "AWS Small", "protocol": "json", "targetPrefix": "Small_20200101"},
	"operations": {
		"Put": {"input": {"shape": "PutRequest"}, "errors": [{"shape": "GoneException"}, {"shape": "Broken"}, {"shape": "Short"}, {"shape": "ThingException"}]},
		"Peek": {"input": {"shape": "PeekRequest"}, "documentation": "told nowhere"}
	},
	"shapes": {
		"PutRequest": {"type": "structure", "required": ["Id", "Things"], "documentation": "told nowhere", "members": {
			"Id": {"shape": "Id"}, "Things": {"shape": "Things"}, "Blob": {"shape": "Blob"}, "Hidden": {"shape": "Hidden"},
			"When": {"shape": "When"}, "arn": {"shape": "Id"}, "Stages": {"shape": "Stages"}, "Size": {"shape": "Size"}}},
		"PeekRequest": {"type": "structure", "members": {"Other": {"shape": "Other"}}},
		"Other": {"type": "structure", "members": {}},
		"Id": {"type": "string", "min": 1, "max": 9, "pattern": "[a-z,]\\u0041+\"?"},
		"Things": {"type": "list", "member": {"shape": "thing"}, "min": 1},
		"thing": {"type": "structure", "members": {"Inner": {"shape": "thing"}, "On": {"shape": "Switch"}, "Kind": {"shape": "Kind"}}},
		"Kind": {"type": "string", "enum": ["b", "a"]},
		"Switch": {"type": "boolean"},
		"Blob": {"type": "blob"},
		"Hidden": {"type": "blob", "sensitive": true, "max": 5},
		"When": {"type": "timestamp"},
		"Size": {"type": "integer", "max": 7},
		"Stages": {"type": "map", "key": {"shape": "Id"}, "value": {"shape": "Names"}},
		"Names": {"type": "list", "member": {"shape": "Name"}, "max": 2},
		"Name": {"type": "string", "sensitive": true, "max": 3},
		"GoneException": {"type": "structure", "members": {}, "exception": true},
		"Broken": {"type": "structure", "members": {}, "exception": true, "fault": true},
		"ThingException": {"type": "structure", "members": {}, "exception": true},
		"Short": {"type": "structure", "members": {}, "exception": true, "error": {"code": "S", "httpStatusCode": 409}}
	}
}`

var smallService = service{name: "small", operations: []string{"Put"}}

func TestGenerate(t *testing.T) {
	want := map[string]string{
		"operations.gen.go": `// Package small holds the shapes of AWS Small (2020-01-01).
package small

// Operations lists every operation of the model, also those without shapes here.
var Operations = []string{
	"Peek",
	"Put",
}

// Target begins each X-Amz-Target.
const Target = "Small_20200101"
`,
		"outputs.gen.go": `package small

// PutOutput stands for no output: Put answers nil.
type PutOutput struct {
}
`,
		"shapes.gen.go": `package small

// Thing is the model's structure of that name.
type Thing struct {
	Inner *Thing
	On    *bool
	Kind  *string ` + "`api:\"enum=b|a\"`" + `
}
`,
		"errors.gen.go": `package small

import (
	"fmt"

	"azekura/internal/api"
)

// Broken makes the model's Broken.
func Broken(format string, args ...any) *api.Error {
	return &api.Error{Code: "Broken", Status: 500, Message: fmt.Sprintf(format, args...), Modelled: true}
}

// Gone makes the model's GoneException.
func Gone(format string, args ...any) *api.Error {
	return &api.Error{Code: "GoneException", Status: 400, Message: fmt.Sprintf(format, args...), Modelled: true}
}

// Short makes the model's Short.
func Short(format string, args ...any) *api.Error {
	return &api.Error{Code: "S", Status: 409, Message: fmt.Sprintf(format, args...), Modelled: true}
}

// ThingException makes the model's ThingException.
func ThingException(format string, args ...any) *api.Error {
	return &api.Error{Code: "ThingException", Status: 400, Message: fmt.Sprintf(format, args...), Modelled: true}
}
`,
	}
	want["inputs.gen.go"] = `package small

import (
	"azekura/internal/api"
)

// PutInput is the input of Put.
type PutInput struct {
	Id     *string ` + "`" + `api:"required,min=1,max=9,pattern=[a-z,]\\u0041+\"?"` + "`" + `
	Things []Thing ` + "`" + `api:"required,min=1"` + "`" + `
	Blob   []byte
	Hidden api.SensitiveBlob ` + "`" + `api:"max=5"` + "`" + `
	When   *api.Timestamp
	Arn    *string                    ` + "`" + `api:"name=arn,min=1,max=9,pattern=[a-z,]\\u0041+\"?"` + "`" + `
	Stages map[string][]api.Sensitive ` + "`" + `key:"min=1,max=9,pattern=[a-z,]\\u0041+\"?" elem:"max=2" elem.elem:"max=3"` + "`" + `
	Size   *int64                     ` + "`" + `api:"int32,max=7"` + "`" + `
}
`
	files, err := generate(smallService, []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, source := range files {
		text, ok := strings.CutPrefix(string(source), header)
		if !ok {
			t.Errorf("%s does not begin with the header", name)
		}
		got[name] = text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("generated (-want +got):\n%s", diff)
	}
}

// A service of the query protocol is called by its version, and answers in an
// element whose name the wire makes of the operation's.
func TestGenerateQuery(t *testing.T) {
	const protocol = `"protocol": "query", "xmlNamespace": "https://small.example/doc/"`
	query := strings.Replace(small, `"protocol": "json", "targetPrefix": "Small_20200101"`, protocol, 1)
	wrapped := func(name string) []byte {
		return []byte(strings.Replace(query, `"input": {"shape": "PutRequest"}`,
			`"input": {"shape": "PutRequest"}, "output": {"shape": "Other", "resultWrapper": "`+name+`"}`, 1))
	}
	files, err := generate(smallService, wrapped("PutResult"))
	if err != nil {
		t.Fatal(err)
	}
	want := `
// Version and Namespace are what the query protocol calls the API by.
const (
	Version   = "2020-01-01"
	Namespace = "https://small.example/doc/"
)
`
	if got := string(files["operations.gen.go"]); !strings.HasSuffix(got, want) {
		t.Errorf("got %s\nwant at its end %s", got, want)
	}
	if _, err := generate(smallService, wrapped("Result")); err == nil || !strings.Contains(err.Error(), `wrapped in "Result"`) {
		t.Errorf("another wrapper: got %v", err)
	}
}

func TestGenerateTwice(t *testing.T) {
	first, err := generate(smallService, []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := generate(smallService, []byte(small))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("second run differs:\n%s", diff)
		}
	}
}

// What the generator does not understand stops it: a constraint that is left
// out would be a check that is never made.
func TestGenerateRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"type", `"type": "timestamp"`, `"type": "double"`, "unknown type double"},
		{"pattern", `[a-z,]`, `(?!x)`, "invalid or unsupported Perl syntax"},
		{"sensitive list", `"type": "list", "member": {"shape": "Name"}`, `"type": "list", "sensitive": true, "member": {"shape": "Name"}`, "sensitive list"},
		{"shape", `"shape": "Kind"`, `"shape": "Nowhere"`, "Nowhere is not in the model"},
		{"operation", `"Put":`, `"Pat":`, "operation Put is not in the model"},
		{"protocol", `"protocol": "json"`, `"protocol": "ec2"`, `protocol "ec2"`},
		{"renamed member", `"Blob": {"shape": "Blob"}`, `"Blob": {"shape": "Blob", "locationName": "blob"}`, "called blob on the wire"},
		{"renamed element", `"member": {"shape": "Name"}`, `"member": {"shape": "Name", "locationName": "item"}`, "renamed list"},
		{"flattened", `"type": "list", "member": {"shape": "Name"}`, `"type": "list", "flattened": true, "member": {"shape": "Name"}`, "flattened or renamed list"},
		{"map keys", `"key": {"shape": "Id"}`, `"key": {"shape": "Size"}`, "keys of type int64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := bytes.Replace([]byte(small), []byte(c.old), []byte(c.new), 1)
			_, err := generate(smallService, text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

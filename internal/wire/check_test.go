package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
)

// constrained has the constraints of AWS's model that no served input has.
type constrained struct {
	RotationRules     *rules `api:""`
	AddReplicaRegions []rule `api:"min=1,max=2"`
	Numbers           []int64
	Texts             []string            `elem:"pattern=[a-z]+"`
	Kinds             []string            `elem:"enum=a|b"`
	Hidden            []api.Sensitive     `api:"max=1" elem:"max=6"`
	Blobs             [][]byte            `elem:"max=1"`
	Lists             [][]string          `elem:"min=1" elem.elem:"max=1"`
	Context           map[string]string   `api:"max=2" key:"min=1,max=3" elem:"max=4"`
	Stages            map[string][]string `elem:"max=1"`
	Map               map[string]rule
	Small             *int64 `api:"min=-1,max=1"`
	Plain             []byte `api:"min=2"`
	ARN               *string
	When              *api.Timestamp
}

type rules struct {
	Duration *string `api:"min=2,max=3,pattern=[0-9]+h"`
}

type rule struct {
	Region *string `api:"required,max=1"`
}

func one(item string) string {
	return "1 validation error detected: " + item
}

func TestConstraints(t *testing.T) {
	b := newBench(
		getSecretValue(nil, nil),
		answering[model.CreateSecretInput, struct{}]("CreateSecret", new(model.CreateSecretInput), nil, nil),
		answering[model.PutSecretValueInput, struct{}]("PutSecretValue", new(model.PutSecretValueInput), nil, nil),
		answering[model.ListSecretsInput, struct{}]("ListSecrets", new(model.ListSecretsInput), nil, nil),
		answering[model.GetRandomPasswordInput, struct{}]("GetRandomPassword", new(model.GetRandomPasswordInput), nil, nil),
		answering[model.TagResourceInput, struct{}]("TagResource", new(model.TagResourceInput), nil, nil),
		answering[constrained, struct{}]("Constrained", new(constrained), nil, nil),
	)
	const (
		least = "failed to satisfy constraint: Member must have length greater than or equal to "
		most  = "failed to satisfy constraint: Member must have length less than or equal to "
	)
	long := strings.Repeat("x", 70)
	for _, c := range []struct{ op, body, want string }{
		{"GetSecretValue", `{}`, one("Value null at 'secretId' failed to satisfy constraint: Member must not be null")},
		{"GetSecretValue", `{"SecretId":null}`, one("Value null at 'secretId' failed to satisfy constraint: Member must not be null")},
		{"GetSecretValue", `{"SecretId":""}`, one("Value '' at 'secretId' " + least + "1")},
		{"CreateSecret", `{"Name":"n","ClientRequestToken":"` + long + `"}`, one("Value '" + long + "' at 'clientRequestToken' " + most + "64")},
		{"CreateSecret", `{"Name":"n","SecretString":""}`, one("Value at 'secretString' " + least + "1")},
		{"CreateSecret", `{"Name":"n","SecretBinary":""}`, one("Value at 'secretBinary' " + least + "1")},
		{"CreateSecret", `{"Name":"n","AddReplicaRegions":[]}`, one("Value '[]' at 'addReplicaRegions' " + least + "1")},
		{"CreateSecret", `{"Name":"n","Tags":[{"Key":"k"},{"Key":"","Value":""}]}`, one("Value '' at 'tags.2.member.key' " + least + "1")},
		{"GetSecretValue", `{"SecretId":"","VersionId":"é"}`,
			"2 validation errors detected: Value '' at 'secretId' " + least + "1; Value 'é' at 'versionId' " + least + "32"},
		{"PutSecretValue", `{"SecretId":"s","RotationToken":"!"}`, "2 validation errors detected: Value at 'rotationToken' " + least +
			`36; Value at 'rotationToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9\-]+$`},
		{"PutSecretValue", `{"SecretId":"s","VersionStages":["a",""]}`, one("Value '[a, ]' at 'versionStages' failed to satisfy constraint: " +
			"Member must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 1]")},
		{"PutSecretValue", `{"SecretId":"s","VersionStages":[` + strings.Repeat(`"a",`, 20) + `"a"]}`,
			one("Value '[" + strings.Repeat("a, ", 20) + "a]' at 'versionStages' " + most + "20")},
		{"ListSecrets", `{"Filters":[{"Key":"invalid","Values":["v"]}]}`, one("Value 'invalid' at 'filters.1.member.key' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [description, name, tag-key, tag-value, primary-region, owning-service, all]")},
		{"ListSecrets", `{"SortOrder":"ASC"}`, one("Value 'ASC' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]")},
		{"ListSecrets", `{"MaxResults":0}`, one("Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1")},
		{"ListSecrets", `{"Filters":[` + strings.Repeat("{},", 10) + `{}]}`, one("Value at 'filters' " + most + "10")},
		{"GetRandomPassword", `{"PasswordLength":5555}`, one("Value '5555' at 'passwordLength' failed to satisfy constraint: Member must have value less than or equal to 4096")},
		{"TagResource", `{"SecretId":"s"}`, one("Value null at 'tags' failed to satisfy constraint: Member must not be null")},
		{"Constrained", `{"RotationRules":{"Duration":"12x"}}`,
			one("Value '12x' at 'rotationRules.duration' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9]+h")},
		{"Constrained", `{"AddReplicaRegions":[{"Region":"a"},{}]}`, one("Value null at 'addReplicaRegions.2.member.region' failed to satisfy constraint: Member must not be null")},
		{"Constrained", `{"Texts":["a","B","C"]}`, one("Value '[a, B, C]' at 'texts' failed to satisfy constraint: " +
			"Member must satisfy constraint: [Member must satisfy regular expression pattern: [a-z]+]")},
		{"Constrained", `{"Kinds":["c"]}`, one("Value '[c]' at 'kinds' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [a, b]]")},
		{"Constrained", `{"Hidden":["hidden","h"]}`, one("Value at 'hidden' " + most + "1")},
		{"Constrained", `{"Hidden":["hidden!"]}`, one("Value at 'hidden' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 6]")},
		{"Constrained", `{"Blobs":["AAAA"]}`, one("Value at 'blobs' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1]")},
		{"Constrained", `{"Lists":[["a"],[],["bb"]]}`, "2 validation errors detected: Value '[]' at 'lists.2.member' " + least +
			"1; Value '[bb]' at 'lists.3.member' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1]"},
		{"Constrained", `{"Context":{"":"long!"}}`, "2 validation errors detected: Value at 'context' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 3, Member must have length greater than or equal to 1]; " +
			"Value at 'context' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 4]"},
		{"Constrained", `{"Context":{"a":"","b":"","c":""}}`, one("Value at 'context' " + most + "2")},
		{"Constrained", `{"Stages":{"v":["a","b"]}}`, one("Value '[a, b]' at 'stages.v.member' " + most + "1")},
		{"Constrained", `{"Map":{"v":{}}}`, one("Value null at 'map.v.member.region' failed to satisfy constraint: Member must not be null")},
		{"Constrained", `{"Small":2}`, one("Value '2' at 'small' failed to satisfy constraint: Member must have value less than or equal to 1")},
		{"Constrained", `{"Plain":"AA=="}`, one("Value at 'plain' " + least + "2")},
	} {
		w := b.call(c.op, c.body)
		quoted, err := json.Marshal(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := w.Body.String(), `{"__type":"ValidationException","message":`+string(quoted)+`}`; w.Code != 400 || got != want {
			t.Errorf("%s %s:\n got %d %s\nwant 400 %s", c.op, c.body, w.Code, got, want)
		}
	}
}

// The whole body of the best known violation, byte for byte.
func TestConstraintBody(t *testing.T) {
	const body = `{"__type":"ValidationException","message":"1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null"}`
	w := newBench(getSecretValue(nil, nil)).call("GetSecretValue", "{}")
	want(t, w, 400, body)
	if w.Body.Len() != 152 {
		t.Errorf("got %d bytes, want the 152 of AWS's answer", w.Body.Len())
	}
}

// Lengths are characters, whatever the number of their bytes.
func TestConstraintsOfCharacters(t *testing.T) {
	b := newBench(answering[model.CreateSecretInput, struct{}]("CreateSecret", new(model.CreateSecretInput), nil, nil))
	for _, char := range []string{"a", "é", "語", "😀"} {
		for n, good := range map[int]bool{31: false, 32: true, 64: true, 65: false} {
			body := fmt.Sprintf(`{"Name":"n","ClientRequestToken":"%s"}`, strings.Repeat(char, n))
			if w := b.call("CreateSecret", body); (w.Code == 200) != good {
				t.Errorf("%d times %s: got %d", n, char, w.Code)
			}
		}
	}
}

// Breaking a rule a thousand times does not make an answer of a thousand texts.
func TestConstraintsBounded(t *testing.T) {
	b := newBench(answering[model.TagResourceInput, struct{}]("TagResource", new(model.TagResourceInput), nil, nil))
	w := b.call("TagResource", `{"SecretId":"s","Tags":[`+strings.Repeat(`{"Key":""},`, 1000)+`{}]}`)
	if body := w.Body.String(); !strings.Contains(body, `"32 validation errors detected: `) || strings.Count(body, "; ") != 31 {
		t.Errorf("got %s", body)
	}
}

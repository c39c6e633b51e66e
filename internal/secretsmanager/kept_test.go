package secretsmanager

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/policy"
)

const allowAll = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}`

// What the cache gives out is what was put in.
func TestKeptIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anySecret(t)
		k := want.keep()
		got := k.secret()
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(secret{}, version{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(secret{}, "policy", "stages")); diff != "" {
			t.Fatal(diff)
		}
		if got.policy != want.policy {
			t.Error("the parsed policy is another")
		}
		if diff := cmp.Diff(want.stages, got.placed()); diff != "" {
			t.Error(diff)
		}
		if stamp := k.stamp(); stamp.ID != want.id || stamp.Rev != want.rev {
			t.Errorf("stamp %v", stamp)
		}
		if k.Key() != want.key() {
			t.Errorf("key %q, want %q", k.Key(), want.key())
		}
		if least := int64(len(k.text) + len(want.policyText)); k.size() < least {
			t.Errorf("size %d, less than %d", k.size(), least)
		}
	})
}

func anySecret(t *rapid.T) *secret {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	number := func(name string) int64 {
		return rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, -1, 1, 63, 64, -64, -65, math.MinInt64, math.MaxInt64})).Draw(t, name)
	}
	moment := func(name string) api.Timestamp { return api.Timestamp(number(name)) }
	s := &secret{
		id: text("id"), rev: number("rev"), account: "111111111111", region: "us-east-1", name: "a/name-with-hyphen", suffix: "AbCdEf",
		description: text("description"), kmsKeyID: text("kmsKeyID"),
		held: int(rapid.Int32().Draw(t, "held")), tagged: rapid.Bool().Draw(t, "tagged"),
		created: moment("created"), changed: moment("changed"), accessed: moment("accessed"),
		stages: labels{},
	}
	s.fullARN = s.arn()
	if rapid.Bool().Draw(t, "has a policy") {
		s.policyText, s.policy = allowAll, new(policy.Document)
	}
	if rapid.Bool().Draw(t, "deleted") {
		s.deleted = new(moment("deletion"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "tags") {
		s.tags = append(s.tags, model.Tag{Key: new(text("key")), Value: new(text("value"))})
	}
	ids := rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID[string]).Draw(t, "versions")
	stages := rapid.SliceOfNDistinct(rapid.String(), 6, 6, rapid.ID[string]).Draw(t, "stages")
	for i, id := range ids {
		v := version{
			id: id, kind: text("kind"), kmsKey: text("kmsKey"), created: moment("version created"), accessed: moment("version accessed"),
			dataKey: rapid.SliceOf(rapid.Byte()).Draw(t, "dataKey"), value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
			stages: stages[2*i : 2*i+1+i%2],
		}
		for _, label := range v.stages {
			s.stages[label] = id
		}
		s.versions = append(s.versions, v)
	}
	return s
}

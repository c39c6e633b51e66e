package sts

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
)

// refusal is the code and text of an error for the caller, or "".
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.Fatalf("got %v, want an error for the caller", err)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Error())
}

func TestLifetimes(t *testing.T) {
	const (
		tooLong = "400 ValidationException: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
		chain   = "400 ValidationException: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
	)
	for name, test := range map[string]struct {
		asked   *int64
		longest int64
		chained bool
		want    int64
		err     string
	}{
		"nothing asked":             {nil, 12 * hour, false, hour, ""},
		"nothing asked in a chain":  {nil, 12 * hour, true, hour, ""},
		"short":                     {new(int64(900)), hour, false, 900, ""},
		"as long as the role has":   {new(int64(2 * hour)), 2 * hour, false, 2 * hour, ""},
		"longer than the role has":  {new(int64(2*hour + 1)), 2 * hour, false, 0, tooLong},
		"an hour in a chain":        {new(int64(hour)), 12 * hour, true, hour, ""},
		"more in a chain":           {new(int64(hour + 1)), 12 * hour, true, 0, chain},
		"more in a chain, and role": {new(int64(hour + 1)), hour, true, 0, chain},
	} {
		got, err := roleLifetime(test.asked, test.longest, test.chained)
		if got != test.want || refusal(t, err) != test.err {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	if got := userLifetime(nil); got != 12*hour {
		t.Errorf("a user's: %d", got)
	}
	if got := userLifetime(new(int64(900))); got != 900 {
		t.Errorf("a user's of 900: %d", got)
	}
}

func modelTags(pairs ...string) (tags []model.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, model.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return tags
}

func TestSessionTags(t *testing.T) {
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprint("k", i), "v")
	}
	for name, test := range map[string]struct {
		asked      []model.Tag
		transitive []string
		caller     []tag
		want       []tag
		err        string
	}{
		"none":                 {nil, nil, nil, []tag{}, ""},
		"asked":                {modelTags("Team", "Red", "cost", ""), nil, nil, []tag{{"Team", "Red", false}, {"cost", "", false}}, ""},
		"transitive":           {modelTags("Team", "Red", "cost", "1"), []string{"team"}, nil, []tag{{"Team", "Red", true}, {"cost", "1", false}}, ""},
		"passed on":            {modelTags("a", "1"), nil, []tag{{"b", "2", true}, {"c", "3", false}}, []tag{{"a", "1", false}, {"b", "2", true}}, ""},
		"replaced if it ends":  {modelTags("C", "1"), nil, []tag{{"c", "3", false}}, []tag{{"C", "1", false}}, ""},
		"twice":                {modelTags("a", "1", "A", "1"), nil, nil, nil, "400 InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		"reserved":             {modelTags("Aws:x", "1"), nil, nil, nil, "400 InvalidParameterValue: Tag keys must not start with the reserved prefix aws:."},
		"transitive but none":  {modelTags("a", "1"), []string{"b"}, nil, nil, "400 InvalidParameterValue: The specified transitive tag key must be included in the requested tags."},
		"transitive elsewhere": {nil, []string{"b"}, []tag{{"b", "2", true}}, nil, "400 InvalidParameterValue: The specified transitive tag key must be included in the requested tags."},
		"in the way":           {modelTags("B", "1"), nil, []tag{{"b", "2", true}}, nil, "400 InvalidParameterValue: One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."},
		"too many": {modelTags(many...), nil, []tag{{"b", "2", true}}, nil,
			"400 ValidationException: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
	} {
		got, err := sessionTags(test.asked, test.transitive, test.caller)
		if refusal(t, err) != test.err {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, sameClaims); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestPackedPolicySize(t *testing.T) {
	arn := "arn:aws:iam::111111111111:policy/" + strings.Repeat("p", 67) // 100 characters
	for name, test := range map[string]struct {
		c    claims
		want int64
		err  string
	}{
		"nothing":          {claims{}, 0, ""},
		"a little":         {claims{tags: []tag{{"a", "", false}}}, 1, ""},
		"half of it":       {claims{policy: strings.Repeat("x", 1024)}, 50, ""},
		"all of it":        {claims{policy: strings.Repeat("x", 2048)}, 100, ""},
		"characters count": {claims{policy: strings.Repeat("ü", 2048)}, 100, ""},
		"one more":         {claims{policy: strings.Repeat("x", 2049)}, 0, "400 PackedPolicyTooLarge: Packed policy consumes 101% of allotted space, please use smaller policy."},
		"with ARNs":        {claims{policy: strings.Repeat("x", 1948), policyARNs: []string{arn}}, 100, ""},
		"ARNs count":       {claims{policy: strings.Repeat("x", 1949), policyARNs: []string{arn}}, 0, "400 PackedPolicyTooLarge: Packed policy consumes 101% of allotted space, please use smaller policy."},
		"tags":             {claims{tags: []tag{{strings.Repeat("k", 128), strings.Repeat("v", 256), true}}}, 7, ""},
		"large tags":       {claims{tags: make([]tag, 50), policy: strings.Repeat("x", 1024), policyARNs: nil}, 50, ""},
	} {
		got, err := packedPolicySize(&test.c)
		if got != test.want || refusal(t, err) != test.err {
			t.Errorf("%s: %d %%, %v", name, got, err)
		}
	}
	// The longest token that can be issued is one that can be opened.
	ring := newRing(t)
	long := aRoleSession()
	long.policy = strings.Repeat("ü", 2048)
	long.policyARNs, long.tags = nil, nil
	for i := range 2 {
		long.tags = append(long.tags, tag{strings.Repeat("k", 128), strings.Repeat("v", 256), i == 0})
	}
	long.identity = []attribute{{"sub", []string{strings.Repeat("s", 255)}}, {"aud", []string{strings.Repeat("a", 255)}}}
	if _, err := packedPolicySize(long); err != nil {
		t.Fatal(err)
	}
	creds, err := issue(ring, long)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(ring, creds.accessKeyID, creds.token); err != nil {
		t.Errorf("a token of %d characters is not opened", len(creds.token))
	}
}

// A tag whose key becomes the key of another only when it is made small is
// another tag: it does not take the place of the role's.
func TestSessionTagsOfOtherLetters(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, "")
	w.exec(`UPDATE iam_roles SET tags = '[{"k":"division","v":"red"}]', rev = rev + 1`)
	out := must(w, ann, "sts", w.AssumeRole, &model.AssumeRoleInput{
		RoleArn: new(roleARN(account, "r")), RoleSessionName: new("s1"), Tags: modelTags("d\u0130vision", "blue"),
	})
	c, err := w.node().enter(signs(out.Credentials), "s3")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Principal.Tags["division"]; got != "red" {
		t.Errorf("aws:PrincipalTag/division is %s", got)
	}
}

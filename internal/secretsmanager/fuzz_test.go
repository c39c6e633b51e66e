package secretsmanager

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store/storetest"
)

// Whatever a stranger sends as a SecretId, it names a secret by a name that is
// one, or is refused as AWS refuses it; and an id that is read names the same
// secret as the ARN that can be made of it.
func FuzzSecretID(f *testing.F) {
	for _, id := range []string{"s", "a/b", "Foo-a1b2c3", "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf",
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:s", "arn:aws:secretsmanager:::secret:", "arn:", "", "a b", "ü", "arn:aws:s3:::b"} {
		f.Add(id)
	}
	c := &call.Call{Region: region, Principal: call.Principal{Principal: policy.Principal{Account: account}}}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseID(c, text)
		if err != nil {
			if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "ValidationException" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if checkName(got.name) != nil || got.suffix != "" && len(got.suffix) != suffixLength {
			t.Fatalf("%q names %q with suffix %q", text, got.name, got.suffix)
		}
		again, err := parseID(c, arnOf(got.account, got.region, got.name, "AbCdEf"))
		if err == nil && (again.name != got.name || again.account != got.account || again.region != got.region) {
			t.Errorf("%q is %+v, and its ARN is %+v", text, got, again)
		}
	})
}

// A NextToken that was not made here is refused, whatever it is, and so is one
// of ours under other filters, in another account or in another region.
func FuzzNextToken(f *testing.F) {
	db := storetest.Memory(f)
	ring, err := seal.OpenKeyring(f.Context(), db, seal.Memory())
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{keyring: ring}
	c := &call.Call{Region: region, Principal: call.Principal{Principal: policy.Principal{Account: account}}}
	scope := []string{"secrets", "filters"}
	made := *s.writeToken(c, position{Number: 7, ID: "id"}, scope)
	f.Add("", account, region, "filters")
	f.Add(made[:len(made)-1], "222222222222", region, "filters")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"n":1}`)), account, "us-west-2", "filters")
	f.Add(made, account+region, "", "filters")
	f.Add(made+"\n", account, region, "")
	f.Fuzz(func(t *testing.T, token, inAccount, inRegion, filters string) {
		other := &call.Call{Region: inRegion, Principal: call.Principal{Principal: policy.Principal{Account: inAccount}}}
		same := inAccount == account && inRegion == region && filters == scope[1]
		if _, err := s.readToken(other, &made, []string{scope[0], filters}); (err == nil) != same {
			t.Errorf("in account %q, region %q, with filters %q: %v", inAccount, inRegion, filters, err)
		}
		at, err := s.readToken(c, &token, scope)
		if token == made {
			if err != nil || *at != (position{Number: 7, ID: "id"}) {
				t.Errorf("a token of ours: %v, %v", at, err)
			}
			return
		}
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "InvalidNextTokenException" {
			t.Errorf("a stranger's token: %v, %v", at, err)
		}
	})
}

// Filters of any content are read or refused, and what they match does not
// depend on the order of their values.
func FuzzFilters(f *testing.F) {
	f.Add("name", "a", "!b", "some-Name text")
	f.Add("all", "App beta", "", "AppBeta/x-y")
	f.Add("description", "!", "!!", "")
	f.Add("nonsense", "a", "a", "a")
	f.Fuzz(func(t *testing.T, key, one, two, text string) {
		sec := &secret{name: text, description: text, tags: []model.Tag{{Key: &text, Value: &text}}}
		matched := func(values ...string) bool {
			fs, err := parseFilters([]model.Filter{{Key: &key, Values: values}})
			if err != nil {
				t.Fatal(err)
			}
			return fs.match(sec)
		}
		if matched(one, two) != matched(two, one) || matched(one, two) != (matched(one) || matched(two)) {
			t.Errorf("%s=%q|%q on %q: values are not ORed", key, one, two, text)
		}
		if key == "name" && !strings.HasPrefix(one, "!") && matched(one) == matched("!"+one) {
			t.Errorf("%q and its negation agree on %q", one, text)
		}
	})
}

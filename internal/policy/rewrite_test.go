package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestMapAWSPrincipals(t *testing.T) {
	upper := func(s string) string { return strings.ToUpper(s) }
	for text, want := range map[string]string{
		``:     ``,
		`{}`:   `{}`,
		`[{]`:  `[{]`,
		`"a`:   `"a`,
		`null`: `null`,
		` {"Statement" : { "Principal":{"AWS" :  "a" } } } `:                                ` {"Statement" : { "Principal":{"AWS" :  "A" } } } `,
		`{"Statement":[{"Principal":{"AWS":["a","B" ,"c"]}},{"NotPrincipal":{"AWS":"d"}}]}`: `{"Statement":[{"Principal":{"AWS":["A","B" ,"C"]}},{"NotPrincipal":{"AWS":"D"}}]}`,
		`{"Statement":{"Principal":"a","Action":"a"}}`:                                      `{"Statement":{"Principal":"a","Action":"a"}}`,
		`{"Statement":{"Principal":{"Service":"a","AWS":"b","Federated":"c"}}}`:             `{"Statement":{"Principal":{"Service":"a","AWS":"B","Federated":"c"}}}`,
		`{"Id":{"Principal":{"AWS":"a"}},"Statement/Principal/AWS":"a"}`:                    `{"Id":{"Principal":{"AWS":"a"}},"Statement/Principal/AWS":"a"}`,
		`{"Statement":{"Condition":{"Principal":{"AWS":"a"}},"Principal":{"aws":"a"}}}`:     `{"Statement":{"Condition":{"Principal":{"AWS":"a"}},"Principal":{"aws":"a"}}}`,
		`{"Statement":{"Principal":{"AWS":"\u0061\"\\b"}}}`:                                 `{"Statement":{"Principal":{"AWS":"A\"\\B"}}}`,
	} {
		if got := MapAWSPrincipals(text, upper); got != want {
			t.Errorf("%s\n became %s\n want   %s", text, got, want)
		}
	}
	if got := AWSPrincipals(`{"Statement":[{"Principal":{"AWS":["b","a","b"]}},{"NotPrincipal":{"AWS":"c"}}]}`); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("named are %v", got)
	}
}

// What is replaced and replaced back is what it was, for whatever is a policy;
// nothing else is touched, for whatever is a text.
func FuzzMapAWSPrincipals(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:user/a","*"]},"Action":"sts:AssumeRole"}]}`)
	f.Add(`{"Statement":{"NotPrincipal":{"AWS":"AIDAAAAAAAAAAAAAAAAAA","Service":"x"},"Effect":"Deny","Action":"*"}}`)
	f.Add(`{"Statement":{"Principal":{"AWS":"\u0061\"\\b"}}}`)
	f.Add("[[[[\"\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if got := MapAWSPrincipals(text, func(s string) string { return s }); got != text {
			t.Errorf("%q became %q", text, got)
		}
		document, err := Parse(text, Trust)
		if err != nil {
			return
		}
		named := AWSPrincipals(text)
		marked := MapAWSPrincipals(text, func(s string) string { return "111122223333" })
		again, err := Parse(marked, Trust)
		if err != nil || (len(named) > 0) != (len(AWSPrincipals(marked)) > 0) || len(again.statements) != len(document.statements) {
			t.Errorf("%q with other principals: %q, %v", text, marked, err)
		}
		at := 0
		back := MapAWSPrincipals(MapAWSPrincipals(text, func(s string) string { return s + "x" }), func(s string) string {
			at++
			return strings.TrimSuffix(s, "x")
		})
		if got := AWSPrincipals(back); !slices.Equal(got, named) {
			t.Errorf("%q: %q became %q", text, named, got)
		}
	})
}

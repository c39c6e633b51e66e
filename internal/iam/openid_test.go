package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/store"
)

func TestProviderLife(t *testing.T) {
	each(t, func(w *world) {
		print := strings.Repeat("a", 40)
		made := do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{
			Url: new("https://Token.example.com:8443/id/A"), ClientIDList: []string{"b", "a", "b"}, ThumbprintList: []string{print},
			Tags: []model.Tag{{Key: new("team"), Value: new("a")}},
		})
		const providerARN = "arn:aws:iam::111111111111:oidc-provider/Token.example.com:8443/id/A"
		created := api.At(w.now)
		if *made.OpenIDConnectProviderArn != providerARN || len(made.Tags) != 1 {
			w.t.Errorf("made %+v", made)
		}
		id := made.OpenIDConnectProviderArn
		expect := func(what string, clients, prints []string, tags ...model.Tag) {
			w.t.Helper()
			got := do(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: id})
			want := &model.GetOpenIDConnectProviderOutput{Url: new("https://Token.example.com:8443/id/A"), ClientIDList: clients, ThumbprintList: prints, CreateDate: &created, Tags: tags}
			if diff := gocmp.Diff(want, got); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		expect("made", []string{"b", "a"}, []string{print}, model.Tag{Key: new("team"), Value: new("a")})
		for _, client := range []string{"c", "a"} {
			do(w, w.AddClientIDToOpenIDConnectProvider, &model.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: id, ClientID: &client})
		}
		for _, client := range []string{"b", "none"} {
			do(w, w.RemoveClientIDFromOpenIDConnectProvider, &model.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: id, ClientID: &client})
		}
		do(w, w.UpdateOpenIDConnectProviderThumbprint, &model.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: id, ThumbprintList: []string{}})
		do(w, w.TagOpenIDConnectProvider, &model.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: id, Tags: []model.Tag{{Key: new("env"), Value: new("x")}}})
		do(w, w.UntagOpenIDConnectProvider, &model.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: id, TagKeys: []string{"Team"}})
		expect("changed", []string{"a", "c"}, []string{}, model.Tag{Key: new("env"), Value: new("x")})
		if out := do(w, w.ListOpenIDConnectProviderTags, &model.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: id}); len(out.Tags) != 1 || *out.IsTruncated {
			w.t.Errorf("tags %+v", out)
		}
		if p, err := w.OIDCProvider(w.t.Context(), account, "Token.example.com:8443/id/A"); err != nil || p.ARN != providerARN || len(p.Clients) != 2 {
			w.t.Errorf("as STS sees it: %+v, %v", p, err)
		}

		do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://a.example.com")})
		refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://a.example.com")},
			"EntityAlreadyExists", "Provider with url https://a.example.com already exists.")
		want := []model.OpenIDConnectProviderListEntry{{Arn: id}, {Arn: new("arn:aws:iam::111111111111:oidc-provider/a.example.com")}}
		if diff := gocmp.Diff(want, do(w, w.ListOpenIDConnectProviders, &model.ListOpenIDConnectProvidersInput{}).OpenIDConnectProviderList); diff != "" {
			w.t.Errorf("listed (-want +got):\n%s", diff)
		}
		if got := do(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: want[1].Arn}); *got.Url != "a.example.com" || got.ClientIDList == nil {
			w.t.Errorf("without a port: %+v", got)
		}
		for range 2 {
			do(w, w.DeleteOpenIDConnectProvider, &model.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: id})
		}
		refuse(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: id}, "NoSuchEntity", "OpenIDConnect Provider not found for arn "+providerARN)
		if _, err := w.OIDCProvider(w.t.Context(), account, "Token.example.com:8443/id/A"); !errors.Is(err, store.ErrNotFound) {
			w.t.Errorf("a deleted one: %v", err)
		}
	})
}

func TestProvidersThatCannotBe(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{
		"http://a.example.com", "HTTPS://a.example.com", "a.example.com", "https://", "https:///a", "https://a.example.com?b", "https://a.example.com#b",
		"https://u@a.example.com", "https://a.example.com:", "https://a.example.com:port", "https://a b", "https://a.example.com/*", "https://a/${x}", "https://\u00e9", "https://a\n",
	} {
		refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: &url}, "ValidationError", "Invalid Open ID Connect Provider URL")
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	url := new("https://a")
	refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: url, ClientIDList: many}, "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100")
	refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: url, ThumbprintList: make([]string, 6)}, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
	for i := range maxProviders {
		do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new(fmt.Sprint("https://a", i)), ClientIDList: many[:100]})
	}
	refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: url}, "LimitExceeded", "Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100")
	refuse(w, w.AddClientIDToOpenIDConnectProvider, &model.AddClientIDToOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: new("arn:aws:iam::111111111111:oidc-provider/a1"), ClientID: new("one more"),
	}, "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100")
	for given, text := range map[string]string{
		"a1a1a1a1a1a1a1a1a1a1a1":                     "Invalid ARN:  Could not be parsed!",
		"arn:aws:iam::111111111111:saml-provider/a1": "ARN arn:aws:iam::111111111111:saml-provider/a1 is not valid.",
		"arn:aws:sts::111111111111:oidc-provider/a1": "ARN arn:aws:sts::111111111111:oidc-provider/a1 is not valid.",
	} {
		refuse(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &given}, "ValidationError", text)
	}
	const foreign = "arn:aws:iam::222222222222:oidc-provider/a1"
	refuse(w, w.DeleteOpenIDConnectProvider, &model.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: new(foreign)}, "AccessDeniedException",
		"User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:DeleteOpenIDConnectProvider on resource: "+foreign+
			" because no resource-based policy allows the iam:DeleteOpenIDConnectProvider action")
}

// A URL that is taken is one that an ARN can hold, and a token can name.
func FuzzProviderURL(f *testing.F) {
	for _, seed := range []string{"https://a.example.com", "https://a.example.com:8443/x/Y/", "https://[::1]:1/", "https://a/%41", "https://u@a", "https://a:b", "https:///", "https://a?b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		url, err := providerURL(given)
		if err != nil {
			return
		}
		if given != "https://"+url {
			t.Fatalf("%q became %q", given, url)
		}
		a, err := arn.Parse(arnOf(account, "oidc-provider", "/", url))
		if err != nil || a.Resource != "oidc-provider/"+url || strings.ContainsAny(url, "*?$ ") {
			t.Fatalf("%q is no part of an ARN: %v", url, err)
		}
	})
}

// A provider has one ARN: another way to write it does not get around a
// statement that denies.
func TestProvidersHaveOneARN(t *testing.T) {
	w := newWorld(t)
	made := do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://a.example.com")})
	w.policies = allowing(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"`+*made.OpenIDConnectProviderArn+`"}`)
	for _, other := range []string{
		"arn:aws-cn:iam::111111111111:oidc-provider/a.example.com",
		"arn:aws:iam:us-east-1:111111111111:oidc-provider/a.example.com",
	} {
		refuse(w, w.AddClientIDToOpenIDConnectProvider, &model.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: &other, ClientID: new("mine")},
			"NoSuchEntity", "OpenIDConnect Provider not found for arn "+other)
	}
}

// What a stranger's token calls its issuer is looked up as it is: what cannot
// be a provider's URL is no fault of the server's, on any database.
func TestIssuersThatCannotBe(t *testing.T) {
	each(t, func(w *world) {
		for _, url := range []string{"", "\x00", "a.example.com/\x00", "a.example.com?", "\xff"} {
			if _, err := w.OIDCProvider(w.t.Context(), account, url); !errors.Is(err, store.ErrNotFound) {
				w.t.Errorf("%q: %v", url, err)
			}
		}
	})
}

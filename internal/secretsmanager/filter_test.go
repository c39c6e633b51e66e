package secretsmanager

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/secretsmanager"
)

// What AWS was seen to cut.
func TestSplitWords(t *testing.T) {
	for text, want := range map[string][]string{
		"AppBeta":         {"App", "Beta"},
		"COMPANY":         {"COMPANY"},
		"COMPANYthings":   {"COMPAN", "Ythings"},
		"Thirdsecret":     {"Thirdsecret"},
		"one and two":     {"one", "and", "two"},
		"prod-AppBeta/x":  {"prod-AppBeta/x"},
		"my-app":          {"my", "app"},
		"Foo2bar":         {"Foo", "2bar"},
		"+":               nil,
		"":                nil,
		"/-":              nil,
		"db1 -- master":   {"db1", "master"},
		"日本 Geheim":       {"日本", "Geheim"},
		"a.b.c":           {"a", "b", "c"},
		"SecretOne/Two/x": {"Secret", "One", "Two", "x"},
	} {
		if diff := cmp.Diff(want, splitWords(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// What AWS was seen to find. Secrets are written name|description|tag=value.
func TestFilters(t *testing.T) {
	articles := []string{"1|a secret", "2|an secret", "3|asecret", "4|thesecret"}
	counts := []string{"1|one", "2|two", "3|one two", "4|one and two"}
	mixed := []string{"SecretOne", "Two|DescTwo", "Thirdsecret", "Four||foo=bar", "Five||bar=foo"}
	paths := []string{"testing1", "testing1 one", "/prod/db", "COMPANYthings", "AppBeta", "prod-AppBeta/x"}
	for _, tt := range []struct {
		secrets []string
		filters string // key=value|value;key=value
		want    string // names found
	}{
		{articles, "description=a", "1 2 3"},
		{articles, "description=!a", "4"},
		{articles, "description=a secret", "1 2"},
		{articles, "description=!c", "1 2 3 4"},
		{counts, "description=one two", "3 4"},
		{counts, "description=o t", "3 4"},
		{counts, "description=t", "2 3 4"},
		{counts, "description=one;description=two", "3 4"},
		{counts, "description=ONE", "1 3 4"},
		{counts, "description=one|two", "1 2 3 4"},
		{mixed, "all=ret", ""},
		{mixed, "all=sec", "SecretOne"},
		{mixed, "all=secret", "SecretOne"},
		{mixed, "all=Secret", "SecretOne"},
		{mixed, "all=foo", "Four Five"},
		{mixed, "all=d", "Two"},
		{mixed, "all=d t", "Two"},
		{mixed, "all=+", ""},
		{mixed, "tag-key=foo", "Four"},
		{mixed, "tag-key=Foo", ""},
		{mixed, "tag-value=ba", "Four"},
		{mixed, "tag-key=!foo", "Five"},
		{mixed, "description=!x", "Two"},
		{mixed, "name=S", "SecretOne"},
		{mixed, "name=s", ""},
		{mixed, "name=!S", "Two Thirdsecret Four Five"},
		{mixed, "name=S|T", "SecretOne Two Thirdsecret"},
		{mixed, "name=T;tag-key=foo", ""},
		{mixed, "primary-region=us", ""},
		{mixed, "owning-service=rds", ""},
		{paths, "name=/", "/prod/db"},
		{paths, "name=!/", "testing1|testing1 one|COMPANYthings|AppBeta|prod-AppBeta/x"},
		{paths, "name=one", ""},
		{paths, "all=company", ""},
		{paths, "all=things", ""},
		{paths, "all=N", ""},
		{paths, "all=pany", ""},
		{paths, "all=Ythings", "COMPANYthings"},
		{paths, "all=Beta", "AppBeta"},
		{paths, "all=AppBeta", "AppBeta"},
		{paths, "all=prod-AppBeta/x", "prod-AppBeta/x"},
	} {
		fs, err := parseFilters(filtersOf(tt.filters))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, s := range tt.secrets {
			if sec := secretOf(s); fs.match(sec) {
				found = append(found, sec.name)
			}
		}
		if got := strings.Join(found, " "); got != strings.ReplaceAll(tt.want, "|", " ") {
			t.Errorf("%s: found %q, want %q", tt.filters, got, tt.want)
		}
	}
}

func filtersOf(text string) (filters []model.Filter) {
	for f := range strings.SplitSeq(text, ";") {
		key, values, _ := strings.Cut(f, "=")
		filters = append(filters, model.Filter{Key: &key, Values: strings.Split(values, "|")})
	}
	return filters
}

func secretOf(text string) *secret {
	parts := append(strings.Split(text, "|"), "", "")
	s := &secret{name: parts[0], description: parts[1]}
	if key, value, ok := strings.Cut(parts[2], "="); ok {
		s.tags = []model.Tag{{Key: &key, Value: &value}}
	}
	return s
}

func TestFilterRefusals(t *testing.T) {
	for _, tt := range []struct {
		filter model.Filter
		want   string
	}{
		{model.Filter{Values: []string{"x"}}, "InvalidParameterException: Invalid filter key"},
		{model.Filter{Key: new("name")}, "InvalidParameterException: Invalid filter values for key: name"},
	} {
		if _, err := parseFilters([]model.Filter{tt.filter}); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	for _, s := range []string{"AppBeta", "a-b/c", "COMPANYthings", " ", "日本Ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range splitWords(text) {
			if w == "" || !strings.Contains(text, w) {
				t.Errorf("%q was cut into %q, which is not in it", text, w)
			}
		}
	})
}

package secretsmanager

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/secretsmanager"
)

func (w *world) add(name string) {
	w.t.Helper()
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, ClientRequestToken: token("t"), SecretString: secretText("x")})
}

// list reads all pages and returns the names; between runs before each page
// but the first.
func (w *world) list(in *model.ListSecretsInput, between func(page int)) (names []string) {
	w.t.Helper()
	for page := 1; ; page++ {
		out := do(w, w.ListSecrets, in)
		for _, s := range out.SecretList {
			names = append(names, *s.Name)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return names
		}
		if between != nil {
			between(page)
		}
	}
}

func TestListOrders(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"c", "a", "B", "d"} {
		w.add(name)
	}
	do(w, w.TagResource, &model.TagResourceInput{SecretId: new("c"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}})
	w.now = w.now.AddDate(0, 0, 1)
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("a")})
	for _, tt := range []struct{ by, direction, want string }{
		{"", "", "c a B d"},
		{"", "desc", "d B a c"},
		{"created-date", "asc", "c a B d"},
		{"name", "", "B a c d"},
		{"name", "desc", "d c a B"},
		{"last-changed-date", "asc", "a B d c"},
		{"last-changed-date", "desc", "c d B a"},
		{"last-accessed-date", "desc", "a"},
	} {
		for _, max := range []int64{1, 2, 100} {
			in := &model.ListSecretsInput{MaxResults: &max}
			if tt.by != "" {
				in.SortBy = &tt.by
			}
			if tt.direction != "" {
				in.SortOrder = &tt.direction
			}
			// Never-accessed secrets stand in no order that AWS tells.
			if got := strings.Join(w.list(in, nil), " "); got != tt.want && (tt.want != "a" || !strings.HasPrefix(got, "a ")) {
				t.Errorf("by %q %q, %d a page: %s, want %s", tt.by, tt.direction, max, got, tt.want)
			}
		}
	}
}

// Pages neither skip nor repeat a secret that stays, whatever comes and goes
// between them.
func TestListWhileOthersComeAndGo(t *testing.T) {
	for _, by := range []string{"name", "created-date"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t)
			var stay []string
			for i := range 40 {
				name := fmt.Sprintf("m%02d", i)
				w.add(name)
				if i%2 == 0 {
					stay = append(stay, name)
				}
			}
			got := w.list(&model.ListSecretsInput{MaxResults: new(int64(3)), SortBy: &by}, func(page int) {
				w.add(fmt.Sprintf("a%02d", page))
				w.add(fmt.Sprintf("m%02dx", page))
				name := fmt.Sprintf("m%02d", 2*page-1)
				do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: new(true)})
			})
			got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(stay, name) })
			if diff := cmp.Diff(stay, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListFilters(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.add(fmt.Sprintf("prod/%02d", i))
		w.add(fmt.Sprintf("test/%02d", i))
	}
	do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("prod/00")})
	for _, max := range []int64{1, 7, 29, 100} {
		in := &model.ListSecretsInput{MaxResults: &max, Filters: []model.Filter{{Key: new("name"), Values: []string{"prod/"}}}}
		if got := w.list(in, nil); len(got) != 29 || got[0] != "prod/01" || !slices.IsSorted(got) {
			t.Errorf("by %d: %d found: %v", max, len(got), got)
		}
		in = &model.ListSecretsInput{MaxResults: &max, IncludePlannedDeletion: new(true), SortBy: new("name"), SortOrder: new("desc"),
			Filters: []model.Filter{{Key: new("name"), Values: []string{"prod/", "prod/1", "test/05"}}}}
		if got := w.list(in, nil); len(got) != 31 || got[0] != "test/05" || got[30] != "prod/00" {
			t.Errorf("by %d: %d found: %v", max, len(got), got)
		}
		in = &model.ListSecretsInput{MaxResults: &max, Filters: []model.Filter{{Key: new("all"), Values: []string{"29"}}}}
		if got := w.list(in, nil); !cmp.Equal(got, []string{"prod/29", "test/29"}) {
			t.Errorf("by %d: %v", max, got)
		}
	}
}

// Whichever way the secrets of some prefixes are read, it is in the listing's
// order, in pages of any size, each once.
func TestListPrefixesInEveryOrder(t *testing.T) {
	w := newWorld(t)
	var created []string
	for _, n := range []int{7, 3, 9, 1, 8, 0, 6, 2, 5, 4} {
		for _, kind := range []string{"b", "a", "ab"} {
			created = append(created, fmt.Sprintf("%s/%d", kind, n))
		}
	}
	created = append(created, "a/3x", "a/3/y") // a name may begin with another
	for _, name := range created {
		w.add(name)
	}
	for _, prefixes := range [][]string{{"a"}, {"a/"}, {"b/", "a"}, {"a/1", "a/", "a/"}, {"b/9", "ab/0", "a/5"}, {"a0"}, {"b/3", "none"}, {""}} {
		for _, by := range []string{"name", "created-date", "last-changed-date"} {
			for _, direction := range []string{"asc", "desc"} {
				want := slices.DeleteFunc(slices.Clone(created), func(name string) bool {
					return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
				})
				if by == "name" {
					slices.Sort(want)
				}
				if direction == "desc" {
					slices.Reverse(want)
				}
				for _, max := range []int64{1, 3, 100} {
					got := w.list(&model.ListSecretsInput{MaxResults: &max, SortBy: &by, SortOrder: &direction,
						Filters: []model.Filter{{Key: new("name"), Values: prefixes}}}, nil)
					if !slices.Equal(got, want) {
						t.Errorf("%q by %s %s, %d a page: %v, want %v", prefixes, by, direction, max, got, want)
					}
				}
			}
		}
	}
}

// A rare match among many secrets is found over several short pages.
func TestListScansInBoundedSteps(t *testing.T) {
	w := newWorld(t)
	for i := range scanLimit + 200 {
		w.add(fmt.Sprintf("s%05d", i))
	}
	do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new(fmt.Sprintf("s%05d", scanLimit+150)), ClientRequestToken: token("u"), Description: new("needle")})
	pages := 0
	got := w.list(&model.ListSecretsInput{Filters: []model.Filter{{Key: new("description"), Values: []string{"needle"}}}}, func(int) { pages++ })
	if len(got) != 1 || pages == 0 {
		t.Errorf("found %v after %d short pages", got, pages)
	}
	// More names than are sorted in memory are found by walking the order.
	got = w.list(&model.ListSecretsInput{Filters: []model.Filter{{Key: new("name"), Values: []string{"s"}}}}, nil)
	if len(got) != scanLimit+200 || !slices.IsSorted(got) {
		t.Errorf("found %d", len(got))
	}
}

func TestForeignTokens(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.add(fmt.Sprint("s", i))
	}
	first := do(w, w.ListSecrets, &model.ListSecretsInput{MaxResults: new(int64(1))}).NextToken
	const text = "You provided an invalid value for parameter NextToken."
	for name, in := range map[string]*model.ListSecretsInput{
		"garbage":       {NextToken: new("x")},
		"base64":        {NextToken: new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
		"tampered":      {NextToken: new((*first)[:len(*first)-2] + "AA")},
		"other order":   {NextToken: first, SortBy: new("name")},
		"other filters": {NextToken: first, Filters: []model.Filter{{Key: new("name"), Values: []string{"s"}}}},
		"with deleted":  {NextToken: first, IncludePlannedDeletion: new(true)},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(w, w.ListSecrets, in, "InvalidNextTokenException", text)
		})
	}
	refuse(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: new("s0"), NextToken: first}, "InvalidNextTokenException", text)
	w.region = "us-west-2"
	refuse(w, w.ListSecrets, &model.ListSecretsInput{NextToken: first}, "InvalidNextTokenException", text)
	w.region = region
	do(w, w.ListSecrets, &model.ListSecretsInput{NextToken: first, MaxResults: new(int64(2))})
}

// Accounts and regions do not see each other's secrets, by list or by name.
func TestSecretsBelongToARegion(t *testing.T) {
	w := newWorld(t)
	w.add("s")
	w.region = "us-west-2"
	if got := w.list(&model.ListSecretsInput{}, nil); len(got) != 0 {
		t.Errorf("another region lists %v", got)
	}
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
	w.add("s")
	elsewhere := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}).ARN
	w.region = region
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: elsewhere}, "ResourceNotFoundException", notThere)
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: elsewhere, ClientRequestToken: token("t"), SecretString: secretText("x")}, "ResourceNotFoundException", notThere)
	w.account = "222222222222"
	if got := w.list(&model.ListSecretsInput{}, nil); len(got) != 0 {
		t.Errorf("another account lists %v", got)
	}
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
}

// An entry of the list is what DescribeSecret says, under another name for the
// versions.
func TestListEntry(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("t"), SecretString: secretText("x"),
		Description: new("d"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}})
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
	d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
	want := model.SecretListEntry{ARN: d.ARN, Name: d.Name, Description: new("d"), Tags: d.Tags, CreatedDate: d.CreatedDate,
		LastChangedDate: d.LastChangedDate, LastAccessedDate: d.LastAccessedDate,
		SecretVersionsToStages: map[string][]string{*token("t"): {"AWSCURRENT"}}}
	if diff := cmp.Diff(want, do(w, w.ListSecrets, &model.ListSecretsInput{}).SecretList[0]); diff != "" {
		t.Error(diff)
	}
}

package organizations

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/organizations"
	"azekura/internal/store/storetest"
)

func text(s *api.Sensitive) string {
	if s == nil {
		return ""
	}
	return string(*s)
}

func TestOrganization(t *testing.T) {
	each(t, func(w *world) {
		got := do(w, w.DescribeOrganization, &model.DescribeOrganizationInput{}).Organization
		if !regexp.MustCompile(`^o-[a-z0-9]{10}$`).MatchString(*got.Id) || !regexp.MustCompile(`^r-[a-z0-9]{4}$`).MatchString(w.root) {
			t := w.t
			t.Errorf("ids %s and %s", *got.Id, w.root)
		}
		want := &model.Organization{
			Id: got.Id, Arn: new("arn:aws:organizations::111111111111:organization/" + *got.Id), FeatureSet: new("ALL"),
			MasterAccountId: new(management), MasterAccountArn: new("arn:aws:organizations::111111111111:account/" + *got.Id + "/" + management),
			AvailablePolicyTypes: []model.PolicyTypeSummary{{Type: new("SERVICE_CONTROL_POLICY"), Status: new("ENABLED")}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		refuse(w, w.CreateOrganization, &model.CreateOrganizationInput{}, "AlreadyInOrganizationException",
			"The AWS account is already a member of an organization.")
		root := do(w, w.ListRoots, &model.ListRootsInput{}).Roots[0]
		if diff := cmp.Diff(model.Root{
			Id: &w.root, Arn: new("arn:aws:organizations::111111111111:root/" + *got.Id + "/" + w.root), Name: new("Root"),
			PolicyTypes: []model.PolicyTypeSummary{{Type: new("SERVICE_CONTROL_POLICY"), Status: new("ENABLED")}},
		}, root); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestBootstrapHappensOnce(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	if err := w.db.Update(t.Context(), detachAll); err != nil { // a trace that a second time would cover
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := w.again().Bootstrap(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	listed := do(w, w.ListPoliciesForTarget, &model.ListPoliciesForTargetInput{TargetId: &w.root, Filter: new(serviceControl)})
	if roots := do(w, w.ListRoots, &model.ListRootsInput{}).Roots; *roots[0].Id != w.root || len(listed.Policies) != 0 {
		t.Errorf("it is another organization: %s, with %d policies", *roots[0].Id, len(listed.Policies))
	}
}

func TestCreateAccount(t *testing.T) {
	each(t, func(w *world) {
		made := do(w, w.CreateAccount, &model.CreateAccountInput{
			AccountName: new(api.Sensitive("Blue team")), Email: new(api.Sensitive("Blue@example.com")), RoleName: new("Enter"),
			IamUserAccessToBilling: new("DENY"), Tags: []model.Tag{{Key: new("team"), Value: new("blue")}},
		}).CreateAccountStatus
		at := api.At(w.now)
		if made.Id == nil || !regexp.MustCompile(`^car-[a-z0-9]{8,32}$`).MatchString(*made.Id) || !regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(*made.AccountId) {
			w.t.Fatalf("ids %v and %v", made.Id, made.AccountId)
		}
		want := &model.CreateAccountStatus{Id: made.Id, AccountName: new(api.Sensitive("Blue team")), State: new("SUCCEEDED"),
			AccountId: made.AccountId, RequestedTimestamp: &at, CompletedTimestamp: &at}
		if diff := cmp.Diff(want, made); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		status := do(w, w.DescribeCreateAccountStatus, &model.DescribeCreateAccountStatusInput{CreateAccountRequestId: made.Id})
		if diff := cmp.Diff(want, status.CreateAccountStatus); diff != "" {
			w.t.Errorf("described (-want +got):\n%s", diff)
		}
		org := *do(w, w.DescribeOrganization, &model.DescribeOrganizationInput{}).Organization.Id
		got := do(w, w.DescribeAccount, &model.DescribeAccountInput{AccountId: made.AccountId}).Account
		if diff := cmp.Diff(&model.Account{
			Id: made.AccountId, Arn: new("arn:aws:organizations::111111111111:account/" + org + "/" + *made.AccountId),
			Name: new(api.Sensitive("Blue team")), Email: new(api.Sensitive("Blue@example.com")), Status: new("ACTIVE"), State: new("ACTIVE"),
			JoinedMethod: new("CREATED"), JoinedTimestamp: &at, Paths: []string{org + "/" + w.root + "/" + *made.AccountId + "/"},
		}, got); diff != "" {
			w.t.Errorf("account (-want +got):\n%s", diff)
		}
		if role, err := w.users.Role(w.t.Context(), nil, *made.AccountId, "Enter"); err != nil || role.Account != *made.AccountId {
			w.t.Errorf("the role: %v, %v", role, err)
		}
		tags := do(w, w.ListTagsForResource, &model.ListTagsForResourceInput{ResourceId: made.AccountId}).Tags
		if len(tags) != 1 || *tags[0].Key != "team" {
			w.t.Errorf("tags %v", tags)
		}

		taken := do(w, w.CreateAccount, &model.CreateAccountInput{AccountName: new(api.Sensitive("x")), Email: new(api.Sensitive("bLUE@example.com"))}).CreateAccountStatus
		if *taken.State != "FAILED" || *taken.FailureReason != "EMAIL_ALREADY_EXISTS" || taken.AccountId != nil {
			w.t.Errorf("an email address twice: %+v", taken)
		}
		plain := w.member("plain")
		if _, err := w.users.Role(w.t.Context(), nil, plain, "OrganizationAccountAccessRole"); err != nil {
			w.t.Errorf("the role: %v", err)
		}
		refuse(w, w.DescribeCreateAccountStatus, &model.DescribeCreateAccountStatusInput{CreateAccountRequestId: new("car-aaaaaaaa")},
			"CreateAccountStatusNotFoundException", "We can't find a create account request with the CreateAccountRequestId that you specified.")
		failed := do(w, w.ListCreateAccountStatus, &model.ListCreateAccountStatusInput{States: []string{"FAILED"}}).CreateAccountStatuses
		if len(failed) != 1 || *failed[0].Id != *taken.Id {
			w.t.Errorf("the failed ones: %v", failed)
		}
		w.now = w.now.Add(91 * 24 * time.Hour)
		w.member("later")
		if all := do(w, w.ListCreateAccountStatus, &model.ListCreateAccountStatusInput{}).CreateAccountStatuses; len(all) != 1 {
			w.t.Errorf("after 91 days %d requests are kept", len(all))
		}
	})
}

// Of accounts with one email address that are made at once, in any process, one
// comes to be.
func TestOneEmailAtOnce(t *testing.T) {
	each(t, func(w *world) {
		services := []*Service{w.Service}
		if strings.HasSuffix(w.t.Name(), "postgres") {
			services = append(services, w.again())
		}
		states := make(chan string, 6)
		var all sync.WaitGroup
		for i := range cap(states) {
			all.Go(func() {
				in := &model.CreateAccountInput{AccountName: new(api.Sensitive(fmt.Sprint(i))), Email: new(api.Sensitive("one@example.com"))}
				out, err := services[i%len(services)].CreateAccount(w.t.Context(), w.call("CreateAccount", in), in)
				if err != nil {
					w.t.Error(err)
					return
				}
				states <- *out.CreateAccountStatus.State
			})
		}
		all.Wait()
		close(states)
		made := 0
		for state := range states {
			if state == succeeded {
				made++
			}
		}
		if accounts := do(w, w.ListAccounts, &model.ListAccountsInput{}).Accounts; made != 1 || len(accounts) != 2 {
			w.t.Errorf("%d were made, and there are %d with the first", made, len(accounts))
		}
	})
}

// Pages hold everything once, in order, whatever their size.
func TestPages(t *testing.T) {
	each(t, func(w *world) {
		want := []string{management}
		for i := range 6 {
			want = append(want, w.member(fmt.Sprint("m", i)))
		}
		slices.Sort(want)
		for size := int64(1); size <= 8; size++ {
			var accounts, children, requests []string
			var token *string
			for more := true; more; more = token != nil {
				out := do(w, w.ListAccounts, &model.ListAccountsInput{MaxResults: &size, NextToken: token})
				for _, a := range out.Accounts {
					accounts = append(accounts, *a.Id)
				}
				token = out.NextToken
			}
			for more := true; more; more = token != nil {
				out := do(w, w.ListChildren, &model.ListChildrenInput{ParentId: &w.root, ChildType: new("ACCOUNT"), MaxResults: &size, NextToken: token})
				for _, c := range out.Children {
					children = append(children, *c.Id)
				}
				token = out.NextToken
			}
			for more := true; more; more = token != nil {
				out := do(w, w.ListCreateAccountStatus, &model.ListCreateAccountStatusInput{MaxResults: &size, NextToken: token})
				for _, r := range out.CreateAccountStatuses {
					requests = append(requests, *r.Id)
				}
				token = out.NextToken
			}
			if !slices.Equal(accounts, want) || !slices.Equal(children, want) || len(requests) != 6 || !slices.IsSorted(requests) {
				w.t.Errorf("pages of %d: accounts %v, children %v, want %v; requests %v", size, accounts, children, want, requests)
			}
		}
		out := do(w, w.ListAccounts, &model.ListAccountsInput{MaxResults: new(int64(1))})
		const code, says = "InvalidInputException", "The provided pagination token is invalid."
		refuse(w, w.ListAccounts, &model.ListAccountsInput{NextToken: new(strings.ToUpper(*out.NextToken))}, code, says)
		refuse(w, w.ListAccounts, &model.ListAccountsInput{NextToken: new("")}, code, says)
		refuse(w, w.ListChildren, &model.ListChildrenInput{ParentId: &w.root, ChildType: new("ACCOUNT"), NextToken: out.NextToken}, code, says)
		refuse(w, w.ListRoots, &model.ListRootsInput{NextToken: out.NextToken}, code, says)
	})
}

func TestTree(t *testing.T) {
	each(t, func(w *world) {
		member := w.member("one")
		parents := do(w, w.ListParents, &model.ListParentsInput{ChildId: &member}).Parents
		if diff := cmp.Diff([]model.Parent{{Id: &w.root, Type: new("ROOT")}}, parents); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		trusted := do(w, w.ListAWSServiceAccessForOrganization, &model.ListAWSServiceAccessForOrganizationInput{})
		if trusted.EnabledServicePrincipals == nil || len(trusted.EnabledServicePrincipals) != 0 {
			w.t.Errorf("trusted services %v", trusted.EnabledServicePrincipals)
		}
		under := do(w, w.ListAccountsForParent, &model.ListAccountsForParentInput{ParentId: &w.root}).Accounts
		if len(under) != 2 {
			w.t.Errorf("%d accounts under the root", len(under))
		}
		if units := do(w, w.ListOrganizationalUnitsForParent, &model.ListOrganizationalUnitsForParentInput{ParentId: &w.root}).OrganizationalUnits; len(units) != 0 {
			w.t.Errorf("units %v", units)
		}
		if units := do(w, w.ListChildren, &model.ListChildrenInput{ParentId: &w.root, ChildType: new("ORGANIZATIONAL_UNIT")}).Children; len(units) != 0 {
			w.t.Errorf("units %v", units)
		}
		const noParent = "You specified parent that doesn't exist."
		for _, none := range []string{"r-zzzz", "ou-abcd-12345678"} {
			refuse(w, w.ListChildren, &model.ListChildrenInput{ParentId: &none, ChildType: new("ACCOUNT")}, "ParentNotFoundException", noParent)
			refuse(w, w.ListAccountsForParent, &model.ListAccountsForParentInput{ParentId: &none}, "ParentNotFoundException", noParent)
			refuse(w, w.ListOrganizationalUnitsForParent, &model.ListOrganizationalUnitsForParentInput{ParentId: &none}, "ParentNotFoundException", noParent)
			refuse(w, w.ListParents, &model.ListParentsInput{ChildId: &none}, "ChildNotFoundException", "You specified a child that doesn't exist.")
		}
	})
}

func TestCloseAccount(t *testing.T) {
	each(t, func(w *world) {
		member := w.member("one")
		before, err := w.Account(w.t.Context(), nil, member)
		if err != nil || !before.Active {
			w.t.Fatal(before, err)
		}
		do(w, w.CloseAccount, &model.CloseAccountInput{AccountId: &member})
		if after, err := w.Account(w.t.Context(), nil, member); err != nil || after.Active {
			w.t.Errorf("closed, but %+v, %v", after, err)
		}
		got := do(w, w.DescribeAccount, &model.DescribeAccountInput{AccountId: &member}).Account
		if *got.State != "SUSPENDED" || *got.Status != "SUSPENDED" || text(got.Name) != "one" {
			w.t.Errorf("closed, but described as %s %s", *got.State, *got.Status)
		}
		refuse(w, w.CloseAccount, &model.CloseAccountInput{AccountId: &member}, "AccountAlreadyClosedException", "The specified account is already closed.")
		refuse(w, w.CloseAccount, &model.CloseAccountInput{AccountId: new(management)}, "ConstraintViolationException",
			"You can't close the management account of an organization.")
		refuse(w, w.CloseAccount, &model.CloseAccountInput{AccountId: new("999999999999")}, "AccountNotFoundException", "You specified an account that doesn't exist.")
	})
}

func TestTags(t *testing.T) {
	each(t, func(w *world) {
		set := func(pairs ...string) (set []model.Tag) {
			for i := 0; i < len(pairs); i += 2 {
				set = append(set, model.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
			return set
		}
		for _, id := range []string{w.member("one"), w.policy("p", `{"Effect":"Allow","Action":"*","Resource":"*"}`), w.root} {
			do(w, w.TagResource, &model.TagResourceInput{ResourceId: &id, Tags: set("a", "1", "b", "2", "A", "3")})
			do(w, w.TagResource, &model.TagResourceInput{ResourceId: &id, Tags: set("b", "", "c", "4")})
			do(w, w.UntagResource, &model.UntagResourceInput{ResourceId: &id, TagKeys: []string{"a", "none"}})
			got := do(w, w.ListTagsForResource, &model.ListTagsForResourceInput{ResourceId: &id}).Tags
			if diff := cmp.Diff(set("b", "", "A", "3", "c", "4"), got); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", id, diff)
			}
		}
		var many []model.Tag
		for i := range maxTags {
			many = append(many, set(fmt.Sprint(i), "")...)
		}
		member := w.member("two")
		do(w, w.TagResource, &model.TagResourceInput{ResourceId: &member, Tags: many})
		refuse(w, w.TagResource, &model.TagResourceInput{ResourceId: &member, Tags: set("more", "")}, "ConstraintViolationException",
			"You have exceeded the number of tags allowed on this resource.")
		refuse(w, w.TagResource, &model.TagResourceInput{ResourceId: &member, Tags: set("0", "", "0", "")}, "InvalidInputException",
			"Tag keys must be unique among the tags attached to the same entity.")
		refuse(w, w.TagResource, &model.TagResourceInput{ResourceId: &member, Tags: set("AWS:x", "")}, "InvalidInputException",
			"You specified a tag key that is a system tag. You can't add, edit, or delete system tag keys because they're reserved for AWS use.")
		refuse(w, w.TagResource, &model.TagResourceInput{ResourceId: new(fullAccessID), Tags: set("a", "")}, "InvalidInputException",
			"You specified a policy that is managed by AWS and can't be modified.")
		refuse(w, w.ListTagsForResource, &model.ListTagsForResourceInput{ResourceId: new("999999999999")}, "TargetNotFoundException",
			"You specified a target that doesn't exist.")
	})
}

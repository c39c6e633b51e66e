package secretsmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
)

const notThere = "Secrets Manager can't find the specified secret."

func TestRecoveryWindow(t *testing.T) {
	w := newWorld(t)
	first := w.create(secretText("x"))
	gone := do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), RecoveryWindowInDays: new(int64(7)), ForceDeleteWithoutRecovery: new(false)})
	if want := api.At(w.now.Add(7 * 24 * time.Hour)); *gone.DeletionDate != want {
		t.Errorf("to be deleted at %v, want %v", gone.DeletionDate.Time(), want.Time())
	}
	if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); *d.DeletedDate != *gone.DeletionDate {
		t.Errorf("described as deleted at %v", d.DeletedDate.Time())
	}
	w.now = gone.DeletionDate.Time().Add(-2 * time.Second)
	do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
	// A second later the window is over: the secret is gone, purged or not.
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
	refuse(w, w.RestoreSecret, &model.RestoreSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
	if list := do(w, w.ListSecrets, &model.ListSecretsInput{IncludePlannedDeletion: new(true)}); len(list.SecretList) != 0 {
		t.Error("a secret that is gone is listed")
	}
	second := w.create(secretText("y"))
	if *second.ARN == *first.ARN {
		t.Error("a new secret has the ARN of an old one")
	}
	if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")}); string(*got.SecretString) != "y" {
		t.Error("the old value came back")
	}
}

func TestPurge(t *testing.T) {
	w := newWorld(t)
	for i := range 103 {
		name := fmt.Sprint("s", i)
		do(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, ClientRequestToken: token("v1"), SecretString: secretText("x")})
		if i > 0 {
			do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: &name})
		}
	}
	do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s1")})
	if n, err := w.Purge(t.Context(), w.now); n != 0 || err != nil {
		t.Fatalf("purged %d within the window, %v", n, err)
	}
	for _, want := range []int{102, 0} {
		if n, err := w.Purge(t.Context(), w.now.Add(30*24*time.Hour)); n != want || err != nil {
			t.Errorf("purged %d, %v; want %d", n, err, want)
		}
	}
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s1")}, "ResourceNotFoundException", notThere)
	if list := do(w, w.ListSecrets, &model.ListSecretsInput{IncludePlannedDeletion: new(true)}); len(list.SecretList) != 1 || *list.SecretList[0].Name != "s0" {
		t.Errorf("%d secrets are left", len(list.SecretList))
	}
}

func TestForcedDeletion(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s")})
	out := do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)})
	if *out.DeletionDate != api.At(w.now) {
		t.Errorf("deleted at %v", out.DeletionDate.Time())
	}
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
	again := do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)})
	if *again.Name != "s" || !strings.HasPrefix(*again.ARN, "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-") {
		t.Errorf("a secret that is not there is deleted as %s", *again.ARN)
	}
	refuse(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
	w.create(secretText("y"))
}

func TestDeleteRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	for _, days := range []int64{6, 31, 0, -1} {
		refuse(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), RecoveryWindowInDays: &days},
			"InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	refuse(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s"), RecoveryWindowInDays: new(int64(7)), ForceDeleteWithoutRecovery: new(true)},
		"InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	do(w, w.RestoreSecret, &model.RestoreSecretInput{SecretId: new("s")})
}

func TestStages(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	w.put("v2", pending)
	w.put("v3", "three")
	move := func(stage string, from, to *string) {
		t.Helper()
		do(w, w.UpdateSecretVersionStage, &model.UpdateSecretVersionStageInput{SecretId: new("s"), VersionStage: &stage, RemoveFromVersionId: from, MoveToVersionId: to})
	}
	move(current, token("v1"), token("v2"))
	if got := w.stages(); got != "v1 AWSPREVIOUS; v2 AWSCURRENT,AWSPENDING; v3 three" {
		t.Error(got)
	}
	move("three", token("v3"), nil)
	if got := w.stages(); got != "v1 AWSPREVIOUS; v2 AWSCURRENT,AWSPENDING" {
		t.Error(got)
	}
	move("back", nil, token("v3")) // a deprecated version gets a label again
	refuse(w, w.UpdateSecretVersionStage, &model.UpdateSecretVersionStageInput{SecretId: new("s"), VersionStage: new(current), MoveToVersionId: token("v3")},
		"InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version "+*token("v2")+", so you must explicitly reference that version in RemoveFromVersionId.")
	refuse(w, w.UpdateSecretVersionStage, &model.UpdateSecretVersionStageInput{SecretId: new("s"), VersionStage: new("x"), MoveToVersionId: token("v9")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*token("v9"))
	if got := w.stages(); got != "v1 AWSPREVIOUS; v2 AWSCURRENT,AWSPENDING; v3 back" {
		t.Error(got)
	}
}

func TestListVersions(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	for i := 2; i <= 4; i++ {
		w.put(fmt.Sprint("v", i))
	}
	show := func(in *model.ListSecretVersionIdsInput) (all []string, pages int) {
		for in.SecretId = new("s"); ; pages++ {
			out := do(w, w.ListSecretVersionIds, in)
			for _, v := range out.Versions {
				all = append(all, strings.Trim(*v.VersionId, "-")+" "+strings.Join(v.VersionStages, ","))
				if !cmp.Equal(v.KmsKeyIds, []string{"DefaultEncryptionKey"}) || v.LastAccessedDate != nil {
					t.Errorf("version is shown as %+v", v)
				}
				if len(v.VersionStages) == 0 && v.VersionStages != nil {
					t.Error("a deprecated version has an empty list of stages")
				}
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return all, pages + 1
			}
		}
	}
	for max, pages := range map[int64]int{1: 2, 2: 1, 100: 1} {
		got, n := show(&model.ListSecretVersionIdsInput{MaxResults: &max})
		if want := []string{"v3 AWSPREVIOUS", "v4 AWSCURRENT"}; !cmp.Equal(got, want) || n != pages {
			t.Errorf("by %d: %v in %d pages", max, got, n)
		}
		got, _ = show(&model.ListSecretVersionIdsInput{MaxResults: &max, IncludeDeprecated: new(true)})
		if want := []string{"v1 ", "v2 ", "v3 AWSPREVIOUS", "v4 AWSCURRENT"}; !cmp.Equal(got, want) {
			t.Errorf("all by %d: %v", max, got)
		}
	}
}

// At the quota, deprecated versions that are older than a day make room; a
// label keeps a version, youth keeps it too.
func TestVersionQuota(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	w.put("v2", current, "KEEP")
	for i := 3; i <= 100; i++ {
		w.put(fmt.Sprint("v", i))
	}
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token("v101"), SecretString: secretText("x")},
		"LimitExceededException", "A secret can have at most 100 versions, and those made in the last 24 hours are kept.")
	w.now = w.now.Add(24 * time.Hour)
	w.put("v101")
	w.put("v102")
	for name, there := range map[string]bool{"v1": false, "v2": true, "v3": false, "v4": true, "v102": true} {
		in := &model.GetSecretValueInput{SecretId: new("s"), VersionId: token(name)}
		if !there {
			refuse(w, w.GetSecretValue, in, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*token(name))
			continue
		}
		do(w, w.GetSecretValue, in)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	tags := func(pairs ...string) (all []model.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, model.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return all
	}
	shown := func() []model.Tag {
		return do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}).Tags
	}
	if shown() != nil {
		t.Error("tags before the first")
	}
	do(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: []model.Tag{}})
	if shown() != nil {
		t.Error("no tag makes an empty list of tags")
	}
	do(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: tags("b", "1", "a", "2")})
	do(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: tags("c", "", "b", "3")})
	if diff := cmp.Diff(tags("b", "3", "a", "2", "c", ""), shown()); diff != "" {
		t.Error(diff)
	}
	do(w, w.UntagResource, &model.UntagResourceInput{SecretId: new("s"), TagKeys: []string{"b", "c", "a", "none"}})
	if got := shown(); got == nil || len(got) != 0 {
		t.Errorf("after the last tag is gone: %v", got)
	}
	for text, bad := range map[string][]model.Tag{
		"Tag keys that begin with aws: are reserved for AWS use.":                       tags("aws:x", "1"),
		"Tag keys must be unique: a is given more than once.":                           tags("a", "1", "a", "2"),
		"Tag keys and values can only hold letters, digits, spaces and _ . : / = + - @": tags("a", "<script>"),
		"A tag must have a key.": {{Value: new("x")}},
	} {
		refuse(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: bad}, "InvalidParameterException", text)
		refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("t"), ClientRequestToken: token("t"), Tags: bad}, "InvalidParameterException", text)
	}
	for i := range 50 {
		do(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: tags(fmt.Sprint("k", i), "v")})
	}
	refuse(w, w.TagResource, &model.TagResourceInput{SecretId: new("s"), Tags: tags("one more", "v")}, "InvalidParameterException", "A secret can have at most 50 tags.")
	if n := len(shown()); n != 50 {
		t.Errorf("%d tags after a refused one", n)
	}
}

func TestResourcePolicy(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	policyText := func() *string {
		return do(w, w.GetResourcePolicy, &model.GetResourcePolicyInput{SecretId: new("s")}).ResourcePolicy
	}
	if policyText() != nil {
		t.Error("a policy before the first")
	}
	do(w, w.DeleteResourcePolicy, &model.DeleteResourcePolicyInput{SecretId: new("s")})
	const (
		named   = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}`
		public  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}`
		lockout = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}`
	)
	put := func(text string) *model.PutResourcePolicyInput {
		return &model.PutResourcePolicyInput{SecretId: new("s"), ResourcePolicy: &text, BlockPublicPolicy: new(true)}
	}
	do(w, w.PutResourcePolicy, put(named))
	if got := policyText(); got == nil || *got != named {
		t.Errorf("the policy came back as %v", got)
	}
	refuse(w, w.PutResourcePolicy, put("{"), "MalformedPolicyDocumentException", "This resource policy contains a syntax error.")
	refuse(w, w.PutResourcePolicy, put(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"ann"},"Action":"*","Resource":"*"}}`),
		"MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.")
	refuse(w, w.PutResourcePolicy, put(public), "PublicPolicyException", publicText)
	refuse(w, w.PutResourcePolicy, put(lockout), "InvalidRequestException", lockOutText)
	if *policyText() != named {
		t.Error("a refused policy was stored")
	}
	do(w, w.PutResourcePolicy, &model.PutResourcePolicyInput{SecretId: new("s"), ResourcePolicy: new(public)})
	do(w, w.DeleteResourcePolicy, &model.DeleteResourcePolicyInput{SecretId: new("s")})
	if policyText() != nil {
		t.Error("a policy after the last")
	}
	for text, want := range map[string][]string{named: {}, public: {"BlockPublicPolicyCheck"}, lockout: {"LockOutCheck"}} {
		out := do(w, w.ValidateResourcePolicy, &model.ValidateResourcePolicyInput{ResourcePolicy: &text})
		got := []string{}
		for _, e := range out.ValidationErrors {
			got = append(got, *e.CheckName)
		}
		if !cmp.Equal(got, want) || *out.PolicyValidationPassed != (len(want) == 0) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	refuse(w, w.ValidateResourcePolicy, &model.ValidateResourcePolicyInput{ResourcePolicy: new(named), SecretId: new("missing")}, "ResourceNotFoundException", notThere)
	refuse(w, w.ValidateResourcePolicy, &model.ValidateResourcePolicyInput{ResourcePolicy: new("[]")}, "MalformedPolicyDocumentException", "This resource policy contains a syntax error.")
}

func TestBatchRefusals(t *testing.T) {
	w := newWorld(t)
	const either = "Either 'SecretIdList' or 'Filters' must be provided, but not both."
	name := []model.Filter{{Key: new("name"), Values: []string{"s"}}}
	refuse(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{}, "InvalidParameterException", either)
	refuse(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}, Filters: name}, "InvalidParameterException", either)
	refuse(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}, MaxResults: new(int64(1))},
		"InvalidParameterException", "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.")
}

func TestBatch(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("empty"), ClientRequestToken: token("t")})
	out := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"missing", "s", "empty"}})
	if len(out.SecretValues) != 1 || string(*out.SecretValues[0].SecretString) != "x" || *out.SecretValues[0].Name != "s" {
		t.Errorf("%d values", len(out.SecretValues))
	}
	var errs []string
	for _, e := range out.Errors {
		errs = append(errs, *e.SecretId+": "+*e.ErrorCode+": "+*e.Message)
	}
	want := []string{"missing: ResourceNotFoundException: " + notThere,
		"empty: ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Error(diff)
	}
	filtered := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{Filters: []model.Filter{{Key: new("name"), Values: []string{"s"}}}})
	if len(filtered.SecretValues) != 1 || len(filtered.Errors) != 0 || filtered.NextToken != nil {
		t.Errorf("by filter: %d values, %d errors", len(filtered.SecretValues), len(filtered.Errors))
	}
}

// A clock that jumps by days, forwards or back, loses nothing and moves no
// label to the wrong version: what is current is decided by the order of the
// calls, not by their times.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("value of v1"))
	for i, jump := range []time.Duration{-5, 9, -72, 1, -1, 240, -480} {
		w.now = w.now.Add(jump * time.Hour)
		name := fmt.Sprint("v", i+2)
		w.put(name)
		if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")}); *got.VersionId != *token(name) {
			t.Errorf("after a jump of %d hours %s is current, want %s", jump, *got.VersionId, name)
		}
		if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionStage: new(previous)}); *got.VersionId != *token(fmt.Sprint("v", i+1)) {
			t.Errorf("after a jump of %d hours %s is previous", jump, *got.VersionId)
		}
		w.add(fmt.Sprint("made-after-jump-", i))
	}
	if got := w.list(&model.ListSecretsInput{MaxResults: new(int64(2))}, nil); len(got) != 8 {
		t.Errorf("listed %v", got)
	}
	if all := do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: new("s"), IncludeDeprecated: new(true)}); len(all.Versions) != 8 {
		t.Errorf("%d versions", len(all.Versions))
	}
}

package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

func secret(text string) *api.Sensitive { return new(api.Sensitive(text)) }

// as makes a user the caller of what follows.
func (w *world) as(name string) {
	w.t.Helper()
	i, err := w.named(w.t.Context(), nil, userKind, account, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.caller = i.Principal()
}

func TestLoginProfileLife(t *testing.T) {
	each(t, func(w *world) {
		do(w, w.CreateUser, &model.CreateUserInput{UserName: new("Ann")})
		ann := new("ann")
		const missing, text = "NoSuchEntity", "Login Profile for User Ann cannot be found."
		refuse(w, w.GetLoginProfile, &model.GetLoginProfileInput{UserName: ann}, missing, text)
		refuse(w, w.UpdateLoginProfile, &model.UpdateLoginProfileInput{UserName: ann}, missing, text)
		refuse(w, w.DeleteLoginProfile, &model.DeleteLoginProfileInput{UserName: ann}, missing, text)
		refuse(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{UserName: ann}, "ValidationError",
			"1 validation error detected: Value at 'password' failed to satisfy constraint: Member must not be null")
		made := do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{UserName: ann, Password: secret("Correct1horse"), PasswordResetRequired: new(true)})
		want := &model.LoginProfile{UserName: new("Ann"), CreateDate: new(api.At(w.now)), PasswordResetRequired: new(true)}
		if diff := gocmp.Diff(want, made.LoginProfile); diff != "" {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		if diff := gocmp.Diff(want, do(w, w.GetLoginProfile, &model.GetLoginProfileInput{UserName: ann}).LoginProfile); diff != "" {
			w.t.Errorf("got (-want +got):\n%s", diff)
		}
		refuse(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{UserName: ann, Password: secret("Correct1horse")},
			"EntityAlreadyExists", "Login Profile for user Ann already exists.")
		refuse(w, w.DeleteUser, &model.DeleteUserInput{UserName: ann}, "DeleteConflict", "Cannot delete entity, must delete login profile first.")

		admin := w.caller
		w.as("Ann")
		refuse(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("correct1horse"), NewPassword: secret("Battery2staple")}, "AccessDeniedException", "The old password was incorrect.")
		do(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Correct1horse"), NewPassword: secret("Battery2staple")})
		if p := do(w, w.GetLoginProfile, &model.GetLoginProfileInput{}).LoginProfile; *p.PasswordResetRequired {
			w.t.Error("a password that its user chose has to be changed")
		}
		refuse(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Correct1horse"), NewPassword: secret("Other3words")}, "AccessDeniedException", "The old password was incorrect.")

		w.caller = admin
		do(w, w.UpdateLoginProfile, &model.UpdateLoginProfileInput{UserName: ann, PasswordResetRequired: new(true)})
		w.as("Ann")
		do(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Battery2staple"), NewPassword: secret("Third3words")})
		w.caller = admin
		do(w, w.UpdateLoginProfile, &model.UpdateLoginProfileInput{UserName: ann, Password: secret("Fourth4words")})
		w.as("Ann")
		do(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Fourth4words"), NewPassword: secret("Third3words")})
		do(w, w.DeleteLoginProfile, &model.DeleteLoginProfileInput{})
		refuse(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Third3words"), NewPassword: secret("Other3words")}, missing, text)
		do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: secret("Correct1horse")})
	})
}

func TestPasswordPolicies(t *testing.T) {
	custom := passwordPolicy{MinLength: 6}
	with := func(change func(*passwordPolicy)) passwordPolicy {
		p := custom
		change(&p)
		return p
	}
	upper := with(func(p *passwordPolicy) { p.Upper = true })
	lower := with(func(p *passwordPolicy) { p.Lower = true })
	number := with(func(p *passwordPolicy) { p.Numbers = true })
	symbol := with(func(p *passwordPolicy) { p.Symbols = true })
	for _, test := range []struct {
		policy   passwordPolicy
		password string
		ok       bool
	}{
		{passwordPolicy{}, "Abcdefg1", true}, {passwordPolicy{}, "abcdef1!", true}, {passwordPolicy{}, "ABCDEF1!", true},
		{passwordPolicy{}, "Abcdef1", false}, {passwordPolicy{}, "abcdefg1", false}, {passwordPolicy{}, "ABCDEFGH", false},
		{passwordPolicy{}, "Alias-1-name", false}, {passwordPolicy{}, account, false}, {passwordPolicy{}, "\u00c9\u00e9bcdef1", false},
		{custom, "abcdef", true}, {custom, "abcde", false}, {custom, "\u00e9\u00e9\u00e9\u00e9\u00e9", false}, {custom, "Alias-1-name", true},
		{upper, "abcdeF", true}, {upper, "abcdef", false}, {upper, "abcde\u00c9", false},
		{lower, "ABCDEf", true}, {lower, "ABCDEF", false},
		{number, "abcde7", true}, {number, "abcdef", false},
		{symbol, "abcde'", true}, {symbol, "abcde!", true}, {symbol, "abcde/", false}, {symbol, "abcde ", false},
	} {
		err := test.policy.check(api.Sensitive(test.password), account, "Alias-1-name")
		if e, _ := errors.AsType[*api.Error](err); test.ok != (err == nil) || err != nil && e.Code != "PasswordPolicyViolation" {
			t.Errorf("%+v of %q: %v", test.policy, test.password, err)
		}
	}
}

func TestAccountPasswordPolicy(t *testing.T) {
	each(t, func(w *world) {
		refuse(w, w.GetAccountPasswordPolicy, &model.GetAccountPasswordPolicyInput{}, "NoSuchEntity", "The Password Policy with domain name 111111111111 cannot be found.")
		refuse(w, w.DeleteAccountPasswordPolicy, &model.DeleteAccountPasswordPolicyInput{}, "NoSuchEntity", "The account policy with name PasswordPolicy cannot be found.")
		const violation, text = "PasswordPolicyViolation", "Password does not conform to the account password policy."
		refuse(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: secret("password")}, violation, text)
		do(w, w.UpdateAccountPasswordPolicy, &model.UpdateAccountPasswordPolicyInput{})
		no := false
		want := &model.PasswordPolicy{
			MinimumPasswordLength: new(int64(6)), RequireSymbols: &no, RequireNumbers: &no, RequireUppercaseCharacters: &no, RequireLowercaseCharacters: &no,
			AllowUsersToChangePassword: &no, ExpirePasswords: &no,
		}
		get := func() *model.PasswordPolicy {
			w.t.Helper()
			return do(w, w.GetAccountPasswordPolicy, &model.GetAccountPasswordPolicyInput{}).PasswordPolicy
		}
		if diff := gocmp.Diff(want, get()); diff != "" {
			w.t.Errorf("set to nothing (-want +got):\n%s", diff)
		}
		yes := true
		do(w, w.UpdateAccountPasswordPolicy, &model.UpdateAccountPasswordPolicyInput{
			MinimumPasswordLength: new(int64(10)), RequireSymbols: &yes, RequireNumbers: &yes, RequireUppercaseCharacters: &yes, RequireLowercaseCharacters: &yes,
			AllowUsersToChangePassword: &yes, MaxPasswordAge: new(int64(90)), PasswordReusePrevention: new(int64(2)), HardExpiry: &no,
		})
		want = &model.PasswordPolicy{
			MinimumPasswordLength: new(int64(10)), RequireSymbols: &yes, RequireNumbers: &yes, RequireUppercaseCharacters: &yes, RequireLowercaseCharacters: &yes,
			AllowUsersToChangePassword: &yes, ExpirePasswords: &yes, MaxPasswordAge: new(int64(90)), PasswordReusePrevention: new(int64(2)), HardExpiry: &no,
		}
		if diff := gocmp.Diff(want, get()); diff != "" {
			w.t.Errorf("set (-want +got):\n%s", diff)
		}

		// Of the last two passwords none may come again.
		password := func(n int) *api.Sensitive { return secret(fmt.Sprintf("Password-%d", n)) }
		do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: password(1)})
		change := func(from, to int) *model.ChangePasswordInput {
			return &model.ChangePasswordInput{OldPassword: password(from), NewPassword: password(to)}
		}
		const reuse = "Policy constraint violation with password reuse prevention during password change."
		refuse(w, w.ChangePassword, change(1, 1), violation, reuse)
		do(w, w.ChangePassword, change(1, 2))
		refuse(w, w.ChangePassword, change(2, 1), violation, reuse)
		refuse(w, w.UpdateLoginProfile, &model.UpdateLoginProfileInput{UserName: new("admin"), Password: password(1)}, violation, reuse)
		do(w, w.ChangePassword, change(2, 3))
		do(w, w.ChangePassword, change(3, 1))
		refuse(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: password(1), NewPassword: secret("Password42")}, violation, text)

		do(w, w.DeleteAccountPasswordPolicy, &model.DeleteAccountPasswordPolicyInput{})
		do(w, w.ChangePassword, change(1, 1))
	})
}

// AllowUsersToChangePassword lets users change their own password and see the
// policy, if nothing denies that.
func TestUsersMayChangeTheirPasswords(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: secret("Password-1")})
	all, none := w.policies, (*policy.Set)(nil)
	in := &model.ChangePasswordInput{OldPassword: secret("Password-1"), NewPassword: secret("Password-1")}
	denied := func(op, resource, tail string) string {
		return "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:" + op + " on resource: " + resource + " " + tail
	}
	const code, implicit = "AccessDeniedException", "because no identity-based policy allows the iam:ChangePassword action"
	w.policies = none
	refuse(w, w.ChangePassword, in, code, denied("ChangePassword", "user admin", implicit))
	w.policies = all
	do(w, w.UpdateAccountPasswordPolicy, &model.UpdateAccountPasswordPolicyInput{AllowUsersToChangePassword: new(true)})
	w.policies = none
	do(w, w.ChangePassword, in)
	do(w, w.GetAccountPasswordPolicy, &model.GetAccountPasswordPolicyInput{})
	w.policies = allowing(t, `{"Effect":"Deny","Action":"iam:*","Resource":"*"}`)
	refuse(w, w.ChangePassword, in, code, denied("ChangePassword", "user admin", "with an explicit deny in an identity-based policy"))
	bound, err := policy.Parse(document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	w.policies = none.WithBoundary(policy.Policy{Name: "b", Document: bound})
	refuse(w, w.ChangePassword, in, code, denied("ChangePassword", "user admin", "because no permissions boundary allows the iam:ChangePassword action"))
	w.policies = all
	w.caller.Kind = policy.Role
	refuse(w, w.ChangePassword, in, "InvalidUserType", "Only IAM Users can change their own password.")
}

func TestGuessesOfPasswordsAreSlowed(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: secret("Password-1")})
	try := func(password string) error {
		in := &model.ChangePasswordInput{OldPassword: secret(password), NewPassword: secret("Password-1")}
		_, err := w.ChangePassword(t.Context(), w.call("ChangePassword", in), in)
		return err
	}
	for n := range 20 {
		if err := try("Password-1"); err != nil {
			t.Fatalf("the right one, for the %dth time: %v", n+1, err)
		}
	}
	for n := range 11 {
		e, ok := errors.AsType[*api.Error](try("Password-2"))
		want := "AccessDeniedException"
		if n == 10 {
			want = "ThrottlingException"
		}
		if !ok || e.Code != want {
			t.Fatalf("guess %d: %v, want %s", n+1, e, want)
		}
	}
	if e, ok := errors.AsType[*api.Error](try("Password-1")); !ok || e.Code != "ThrottlingException" || e.RetryAfter != time.Minute {
		t.Errorf("the right one was looked at: %v", e)
	}
	w.now = w.now.Add(time.Minute)
	if err := try("Password-1"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	if n := w.WrongPasswords(); n != 10 {
		t.Errorf("%d wrong passwords were counted, want 10", n)
	}
}

// What is kept of a password is a hash that opens for its user alone.
func TestPasswordsAreKeptSealed(t *testing.T) {
	w := newWorld(t)
	const mine, other = "AIDAAAAAAAAAAAAAAAAAA", "AIDABBBBBBBBBBBBBBBBB"
	kept := w.hashPassword(mine, "Password-1")
	if again := w.hashPassword(mine, "Password-1"); again == kept || strings.Contains(kept, "argon2") {
		t.Errorf("%s, %s", kept, again)
	}
	for _, test := range []struct {
		user, kept string
		password   api.Sensitive
		right, ok  bool
	}{
		{mine, kept, "Password-1", true, true},
		{mine, kept, "Password-2", false, true},
		{mine, kept, "", false, true},
		{other, kept, "Password-1", false, false},
		{mine, "", "Password-1", false, false},
		{mine, kept[:len(kept)-1], "Password-1", false, false},
		{mine, "!", "Password-1", false, false},
	} {
		right, err := w.isPassword(test.user, test.kept, test.password)
		if right != test.right || (err == nil) != test.ok {
			t.Errorf("%.40q of %s: %t, %v", test.kept, test.user, right, err)
		}
	}
}

// A password that was changed by another meanwhile stays as the other set it.
func TestPasswordsChangedAtOnce(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{Password: secret("Password-1")})
	in := &model.ChangePasswordInput{}
	c := w.call("ChangePassword", in)
	p, err := w.readPasswords(t.Context(), c, "admin")
	if err != nil {
		t.Fatal(err)
	}
	do(w, w.ChangePassword, &model.ChangePasswordInput{OldPassword: secret("Password-1"), NewPassword: secret("Password-2")})
	err = w.changeProfile(t.Context(), c, p, func(held *profileRow) { held.set("x", 1) })
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "ConcurrentModification" {
		t.Errorf("got %v", err)
	}
	err = w.db.View(t.Context(), func(tx *store.Tx) error {
		held, err := selectProfile(tx, p.user.id, "")
		if err == nil && (held.password == "x" || len(held.former) != 1) {
			t.Errorf("it is %s now, with %d before it", held.password, len(held.former))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheNewestPasswordsAreRemembered(t *testing.T) {
	p := profileRow{password: "0"}
	for n := range 30 {
		p.set(fmt.Sprint(n+1), 0)
	}
	if last := p.last(25); len(p.former) != 24 || last[0] != "30" || last[24] != "6" || len(p.last(0)) != 0 || len(p.last(100)) != 25 {
		t.Errorf("%v, %v", p.former, last)
	}
}

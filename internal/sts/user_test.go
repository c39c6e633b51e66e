package sts

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	iammodel "azekura/internal/api/iam"
	model "azekura/internal/api/sts"
	"azekura/internal/sigv4"
	"azekura/internal/totp"
)

// device gives a user of the first account a device, in the past, and returns
// its serial number and what it shows.
func (w *world) device(user string) (serial string, seed totp.Seed) {
	w.t.Helper()
	made := must(w, w.admin, "iam", w.iam.CreateVirtualMFADevice, &iammodel.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &user}).VirtualMFADevice
	seed, err := base32.StdEncoding.DecodeString(string(made.Base32StringSeed))
	if err != nil {
		w.t.Fatal(err)
	}
	then := *w
	then.now = w.now.Add(-time.Hour)
	step := totp.At(then.now)
	must(&then, w.admin, "iam", w.iam.EnableMFADevice, &iammodel.EnableMFADeviceInput{
		UserName: &user, SerialNumber: made.SerialNumber, AuthenticationCode1: new(seed.Code(step - 1)), AuthenticationCode2: new(seed.Code(step)),
	})
	return *made.SerialNumber, seed
}

const (
	onlyWithMFA = `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}`
	bucket      = "arn:aws:s3:::b/k"
)

func TestGetSessionToken(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", onlyWithMFA+","+allow("sqs:*", "*")+`,{"Effect":"Deny","Action":"sts:*","Resource":"*"}`)
	serial, seed := w.device("ann")
	get := func(change func(*model.GetSessionTokenInput)) (*model.Credentials, error) {
		in := &model.GetSessionTokenInput{}
		change(in)
		out, err := ask(w, ann, "sts", w.GetSessionToken, in)
		if err != nil {
			return nil, err
		}
		return out.Credentials, nil
	}
	plain, err := get(func(*model.GetSessionTokenInput) {})
	if err != nil {
		t.Fatal(err)
	}
	if end := plain.Expiration.Time(); !end.Equal(now.Add(12 * time.Hour)) {
		t.Errorf("it ends at %v", end)
	}
	code := seed.Code(totp.At(w.now))
	confirmed, err := get(func(in *model.GetSessionTokenInput) { in.SerialNumber, in.TokenCode = &serial, &code })
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		creds sigv4.Credentials
		s3    bool
	}{"access key": {ann, false}, "session": {signs(plain), false}, "with a code": {signs(confirmed), true}} {
		if got := w.who(test.creds); got != annARN {
			t.Errorf("%s: it is %s", name, got)
		}
		if got := w.may(test.creds, "s3:GetObject", bucket); got != test.s3 || !w.may(test.creds, "sqs:SendMessage", "*") {
			t.Errorf("%s: with s3: %v", name, got)
		}
	}
	w.now = now.Add(time.Hour)
	if w.may(signs(confirmed), "s3:GetObject", bucket) {
		t.Error("the code is still fresh an hour later")
	}
	const invalid = "AccessDeniedException: MultiFactorAuthentication failed with invalid MFA one time pass code. "
	const noDevice = "AccessDeniedException: MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
	bobs, bobSeed := func() (string, totp.Seed) { w.user("bob", ""); return w.device("bob") }()
	fresh := seed.Code(totp.At(w.now))
	for _, test := range []struct {
		name         string
		serial, code *string
		want         string
	}{
		{"used before", &serial, &code, invalid},
		{"of another step", &serial, new(seed.Code(totp.At(w.now) - 2)), invalid},
		{"another user's device", &bobs, new(bobSeed.Code(totp.At(w.now))), noDevice},
		{"no device", new(serial + "2"), &fresh, noDevice},
		{"no code", &serial, nil, "ValidationException: MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."},
		{"no serial number", nil, &fresh, "ValidationException: MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."},
		{"right", &serial, &fresh, ""},
		{"right, again", &serial, &fresh, invalid},
	} {
		if _, err := get(func(in *model.GetSessionTokenInput) { in.SerialNumber, in.TokenCode = test.serial, test.code }); told(err) != test.want {
			t.Errorf("%s: got %q, want %q", test.name, told(err), test.want)
		}
	}
}

// Guessing a device's codes is slowed, and a right one does not come through in
// between.
func TestGuessedCodes(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	serial, seed := w.device("ann")
	try := func(code string) string {
		_, err := ask(w, ann, "sts", w.GetSessionToken, &model.GetSessionTokenInput{SerialNumber: &serial, TokenCode: &code})
		return told(err)
	}
	for range freeCodes {
		if got := try("12345x"); !strings.Contains(got, "invalid MFA") {
			t.Fatal(got)
		}
	}
	if got := try(seed.Code(totp.At(w.now))); got != "ThrottlingException: Rate exceeded" {
		t.Errorf("the next is looked at: %s", got)
	}
	w.now = now.Add(codePause)
	if got := try(seed.Code(totp.At(w.now))); got != "" {
		t.Errorf("after a pause: %s", got)
	}
}

func TestAssumeRoleWithCode(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	serial, seed := w.device("ann")
	w.role(account, "r", `{"Effect":"Allow","Principal":{"AWS":"`+annARN+`"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`, onlyWithMFA)
	w.role(account, "next", `{"Effect":"Allow","Principal":{"AWS":"`+roleARN(account, "r")+`"},"Action":"sts:AssumeRole"}`, onlyWithMFA)
	in := &model.AssumeRoleInput{RoleArn: new(roleARN(account, "r")), RoleSessionName: new("s1")}
	if _, err := ask(w, ann, "sts", w.AssumeRole, in); !strings.Contains(told(err), "not authorized to perform: sts:AssumeRole") {
		t.Errorf("without a code: %v", err)
	}
	code := seed.Code(totp.At(w.now))
	s := w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) { in.SerialNumber, in.TokenCode = &serial, &code })
	if !w.may(s, "s3:GetObject", bucket) {
		t.Error("the role's session does not know of the code")
	}
	if w.may(w.assume(s, roleARN(account, "next"), nil), "s3:GetObject", bucket) {
		t.Error("the next role's does")
	}
	w.now = now.Add(time.Minute)
	code = seed.Code(totp.At(w.now))
	confirmed := signs(must(w, ann, "sts", w.GetSessionToken, &model.GetSessionTokenInput{SerialNumber: &serial, TokenCode: &code}).Credentials)
	if !w.may(w.assume(confirmed, roleARN(account, "r"), nil), "s3:GetObject", bucket) {
		t.Error("with a session that a code was given for it does not")
	}
	_, err := ask(w, s, "sts", w.AssumeRole, &model.AssumeRoleInput{RoleArn: in.RoleArn, RoleSessionName: in.RoleSessionName, SerialNumber: &serial, TokenCode: &code})
	if !strings.Contains(told(err), "unable to validate MFA code") {
		t.Errorf("a role has no device: %v", err)
	}
}

func TestGetFederationToken(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", allow("s3:*", "*")+","+allow("sts:*", "arn:aws:sts::"+account+":federated-user/f*"))
	out := must(w, ann, "sts", w.GetFederationToken, &model.GetFederationTokenInput{
		Name: new("f1"), Policy: new(statements(allow("s3:GetObject", "*") + "," + allow("sqs:*", "*"))), Tags: modelTags("DEPT", "hr"), DurationSeconds: new(int64(900)),
	})
	creds := signs(out.Credentials)
	if end := out.Credentials.Expiration.Time(); !end.Equal(now.Add(15 * time.Minute)) {
		t.Errorf("it ends at %v", end)
	}
	const arn = "arn:aws:sts::" + account + ":federated-user/f1"
	if diff := cmp.Diff(&model.FederatedUser{Arn: new(arn), FederatedUserId: new(account + ":f1")}, out.FederatedUser); diff != "" || *out.PackedPolicySize == 0 {
		t.Errorf("%d %%\n%s", *out.PackedPolicySize, diff)
	}
	who := must(w, creds, "sts", w.GetCallerIdentity, &model.GetCallerIdentityInput{})
	if *who.Arn != arn || *who.UserId != account+":f1" {
		t.Errorf("it is %s, %s", *who.Arn, *who.UserId)
	}
	c, err := w.enter(creds, "s3")
	if err != nil {
		t.Fatal(err)
	}
	if p := &c.Principal; p.Entity != annARN || p.UserName != "" || !cmp.Equal(p.Tags, map[string]string{"dept": "hr"}) {
		t.Errorf("the principal is %+v", p)
	}
	if !w.may(creds, "s3:GetObject", bucket) || w.may(creds, "s3:PutObject", bucket) || w.may(creds, "sqs:SendMessage", "*") {
		t.Error("it does not have what both the user and the policy allow")
	}
	bare := must(w, ann, "sts", w.GetFederationToken, &model.GetFederationTokenInput{Name: new("f2")})
	if *bare.PackedPolicySize != 0 || w.may(signs(bare.Credentials), "s3:GetObject", bucket) {
		t.Errorf("without policies it takes %d %%, and may", *bare.PackedPolicySize)
	}
	for name, test := range map[string]struct {
		in   *model.GetFederationTokenInput
		want string
	}{
		"another name": {&model.GetFederationTokenInput{Name: new("g1")}, "is not authorized to perform: sts:GetFederationToken on resource: arn:aws:sts::" + account + ":federated-user/g1"},
		"no policy":    {&model.GetFederationTokenInput{Name: new("f1"), Policy: new("[]")}, "MalformedPolicyDocument: Syntax errors in policy."},
		"tags twice":   {&model.GetFederationTokenInput{Name: new("f1"), Tags: modelTags("a", "1", "A", "2")}, "InvalidParameterValue: Duplicate tag keys found."},
	} {
		if _, err := ask(w, ann, "sts", w.GetFederationToken, test.in); !strings.Contains(told(err), test.want) {
			t.Errorf("%s: got %q", name, told(err))
		}
	}
	must(w, w.admin, "iam", w.iam.PutUserPolicy, &iammodel.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("untagged"),
		PolicyDocument: new(statements(`{"Effect":"Deny","Action":"sts:TagSession","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/dept":"hr"}}}`))})
	if _, err := ask(w, ann, "sts", w.GetFederationToken, &model.GetFederationTokenInput{Name: new("f1"), Tags: modelTags("Dept", "hr")}); !strings.Contains(told(err), "not authorized to perform: sts:TagSession") {
		t.Errorf("tags that are denied: %v", err)
	}
}

// What the credentials of sessions are not good for, whatever policies say.
func TestSessionsMayLess(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", allow("*", "*"))
	serial, seed := w.device("ann")
	code := seed.Code(totp.At(w.now))
	w.role(account, "r", trustAnn+`,{"Effect":"Allow","Principal":"*","Action":"sts:*"}`, allow("*", "*"))
	creds := map[string]sigv4.Credentials{
		"key":       ann,
		"role":      w.assume(ann, roleARN(account, "r"), nil),
		"user":      signs(must(w, ann, "sts", w.GetSessionToken, &model.GetSessionTokenInput{}).Credentials),
		"confirmed": signs(must(w, ann, "sts", w.GetSessionToken, &model.GetSessionTokenInput{SerialNumber: &serial, TokenCode: &code}).Credentials),
		"federated": signs(must(w, ann, "sts", w.GetFederationToken, &model.GetFederationTokenInput{Name: new("f1"), Policy: new(statements(allow("*", "*")))}).Credentials),
	}
	with := func(op string) string {
		return "AccessDeniedException: Cannot call " + op + " with session credentials"
	}
	const noRole = "AccessDeniedException: User: arn:aws:sts::" + account + ":federated-user/f1 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::" + account + ":role/ci/r"
	for op, test := range map[string]struct {
		call func(sigv4.Credentials) error
		want map[string]string // "" may
	}{
		"iam": {func(c sigv4.Credentials) error { _, err := w.enter(c, "iam"); return err },
			map[string]string{"user": "unknown key", "federated": "unknown key"}},
		"secretsmanager":    {func(c sigv4.Credentials) error { _, err := w.enter(c, "secretsmanager"); return err }, nil},
		"GetCallerIdentity": {func(c sigv4.Credentials) error { _, err := ask(w, c, "sts", w.GetCallerIdentity, nil); return err }, nil},
		"AssumeRole": {func(c sigv4.Credentials) error {
			_, err := ask(w, c, "sts", w.AssumeRole, &model.AssumeRoleInput{RoleArn: new(roleARN(account, "r")), RoleSessionName: new("s1")})
			return err
		}, map[string]string{"federated": noRole}},
		"GetAccessKeyInfo": {func(c sigv4.Credentials) error {
			_, err := ask(w, c, "sts", w.GetAccessKeyInfo, &model.GetAccessKeyInfoInput{AccessKeyId: &ann.AccessKeyID})
			return err
		}, map[string]string{"user": with("GetAccessKeyInfo"), "confirmed": with("GetAccessKeyInfo"), "federated": with("GetAccessKeyInfo")}},
		"GetSessionToken": {func(c sigv4.Credentials) error {
			_, err := ask(w, c, "sts", w.GetSessionToken, &model.GetSessionTokenInput{})
			return err
		}, map[string]string{"role": with("GetSessionToken"), "user": with("GetSessionToken"), "confirmed": with("GetSessionToken"), "federated": with("GetSessionToken")}},
		"GetFederationToken": {func(c sigv4.Credentials) error {
			_, err := ask(w, c, "sts", w.GetFederationToken, &model.GetFederationTokenInput{Name: new("f1")})
			return err
		}, map[string]string{"role": with("GetFederationToken"), "user": with("GetFederationToken"), "confirmed": with("GetFederationToken"), "federated": with("GetFederationToken")}},
	} {
		for name, c := range creds {
			if got := told(test.call(c)); got != test.want[name] {
				t.Errorf("%s by %s: got %q, want %q", op, name, got, test.want[name])
			}
		}
	}
}

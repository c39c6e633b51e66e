package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	iam "azekura/internal/api/iam"
	organizations "azekura/internal/api/organizations"
	sts "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// form is a request of a form, signed for a service unless that is "".
func form(service, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if service != "" {
		sign(r, service)
	}
	return r
}

func (b *queryBench) do(r *http.Request) *httptest.ResponseRecorder {
	b.in, b.call = "", call.Call{}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// wantError holds a refusal against its status, code and part of its text.
func wantError(t *testing.T, w *httptest.ResponseRecorder, status int, code, text string) {
	t.Helper()
	body := w.Body.String()
	if w.Code != status || !strings.Contains(body, "<Code>"+code+"</Code>") || !strings.Contains(body, text) {
		t.Errorf("got %d %.300s\nwant %d %s %s", w.Code, body, status, code, text)
	}
}

const (
	whoAmI     = "Action=GetCallerIdentity&Version=2011-06-15"
	simulate   = "Action=SimulateCustomPolicy&Version=2010-05-08&PolicyInputList.member.1=p&ActionNames.member.1=s3:Get"
	assume     = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fa&RoleSessionName=me"
	webAssume  = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fa&RoleSessionName=me&WebIdentityToken=aaaa"
	createRole = "Action=CreateRole&Version=2010-05-08&RoleName=a&AssumeRolePolicyDocument=x"
)

func TestFormsRefused(t *testing.T) {
	const structural = "Start of structure or map found where not expected"
	for name, c := range map[string]struct {
		service, body string
		text          string
	}{
		"many parameters":         {"sts", whoAmI + strings.Repeat("&", maxParameters), "too many parameters"},
		"long name":               {"sts", whoAmI + "&" + strings.Repeat("n", maxParameterName+1) + "=", "too many parameters"},
		"deep":                    {"iam", createRole + "&Tags" + strings.Repeat(".a", maxDepth), "nested too deep"},
		"twice in any case":       {"sts", whoAmI + "&x=1&x=2", "given twice"},
		"twice but escaped":       {"sts", whoAmI + "&%41ction=AssumeRole", "given twice"},
		"a structure for a text":  {"sts", assume + "&Policy.a=1", structural},
		"both for a text":         {"sts", assume + "&Policy=1&Policy.a=1", structural},
		"a text for a list":       {"sts", assume + "&Tags=1", "STRING_VALUE can not be converted to a List"},
		"empty and full":          {"sts", assume + "&TransitiveTagKeys=&TransitiveTagKeys.member.1=a", structural},
		"no member":               {"sts", assume + "&TransitiveTagKeys.1=a", structural},
		"member and more":         {"sts", assume + "&TransitiveTagKeys.member.1=a&TransitiveTagKeys.x=a", structural},
		"member without a number": {"sts", assume + "&TransitiveTagKeys.member=a", structural},
		"number 0":                {"sts", assume + "&TransitiveTagKeys.member.0=a", structural},
		"number 01":               {"sts", assume + "&TransitiveTagKeys.member.01=a", structural},
		"number +1":               {"sts", assume + "&TransitiveTagKeys.member.%2B1=a", structural},
		"number none":             {"sts", assume + "&TransitiveTagKeys.member.=a", structural},
		"number x":                {"sts", assume + "&TransitiveTagKeys.member.x=a", structural},
		"number too large":        {"sts", assume + "&TransitiveTagKeys.member.2147483648=a", structural},
		"a text for a structure":  {"sts", assume + "&Tags.member.1=a", "can not be converted to a Structure"},
		"no number":               {"sts", assume + "&DurationSeconds=", "can not be converted to an Integer"},
		"a number of 33 bits":     {"sts", assume + "&DurationSeconds=4294967296", "can not be converted to an Integer"},
		"a boolean that is none":  {"iam", "Action=UpdateAccountPasswordPolicy&Version=2010-05-08&RequireSymbols=True", "can not be converted to a Boolean"},
		"U+0000":                  {"sts", assume + "&Policy=%00", "can not be converted to a String"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueryBench(t)
			wantError(t, b.do(form(c.service, c.body)), 400, "MalformedInput", c.text)
			if b.in != "" {
				t.Errorf("the operation ran, with %s", b.in)
			}
		})
	}
	for name, body := range map[string]string{
		"escape":        whoAmI + "&a=%",
		"no UTF-8":      whoAmI + "&a=%FF",
		"no UTF-8 name": whoAmI + "&%FF=a",
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, newQueryBench(t).do(form("sts", body)), 404, "MalformedQueryString", "syntax error")
		})
	}
}

// What is just within the limits is read.
func TestFormsTaken(t *testing.T) {
	b := newQueryBench(t)
	var many strings.Builder
	for i := range maxParameters - 5 {
		fmt.Fprintf(&many, "&ResourceArns.member.%d=%d", 2147483647-i, i)
	}
	if w := b.do(form("iam", simulate+many.String()+"&"+strings.Repeat("n", maxParameterName)+"=")); w.Code != 200 ||
		!strings.Contains(b.in, `,"2","1","0"]`) {
		t.Errorf("got %d %.300s with %.100s", w.Code, w.Body, b.in)
	}
	if w := b.do(form("sts", whoAmI+"&&&x"+strings.Repeat(".a", 100)+"=1&y;z")); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestRefusalsOfQueries(t *testing.T) {
	for kind, code := range map[sigv4.Kind]string{
		sigv4.Missing: "MissingAuthenticationToken", sigv4.Incomplete: "IncompleteSignature", sigv4.UnknownKey: "InvalidClientTokenId",
		sigv4.ExpiredToken: "ExpiredToken", sigv4.Closed: "OptInRequired", sigv4.Mismatch: "SignatureDoesNotMatch",
	} {
		refusal := sigv4.Refuse(kind)
		for stage, authenticate := range map[string]func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error){
			"first": func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
				return nil, refusal
			},
			"second": func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
				return func([32]byte) (*call.Call, error) { return nil, refusal }, nil
			},
		} {
			t.Run(code+" at the "+stage+" stage", func(t *testing.T) {
				b := newQueryBench(t)
				b.Authenticate = authenticate
				r := form("iam", "%, and not looked at")
				if stage == "first" {
					r.Body = io.NopCloser(untouchable{t})
				}
				wantError(t, b.do(r), 403, code, "")
				if diff := cmp.Diff(Outcome{Service: "iam", Status: 403, Duration: b.last.Duration, Refused: refusal}, b.last); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
				if log := b.log.String(); !strings.Contains(log, "service=iam") || !strings.Contains(log, "outcome="+code) {
					t.Errorf("logged %s", log)
				}
			})
		}
	}
}

// AWS's two services differ in a stop.
func TestUnknownKeyText(t *testing.T) {
	for service, text := range map[string]string{
		"iam": "The security token included in the request is invalid.</Message>",
		"sts": "The security token included in the request is invalid</Message>",
	} {
		b := newQueryBench(t)
		b.Authenticate = func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
			return nil, sigv4.Refuse(sigv4.UnknownKey)
		}
		wantError(t, b.do(form(service, whoAmI)), 403, "InvalidClientTokenId", text)
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// Strangers have 64 KiB read, and only if something is served to them.
func TestStrangers(t *testing.T) {
	b := newQueryBench(t)
	padding := "&x=" + strings.Repeat("x", maxUnsigned-len(webAssume)-len("&x="))
	if w := b.do(form("", webAssume+padding)); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w := b.do(form("", webAssume+padding+"x"))
	wantError(t, w, 413, "RequestEntityTooLarge", "")
	if w.Header().Get("Connection") != "close" {
		t.Error("the connection stays open")
	}
	chunked := form("", webAssume+padding+"x")
	chunked.ContentLength = -1
	wantError(t, b.do(chunked), 413, "RequestEntityTooLarge", "")

	signedOnly := &queryBench{t: t, Handler: &Handler{Log: b.Log}}
	signedOnly.Handle(call.Service{Name: "iam", Version: iam.Version, Namespace: iam.Namespace})
	r := form("", webAssume)
	r.Body = io.NopCloser(untouchable{t})
	wantError(t, signedOnly.do(r), 403, "MissingAuthenticationToken", "")
}

// Who calls an operation that needs no signature is nobody, even if signed.
func TestUnsignedIsNobody(t *testing.T) {
	for service, region := range map[string]string{"": "us-east-1", "sts": "us-west-2"} {
		b := newQueryBench(t)
		if w := b.do(form(service, webAssume)); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		c := b.call
		if c.Principal.Kind != policy.Anonymous || c.Principal.ARN != "" || c.Policies != nil || c.AccessKeyID != "" || c.Region != region {
			t.Errorf("signed for %q: got %v of %q in %s", service, c.Principal, c.AccessKeyID, c.Region)
		}
	}
	b := newQueryBench(t)
	b.Authenticate = func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
		return nil, sigv4.Refuse(sigv4.UnknownKey)
	}
	wantError(t, b.do(form("sts", webAssume)), 403, "InvalidClientTokenId", "")
}

func TestQueryBodies(t *testing.T) {
	b := newQueryBench(t)
	r := form("sts", "")
	r.Body, r.ContentLength = io.NopCloser(untouchable{t}), defaultMaxBody+1
	wantError(t, b.do(r), 413, "RequestEntityTooLarge", "")
	r = form("sts", "")
	r.Body, r.ContentLength = io.NopCloser(slow{}), -1
	wantError(t, b.do(r), 408, "RequestTimeout", "")
}

type slow struct{}

func (slow) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// What is not of the query protocol is answered as ever.
func TestQueryNotSpoken(t *testing.T) {
	b := newQueryBench(t)
	for name, r := range map[string]*http.Request{
		"no parameters": httptest.NewRequest(http.MethodGet, "/", nil),
		"another path":  httptest.NewRequest(http.MethodGet, "/x?"+whoAmI, nil),
		"a put":         httptest.NewRequest(http.MethodPut, "/?"+whoAmI, nil),
		"a post":        httptest.NewRequest(http.MethodPost, "/", strings.NewReader(whoAmI)),
		"a target": func() *http.Request {
			r := form("sts", whoAmI)
			r.Header.Set("X-Amz-Target", "AWSOrganizationsV20161128.Nothing")
			return r
		}(),
	} {
		if w := b.do(r); w.Body.String() != `{"__type":"UnknownOperationException"}` {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	alone := &queryBench{t: t, Handler: &Handler{Log: b.Log}} // serves nothing by queries
	if w := alone.do(form("sts", whoAmI)); w.Body.String() != `{"__type":"UnknownOperationException"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "AWSOrganizationsV20161128.ListAccounts")
	if w := b.do(r); w.Code != 200 || w.Body.String() != "{}" {
		t.Errorf("JSON beside it: got %d %s", w.Code, w.Body)
	}
}

// The errors of wings and of the framework have other names here.
func TestErrorsOfQueries(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		blame  string
	}{
		"denied":         {api.AccessDenied("no"), 403, "AccessDenied", "Sender"},
		"invalid":        {api.Validation("no"), 400, "ValidationError", "Sender"},
		"throttled":      {&api.Error{Code: "ThrottlingException", Status: 400, Message: "no"}, 400, "Throttling", "Sender"},
		"of the model":   {organizations.AccessDenied("no"), 400, "AccessDeniedException", "Sender"},
		"conflict":       {iam.DeleteConflict("no"), 409, "DeleteConflict", "Sender"},
		"gone":           {iam.CredentialReportExpired("no"), 410, "ReportExpired", "Sender"},
		"failure":        {iam.ServiceFailure("no"), 500, "ServiceFailure", "Receiver"},
		"wrapped":        {errors.Join(errors.New("planted"), iam.InvalidInput("no")), 400, "InvalidInput", "Sender"},
		"unknown":        {errors.New("planted"), 500, "InternalFailure", "Receiver"},
		"kind unknown":   {&sigv4.Error{Kind: 99, Message: "planted"}, 500, "InternalFailure", "Receiver"},
		"without status": {&api.Error{Code: "planted"}, 500, "InternalFailure", "Receiver"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueryBench(t)
			b.queries[iam.Version].ops["GetUser"] = targetOf(call.Service{Name: "iam"},
				heard[iam.GetUserInput, iam.GetUserOutput](b, "GetUser", nil, c.err))
			w := b.do(form("iam", "Action=GetUser&Version=2010-05-08"))
			wantError(t, w, c.status, c.code, "<Type>"+c.blame+"</Type>")
			if strings.Contains(w.Body.String(), "planted") {
				t.Errorf("the caller was told: %s", w.Body)
			}
			if b.last.Service != "iam" || b.last.Op != "GetUser" || b.last.Status != c.status {
				t.Errorf("outcome %+v", b.last)
			}
		})
	}
}

// Neither log nor error repeat what is secret, wherever it stands.
func TestQueryHidesSecrets(t *testing.T) {
	const secret = "Xplanted-secretX"
	for _, body := range []string{
		"Action=CreateLoginProfile&Version=2010-05-08&UserName=a&Password=" + secret,
		"Action=CreateLoginProfile&Version=2010-05-08&UserName=a&Password=" + strings.Repeat(secret, 20),
		"Action=CreateLoginProfile&Version=2010-05-08&UserName=a&Password." + secret + "=" + secret,
		"Action=CreateLoginProfile&Version=2010-05-08&UserName=a&PasswordResetRequired=" + secret,
		"Action=CreateLoginProfile&Version=2010-05-08&Password=" + secret + "&" + secret + "=1&" + secret + "=2",
		"Action=CreateLoginProfile&Version=2010-05-08&Password=" + secret + "%zz",
	} {
		b := newQueryBench(t)
		w := b.do(form("iam", body))
		if w.Code == 200 || strings.Contains(w.Body.String(), secret) || strings.Contains(b.log.String(), secret) {
			t.Errorf("%s: got %d %s, logged %s", body, w.Code, w.Body, &b.log)
		}
	}
}

// Strangers' text in the log has an end, and none of it gets into figures.
func TestQueryLogOfStrangers(t *testing.T) {
	b := newQueryBench(t)
	b.do(form("sts", "Version=2011-06-15&Action="+url.QueryEscape(strings.Repeat("garbage\n", 10000))))
	if n := b.log.Len(); n > 2000 || !strings.Contains(b.log.String(), "outcome=InvalidAction") {
		t.Errorf("%d bytes: %.300s", n, &b.log)
	}
	if b.last.Service != "" || b.last.Op != "" {
		t.Errorf("outcome %+v", b.last)
	}
}

func TestQueryPanicIsContained(t *testing.T) {
	b := newQueryBench(t)
	b.queries[iam.Version].ops["GetUser"] = targetOf(call.Service{Name: "iam"},
		call.Bind("GetUser", func(context.Context, *call.Call, *iam.GetUserInput) (*iam.GetUserOutput, error) { panic("planted") }))
	w := b.do(form("iam", "Action=GetUser&Version=2010-05-08"))
	wantError(t, w, 500, "InternalFailure", "")
	if strings.Contains(w.Body.String()+b.log.String(), "planted") {
		t.Errorf("%s, logged %s", w.Body, &b.log)
	}
}

func TestHandleQueryPanics(t *testing.T) {
	get := func(name string) call.Op {
		return call.Bind(name, func(context.Context, *call.Call, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
			return nil, nil
		})
	}
	unsigned := get("Get")
	unsigned.Unsigned = true
	for name, s := range map[string]call.Service{
		"no protocol":     {Name: "x"},
		"two protocols":   {Name: "x", Target: "X", Version: "1"},
		"version taken":   {Name: "x", Version: sts.Version},
		"name taken":      {Name: "sts", Version: "1"},
		"operation twice": {Name: "x", Version: "1", Ops: []call.Op{get("Get"), get("Get")}},
		"unsigned JSON":   {Name: "x", Target: "X", Ops: []call.Op{unsigned}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueryBench(t)
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			b.Handle(s)
		})
	}
}

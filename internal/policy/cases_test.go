package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The files of testdata/decide but language.txt are cases of decisions. A case
// begins with "== name", and its lines are, in any order:
//
//	caller NAME                who asks, see callers
//	id: STATEMENTS             an identity policy; group, bd (boundary), sp (session), scp, rp (of a secret), key, trust likewise
//	sp: none                   a session that was passed no policy that is left
//	version none               of the policies that follow
//	owner ACCOUNT              of the resource
//	granted                    by a KMS grant
//	KEY = VALUE | VALUE        a condition key
//	ACTION RESOURCE => RESULT  what is asked, and what AWS answers
//	=> refused: MESSAGE        the one policy of the case does not parse
//	=> elsewhere: WHY          not for this package to decide
//
// STATEMENTS are divided by " ; ", each EFFECT ACTIONS [to PRINCIPALS] [on
// RESOURCES] [if CONDITION], where "not" stands before a list that is left out,
// and RESOURCES are * if nothing is said. A RESULT is allow, implicit deny or
// explicit deny, and may tell the type of policy.
type testCase struct {
	caller   Principal
	set      *Set
	resource *Document
	request  Request
	keys     map[string][]string
	version  string
	scps     [][]Policy
	sessions []Policy
	limited  bool
	policies int
	err      error
}

const (
	accountA = "111122223333"
	accountB = "444455556666"
	provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
)

var words = map[string]string{
	"S": asked, "G": "secretsmanager:GetSecretValue", "K": "arn:aws:kms:us-east-1:111122223333:key/1234",
	"R": "arn:aws:iam::111122223333:role/app", "U": "arn:aws:iam::111122223333:user/alice", "BU": "arn:aws:iam::444455556666:user/bob",
	"root": "arn:aws:iam::111122223333:root", "rootB": "arn:aws:iam::444455556666:root",
	"role": "arn:aws:iam::111122223333:role/app", "roleB": "arn:aws:iam::444455556666:role/app",
	"sess": "arn:aws:sts::111122223333:assumed-role/app/i-1", "Bsess": "arn:aws:sts::444455556666:assumed-role/app/i-1",
	"fed": "arn:aws:sts::111122223333:federated-user/f",
}

func word(s string) string {
	if full, ok := words[s]; ok {
		return full
	}
	return strings.Replace(s, "~", "arn:aws:secretsmanager:us-east-1:111122223333:secret:", 1)
}

// callers are who may ask in a case.
func callers() map[string]Principal {
	sessionB := *session("i-1")
	sessionB.ARN, sessionB.Account, sessionB.Entity, sessionB.ID = words["Bsess"], accountB, words["roleB"], "AROABPPBPPBPPBPPBPP00"
	fed := Principal{Kind: Federated, ARN: words["fed"], Account: accountA, Entity: words["U"], ID: alice().ID}
	rootfed := Principal{Kind: Federated, ARN: words["fed"], Account: accountA, Entity: words["root"], ID: accountA}
	return map[string]Principal{
		"U":         *alice(),
		"BU":        {Kind: User, ARN: words["BU"], Account: accountB, Entity: words["BU"], ID: "AIDABOBBOBBOBBOBBOB00"},
		"root":      {Kind: Root, ARN: words["root"], Account: accountA, Entity: words["root"], ID: accountA},
		"rootB":     {Kind: Root, ARN: words["rootB"], Account: accountB, Entity: words["rootB"], ID: accountB},
		"sess":      *session("i-1"),
		"sess2":     *session("i-2"),
		"Bsess":     sessionB,
		"fed":       fed,
		"rootfed":   rootfed,
		"lambda":    {Kind: Service, ARN: "lambda.amazonaws.com"},
		"github":    {Kind: Provider, ARN: provider},
		"anonymous": {},
	}
}

// statement is the JSON that a statement of a case stands for.
func (c *testCase) statement(t *testing.T, kind, line string) map[string]any {
	t.Helper()
	s := map[string]any{}
	line, condition, conditional := strings.Cut(line, " if ")
	if conditional {
		s["Condition"] = json.RawMessage(condition)
	}
	line, resources, some := strings.Cut(line, " on ")
	if !some {
		resources = "*"
	}
	line, whom, named := strings.Cut(line, " to ")
	effect, actions, ok := strings.Cut(line, " ")
	if !ok {
		t.Fatalf("%q: want EFFECT ACTIONS", line)
	}
	s["Effect"] = effect
	element(s, "Action", actions)
	if kind != "trust" {
		element(s, "Resource", resources)
	}
	if named {
		name := "Principal"
		if rest, not := strings.CutPrefix(whom, "not "); not {
			name, whom = "NotPrincipal", rest
		}
		s[name] = principalsOf(whom)
	}
	return s
}

func element(s map[string]any, name, list string) {
	if rest, not := strings.CutPrefix(list, "not "); not {
		name, list = "Not"+name, rest
	}
	var values []string
	const inDefault = ", " // of a variable
	for item := range strings.SplitSeq(strings.ReplaceAll(list, inDefault, "\x00"), ",") {
		values = append(values, word(strings.ReplaceAll(item, "\x00", inDefault)))
	}
	s[name] = values
}

func principalsOf(whom string) any {
	if whom == "*" {
		return "*"
	}
	by := map[string][]string{}
	for w := range strings.SplitSeq(whom, ",") {
		service, isService := strings.CutPrefix(w, "service:")
		switch {
		case w == "lambda":
			by["Service"] = append(by["Service"], "lambda.amazonaws.com")
		case isService:
			by["Service"] = append(by["Service"], service)
		case w == "provider":
			by["Federated"] = append(by["Federated"], provider)
		default:
			by["AWS"] = append(by["AWS"], word(w))
		}
	}
	return by
}

var kindsOfLines = map[string]Kind{
	"id": Identity, "group": Identity, "bd": Identity, "sp": Session, "scp": Identity, "rp": Resource, "key": Key, "trust": Trust,
}

// policy adds the policy of one line.
func (c *testCase) policy(t *testing.T, kind, text string) {
	t.Helper()
	if kind == "sp" && text == "none" {
		c.limited = true
		return
	}
	var statements []map[string]any
	for line := range strings.SplitSeq(text, " ; ") {
		statements = append(statements, c.statement(t, kind, line))
	}
	doc := map[string]any{"Statement": statements}
	if c.version != "" {
		doc["Version"] = c.version
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(string(out), kindsOfLines[kind])
	if err != nil {
		c.err = err
		return
	}
	c.policies++
	p := Policy{fmt.Sprintf("%s%d", kind, c.policies), d}
	switch kind {
	case "id", "group":
		c.set = c.set.With(p)
	case "bd":
		c.set = c.set.WithBoundary(p)
	case "sp":
		c.sessions, c.limited = append(c.sessions, p), true
	case "scp":
		c.scps = append(c.scps, []Policy{p})
	default:
		c.resource = d
		c.request.MustAllow = kind != "rp"
	}
}

func (c *testCase) result(action, resource string) string {
	set := c.set
	if c.limited {
		set = set.WithSession(c.sessions...)
	}
	if c.scps != nil {
		set = set.WithOrganization(c.scps...)
	}
	r := c.request
	r.Principal, r.Action, r.Resource, r.Keys = &c.caller, word(action), word(resource), c.lookup
	d := set.Decide(r, c.resource)
	switch {
	case d.Allowed:
		return "allow: " + d.Type.String()
	case d.Explicit:
		return "explicit deny: " + d.Type.String()
	}
	return "implicit deny: " + d.Type.String()
}

// lookup has the keys that the case gives and, of those about the caller, the
// ones that the cases need.
func (c *testCase) lookup(key string) ([]string, bool) {
	if v, ok := c.keys[key]; ok {
		return v, true
	}
	switch {
	case key == "aws:principalaccount":
		return []string{c.caller.Account}, c.caller.Account != ""
	case key == "aws:principalarn" && c.caller.Kind == Role:
		return []string{c.caller.Entity}, true
	case key == "aws:principalarn":
		return []string{c.caller.ARN}, true
	case key == "aws:username" && c.caller.Kind == User:
		return []string{c.caller.ARN[strings.LastIndexByte(c.caller.ARN, '/')+1:]}, true
	}
	return nil, false
}

// run goes through the lines of a case, and says how many of them ask.
func (c *testCase) run(t *testing.T, lines []string) (questions int) {
	for _, line := range lines {
		kind, text, isPolicy := strings.Cut(line, ": ")
		question, want, asks := strings.Cut(line, "=> ")
		key, values, isKey := strings.Cut(line+" ", " = ")
		switch name, rest, _ := strings.Cut(line, " "); {
		case name == "caller":
			caller, known := callers()[rest]
			if !known {
				t.Fatalf("no caller %q", rest)
			}
			c.caller = caller
		case name == "version":
			c.version = ""
		case name == "owner":
			c.request.ResourceAccount = rest
		case name == "granted":
			c.request.Granted = true
		case isPolicy && kind != "=> refused" && kind != "=> elsewhere" && !asks:
			c.policy(t, kind, text)
		case asks:
			questions++
			c.ask(t, strings.TrimSpace(question), want)
		case isKey:
			c.keys[strings.ToLower(key)] = strings.Split(strings.TrimSuffix(values, " "), " | ")
		default:
			t.Fatalf("cannot read %q", line)
		}
	}
	return questions
}

func (c *testCase) ask(t *testing.T, question, want string) {
	if text, ok := strings.CutPrefix(want, "refused: "); ok {
		fault, isFault := errors.AsType[*SyntaxError](c.err)
		if !isFault || fault.Message != text {
			t.Errorf("got %v, want %s", c.err, text)
		}
		return
	}
	if why, ok := strings.CutPrefix(want, "elsewhere: "); ok {
		if why == "" {
			t.Error("says not why")
		}
		return
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	action, resource, _ := strings.Cut(question, " ")
	got := c.result(action, resource)
	if outcome, _, typed := strings.Cut(want, ": "); !typed {
		got, _, _ = strings.Cut(got, ": ")
		want = outcome
	}
	if got != want {
		t.Errorf("%s: got %s, want %s", question, got, want)
	}
}

var numbered = regexp.MustCompile(`^[PCKT][0-9]{2}b? `)

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, file := range files {
		if filepath.Base(file) == "language.txt" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(text), "\n== ")[1:] {
			name, rest, _ := strings.Cut(c, "\n")
			if n := numbered.FindString(name); n != "" {
				seen = append(seen, n)
			}
			t.Run(name, func(t *testing.T) {
				tc := testCase{keys: map[string][]string{}, version: currentVersion}
				if tc.run(t, strings.Split(strings.TrimSpace(rest), "\n")) == 0 {
					t.Error("asks nothing")
				}
			})
		}
	}
	slices.Sort(seen)
	const all = 147
	if n := len(slices.Compact(seen)); n != all {
		t.Errorf("saw %d of %d numbered cases", n, all)
	}
}

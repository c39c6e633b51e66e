package policy

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator makes policies and requests that are likely to meet: everything
// is drawn from a few values that resemble each other.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 1))} }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

func (g generator) some(from []string, most int) []string {
	var list []string
	for range 1 + g.IntN(most) {
		list = append(list, pick(g, from))
	}
	return list
}

// oneIn is true once in n times.
func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

var (
	genActions = []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "SecretsManager:getsecretvalue",
		"secretsmanager:GetX", "secretsmanager:Ge", "kms:Decrypt", "sts:AssumeRole", "iam:GetUser"}
	genActionPatterns = []string{"*", "*:*", "secretsmanager:*", "secretsmanager:Get*", "secretsmanager:GetSecretValue", "SECRETSMANAGER:GETSECRETVALUE",
		"secretsmanager:*Value", "secretsmanager:?etSecretValue", "secretsmanager:G*t*V*e", "kms:*", "kms:Decrypt", "sts:AssumeRole", "*:Get*", "iam:GetUser", "secretsmanager:Ge?"}
	genResources = []string{"*", asked, "arn:aws:secretsmanager:us-east-1:111122223333:secret:alice/x-AbCdEf",
		"arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf", "arn:aws:secretsmanager:us-east-1:444455556666:secret:prod/db-AbCdEf",
		"arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:s3:::bucket/a:b:c", "arn:aws:iam::aws:policy/x", "arn:aws:iam::111122223333:role/app",
		"arn:aws:secretsmanager:us-east-1:111122223333:secret:é*/x", "arn:broken"}
	genResourcePatterns = []string{"*", asked, "arn:aws:secretsmanager:*", "arn:aws:secretsmanager:*:*:secret:prod/*", "arn:*:secretsmanager:us-*:111122223333:secret:*",
		"arn:aws:secretsmanager:us-east-1:1*3:secret:*/*-AbCdEf", "arn:aws:secretsmanager:*:secret:prod/*", "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-??????",
		"arn:aws:secretsmanager:*:*:secret:${aws:username}/*", "arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team, 'prod'}/*", "arn:aws:secretsmanager:*:*:*${a:many}*",
		"arn:aws:s3:::*:c", "arn:aws:s3:::bucket/?:b*", "arn:aws:kms:*:*:key/*", "arn:aws:secretsmanager:*:*:secret:?${*}/x", "arn:aws:iam::*:role/*"}
	genKeys = []string{"aws:username", "aws:PrincipalTag/team", "a:many", "a:text", "a:number", "a:date", "a:flag", "aws:SourceIp", "aws:PrincipalArn", "a:bytes"}
	genText = []string{"red", "Red", "r*", "", "alice", "prod", "*", "a:b", "é", "É", "ret"}
	genVars = []string{"${aws:username}", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/team, 'red'}", "${a:many}", "${*}", "x${a:text}*", "${a:missing}", "r?${?}"}
	genARNs = []string{"arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::*:role/*", "arn:aws:iam::*", "arn:aws:*:us-east-1:*:a:*",
		"arn:aws:sns:us-east-1:111122223333:a:b", "*", "arn:aws:iam::${aws:PrincipalTag/team}:*", "${aws:PrincipalArn}", "arn:*:*:*:*:*?", "x:*:*:*:*:*"}
	genNumbers  = []string{"7", "7.0", "07", "-1", "30", "1e1", "10"}
	genDates    = []string{"2026-01-15T12:00:00Z", "2026-01-15", "1768478400", "2026-01-15T21:00:00+09:00", "2027-01-01T00:00:00.5Z"}
	genNetworks = []string{"10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::ffff:10.1.2.3", "0.0.0.0/0", "10.1.2.3/16"}
	genBytes    = []string{"QmluYXJ5", "AA==", ""}
)

// genFamilies are the operators with the values that go with each.
var genFamilies = []struct {
	operators []string
	values    []string
}{
	{[]string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"}, slices.Concat(genText, genVars)},
	{[]string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"}, genNumbers},
	{[]string{"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"}, genDates},
	{[]string{"Bool"}, []string{"true", "false", "True", "${a:text}"}},
	{[]string{"BinaryEquals"}, genBytes},
	{[]string{"IpAddress", "NotIpAddress"}, genNetworks},
	{[]string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}, genARNs},
	{[]string{"Null"}, []string{"true", "false"}},
}

func (g generator) condition() map[string]any {
	conditions := map[string]any{}
	for range 1 + g.IntN(2) {
		family := pick(g, genFamilies)
		operator := pick(g, family.operators)
		if operator != "Null" && g.oneIn(4) {
			operator += "IfExists"
		}
		if g.oneIn(4) {
			operator = pick(g, []string{"ForAllValues:", "ForAnyValue:"}) + operator
		}
		keys := map[string]any{}
		for range 1 + g.IntN(2) {
			key := pick(g, genKeys)
			if _, twice := keys[strings.ToLower(key)]; twice {
				continue
			}
			if g.oneIn(3) {
				key = strings.ToLower(key)
			}
			values := g.some(family.values, 3)
			if g.oneIn(20) {
				values = []string{}
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(keys)), func(k string) bool { return strings.EqualFold(k, key) }) {
				keys[key] = values
			}
		}
		conditions[operator] = keys
	}
	return conditions
}

var genPrincipals = []map[string]any{
	{"AWS": "*"}, {"AWS": []string{words["U"]}}, {"AWS": words["root"]}, {"AWS": accountA}, {"AWS": words["rootB"]}, {"AWS": words["role"]}, {"AWS": words["sess"]},
	{"AWS": []string{words["U"], words["root"]}}, {"AWS": []string{words["role"], words["sess"], accountA}}, {"AWS": "AROAAPPAPPAPPAPPAPP00"}, {"AWS": "AIDAALICEALICEALICE00"},
	{"AWS": words["BU"]}, {"AWS": []string{words["BU"], words["rootB"]}}, {"Service": "lambda.amazonaws.com"}, {"Federated": provider}, {"AWS": words["fed"]},
	{"AWS": []string{words["fed"], words["U"], words["root"]}, "Service": "lambda.amazonaws.com"},
}

func (g generator) statement(kind Kind) map[string]any {
	s := map[string]any{"Effect": pick(g, []string{"Allow", "Allow", "Deny"})}
	action, resource, principal := "Action", "Resource", "Principal"
	if g.oneIn(6) && kind != Trust {
		action = "NotAction"
	}
	if g.oneIn(6) {
		resource = "NotResource"
	}
	if g.oneIn(6) && kind != Trust {
		principal = "NotPrincipal"
	}
	s[action] = g.some(genActionPatterns, 2)
	if kind == Trust {
		s[action] = pick(g, []string{"sts:AssumeRole", "sts:*", "sts:Assume*"})
	} else {
		s[resource] = g.some(genResourcePatterns, 2)
	}
	if kind.namesPrincipals() {
		s[principal] = any(pick(g, genPrincipals))
		if g.oneIn(6) {
			s[principal] = "*"
		}
	}
	if g.oneIn(2) {
		s["Condition"] = g.condition()
	}
	return s
}

func (g generator) document(kind Kind) string {
	var statements []any
	for range 1 + g.IntN(3) {
		statements = append(statements, g.statement(kind))
	}
	d := map[string]any{"Version": currentVersion, "Statement": statements}
	if kind.namesPrincipals() && g.oneIn(6) {
		delete(d, "Version")
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// docs are the policies that bear on a caller and a resource.
func (g generator) docs() (docs refDocs, kind Kind) {
	for range g.IntN(3) {
		docs.identity = append(docs.identity, g.document(Identity))
	}
	if g.oneIn(3) {
		docs.boundary = new(g.document(Identity))
	}
	if g.oneIn(3) {
		docs.sessions = []string{}
		for range g.IntN(3) {
			docs.sessions = append(docs.sessions, g.document(Session))
		}
	}
	for range g.IntN(8) - 5 {
		docs.organization = append(docs.organization, []string{g.document(Identity), g.document(Identity)})
	}
	kind = pick(g, []Kind{Resource, Resource, Key, Trust})
	if !g.oneIn(4) {
		docs.resource = new(g.document(kind))
	}
	docs.trust = docs.resource != nil && kind == Trust
	return docs, kind
}

var genCallers = slices.Collect(maps.Values(callers()))

// request is a question that fits to a resource's kind of policy.
func (g generator) request(kind Kind) Request {
	caller := pick(g, genCallers)
	keys := map[string][]string{}
	for _, key := range genKeys {
		if g.oneIn(3) {
			continue
		}
		from := genText
		switch key {
		case "a:number":
			from = append(slices.Clip(genNumbers), "seven")
		case "a:date":
			from = append(slices.Clip(genDates), "today")
		case "a:flag":
			from = []string{"true", "false", "TRUE", "yes"}
		case "aws:SourceIp":
			from = []string{"10.1.2.3", "192.0.2.1", "2001:db8::1", "::ffff:10.1.2.3", "nowhere"}
		case "aws:PrincipalArn":
			from = []string{words["role"], words["U"], "arn:aws:sns:us-east-1:111122223333:a:b", "x"}
		case "a:bytes":
			from = genBytes
		}
		keys[strings.ToLower(key)] = []string{pick(g, from)}
		if key == "a:many" || g.oneIn(10) {
			keys[strings.ToLower(key)] = g.some(from, 3)
		}
	}
	r := Request{
		Principal: &caller, Action: pick(g, genActions), Resource: pick(g, genResources),
		Keys:      func(key string) ([]string, bool) { v, ok := keys[key]; return v, ok },
		MustAllow: kind != Resource, Granted: g.oneIn(20),
	}
	if kind == Trust && g.oneIn(2) {
		r.Action = "sts:AssumeRole"
	}
	if g.oneIn(8) {
		r.ResourceAccount = pick(g, []string{accountA, accountB})
	}
	return r
}

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"azekura/internal/sigv4"
)

const (
	accessConnections = 16
	principals        = 1_000 // that read by turns
)

// access compares what a read costs the administrator with what it costs those
// on whom more policies bear, and many of them.
func (b *bench) access() (section, error) {
	s := section{title: "Who reads"}
	s.text = fmt.Sprintf(`GetSecretValue of %s secrets, each with a resource policy, over %d connections: by the administrator's access key;
by a session of a role with five managed policies of two statements each, a permissions boundary and a session policy; by %s users, each with an access
key of its own and an inline policy, one after the other.`, thousands(fewSecrets), accessConnections, thousands(principals))
	ours, err := b.serve(b.cpus.server, filepath.Join(b.work, "access"))
	if err != nil {
		return s, err
	}
	defer ours.kill()
	b.say("making users, roles and policies ...")
	session, users, err := ours.admit(b)
	if err != nil {
		return s, err
	}
	pick := spread(fewSecrets, fewSecrets)
	if err := ours.warm(b, pick(0)); err != nil {
		return s, err
	}
	b.say("GetSecretValue by others than the administrator ...")
	asSession := ours.target
	asSession.credentials = session
	results, err := b.takeTurns(ours.reads(accessConnections, pick), asSession.reads(accessConnections, pick), ours.readsOfMany(users, pick))
	if err != nil {
		return s, err
	}
	t := s.table("by", "measured", "administrator")
	perSecond, cpu, p50, p99 := figures()
	for i, by := range []string{"a role's session", thousands(principals) + " users"} {
		t.compare(by, perSecond, results[i+1], results[0],
			s.atLeast("GetSecretValue by "+by+": requests/s against the administrator's", results[i+1].over(results[0], perSecond), 0.9))
		for _, f := range []figure{cpu, p50, p99} {
			t.compare(by, f, results[i+1], results[0], nil)
		}
	}
	return s, ours.stop()
}

// A statement of a policy. No read here is decided by the first one that is
// looked at.
func allow(actions, resource string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":[%s],"Resource":%q}`, actions, resource)
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const (
	readAction = `"secretsmanager:GetSecretValue"`
	anySecret  = "arn:aws:secretsmanager:*:*:secret:*"
)

// admit makes who reads, and what they read. The account is the first.
func (t target) admit(b *bench) (session sigv4.Credentials, users []sigv4.Credentials, err error) {
	if err := t.fill(b, fewSecrets); err != nil {
		return session, nil, err
	}
	guard := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*",` +
		`"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111111111111"}}}}`
	err = t.each(b, fewSecrets, func(n int) ([]byte, error) {
		return t.request("PutResourcePolicy", fmt.Sprintf(`{"SecretId":%q,"ResourcePolicy":%q}`, secretName(n), guard))
	})
	if err != nil {
		return session, nil, err
	}
	if session, err = t.becomeRole(); err != nil {
		return session, nil, err
	}
	users, err = t.makeUsers()
	return session, users, err
}

func (t target) becomeRole() (session sigv4.Credentials, err error) {
	const iam = "arn:aws:iam::111111111111:"
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + iam + `root"},"Action":"sts:AssumeRole"}}`
	boundary := policyOf(allow(`"secretsmanager:*","kms:Decrypt"`, "*"))
	steps := []url.Values{
		{"Action": {"CreatePolicy"}, "PolicyName": {"boundary"}, "PolicyDocument": {boundary}},
		{"Action": {"CreateRole"}, "RoleName": {"reader"}, "AssumeRolePolicyDocument": {trust}, "PermissionsBoundary": {iam + "policy/boundary"}},
	}
	for i, actions := range []string{
		`"secretsmanager:Describe*","secretsmanager:List*"`, `"secretsmanager:Put*","secretsmanager:Update*"`, `"kms:*"`, `"iam:Get*","sts:*"`, readAction,
	} {
		name := fmt.Sprintf("part-%d", i)
		steps = append(steps,
			url.Values{"Action": {"CreatePolicy"}, "PolicyName": {name}, "PolicyDocument": {policyOf(
				allow(`"secretsmanager:RotateSecret"`, "arn:aws:secretsmanager:*:*:secret:other/*"), allow(actions, "*"))}},
			url.Values{"Action": {"AttachRolePolicy"}, "RoleName": {"reader"}, "PolicyArn": {iam + "policy/" + name}})
	}
	for _, step := range steps {
		if err := t.query("iam", step, nil); err != nil {
			return session, err
		}
	}
	var out struct {
		AccessKeyID string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret      string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token       string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	err = t.query("sts", url.Values{"Action": {"AssumeRole"}, "RoleArn": {iam + "role/reader"}, "RoleSessionName": {"bench"},
		"Policy": {policyOf(allow(readAction, anySecret))}}, &out)
	return sigv4.Credentials{AccessKeyID: out.AccessKeyID, Secret: out.Secret, Token: out.Token}, err
}

// makeUsers makes users by several at a time, which share commits.
func (t target) makeUsers() ([]sigv4.Credentials, error) {
	users := make([]sigv4.Credentials, principals)
	errs := make(chan error, principals)
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for n := range numbers {
				var err error
				if users[n], err = t.makeUser(fmt.Sprintf("reader-%04d", n)); err != nil {
					errs <- err
				}
			}
		})
	}
	for n := range users {
		numbers <- n
	}
	close(numbers)
	workers.Wait()
	close(errs)
	return users, <-errs
}

func (t target) makeUser(name string) (sigv4.Credentials, error) {
	var out struct {
		AccessKeyID string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret      string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	for _, step := range []url.Values{
		{"Action": {"CreateUser"}, "UserName": {name}},
		{"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"reads"}, "PolicyDocument": {policyOf(allow(readAction, anySecret))}},
	} {
		if err := t.query("iam", step, nil); err != nil {
			return sigv4.Credentials{}, err
		}
	}
	err := t.query("iam", url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}}, &out)
	return sigv4.Credentials{AccessKeyID: out.AccessKeyID, Secret: out.Secret}, err
}

// query calls an operation of IAM or STS once, and decodes the answer into out
// unless that is nil.
func (t target) query(service string, form url.Values, out any) error {
	form.Set("Version", map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}[service])
	body := form.Encode()
	r, err := http.NewRequest(http.MethodPost, t.url+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sigv4.Sign(r, t.credentials, t.region, service, sha256.Sum256([]byte(body)), time.Now())
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := r.Write(conn); err != nil {
		return err
	}
	var answer bytes.Buffer
	if _, err := readAnswer(bufio.NewReader(conn), &answer); err != nil {
		return fmt.Errorf("%s: %w", form.Get("Action"), err)
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(answer.Bytes(), out)
}

// readsOfMany is reads in which each request is another user's.
func (t target) readsOfMany(users []sigv4.Credentials, pick func(round int) []int) load {
	return load{target: t, connections: accessConnections, least: len(value1K), requests: func(round int) (func(connection, n int) []byte, error) {
		var signed [][]byte
		for i, n := range pick(round) {
			t.credentials = users[i%len(users)]
			request, err := t.read(n)
			if err != nil {
				return nil, err
			}
			signed = append(signed, request)
		}
		return func(connection, n int) []byte {
			return signed[(connection*len(signed)/accessConnections+n)%len(signed)]
		}, nil
	}}
}

package iam

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestACredentialPrintsAsItsID(t *testing.T) {
	c := &Credential{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}
	if got := fmt.Sprintf("%v %+v %#v", c, c, c); got != strings.TrimSpace(strings.Repeat(c.AccessKeyID+" ", 3)) {
		t.Errorf("it prints as %s", got)
	}
}

func TestAccessKeyIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"AKIAIOSFODNN7EXAMPLE": true, "test": true, "a_1": true, strings.Repeat("A", 128): true,
		"": false, strings.Repeat("A", 129): false, "a b": false, "a/b": false, "a-b": false, "\u00e9": false, "a\n": false,
	} {
		if isAccessKeyID(id) != want {
			t.Errorf("%.40q: want %t", id, want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s, key := bootstrapped(t)
	c, err := s.Credential(t.Context(), nil, key.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	signing := c.SigningKey("20260314", "us-east-1", "iam")
	var all strings.Builder
	log := slog.New(slog.NewTextHandler(&all, nil))
	logJSON := slog.New(slog.NewJSONHandler(&all, nil))
	for _, v := range []any{key, &key, c, *s, s, struct{ C *Credential }{c}, []AccessKey{key}, map[string]*Credential{"c": c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		log.Info("x", "v", v)
		logJSON.Info("x", "v", v)
		if text, err := json.Marshal(v); err == nil {
			all.Write(text)
		}
	}
	printed := all.String()
	for name, secret := range map[string]string{
		"secret": string(key.Secret), "secret in hex": hex.EncodeToString([]byte(key.Secret)),
		"signing key": hex.EncodeToString(signing[:]), "signing key in decimal": strings.Trim(fmt.Sprint([]byte(signing[:8])), "[]"),
	} {
		if strings.Contains(strings.ToLower(printed), strings.ToLower(secret)) {
			t.Errorf("the %s is printed", name)
		}
	}
	if !strings.Contains(printed, key.AccessKeyID) {
		t.Error("nothing of interest was printed")
	}
}

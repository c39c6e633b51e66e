package secretsmanager

import (
	"cmp"
	"crypto/rand"
	"errors"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/arn"
	"azekura/internal/call"
)

// suffixLength is the number of random characters at the end of a secret's ARN.
const suffixLength = 6

const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// An id is what a SecretId names: a secret by its name, and by its ARN's
// suffix if the caller gave a complete ARN.
type id struct {
	account, region, name string
	suffix                string // "" matches any
	text                  string // as the caller sent it
}

// parseID reads a SecretId: a name in the caller's account and region, an ARN,
// or an ARN without its suffix. Like AWS it takes an ARN that ends in a hyphen
// and six alphanumerics for complete, so a name of that form is not found by
// its partial ARN. A name with a foreign character is refused before anything
// is looked up.
func parseID(c *call.Call, text string) (id, error) {
	if !strings.HasPrefix(text, "arn:") {
		return id{account: c.Principal.Account, region: c.Region, name: text, text: text}, checkName(text)
	}
	a, err := arn.Parse(text)
	if err != nil || a.Service != "secretsmanager" {
		return id{}, errInvalidName()
	}
	name, isSecret := strings.CutPrefix(a.Resource, "secret:")
	if !isSecret {
		return id{}, errInvalidName()
	}
	suffix := ""
	if cut := len(name) - suffixLength - 1; cut > 0 && name[cut] == '-' && isAlphanumeric(name[cut+1:]) {
		name, suffix = name[:cut], name[cut+1:]
	}
	return id{account: a.Account, region: a.Region, name: name, suffix: suffix, text: text}, checkName(name)
}

// reachable says whether the secret can be one of this call's region: an ARN
// of another region names nothing here.
func (i id) reachable(c *call.Call) bool { return i.region == c.Region }

// unresolved is the ARN under which policies see a secret that is not there:
// the caller's if it is complete, so that who may use it is told that it is
// gone; else AWS puts question marks in the place of the suffix, so that
// patterns ending in -?????? or * match.
func (i id) unresolved() string {
	return arnOf(i.account, i.region, i.name, cmp.Or(i.suffix, "??????"))
}

// splitARN undoes arnOf.
func splitARN(arn string) (account, region, name, suffix string) {
	rest := arn[len("arn:aws:secretsmanager:"):]
	region, rest, _ = strings.Cut(rest, ":")
	account, rest, _ = strings.Cut(rest, ":")
	rest = rest[len("secret:"):]
	at := len(rest) - suffixLength - 1
	return account, region, rest[:at], rest[at+1:]
}

func arnOf(account, region, name, suffix string) string {
	return "arn:aws:secretsmanager:" + region + ":" + account + ":secret:" + name + "-" + suffix
}

// newSuffix is the random end of a new secret's ARN: it keeps a policy on the
// ARN of a deleted secret from meaning a later one of the same name.
func newSuffix() string {
	suffix := make([]byte, 0, suffixLength)
	for len(suffix) < suffixLength {
		suffix = append(suffix, alphanumerics[uniform(len(alphanumerics))])
	}
	return string(suffix)
}

// uniform is a random number below n, each equally likely. n is at most 256.
// Bytes past the last whole multiple of n are thrown away: taking them modulo
// n would favour the low ones.
func uniform(n int) int {
	var b [1]byte
	for {
		rand.Read(b[:])
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n
		}
	}
}

func checkName(name string) error {
	if name == "" {
		return errInvalidName()
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i:i+1]) && !strings.Contains("-/_+=.@!", name[i:i+1]) {
			return errInvalidName()
		}
	}
	return nil
}

func isAlphanumeric(s string) bool {
	for i := range len(s) {
		if b := s[i]; (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			return false
		}
	}
	return true
}

func errInvalidName() error {
	return api.Validation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
}

func errNotFound() *api.Error {
	return model.ResourceNotFound("Secrets Manager can't find the specified secret.")
}

// isNotFound says whether err is the answer to a call on a secret that does
// not exist.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Code == errNotFound().Code
}

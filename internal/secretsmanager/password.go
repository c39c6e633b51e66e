package secretsmanager

import (
	"bytes"
	"context"
	"strings"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
)

const defaultPasswordLength = 32

// GetRandomPassword makes a password of characters from crypto/rand. Each
// password that meets the request is equally likely.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
func (s *Service) GetRandomPassword(_ context.Context, c *call.Call, in *model.GetRandomPasswordInput) (*model.GetRandomPasswordOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	length := defaultPasswordLength
	if in.PasswordLength != nil {
		length = int(*in.PasswordLength)
	}
	classes := passwordClasses(in)
	alphabet := strings.Join(classes, "")
	if alphabet == "" {
		return nil, model.InvalidParameter("All characters have been excluded from selection.")
	}
	if in.RequireEachIncludedType != nil && !*in.RequireEachIncludedType {
		classes = nil
	}
	if len(classes) > length {
		return nil, model.InvalidParameter("Password length is too short based on the required types.")
	}
	for _, class := range classes {
		if class == "" {
			return nil, model.InvalidParameter("All characters of the desired type have been excluded.")
		}
	}
	password := plaintext{kindString, randomPassword(length, alphabet, classes)}
	c.Wipe(password.text)
	out := new(model.GetRandomPasswordOutput)
	out.RandomPassword, _ = password.answer()
	return out, nil
}

// passwordClasses lists the types of character that a request includes, less
// the characters it excludes; a type may be left empty.
func passwordClasses(in *model.GetRandomPasswordInput) []string {
	var classes []string
	add := func(excluded *bool, class string) {
		if excluded != nil && *excluded {
			return
		}
		classes = append(classes, strings.Map(func(r rune) rune {
			if strings.ContainsRune(deref(in.ExcludeCharacters), r) {
				return -1
			}
			return r
		}, class))
	}
	add(in.ExcludeLowercase, "abcdefghijklmnopqrstuvwxyz")
	add(in.ExcludeUppercase, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	add(in.ExcludeNumbers, "0123456789")
	add(in.ExcludePunctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
	if in.IncludeSpace != nil && *in.IncludeSpace {
		add(nil, " ")
	}
	return classes
}

// randomPassword draws passwords until one has a character of each class.
// Placing one of each first and filling up would be quicker, and would make
// some passwords likelier than others.
func randomPassword(length int, alphabet string, classes []string) []byte {
	password := make([]byte, length)
	for {
		for i := range password {
			password[i] = alphabet[uniform(len(alphabet))]
		}
		if hasEach(password, classes) {
			return password
		}
	}
}

func hasEach(password []byte, classes []string) bool {
	for _, class := range classes {
		if !bytes.ContainsAny(password, class) {
			return false
		}
	}
	return true
}

package oidc

import "github.com/go-jose/go-jose/v4/json"

// Others is others, for the issuers that tests cannot be.
var Others = others

// ParseKey is the public key that a member of a key set is taken for, or nil.
func ParseKey(text []byte) any {
	var k jwk
	if json.Unmarshal(text, &k) != nil {
		return nil
	}
	key, ok := k.publicKey()
	if !ok {
		return nil
	}
	return key.key
}

package secretsmanager

import (
	"encoding/base64"
	"encoding/json"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/envelope"
)

// A NextToken is the position where a page ended, sealed, so that callers
// neither read anything from it nor make one up. It opens only for the same
// account, region and scope: the list it is a page of, with its filters.

func (s *Service) writeToken(c *call.Call, at position, scope []string) *string {
	text, err := json.Marshal(at)
	if err != nil {
		panic(err) // a struct of a number and two texts
	}
	return new(base64.RawURLEncoding.EncodeToString(s.keyring.Seal(text, tokenAAD(c, scope))))
}

// readToken is the position in a token; nil if there is no token.
func (s *Service) readToken(c *call.Call, token *string, scope []string) (*position, error) {
	if token == nil {
		return nil, nil
	}
	blob, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || base64.RawURLEncoding.EncodeToString(blob) != *token { // the decoder passes over line breaks
		return nil, errToken()
	}
	text, err := s.keyring.Open(blob, tokenAAD(c, scope))
	if err != nil {
		return nil, errToken()
	}
	at := new(position)
	if err := json.Unmarshal(text, at); err != nil {
		return nil, errToken()
	}
	return at, nil
}

func tokenAAD(c *call.Call, scope []string) []byte {
	return envelope.AAD("page token", append([]string{c.Principal.Account, c.Region}, scope...)...)
}

func errToken() error {
	return model.InvalidNextToken("You provided an invalid value for parameter NextToken.")
}

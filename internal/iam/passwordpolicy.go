package iam

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A passwordPolicy is what an account asks of passwords. The zero one is that
// of an account that has set none.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html
type passwordPolicy struct {
	MinLength  int64 `json:"min"` // 0 if none is set
	Symbols    bool  `json:"symbols,omitempty"`
	Numbers    bool  `json:"numbers,omitempty"`
	Upper      bool  `json:"upper,omitempty"`
	Lower      bool  `json:"lower,omitempty"`
	UserChange bool  `json:"change,omitempty"` // users may change their own
	MaxAge     int64 `json:"age,omitempty"`    // days; 0 is for ever
	Reuse      int64 `json:"reuse,omitempty"`  // how many of the last may not be used again
	HardExpiry *bool `json:"hard,omitempty"`
}

func (p passwordPolicy) isSet() bool { return p.MinLength != 0 }

// Value is the policy as the database keeps it: a JSON object, or "".
func (p passwordPolicy) Value() (driver.Value, error) {
	if !p.isSet() {
		return "", nil
	}
	return store.JSON(p)
}

// Scan reads what Value wrote.
func (p *passwordPolicy) Scan(column any) error {
	if column == "" {
		*p = passwordPolicy{}
		return nil
	}
	return store.ScanJSON(column, p)
}

// AWS's rules for accounts that have set none, and the characters that it
// counts as symbols.
const (
	defaultMinLength = 8
	defaultKinds     = 3
	symbols          = "!@#$%^&*()_+-=[]{}|'"
)

// check refuses a password that is not to the policy's letter. names are what
// the account goes by.
func (p passwordPolicy) check(password api.Sensitive, names ...string) error {
	text := string(password)
	has := func(set string) bool { return strings.ContainsAny(text, set) }
	kinds := [...]struct{ asked, there bool }{
		{p.Symbols, has(symbols)},
		{p.Numbers, has("0123456789")},
		{p.Upper, has("ABCDEFGHIJKLMNOPQRSTUVWXYZ")},
		{p.Lower, has("abcdefghijklmnopqrstuvwxyz")},
	}
	fine, there := true, 0
	for _, k := range kinds {
		if k.there {
			there++
		}
		fine = fine && (k.there || !k.asked)
	}
	least := p.MinLength
	if !p.isSet() {
		least, fine = defaultMinLength, there >= defaultKinds
		for _, name := range names {
			fine = fine && text != name
		}
	}
	if !fine || int64(utf8.RuneCountInString(text)) < least {
		return model.PasswordPolicyViolation("Password does not conform to the account password policy.")
	}
	return nil
}

// UpdateAccountPasswordPolicy sets what the account asks of passwords; what a
// request leaves out is not asked.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccountPasswordPolicy.html
func (s *Service) UpdateAccountPasswordPolicy(ctx context.Context, c *call.Call, in *model.UpdateAccountPasswordPolicyInput) (*model.UpdateAccountPasswordPolicyOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	const defaultSetLength = 6
	isTrue := func(b *bool) bool { return b != nil && *b }
	number := func(n *int64, otherwise int64) int64 {
		if n == nil {
			return otherwise
		}
		return *n
	}
	p := passwordPolicy{
		MinLength: number(in.MinimumPasswordLength, defaultSetLength),
		Symbols:   isTrue(in.RequireSymbols), Numbers: isTrue(in.RequireNumbers),
		Upper: isTrue(in.RequireUppercaseCharacters), Lower: isTrue(in.RequireLowercaseCharacters),
		UserChange: isTrue(in.AllowUsersToChangePassword),
		MaxAge:     number(in.MaxPasswordAge, 0), Reuse: number(in.PasswordReusePrevention, 0), HardExpiry: in.HardExpiry,
	}
	return nil, s.db.Update(ctx, func(tx *store.Tx) error { return updatePasswordPolicy(tx, c.Principal.Account, p) })
}

// DeleteAccountPasswordPolicy goes back to what is asked where nothing is set.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccountPasswordPolicy.html
func (s *Service) DeleteAccountPasswordPolicy(ctx context.Context, c *call.Call, _ *model.DeleteAccountPasswordPolicyInput) (*model.DeleteAccountPasswordPolicyOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	return nil, s.db.Update(ctx, func(tx *store.Tx) error {
		p, err := selectPasswordPolicy(tx, c.Principal.Account)
		if err != nil {
			return err
		}
		if !p.isSet() {
			return model.NoSuchEntity("The account policy with name PasswordPolicy cannot be found.")
		}
		return updatePasswordPolicy(tx, c.Principal.Account, passwordPolicy{})
	})
}

// GetAccountPasswordPolicy shows what the account asks of passwords.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountPasswordPolicy.html
func (s *Service) GetAccountPasswordPolicy(ctx context.Context, c *call.Call, _ *model.GetAccountPasswordPolicyInput) (*model.GetAccountPasswordPolicyOutput, error) {
	p, err := s.ownPasswords(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	if !p.isSet() {
		return nil, model.NoSuchEntity("The Password Policy with domain name %s cannot be found.", c.Principal.Account)
	}
	out := model.PasswordPolicy{
		MinimumPasswordLength: &p.MinLength, RequireSymbols: &p.Symbols, RequireNumbers: &p.Numbers,
		RequireUppercaseCharacters: &p.Upper, RequireLowercaseCharacters: &p.Lower,
		AllowUsersToChangePassword: &p.UserChange, ExpirePasswords: new(p.MaxAge > 0), HardExpiry: p.HardExpiry,
	}
	if p.MaxAge > 0 {
		out.MaxPasswordAge = &p.MaxAge
	}
	if p.Reuse > 0 {
		out.PasswordReusePrevention = &p.Reuse
	}
	return &model.GetAccountPasswordPolicyOutput{PasswordPolicy: &out}, nil
}

// ownPasswords reads the password policy of the caller's account. If it lets
// users change their own passwords, the call is made one of a user who may, as
// if a policy of the user's own said so: boundaries, sessions and statements
// that deny have their say.
func (s *Service) ownPasswords(ctx context.Context, c *call.Call) (p passwordPolicy, err error) {
	err = s.db.Look(ctx, func(tx *store.Tx) (err error) {
		p, err = selectPasswordPolicy(tx, c.Principal.Account)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil // an account that is none has no users: what follows denies
	}
	if err == nil && p.UserChange && c.Principal.Kind == policy.User {
		c.Policies = c.Policies.With(policy.Policy{Name: "AllowUsersToChangePassword", Document: ownPasswordPolicy()})
	}
	return p, err
}

// ownPasswordPolicy is what AllowUsersToChangePassword grants to a user.
var ownPasswordPolicy = sync.OnceValue(func() *policy.Document {
	document, err := policy.Parse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"arn:aws:iam::*:user/*"},
		{"Effect":"Allow","Action":"iam:GetAccountPasswordPolicy","Resource":"*"}]}`, policy.Identity)
	if err != nil {
		panic(err) // the text is a constant
	}
	return document
})

package iam

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxFormer is how many former passwords are remembered: the most that a
// password policy can forbid.
const maxFormer = 24

// A passwordChange is all that setting a password needs to know of its user.
type passwordChange struct {
	user    *entity
	policy  passwordPolicy
	alias   string
	profile profileRow // the zero one if there is none
}

// readPasswords finds a user, decides whether the call may, and reads the
// user's login profile, store.ErrNotFound is no error.
func (s *Service) readPasswords(ctx context.Context, c *call.Call, name string) (*passwordChange, error) {
	var p passwordChange
	_, err := s.look(ctx, c, userKind, name, func(tx *store.Tx, e *entity) (err error) {
		p = passwordChange{user: e}
		if p.policy, err = selectPasswordPolicy(tx, e.account); err != nil {
			return err
		}
		if p.alias, err = selectAlias(tx, e.account); err != nil {
			return err
		}
		p.profile, err = selectProfile(tx, e.id, "")
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	})
	return &p, err
}

// has says whether the user has a login profile.
func (p *passwordChange) has() bool { return p.profile.userID != "" }

// accept holds a password against the account's policy and the passwords
// before it, and makes of it what is to be kept.
func (s *Service) accept(ctx context.Context, p *passwordChange, password api.Sensitive) (kept string, err error) {
	if err := p.policy.check(password, p.user.account, p.alias); err != nil {
		return "", err
	}
	err = s.hashing(ctx, func() error {
		if p.has() {
			for _, was := range p.profile.last(p.policy.Reuse) {
				same, err := s.isPassword(p.user.id, was, password)
				if err != nil {
					return err
				}
				if same {
					return model.PasswordPolicyViolation("Policy constraint violation with password reuse prevention during password change.")
				}
			}
		}
		kept = s.hashPassword(p.user.id, password)
		return nil
	})
	return kept, err
}

// last are the newest n passwords, the one in force first.
func (p *profileRow) last(n int64) []string {
	all := append([]string{p.password}, p.former...)
	return all[:min(int(n), len(all))]
}

// set gives a profile a new password.
func (p *profileRow) set(kept string, now api.Timestamp) {
	p.former = p.last(maxFormer)
	p.password, p.changed = kept, now
}

func noProfile(name string) error {
	return model.NoSuchEntity("Login Profile for User %s cannot be found.", name)
}

// CreateLoginProfile gives a user, the caller unless another is named, a
// password.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateLoginProfile.html
func (s *Service) CreateLoginProfile(ctx context.Context, c *call.Call, in *model.CreateLoginProfileInput) (*model.CreateLoginProfileOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	p, err := s.readPasswords(ctx, c, name)
	if err != nil {
		return nil, err
	}
	if in.Password == nil {
		return nil, validation("1 validation error detected: Value at 'password' failed to satisfy constraint: Member must not be null")
	}
	exists := model.EntityAlreadyExists("Login Profile for user %s already exists.", p.user.name)
	if p.has() {
		return nil, exists
	}
	kept, err := s.accept(ctx, p, *in.Password)
	if err != nil {
		return nil, err
	}
	now := api.At(c.Time)
	made := profileRow{password: kept, mustReset: in.PasswordResetRequired != nil && *in.PasswordResetRequired, created: now, changed: now}
	err = s.change(ctx, c, userKind, name, func(tx *store.Tx, e *entity) error {
		if e.id != p.user.id {
			return concurrent()
		}
		made.userID = e.id
		added, err := insertProfile(tx, &made)
		if err == nil && !added {
			err = exists
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateLoginProfileOutput{LoginProfile: made.model(p.user.name)}, nil
}

func (p *profileRow) model(userName string) *model.LoginProfile {
	return &model.LoginProfile{UserName: &userName, CreateDate: &p.created, PasswordResetRequired: &p.mustReset}
}

// concurrent is the answer to who was overtaken by another change of the same
// thing.
func concurrent() error {
	return model.ConcurrentModification("The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again.")
}

// GetLoginProfile says whether a user, the caller unless another is named, has
// a password.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetLoginProfile.html
func (s *Service) GetLoginProfile(ctx context.Context, c *call.Call, in *model.GetLoginProfileInput) (*model.GetLoginProfileOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	p, err := s.readPasswords(ctx, c, name)
	if err != nil {
		return nil, err
	}
	if !p.has() {
		return nil, noProfile(p.user.name)
	}
	return &model.GetLoginProfileOutput{LoginProfile: p.profile.model(p.user.name)}, nil
}

// UpdateLoginProfile sets the password of a user, and whether it must be
// changed; what is not given stays.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateLoginProfile.html
func (s *Service) UpdateLoginProfile(ctx context.Context, c *call.Call, in *model.UpdateLoginProfileInput) (*model.UpdateLoginProfileOutput, error) {
	p, err := s.readPasswords(ctx, c, *in.UserName)
	if err != nil {
		return nil, err
	}
	if !p.has() {
		return nil, noProfile(p.user.name)
	}
	kept := ""
	if in.Password != nil {
		if kept, err = s.accept(ctx, p, *in.Password); err != nil {
			return nil, err
		}
	}
	return nil, s.changeProfile(ctx, c, p, func(held *profileRow) {
		if kept != "" {
			held.set(kept, api.At(c.Time))
		}
		if in.PasswordResetRequired != nil {
			held.mustReset = *in.PasswordResetRequired
		}
	})
}

// changeProfile changes a login profile, if it is still what was read: what was
// made of the password it had took long, and is of no use to another.
func (s *Service) changeProfile(ctx context.Context, c *call.Call, p *passwordChange, fn func(*profileRow)) error {
	return s.change(ctx, c, userKind, p.user.name, func(tx *store.Tx, e *entity) error {
		held, err := selectProfile(tx, e.id, tx.ForUpdate())
		if errors.Is(err, store.ErrNotFound) || err == nil && (e.id != p.user.id || held.password != p.profile.password) {
			return concurrent()
		}
		if err != nil {
			return err
		}
		fn(&held)
		return updateProfile(tx, &held)
	})
}

// DeleteLoginProfile takes the password from a user, the caller unless another
// is named.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteLoginProfile.html
func (s *Service) DeleteLoginProfile(ctx context.Context, c *call.Call, in *model.DeleteLoginProfileInput) (*model.DeleteLoginProfileOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, s.change(ctx, c, userKind, name, func(tx *store.Tx, e *entity) error {
		was, err := deleteProfile(tx, e.id)
		if err == nil && !was {
			err = noProfile(e.name)
		}
		return err
	})
}

// ChangePassword changes the caller's own password, who has to know it. Guesses
// are counted by user: beyond the first few the answer is AWS's Throttling, and
// the password is not looked at.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ChangePassword.html
func (s *Service) ChangePassword(ctx context.Context, c *call.Call, in *model.ChangePasswordInput) (*model.ChangePasswordOutput, error) {
	if c.Principal.Kind != policy.User {
		return nil, model.InvalidUserType("Only IAM Users can change their own password.")
	}
	if _, err := s.ownPasswords(ctx, c); err != nil {
		return nil, err
	}
	p, err := s.readPasswords(ctx, c, c.Principal.UserName)
	if err != nil {
		return nil, err
	}
	if !p.has() {
		return nil, noProfile(p.user.name)
	}
	if err := s.knows(ctx, c, p, *in.OldPassword); err != nil {
		return nil, err
	}
	kept, err := s.accept(ctx, p, *in.NewPassword)
	if err != nil {
		return nil, err
	}
	return nil, s.changeProfile(ctx, c, p, func(held *profileRow) {
		held.set(kept, api.At(c.Time))
		held.mustReset = false
	})
}

// knows refuses a caller who does not know the password.
func (s *Service) knows(ctx context.Context, c *call.Call, p *passwordChange, password api.Sensitive) error {
	if wait := s.passwordTries.Begin(p.user.id, "password", c.Time); wait > 0 {
		return api.Throttled(wait)
	}
	right := false
	err := s.hashing(ctx, func() (err error) {
		right, err = s.isPassword(p.user.id, p.profile.password, password)
		return err
	})
	if err != nil {
		return err
	}
	if !right {
		s.passwordTries.wrong.Add(1)
		return api.AccessDenied("The old password was incorrect.")
	}
	s.passwordTries.Succeeded(p.user.id, "password")
	return nil
}

// WrongPasswords is how many wrong passwords were given to ChangePassword.
func (s *Service) WrongPasswords() uint64 { return s.passwordTries.wrong.Load() }

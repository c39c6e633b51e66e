package organizations

import (
	"context"
	"errors"
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/store"
)

// An account is one row of the organization's accounts.
type account struct {
	id, name, email string
	rev             int64
	tags            tags
	joined          api.Timestamp
	closed          api.Timestamp // 0 for one that is open
}

// fold is an email address as addresses are compared: without regard to case.
func fold(email string) string { return strings.ToLower(email) }

// model is the account as answers show it. The first one, which nobody has
// given an email address, has none, and is said to have been invited, as AWS
// says of management accounts.
func (a *account) model(org *organization) *model.Account {
	shown := &model.Account{
		Id: &a.id, Arn: new(org.arn("account", a.id)), Name: new(api.Sensitive(a.name)),
		Status: new("ACTIVE"), JoinedMethod: new("CREATED"), JoinedTimestamp: &a.joined,
		Paths: []string{org.path() + a.id + "/"},
	}
	if a.email != "" {
		shown.Email = new(api.Sensitive(a.email))
	}
	if a.id == org.management {
		shown.JoinedMethod = new("INVITED")
	}
	if a.closed != 0 {
		shown.Status = new("SUSPENDED")
	}
	shown.State = shown.Status
	return shown
}

// DescribeAccount tells of an account.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
func (s *Service) DescribeAccount(ctx context.Context, c *call.Call, in *model.DescribeAccountInput) (*model.DescribeAccountOutput, error) {
	out := new(model.DescribeAccountOutput)
	err := s.look(ctx, c, []want{{*in.AccountId, errAccount()}}, func(_ *store.Tx, org *organization, found []resource) error {
		out.Account = found[0].account.model(org)
		return nil
	})
	return out, err
}

// ListAccounts lists all accounts, in the order of their ids, closed ones too.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
func (s *Service) ListAccounts(ctx context.Context, c *call.Call, in *model.ListAccountsInput) (*model.ListAccountsOutput, error) {
	shown, next, err := s.listAccounts(ctx, c, nil, in.NextToken, in.MaxResults)
	return &model.ListAccountsOutput{Accounts: shown, NextToken: next}, err
}

// ListAccountsForParent lists the accounts that are directly under the root:
// all.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
func (s *Service) ListAccountsForParent(ctx context.Context, c *call.Call, in *model.ListAccountsForParentInput) (*model.ListAccountsForParentOutput, error) {
	shown, next, err := s.listAccounts(ctx, c, []want{{*in.ParentId, errParent()}}, in.NextToken, in.MaxResults)
	return &model.ListAccountsForParentOutput{Accounts: shown, NextToken: next}, err
}

func (s *Service) listAccounts(ctx context.Context, c *call.Call, parent []want, token *string, maxResults *int64) ([]model.Account, *string, error) {
	p, err := s.page(c, token, maxResults)
	if err != nil {
		return nil, nil, err
	}
	shown := []model.Account{}
	var next *string
	err = s.look(ctx, c, parent, func(tx *store.Tx, org *organization, found []resource) error {
		if len(found) > 0 && !found[0].root {
			return errParent()
		}
		all, err := selectAccounts(tx, p.after, p.size+1)
		if err != nil {
			return err
		}
		all, next = cut(p, all, (*account).key)
		shown = shown[:0]
		for i := range all {
			shown = append(shown, *all[i].model(org))
		}
		return nil
	})
	return shown, next, err
}

func (a *account) key() string { return a.id }

// CloseAccount closes an account: from the next call on, nobody calls for it.
// Nothing of it is deleted.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CloseAccount.html
func (s *Service) CloseAccount(ctx context.Context, c *call.Call, in *model.CloseAccountInput) (*model.CloseAccountOutput, error) {
	return nil, s.change(ctx, c, []want{{*in.AccountId, errAccount()}}, func(tx *store.Tx, org *organization, found []resource) error {
		a := found[0].account
		if a.id == org.management {
			return model.ConstraintViolation("You can't close the management account of an organization.")
		}
		if a.closed != 0 {
			return model.AccountAlreadyClosed("The specified account is already closed.")
		}
		a.closed = api.At(c.Time)
		return s.updateAccount(tx, a)
	})
}

// updateAccount writes an account back, and tells the caches and other nodes.
func (s *Service) updateAccount(tx *store.Tx, a *account) error {
	s.accounts.Changed(tx, a.id)
	return updateAccount(tx, a)
}

func errAccount() error { return model.AccountNotFound("You specified an account that doesn't exist.") }
func errParent() error  { return model.ParentNotFound("You specified parent that doesn't exist.") }
func errTarget() error  { return model.TargetNotFound("You specified a target that doesn't exist.") }

// maxAccounts is the most that AWS raises its quota of accounts to.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const maxAccounts = 10_000

// A request is what became of a CreateAccount.
type request struct {
	id, name  string
	account   string // "" if there is none
	reason    string // why there is none
	requested api.Timestamp
}

const keepRequests = 90 * 24 * 3600 * 1000 // in milliseconds

const (
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
)

func (r *request) state() string {
	if r.account == "" {
		return failed
	}
	return succeeded
}

func (r *request) key() string { return r.id }

func (r *request) model() model.CreateAccountStatus {
	shown := model.CreateAccountStatus{
		Id: &r.id, AccountName: new(api.Sensitive(r.name)), State: new(r.state()),
		RequestedTimestamp: &r.requested, CompletedTimestamp: &r.requested,
	}
	if r.account == "" {
		shown.FailureReason = &r.reason
	} else {
		shown.AccountId = &r.account
	}
	return shown
}

// CreateAccount makes an account, with the role by which the management account
// enters it. It is there when the call returns, and what AWS finds out later,
// that the email address is another account's, the answer says already.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
func (s *Service) CreateAccount(ctx context.Context, c *call.Call, in *model.CreateAccountInput) (*model.CreateAccountOutput, error) {
	var made request
	err := s.change(ctx, c, nil, func(tx *store.Tx, org *organization, _ []resource) (err error) {
		if err := allowTagging(c, in.Tags); err != nil {
			return err
		}
		a := account{name: string(*in.AccountName), email: string(*in.Email), joined: api.At(c.Time)}
		if a.tags, err = a.tags.with(in.Tags); err != nil {
			return err
		}
		switch held, err := countAccounts(tx); {
		case err != nil:
			return err
		case held >= maxAccounts:
			return model.ConstraintViolation("You have exceeded the allowed number of AWS Accounts.")
		}
		made = request{id: newID("car-", 26), name: a.name, requested: a.joined}
		switch taken, err := hasEmail(tx, fold(a.email)); {
		case err != nil:
			return err
		case taken:
			made.reason = "EMAIL_ALREADY_EXISTS"
		default:
			if made.account, err = s.insertMember(tx, org, a, in.RoleName); err != nil {
				return err
			}
		}
		if err := deleteRequests(tx, made.requested-keepRequests); err != nil {
			return err
		}
		return insertRequest(tx, made)
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateAccountOutput{CreateAccountStatus: new(made.model())}, nil
}

// insertMember makes an account under an id that is free.
func (s *Service) insertMember(tx *store.Tx, org *organization, a account, roleName *string) (id string, err error) {
	role := "OrganizationAccountAccessRole"
	if roleName != nil && *roleName != "" {
		role = *roleName
	}
	err = store.ErrConflict
	for try := 0; try < 10 && errors.Is(err, store.ErrConflict); try++ {
		a.id = newAccountID()
		err = s.add(tx, Member{ID: a.id, RoleName: role, Management: org.management, Created: a.joined})
	}
	if err != nil {
		return "", err
	}
	s.accounts.Changed(tx, a.id)
	if err := insertAccount(tx, a); err != nil || !org.guarded {
		return a.id, err
	}
	return a.id, attach(tx, a.id, fullAccessID)
}

// DescribeCreateAccountStatus tells what became of a CreateAccount.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeCreateAccountStatus.html
func (s *Service) DescribeCreateAccountStatus(ctx context.Context, c *call.Call, in *model.DescribeCreateAccountStatusInput) (*model.DescribeCreateAccountStatusOutput, error) {
	var r request
	err := s.look(ctx, c, nil, func(tx *store.Tx, _ *organization, _ []resource) (err error) {
		r, err = selectRequest(tx, *in.CreateAccountRequestId)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = model.CreateAccountStatusNotFound("We can't find a create account request with the CreateAccountRequestId that you specified.")
	}
	if err != nil {
		return nil, err
	}
	return &model.DescribeCreateAccountStatusOutput{CreateAccountStatus: new(r.model())}, nil
}

// ListCreateAccountStatus lists what became of the CreateAccounts of the last
// 90 days. A page whose states match little is short, with a token.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListCreateAccountStatus.html
func (s *Service) ListCreateAccountStatus(ctx context.Context, c *call.Call, in *model.ListCreateAccountStatusInput) (*model.ListCreateAccountStatusOutput, error) {
	p, err := s.page(c, in.NextToken, in.MaxResults, in.States...)
	if err != nil {
		return nil, err
	}
	var all []request
	err = s.look(ctx, c, nil, func(tx *store.Tx, _ *organization, _ []resource) (err error) {
		all, err = selectRequests(tx, p.after, p.size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListCreateAccountStatusOutput{CreateAccountStatuses: []model.CreateAccountStatus{}}
	all, out.NextToken = cut(p, all, (*request).key)
	for i := range all {
		if len(in.States) == 0 || slices.Contains(in.States, all[i].state()) {
			out.CreateAccountStatuses = append(out.CreateAccountStatuses, all[i].model())
		}
	}
	return out, nil
}

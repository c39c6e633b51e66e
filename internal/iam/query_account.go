package iam

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

// selectAlias reads the alias of an account, "" if it has none.
func selectAlias(tx *store.Tx, account string) (string, error) {
	return store.One(tx, one[string], `SELECT coalesce(alias, '') FROM iam_accounts WHERE id = $1`, account)
}

// selectAliased reads the account that has an alias.
func selectAliased(tx *store.Tx, alias string) (account string, err error) {
	return store.One(tx, one[string], `SELECT id FROM iam_accounts WHERE alias = $1`, alias)
}

// updateAlias sets the alias of an account; nil takes it away.
func updateAlias(tx *store.Tx, account string, alias *string) error {
	_, err := tx.Exec(`UPDATE iam_accounts SET alias = $2 WHERE id = $1`, account, alias)
	return err
}

func selectPasswordPolicy(tx *store.Tx, account string) (passwordPolicy, error) {
	return store.One(tx, one[passwordPolicy], `SELECT password_policy FROM iam_accounts WHERE id = $1`, account)
}

func updatePasswordPolicy(tx *store.Tx, account string, p passwordPolicy) error {
	_, err := tx.Exec(`UPDATE iam_accounts SET password_policy = $2 WHERE id = $1`, account, p)
	return err
}

// A profileRow is a login profile as the database keeps it.
type profileRow struct {
	userID, password       string // a hash, sealed
	former                 texts  // the newest first
	mustReset              bool
	created, changed, used api.Timestamp
}

const profileColumns = `user_id, password, former, must_reset, created_at, changed_at, used_at`

func profileDest(p *profileRow) []any {
	return []any{&p.userID, &p.password, &p.former, &p.mustReset, &p.created, &p.changed, &p.used}
}

func selectProfile(tx *store.Tx, userID, lock string) (profileRow, error) {
	return store.One(tx, profileDest, `SELECT `+profileColumns+` FROM iam_login_profiles WHERE user_id = $1`+lock, userID)
}

// insertProfile adds a login profile, unless the user has one.
func insertProfile(tx *store.Tx, p *profileRow) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_login_profiles (`+profileColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id) DO NOTHING`,
		p.userID, p.password, p.former, p.mustReset, p.created, p.changed, p.used)
	return n == 1, err
}

func updateProfile(tx *store.Tx, p *profileRow) error {
	_, err := tx.Exec(`UPDATE iam_login_profiles SET password = $2, former = $3, must_reset = $4, changed_at = $5 WHERE user_id = $1`,
		p.userID, p.password, p.former, p.mustReset, p.changed)
	return err
}

func deleteProfile(tx *store.Tx, userID string) (deleted bool, err error) {
	n, err := tx.Exec(`DELETE FROM iam_login_profiles WHERE user_id = $1`, userID)
	return n == 1, err
}

// accountCounts is how much of everything an account has.
type accountCounts struct {
	users, groups, roles, policies, versions int64
	devices, devicesInUse, providers         int64
}

// selectAccountCounts counts what quotas bound.
func selectAccountCounts(tx *store.Tx, account string) (accountCounts, error) {
	return store.One(tx, func(n *accountCounts) []any {
		return []any{&n.users, &n.groups, &n.roles, &n.policies, &n.versions, &n.devices, &n.devicesInUse, &n.providers}
	}, `SELECT (SELECT COUNT(*) FROM iam_users WHERE account = $1),
		(SELECT COUNT(*) FROM iam_groups WHERE account = $1),
		(SELECT COUNT(*) FROM iam_roles WHERE account = $1),
		(SELECT COUNT(*) FROM iam_policies WHERE account = $1),
		(SELECT COUNT(DISTINCT policy_arn) FROM iam_attached_policies WHERE account = $1),
		(SELECT COUNT(*) FROM iam_mfa_devices WHERE account = $1),
		(SELECT COUNT(*) FROM iam_mfa_devices WHERE account = $1 AND user_id IS NOT NULL),
		(SELECT COUNT(*) FROM iam_oidc_providers WHERE account = $1)`, account)
}

// A reportRow is a credential report as the database keeps it.
type reportRow struct {
	account   string
	content   []byte
	generated api.Timestamp
}

func selectReport(tx *store.Tx, account string) (reportRow, error) {
	return store.One(tx, func(r *reportRow) []any { return []any{&r.account, &r.content, &r.generated} },
		`SELECT account, content, generated_at FROM iam_credential_reports WHERE account = $1`, account)
}

// putReport adds or replaces the report of an account.
func putReport(tx *store.Tx, r reportRow) error {
	_, err := tx.Exec(`INSERT INTO iam_credential_reports (account, content, generated_at) VALUES ($1, $2, $3)
		ON CONFLICT (account) DO UPDATE SET content = excluded.content, generated_at = excluded.generated_at`,
		r.account, r.content, r.generated)
	return err
}

// selectProfilesOf reads the login profiles of users, of whom there must be
// some, by their ids.
func selectProfilesOf(tx *store.Tx, userIDs []string) (map[string]*profileRow, error) {
	found, err := store.Collect(tx, profileDest, `SELECT `+profileColumns+` FROM iam_login_profiles
		WHERE user_id IN `+store.InList(len(userIDs)), store.Args(userIDs)...)
	byUser := make(map[string]*profileRow, len(found))
	for i := range found {
		byUser[found[i].userID] = &found[i]
	}
	return byUser, err
}

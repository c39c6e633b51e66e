package organizations

import (
	"azekura/internal/api"
	"azekura/internal/store"
)

// one is where the only column of a row goes.
func one[T any](v *T) []any { return []any{v} }

// selectOrganization reads the organization of a management account. lock is
// the suffix of a locking read, or "".
func selectOrganization(tx *store.Tx, management, lock string) (organization, error) {
	return store.One(tx, func(o *organization) []any {
		return []any{&o.management, &o.id, &o.root, &o.guarded, &o.tags, &o.created}
	}, `SELECT management, id, root, guarded, tags, created_at FROM org_organizations WHERE management = $1`+lock, management)
}

// insertOrganization makes the organization, unless the account has one.
func insertOrganization(tx *store.Tx, o organization) (made bool, err error) {
	n, err := tx.Exec(`INSERT INTO org_organizations (management, id, root, guarded, tags, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (management) DO NOTHING`, o.management, o.id, o.root, o.guarded, o.tags, o.created)
	return n == 1, err
}

func updateOrganization(tx *store.Tx, o *organization) error {
	_, err := tx.Exec(`UPDATE org_organizations SET guarded = $2, tags = $3 WHERE management = $1`, o.management, o.guarded, o.tags)
	return err
}

const accountColumns = `id, name, email, rev, tags, joined_at, closed_at`

func accountDest(a *account) []any {
	return []any{&a.id, &a.name, &a.email, &a.rev, &a.tags, &a.joined, &a.closed}
}

func selectAccount(tx *store.Tx, id string) (account, error) {
	return store.One(tx, accountDest, `SELECT `+accountColumns+` FROM org_accounts WHERE id = $1`, id)
}

// selectAccounts reads the accounts whose ids follow after, in their order.
func selectAccounts(tx *store.Tx, after string, limit int) ([]account, error) {
	return store.Collect(tx, accountDest, `SELECT `+accountColumns+` FROM org_accounts WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// selectAccountIDs reads the ids of all accounts, of which there are no more
// than maxAccounts.
func selectAccountIDs(tx *store.Tx) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT id FROM org_accounts ORDER BY id`)
}

func countAccounts(tx *store.Tx) (int, error) {
	return store.One(tx, one[int], `SELECT COUNT(*) FROM org_accounts`)
}

func hasEmail(tx *store.Tx, folded string) (bool, error) {
	n, err := store.One(tx, one[int], `SELECT COUNT(*) FROM org_accounts WHERE folded = $1 AND folded <> ''`, folded)
	return n > 0, err
}

func insertAccount(tx *store.Tx, a account) error {
	_, err := tx.Exec(`INSERT INTO org_accounts (id, name, email, folded, rev, tags, joined_at, closed_at) VALUES ($1, $2, $3, $4, 1, $5, $6, 0)`,
		a.id, a.name, a.email, fold(a.email), a.tags, a.joined)
	return err
}

func updateAccount(tx *store.Tx, a *account) error {
	_, err := tx.Exec(`UPDATE org_accounts SET rev = rev + 1, tags = $2, closed_at = $3 WHERE id = $1`, a.id, a.tags, a.closed)
	return err
}

func bumpAccount(tx *store.Tx, id string) error {
	_, err := tx.Exec(`UPDATE org_accounts SET rev = rev + 1 WHERE id = $1`, id)
	return err
}

func bumpAccounts(tx *store.Tx) error {
	_, err := tx.Exec(`UPDATE org_accounts SET rev = rev + 1`)
	return err
}

// selectStamps reads the revs of accounts.
const selectStamps = `SELECT id, rev FROM org_accounts WHERE id = ANY($1)`

const policyColumns = `p.id, p.name, p.description, p.content, p.tags`

func scpDest(p *scp) []any { return []any{&p.id, &p.name, &p.description, &p.content, &p.tags} }

func selectPolicy(tx *store.Tx, id string) (scp, error) {
	if id == fullAccessID {
		return fullAccess, nil
	}
	return store.One(tx, scpDest, `SELECT `+policyColumns+` FROM org_policies p WHERE p.id = $1`, id)
}

// selectPolicies reads the policies of the organization's own whose ids follow
// after, in their order.
func selectPolicies(tx *store.Tx, after string, limit int) ([]scp, error) {
	return store.Collect(tx, scpDest, `SELECT `+policyColumns+` FROM org_policies p WHERE p.id > $1 ORDER BY p.id LIMIT $2`, after, limit)
}

func countPolicies(tx *store.Tx) (int, error) {
	return store.One(tx, one[int], `SELECT COUNT(*) FROM org_policies`)
}

// insertPolicy adds a policy, unless there is one of that name.
func insertPolicy(tx *store.Tx, p *scp) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO org_policies (id, name, description, content, tags) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO NOTHING`, p.id, p.name, p.description, p.content, p.tags)
	return n == 1, err
}

func updatePolicy(tx *store.Tx, p *scp) error {
	_, err := tx.Exec(`UPDATE org_policies SET name = $2, description = $3, content = $4, tags = $5 WHERE id = $1`,
		p.id, p.name, p.description, p.content, p.tags)
	return err
}

// hasPolicyNamed says whether another policy than the one of an id has a name.
func hasPolicyNamed(tx *store.Tx, name, butID string) (bool, error) {
	n, err := store.One(tx, one[int], `SELECT COUNT(*) FROM org_policies WHERE name = $1 AND id <> $2`, name, butID)
	return n > 0, err
}

func deletePolicy(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM org_policies WHERE id = $1`, id)
	return err
}

func attach(tx *store.Tx, target, policyID string) error {
	_, err := tx.Exec(`INSERT INTO org_attachments (target, policy_id) VALUES ($1, $2)`, target, policyID)
	return err
}

func detach(tx *store.Tx, target, policyID string) error {
	_, err := tx.Exec(`DELETE FROM org_attachments WHERE target = $1 AND policy_id = $2`, target, policyID)
	return err
}

func detachAll(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM org_attachments`)
	return err
}

// attachEverywhere attaches a policy to all accounts and the root, to which
// none is attached.
func attachEverywhere(tx *store.Tx, root, policyID string) error {
	if _, err := tx.Exec(`INSERT INTO org_attachments (target, policy_id) SELECT id, CAST($1 AS TEXT) FROM org_accounts`, policyID); err != nil {
		return err
	}
	return attach(tx, root, policyID)
}

// selectAttached reads the policies on a target, in the order of their ids;
// there are no more than maxAttached.
func selectAttached(tx *store.Tx, target string) ([]scp, error) {
	found, err := store.Collect(tx, scpDest, `SELECT a.policy_id, coalesce(p.name, ''), coalesce(p.description, ''), coalesce(p.content, ''), coalesce(p.tags, '[]')
		FROM org_attachments a LEFT JOIN org_policies p ON p.id = a.policy_id WHERE a.target = $1 ORDER BY a.policy_id`, target)
	for i := range found {
		if found[i].id == fullAccessID {
			found[i] = fullAccess
		}
	}
	return found, err
}

// selectTargets reads what a policy is attached to, after one, in the order of
// ids. The name is an account's, "" for the root.
func selectTargets(tx *store.Tx, policyID, after string, limit int) ([]target, error) {
	return store.Collect(tx, func(t *target) []any { return []any{&t.id, &t.name} },
		`SELECT a.target, coalesce(m.name, '') FROM org_attachments a LEFT JOIN org_accounts m ON m.id = a.target
		WHERE a.policy_id = $1 AND a.target > $2 ORDER BY a.target LIMIT $3`, policyID, after, limit)
}

// selectTargetIDs reads all that a policy is attached to.
func selectTargetIDs(tx *store.Tx, policyID string) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT target FROM org_attachments WHERE policy_id = $1 ORDER BY target`, policyID)
}

func requestDest(r *request) []any { return []any{&r.id, &r.name, &r.account, &r.reason, &r.requested} }

func insertRequest(tx *store.Tx, r request) error {
	_, err := tx.Exec(`INSERT INTO org_requests (id, name, account, reason, requested_at) VALUES ($1, $2, $3, $4, $5)`,
		r.id, r.name, r.account, r.reason, r.requested)
	return err
}

func selectRequest(tx *store.Tx, id string) (request, error) {
	return store.One(tx, requestDest, `SELECT id, name, account, reason, requested_at FROM org_requests WHERE id = $1`, id)
}

// selectRequests reads the requests whose ids follow after, in their order.
func selectRequests(tx *store.Tx, after string, limit int) ([]request, error) {
	return store.Collect(tx, requestDest, `SELECT id, name, account, reason, requested_at FROM org_requests
		WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

func deleteRequests(tx *store.Tx, before api.Timestamp) error {
	_, err := tx.Exec(`DELETE FROM org_requests WHERE requested_at < $1`, before)
	return err
}

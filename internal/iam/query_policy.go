package iam

import (
	"fmt"

	"azekura/internal/api"
	"azekura/internal/store"
)

// What a managed policy is attached for.
const (
	forPermissions = "permissions"
	forBoundary    = "boundary"
)

const policyColumns = `p.id, p.account, p.path, p.name, p.rev, p.description, p.tags, p.default_version, p.newest, p.created_at, p.updated_at`

func policyDest(p *managed) []any {
	return []any{&p.id, &p.account, &p.path, &p.name, &p.rev, &p.description, &p.tags, &p.version, &p.newest, &p.created, &p.updated}
}

// selectPolicy reads the managed policy of an account that has a name.
func selectPolicy(tx *store.Tx, account, name, lock string) (*managed, error) {
	p, err := store.One(tx, policyDest,
		`SELECT `+policyColumns+` FROM iam_policies p WHERE p.account = $1 AND p.folded = $2`+lock, account, fold(name))
	return &p, err
}

// A policyFilter says which of the managed policies a list shows.
type policyFilter struct {
	pathPrefix string
	purpose    string // only those attached for it; "" for all
	attached   bool   // only those attached for any
}

// selectPolicies reads the managed policies of an account that a filter lets
// pass and whose folded names are from one on, in the order of these.
func selectPolicies(tx *store.Tx, account string, f policyFilter, from string, limit int) ([]*managed, error) {
	where := ""
	args := []any{account, from, f.pathPrefix, f.pathPrefix + pastASCII, limit}
	if f.attached || f.purpose != "" {
		where = ` AND EXISTS (SELECT 1 FROM iam_attached_policies a
			WHERE a.account = p.account AND a.policy_arn = 'arn:aws:iam::' || p.account || ':policy' || p.path || p.name`
		if f.purpose != "" {
			args = append(args, f.purpose)
			where += ` AND a.purpose = $6`
		}
		where += `)`
	}
	found, err := store.Collect(tx, policyDest, `SELECT `+policyColumns+` FROM iam_policies p
		WHERE p.account = $1 AND p.folded >= $2 AND p.path >= $3 AND p.path < $4`+where+` ORDER BY p.folded LIMIT $5`, args...)
	all := make([]*managed, len(found))
	for i := range found {
		all[i] = &found[i]
	}
	return all, err
}

func countPolicies(tx *store.Tx, account string, limit int) (int, error) {
	return store.One(tx, one[int], `SELECT COUNT(*) FROM (SELECT id FROM iam_policies WHERE account = $1 LIMIT $2) AS held`, account, limit)
}

// insertPolicy adds a managed policy, unless its account has one of that name.
func insertPolicy(tx *store.Tx, p *managed) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_policies
			(id, account, path, name, folded, rev, description, tags, default_version, newest, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $10) ON CONFLICT (account, folded) DO NOTHING`,
		p.id, p.account, p.path, p.name, fold(p.name), p.description, p.tags, p.version, p.newest, p.created)
	return n == 1, err
}

func updatePolicy(tx *store.Tx, p *managed) error {
	_, err := tx.Exec(`UPDATE iam_policies SET rev = rev + 1, tags = $2, default_version = $3, newest = $4, updated_at = $5 WHERE id = $1`,
		p.id, p.tags, p.version, p.newest, p.updated)
	return err
}

func deletePolicy(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM iam_policies WHERE id = $1`, id)
	return err
}

// A version is one document of a managed policy.
type version struct {
	number   int64
	document string
	created  api.Timestamp
}

func versionDest(v *version) []any { return []any{&v.number, &v.document, &v.created} }

func insertVersion(tx *store.Tx, policyID string, v version) error {
	_, err := tx.Exec(`INSERT INTO iam_policy_versions (policy_id, number, document, created_at) VALUES ($1, $2, $3, $4)`,
		policyID, v.number, v.document, v.created)
	return err
}

func selectVersion(tx *store.Tx, policyID string, number int64) (version, error) {
	return store.One(tx, versionDest, `SELECT number, document, created_at FROM iam_policy_versions
		WHERE policy_id = $1 AND number = $2`, policyID, number)
}

// selectVersions reads the versions of a policy, the newest first.
func selectVersions(tx *store.Tx, policyID string) ([]version, error) {
	return store.Collect(tx, versionDest, `SELECT number, document, created_at FROM iam_policy_versions
		WHERE policy_id = $1 ORDER BY number DESC`, policyID)
}

func deleteVersion(tx *store.Tx, policyID string, number int64) error {
	_, err := tx.Exec(`DELETE FROM iam_policy_versions WHERE policy_id = $1 AND number = $2`, policyID, number)
	return err
}

// selectPolicyStamps reads the revs of managed policies.
const selectPolicyStamps = `SELECT id, rev FROM iam_policies WHERE id = ANY($1)`

// A defaultDocument is the default version of a managed policy.
type defaultDocument struct{ arn, document string }

// selectDefaultDocuments reads the default versions of managed policies of an
// account by their names, of which there must be some.
func selectDefaultDocuments(tx *store.Tx, account string, names []string) ([]defaultDocument, error) {
	names = even(names)
	args := make([]any, 0, len(names)+1)
	for _, name := range names {
		args = append(args, fold(name))
	}
	return store.Collect(tx, func(d *defaultDocument) []any { return []any{&d.arn, &d.document} },
		`SELECT 'arn:aws:iam::' || p.account || ':policy' || p.path || p.name, v.document
		FROM iam_policies p JOIN iam_policy_versions v ON v.policy_id = p.id AND v.number = p.default_version
		WHERE p.folded IN `+store.InList(len(names))+fmt.Sprintf(` AND p.account = $%d`, len(names)+1), append(args, account)...)
}

// An attachment is a managed policy on an identity.
type attachment struct{ identityID, policyARN, purpose string }

func attachmentDest(a *attachment) []any { return []any{&a.identityID, &a.policyARN, &a.purpose} }

// insertAttached attaches a managed policy, unless it is.
func insertAttached(tx *store.Tx, a attachment, account string, now api.Timestamp) error {
	_, err := tx.Exec(`INSERT INTO iam_attached_policies (identity_id, policy_arn, purpose, account, attached_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (identity_id, purpose, policy_arn) DO NOTHING`, a.identityID, a.policyARN, a.purpose, account, now)
	return err
}

func deleteAttached(tx *store.Tx, a attachment) (deleted bool, err error) {
	n, err := tx.Exec(`DELETE FROM iam_attached_policies WHERE identity_id = $1 AND policy_arn = $2 AND purpose = $3`,
		a.identityID, a.policyARN, a.purpose)
	return n == 1, err
}

// deleteBoundary takes the boundary from an identity, if it has one.
func deleteBoundary(tx *store.Tx, identityID string) error {
	_, err := tx.Exec(`DELETE FROM iam_attached_policies WHERE identity_id = $1 AND purpose = 'boundary'`, identityID)
	return err
}

// selectAttached reads the ARNs of what is attached to an identity for its
// permissions.
func selectAttached(tx *store.Tx, identityID string) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT policy_arn FROM iam_attached_policies
		WHERE identity_id = $1 AND purpose = 'permissions' ORDER BY policy_arn`, identityID)
}

// selectBoundary reads the ARN of an identity's boundary, "" if it has none.
func selectBoundary(tx *store.Tx, identityID string) (string, error) {
	return store.One(tx, one[string], `SELECT coalesce(MAX(policy_arn), '') FROM iam_attached_policies
		WHERE identity_id = $1 AND purpose = 'boundary'`, identityID)
}

// ofIdentity are the ids of a user, with those of its groups, or of a role.
const ofIdentity = `(SELECT CAST($1 AS TEXT) UNION ALL SELECT group_id FROM iam_members WHERE user_id = $1)`

// selectAllAttached reads what is attached to an identity and its groups.
func selectAllAttached(tx *store.Tx, identityID string) ([]attachment, error) {
	return store.Collect(tx, attachmentDest, `SELECT identity_id, policy_arn, purpose FROM iam_attached_policies
		WHERE identity_id IN `+ofIdentity+` ORDER BY policy_arn`, identityID)
}

// A usage counts what a policy is attached to.
type usage struct {
	arn                     string
	permissions, boundaries int64
}

// selectUsage counts what policies, of which there must be some, are attached
// to in an account.
func selectUsage(tx *store.Tx, account string, arns []string) (map[string]usage, error) {
	arns = even(arns)
	counted, err := store.Collect(tx, func(u *usage) []any { return []any{&u.arn, &u.permissions, &u.boundaries} },
		`SELECT policy_arn, COUNT(CASE WHEN purpose = 'permissions' THEN 1 END), COUNT(CASE WHEN purpose = 'boundary' THEN 1 END)
		FROM iam_attached_policies WHERE policy_arn IN `+store.InList(len(arns))+
			fmt.Sprintf(` AND account = $%d GROUP BY policy_arn`, len(arns)+1), append(store.Args(arns), account)...)
	byARN := make(map[string]usage, len(counted))
	for _, u := range counted {
		byARN[u.arn] = u
	}
	return byARN, err
}

// selectHolders reads to what a policy is attached in an account, in the order
// of ids, from after on. purpose is one, or "" for both.
func selectHolders(tx *store.Tx, account, arn, purpose, after string, limit int) ([]attachment, error) {
	return store.Collect(tx, attachmentDest, `SELECT identity_id, policy_arn, purpose FROM iam_attached_policies
		WHERE account = $1 AND policy_arn = $2 AND identity_id > $3 AND (purpose = $4 OR $4 = '') ORDER BY identity_id, purpose LIMIT $5`,
		account, arn, after, purpose, limit)
}

// underPolicy are the ids of the users and roles that a policy bears on.
const underPolicy = `(SELECT identity_id FROM iam_attached_policies WHERE account = $1 AND policy_arn = $2
	UNION ALL SELECT m.user_id FROM iam_attached_policies a JOIN iam_members m ON m.group_id = a.identity_id
		WHERE a.account = $1 AND a.policy_arn = $2)`

// lockUnderPolicy locks the groups, users and roles that a policy, whose row is
// locked, bears on, and returns the ids of the users and roles. Everybody locks
// in that order, and of one kind in that of ids.
func lockUnderPolicy(tx *store.Tx, account, arn string) (ids []string, err error) {
	_, err = store.Collect(tx, one[string], `SELECT id FROM iam_groups WHERE id IN (SELECT identity_id FROM iam_attached_policies
		WHERE account = $1 AND policy_arn = $2) ORDER BY id`+tx.ForUpdate(), account, arn)
	if err != nil {
		return nil, err
	}
	for _, query := range []string{
		`SELECT id FROM iam_users WHERE id IN ` + underPolicy,
		`SELECT id FROM iam_roles WHERE id IN ` + underPolicy,
	} {
		some, err := store.Collect(tx, one[string], query+` ORDER BY id`+tx.ForUpdate(), account, arn)
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	return ids, nil
}

func bumpUnderPolicy(tx *store.Tx, account, arn string) error {
	for _, query := range []string{
		`UPDATE iam_users SET rev = rev + 1 WHERE id IN ` + underPolicy,
		`UPDATE iam_roles SET rev = rev + 1 WHERE id IN ` + underPolicy,
	} {
		if _, err := tx.Exec(query, account, arn); err != nil {
			return err
		}
	}
	return nil
}

// An inline policy is part of the identity that it is on.
type inline struct{ identityID, name, document string }

func inlineDest(p *inline) []any { return []any{&p.identityID, &p.name, &p.document} }

// putInline adds or replaces an inline policy.
func putInline(tx *store.Tx, p inline) error {
	_, err := tx.Exec(`INSERT INTO iam_inline_policies (identity_id, name, document) VALUES ($1, $2, $3)
		ON CONFLICT (identity_id, name) DO UPDATE SET document = excluded.document`, p.identityID, p.name, p.document)
	return err
}

func deleteInline(tx *store.Tx, identityID, name string) (deleted bool, err error) {
	n, err := tx.Exec(`DELETE FROM iam_inline_policies WHERE identity_id = $1 AND name = $2`, identityID, name)
	return n == 1, err
}

// selectInline reads the inline policies of an identity, in the order of their
// names.
func selectInline(tx *store.Tx, identityID string) ([]inline, error) {
	return store.Collect(tx, inlineDest, `SELECT identity_id, name, document FROM iam_inline_policies
		WHERE identity_id = $1 ORDER BY name`, identityID)
}

// selectAllInline reads the inline policies of an identity and its groups.
func selectAllInline(tx *store.Tx, identityID string) ([]inline, error) {
	return store.Collect(tx, inlineDest, `SELECT identity_id, name, document FROM iam_inline_policies
		WHERE identity_id IN `+ofIdentity+` ORDER BY name, identity_id`, identityID)
}

// selectInlineOf reads the inline policies of identities, of which there must
// be some, in the order of their names.
func selectInlineOf(tx *store.Tx, ids []string) ([]inline, error) {
	return store.Collect(tx, inlineDest, `SELECT identity_id, name, document FROM iam_inline_policies
		WHERE identity_id IN `+store.InList(len(ids))+` ORDER BY name, identity_id`, store.Args(ids)...)
}

// selectAttachedOf reads what is attached to identities, of which there must be
// some.
func selectAttachedOf(tx *store.Tx, ids []string) ([]attachment, error) {
	return store.Collect(tx, attachmentDest, `SELECT identity_id, policy_arn, purpose FROM iam_attached_policies
		WHERE identity_id IN `+store.InList(len(ids))+` ORDER BY policy_arn, identity_id`, store.Args(ids)...)
}

// selectInlineSizes counts the characters of the inline policies of identities,
// of which there must be some, by their ids.
func selectInlineSizes(tx *store.Tx, ids []string) (map[string]int, error) {
	type sum struct {
		id   string
		size int
	}
	sums, err := store.Collect(tx, func(s *sum) []any { return []any{&s.id, &s.size} },
		`SELECT identity_id, CAST(SUM(LENGTH(document)) AS BIGINT) FROM iam_inline_policies
		WHERE identity_id IN `+store.InList(len(ids))+` GROUP BY identity_id`, store.Args(ids)...)
	sizes := make(map[string]int, len(sums))
	for _, s := range sums {
		sizes[s.id] = s.size
	}
	return sizes, err
}

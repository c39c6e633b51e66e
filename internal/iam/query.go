package iam

import (
	"slices"

	"azekura/internal/api"
	"azekura/internal/store"
)

func selectFirstAccount(tx *store.Tx) (string, error) {
	return store.One(tx, one[string], `SELECT id FROM iam_accounts WHERE is_first`)
}

// insertAccount adds an account, unless there is one of that id.
func insertAccount(tx *store.Tx, id string, first bool, now api.Timestamp) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_accounts (id, is_first, password_policy, created_at) VALUES ($1, $2, '', $3)
		ON CONFLICT (id) DO NOTHING`, id, first, now)
	return n == 1, err
}

// one is where the only column of a row goes.
func one[T any](v *T) []any { return []any{v} }

// The queries of the kinds have the same columns, see entityDest.
const (
	userRows = `SELECT e.id, e.account, e.path, e.name, e.created_at, e.rev, e.tags,
		coalesce((SELECT p.used_at FROM iam_login_profiles p WHERE p.user_id = e.id), 0), '', '', '', 0 FROM iam_users e`
	groupRows = `SELECT e.id, e.account, e.path, e.name, e.created_at, 0, '[]', 0, '', '', '', 0 FROM iam_groups e`
	roleRows  = `SELECT e.id, e.account, e.path, e.name, e.created_at, e.rev, e.tags,
		e.used_at, e.used_region, e.trust, e.description, e.max_session FROM iam_roles e`
)

func entityDest(e *entity) []any {
	return []any{&e.id, &e.account, &e.path, &e.name, &e.created, &e.rev, &e.tags,
		&e.used, &e.usedRegion, &e.trust, &e.description, &e.maxSession}
}

func oneEntity(tx *store.Tx, k *kind, where string, args ...any) (*entity, error) {
	e, err := store.One(tx, entityDest, k.rows+where, args...)
	e.kind = k
	return &e, err
}

func manyEntities(tx *store.Tx, k *kind, where string, args ...any) ([]*entity, error) {
	found, err := store.Collect(tx, entityDest, k.rows+where, args...)
	all := make([]*entity, len(found))
	for i := range found {
		found[i].kind, all[i] = k, &found[i]
	}
	return all, err
}

// selectEntity reads the entity of a kind that has a name. lock is the suffix
// of a locking read, or "".
func selectEntity(tx *store.Tx, k *kind, account, name, lock string) (*entity, error) {
	return oneEntity(tx, k, ` WHERE e.account = $1 AND e.folded = $2`+lock, account, fold(name))
}

func selectEntityByID(tx *store.Tx, k *kind, id string) (*entity, error) {
	return oneEntity(tx, k, ` WHERE e.id = $1`, id)
}

// even repeats the last of some texts up to the next power of two: lists of
// many lengths make few statements, which the database keeps prepared.
func even(texts []string) []string {
	size := 1
	for size < len(texts) {
		size *= 2
	}
	padded := slices.Clone(texts)
	for len(padded) < size {
		padded = append(padded, texts[len(texts)-1])
	}
	return padded
}

// selectEntitiesByID reads entities of a kind in the order of their ids, of
// which there must be some.
func selectEntitiesByID(tx *store.Tx, k *kind, ids []string) ([]*entity, error) {
	ids = even(ids)
	return manyEntities(tx, k, ` WHERE e.id IN `+store.InList(len(ids))+` ORDER BY e.id`, store.Args(ids)...)
}

// selectEntities reads the entities of a kind whose path begins with a prefix
// and whose folded names follow after, in the order of these.
func selectEntities(tx *store.Tx, k *kind, account, pathPrefix, after string, limit int) ([]*entity, error) {
	return manyEntities(tx, k, ` WHERE e.account = $1 AND e.folded > $2 AND e.path >= $3 AND e.path < $4 ORDER BY e.folded LIMIT $5`,
		account, after, pathPrefix, pathPrefix+pastASCII, limit)
}

// pastASCII comes after all that can follow in a path.
const pastASCII = "\u0080"

var entityCounts = map[*kind]string{
	userKind:  `SELECT COUNT(*) FROM (SELECT id FROM iam_users WHERE account = $1 LIMIT $2) AS held`,
	groupKind: `SELECT COUNT(*) FROM (SELECT id FROM iam_groups WHERE account = $1 LIMIT $2) AS held`,
	roleKind:  `SELECT COUNT(*) FROM (SELECT id FROM iam_roles WHERE account = $1 LIMIT $2) AS held`,
}

// countEntities counts the entities of a kind in an account, up to a limit.
func countEntities(tx *store.Tx, k *kind, account string, limit int) (int, error) {
	return store.One(tx, one[int], entityCounts[k], account, limit)
}

// insertUser, insertGroup and insertRole add an entity, unless its account has
// one of that name.
func insertUser(tx *store.Tx, e *entity) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_users (id, account, path, name, folded, rev, tags, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7)
		ON CONFLICT (account, folded) DO NOTHING`, e.id, e.account, e.path, e.name, fold(e.name), e.tags, e.created)
	return n == 1, err
}

func insertGroup(tx *store.Tx, e *entity) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_groups (id, account, path, name, folded, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, folded) DO NOTHING`, e.id, e.account, e.path, e.name, fold(e.name), e.created)
	return n == 1, err
}

func insertRole(tx *store.Tx, e *entity) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO iam_roles
			(id, account, path, name, folded, rev, trust, description, max_session, tags, created_at, used_at, used_region)
		VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, 0, '') ON CONFLICT (account, folded) DO NOTHING`,
		e.id, e.account, e.path, e.name, fold(e.name), e.trust, e.description, e.maxSession, e.tags, e.created)
	return n == 1, err
}

func updateUser(tx *store.Tx, e *entity) error {
	_, err := tx.Exec(`UPDATE iam_users SET rev = rev + 1, path = $2, name = $3, folded = $4, tags = $5 WHERE id = $1`,
		e.id, e.path, e.name, fold(e.name), e.tags)
	return err
}

func updateGroup(tx *store.Tx, e *entity) error {
	_, err := tx.Exec(`UPDATE iam_groups SET path = $2, name = $3, folded = $4 WHERE id = $1`, e.id, e.path, e.name, fold(e.name))
	return err
}

func updateRole(tx *store.Tx, e *entity) error {
	_, err := tx.Exec(`UPDATE iam_roles SET rev = rev + 1, trust = $2, description = $3, max_session = $4, tags = $5 WHERE id = $1`,
		e.id, e.trust, e.description, e.maxSession, e.tags)
	return err
}

var entityDeletes = map[*kind]string{
	userKind:  `DELETE FROM iam_users WHERE id = $1`,
	groupKind: `DELETE FROM iam_groups WHERE id = $1`,
	roleKind:  `DELETE FROM iam_roles WHERE id = $1`,
}

func deleteEntity(tx *store.Tx, k *kind, id string) error {
	_, err := tx.Exec(entityDeletes[k], id)
	return err
}

// selectStamps reads the revs of users and roles.
const selectStamps = `SELECT id, rev FROM iam_users WHERE id = ANY($1) UNION ALL SELECT id, rev FROM iam_roles WHERE id = ANY($1)`

// noteRole says that a session of a role made a call. It does not lock others
// out, and is no change: caches keep what they have.
func noteRole(tx *store.Tx, id, _, region string, at api.Timestamp) error {
	_, err := tx.Exec(`UPDATE iam_roles SET used_at = $2, used_region = $3 WHERE id = $1 AND used_at < $2`, id, at, region)
	return err
}

// lockMembers locks the members of a group, whose row is locked.
func lockMembers(tx *store.Tx, groupID string) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT id FROM iam_users
		WHERE id IN (SELECT user_id FROM iam_members WHERE group_id = $1) ORDER BY id`+tx.ForUpdate(), groupID)
}

func bumpMembers(tx *store.Tx, groupID string) error {
	_, err := tx.Exec(`UPDATE iam_users SET rev = rev + 1 WHERE id IN (SELECT user_id FROM iam_members WHERE group_id = $1)`, groupID)
	return err
}

// insertMember adds a user to a group, unless it is a member.
func insertMember(tx *store.Tx, groupID, userID string, now api.Timestamp) error {
	_, err := tx.Exec(`INSERT INTO iam_members (group_id, user_id, added_at) VALUES ($1, $2, $3)
		ON CONFLICT (group_id, user_id) DO NOTHING`, groupID, userID, now)
	return err
}

func deleteMember(tx *store.Tx, groupID, userID string) (deleted bool, err error) {
	n, err := tx.Exec(`DELETE FROM iam_members WHERE group_id = $1 AND user_id = $2`, groupID, userID)
	return n == 1, err
}

// selectGroupsOf reads the groups of a user, in the order of their names.
func selectGroupsOf(tx *store.Tx, userID string) ([]*entity, error) {
	return manyEntities(tx, groupKind,
		` JOIN iam_members m ON m.group_id = e.id WHERE m.user_id = $1 ORDER BY e.folded`, userID)
}

// selectMembers reads the members of a group whose folded names follow after,
// in the order of these.
func selectMembers(tx *store.Tx, groupID, after string, limit int) ([]*entity, error) {
	return manyEntities(tx, userKind,
		` JOIN iam_members m ON m.user_id = e.id WHERE m.group_id = $1 AND e.folded > $2 ORDER BY e.folded LIMIT $3`, groupID, after, limit)
}

// hasLoginProfile and hasMFADevice say what hangs on a user.
func hasLoginProfile(tx *store.Tx, userID string) (bool, error) {
	return exists(tx, `SELECT COUNT(*) FROM iam_login_profiles WHERE user_id = $1`, userID)
}

func hasMFADevice(tx *store.Tx, userID string) (bool, error) {
	return exists(tx, `SELECT COUNT(*) FROM iam_mfa_devices WHERE user_id = $1`, userID)
}

func exists(tx *store.Tx, count string, args ...any) (bool, error) {
	n, err := store.One(tx, one[int], count, args...)
	return n > 0, err
}

func selectAccountCreated(tx *store.Tx, id string) (api.Timestamp, error) {
	return store.One(tx, one[api.Timestamp], `SELECT created_at FROM iam_accounts WHERE id = $1`, id)
}

// A membership is that of a user in a group.
type membership struct{ userID, group string }

// selectGroupNames reads the names of the groups of users, of whom there must
// be some, in the order of these.
func selectGroupNames(tx *store.Tx, userIDs []string) ([]membership, error) {
	return store.Collect(tx, func(m *membership) []any { return []any{&m.userID, &m.group} },
		`SELECT m.user_id, g.name FROM iam_members m JOIN iam_groups g ON g.id = m.group_id
		WHERE m.user_id IN `+store.InList(len(userIDs))+` ORDER BY g.folded, m.user_id`, store.Args(userIDs)...)
}

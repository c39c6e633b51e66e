package secretsmanager

import (
	"fmt"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/store"
)

const secretColumns = `id, account, region, name, suffix, rev, description, kms_key_id, policy, tagged, created_at, changed_at, accessed_at, deleted_at`

func secretRow(s *secret) []any {
	return []any{&s.id, &s.account, &s.region, &s.name, &s.suffix, &s.rev, &s.description, &s.kmsKeyID, &s.policyText,
		&s.tagged, &s.created, &s.changed, &s.accessed, &s.deleted}
}

func selectSecret(tx *store.Tx, account, region, name, lock string) (*secret, error) {
	s, err := store.One(tx, secretRow,
		`SELECT `+secretColumns+` FROM secrets WHERE account = $1 AND region = $2 AND name = $3`+lock, account, region, name)
	return &s, err
}

// selectRev reads which secret has a name, and its rev.
func selectRev(tx *store.Tx, account, region, name, lock string) (secret, error) {
	return store.One(tx, func(s *secret) []any { return []any{&s.id, &s.rev} },
		`SELECT id, rev FROM secrets WHERE account = $1 AND region = $2 AND name = $3`+lock, account, region, name)
}

func selectStamps(tx *store.Tx, ids []string) ([]store.Stamp, error) {
	return store.Collect(tx, store.StampRow, `SELECT id, rev FROM secrets WHERE id IN `+store.InList(len(ids)), store.Args(ids)...)
}

func insertSecret(tx *store.Tx, s *secret) error {
	_, err := tx.Exec(`INSERT INTO secrets (`+secretColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		s.id, s.account, s.region, s.name, s.suffix, s.rev, s.description, s.kmsKeyID, s.policyText,
		s.tagged, s.created, s.changed, s.accessed, s.deleted)
	return err
}

// updateSecret writes the whole row and moves its rev. It always writes: a
// repeated request that changes nothing must still wait for its own commit
// before it is acknowledged. Answered from a read, it could confirm a change
// that a failover then loses.
func updateSecret(tx *store.Tx, s *secret) error {
	_, err := tx.Exec(`UPDATE secrets SET rev = rev + 1, description = $2, kms_key_id = $3, policy = $4, tagged = $5,
		changed_at = $6, accessed_at = $7, deleted_at = $8 WHERE id = $1`,
		s.id, s.description, s.kmsKeyID, s.policyText, s.tagged, s.changed, s.accessed, s.deleted)
	return err
}

func deleteSecret(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM secrets WHERE id = $1`, id)
	return err
}

// selectDue finds and locks secrets whose recovery window is over, the longest first.
func selectDue(tx *store.Tx, now api.Timestamp, limit int) ([]secret, error) {
	return store.Collect(tx, secretRow, `SELECT `+secretColumns+` FROM secrets
		WHERE deleted_at IS NOT NULL AND deleted_at <= $1 ORDER BY deleted_at LIMIT $2`+tx.ForUpdate(), now, limit)
}

// touchSecret notes a read on the day that starts at day.
func touchSecret(tx *store.Tx, id, versionID string, day api.Timestamp) error {
	if _, err := tx.Exec(`UPDATE secrets SET rev = rev + 1, accessed_at = $2 WHERE id = $1 AND accessed_at <= $2`, id, day); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE secret_versions SET accessed_at = $3 WHERE secret_id = $1 AND version_id = $2 AND accessed_at < $3`, id, versionID, day)
	return err
}

// A position is where a page of a list ends: the sort key of its last row (a
// number or a text, by the order) and the row's id, which makes it unique.
type position struct {
	Number int64  `json:"n,omitempty"`
	Text   string `json:"t,omitempty"`
	ID     string `json:"i,omitempty"`
}

// An order is one way to sort a list. Its statements walk an index, so that a
// page costs the same wherever in the list it lies.
type order struct {
	column     string
	descending bool
}

// selectPage reads the secrets that follow after, or the first if it is nil.
func selectPage(tx *store.Tx, account, region string, by order, after *position, limit int) ([]secret, error) {
	compare, direction := ">", "ASC"
	if by.descending {
		compare, direction = "<", "DESC"
	}
	args := []any{account, region, limit}
	where := ""
	if after != nil {
		where = fmt.Sprintf(` AND (%s, id) %s ($4, $5)`, by.column, compare)
		if by.column == "name" {
			args = append(args, after.Text, after.ID)
		} else {
			args = append(args, after.Number, after.ID)
		}
	}
	return store.Collect(tx, secretRow, fmt.Sprintf(`SELECT %s FROM secrets WHERE account = $1 AND region = $2%s ORDER BY %s %s, id %s LIMIT $3`,
		secretColumns, where, by.column, direction, direction), args...)
}

// selectPrefix reads the secrets whose names begin with prefix. end is the
// first text after all that begin so, in byte order; LIKE would ignore case on
// one engine and not on the other.
func selectPrefix(tx *store.Tx, account, region, prefix, end string, limit int) ([]secret, error) {
	return store.Collect(tx, secretRow, `SELECT `+secretColumns+` FROM secrets
		WHERE account = $1 AND region = $2 AND name >= $3 AND name < $4 ORDER BY name LIMIT $5`, account, region, prefix, end, limit)
}

const versionColumns = `v.version_id, v.kind, v.kms_key, v.created_at, v.accessed_at`

func versionRow(v *version) []any {
	return []any{&v.id, &v.kind, &v.kmsKey, &v.created, &v.accessed}
}

// selectLabelled reads the versions that have labels, oldest first, without
// their values.
func selectLabelled(tx *store.Tx, secretID string) ([]version, error) {
	type row struct {
		version
		stage string
	}
	rows, err := store.Collect(tx, func(r *row) []any { return append(versionRow(&r.version), &r.stage) },
		`SELECT `+versionColumns+`, s.stage FROM secret_stages s
		JOIN secret_versions v ON v.secret_id = s.secret_id AND v.version_id = s.version_id
		WHERE s.secret_id = $1 ORDER BY v.created_at, v.version_id, s.stage`, secretID)
	if err != nil {
		return nil, err
	}
	var versions []version
	for _, r := range rows {
		if n := len(versions); n == 0 || versions[n-1].id != r.id {
			versions = append(versions, r.version)
		}
		last := &versions[len(versions)-1]
		last.stages = append(last.stages, r.stage)
	}
	return versions, nil
}

// selectVersion reads one version with its value, without its labels.
func selectVersion(tx *store.Tx, secretID, versionID string) (version, error) {
	return store.One(tx, func(v *version) []any { return append(versionRow(v), &v.dataKey, &v.value) },
		`SELECT `+versionColumns+`, v.data_key, v.value FROM secret_versions v WHERE v.secret_id = $1 AND v.version_id = $2`,
		secretID, versionID)
}

// selectValues reads the sealed values of the versions that have labels.
func selectValues(tx *store.Tx, secretID string) ([]version, error) {
	return store.Collect(tx, func(v *version) []any { return []any{&v.id, &v.dataKey, &v.value} },
		`SELECT version_id, data_key, value FROM secret_versions WHERE secret_id = $1
		AND version_id IN (SELECT s.version_id FROM secret_stages s WHERE s.secret_id = $1)`, secretID)
}

// selectVersions reads a page of all versions, oldest first, without values
// and labels.
func selectVersions(tx *store.Tx, secretID string, after position, limit int) ([]version, error) {
	return store.Collect(tx, versionRow, `SELECT `+versionColumns+` FROM secret_versions v
		WHERE v.secret_id = $1 AND (v.created_at, v.version_id) > ($2, $3) ORDER BY v.created_at, v.version_id LIMIT $4`,
		secretID, after.Number, after.ID, limit)
}

// countVersions says how many versions a secret has, and whether one of them
// has an id.
func countVersions(tx *store.Tx, secretID, versionID string) (n int, there bool, err error) {
	type row struct{ n, there int }
	r, err := store.One(tx, func(r *row) []any { return []any{&r.n, &r.there} },
		`SELECT count(*), COALESCE(SUM(CASE WHEN version_id = $2 THEN 1 ELSE 0 END), 0) FROM secret_versions WHERE secret_id = $1`,
		secretID, versionID)
	return r.n, r.there > 0, err
}

// insertVersion adds a version, and fills one that has no value yet.
func insertVersion(tx *store.Tx, secretID string, v version) error {
	_, err := tx.Exec(`INSERT INTO secret_versions (secret_id, version_id, kind, kms_key, data_key, value, created_at, accessed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
		ON CONFLICT (secret_id, version_id) DO UPDATE SET kind = excluded.kind, kms_key = excluded.kms_key,
			data_key = excluded.data_key, value = excluded.value WHERE secret_versions.kind = ''`,
		secretID, v.id, v.kind, v.kmsKey, v.dataKey, v.value, v.created)
	return err
}

// deleteDeprecated removes up to limit versions without labels, oldest first,
// that were made before a moment. It returns how many it removed.
func deleteDeprecated(tx *store.Tx, secretID string, before api.Timestamp, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM secret_versions WHERE secret_id = $1 AND version_id IN (
		SELECT v.version_id FROM secret_versions v WHERE v.secret_id = $1 AND v.created_at <= $2 AND NOT EXISTS (
			SELECT 1 FROM secret_stages s WHERE s.secret_id = v.secret_id AND s.version_id = v.version_id)
		ORDER BY v.created_at, v.version_id LIMIT $3)`, secretID, before, limit)
}

// writeLabels detaches and moves labels; those that move take one statement.
func writeLabels(tx *store.Tx, secretID string, changes []labelChange) error {
	args := []any{secretID}
	var rows []string
	for _, c := range changes {
		if c.version == "" {
			if _, err := tx.Exec(`DELETE FROM secret_stages WHERE secret_id = $1 AND stage = $2`, secretID, c.label); err != nil {
				return err
			}
			continue
		}
		args = append(args, c.label, c.version)
		rows = append(rows, fmt.Sprintf("($1, $%d, $%d)", len(args)-1, len(args)))
	}
	if rows == nil {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO secret_stages (secret_id, stage, version_id) VALUES `+strings.Join(rows, ", ")+`
		ON CONFLICT (secret_id, stage) DO UPDATE SET version_id = excluded.version_id`, args...)
	return err
}

func selectTags(tx *store.Tx, secretID string) ([]model.Tag, error) {
	return store.Collect(tx, func(t *model.Tag) []any { return []any{&t.Key, &t.Value} },
		`SELECT key, value FROM secret_tags WHERE secret_id = $1 ORDER BY position`, secretID)
}

// writeTags sets tags; a key that is there keeps its place and gets the value.
func writeTags(tx *store.Tx, secretID string, tags []model.Tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO secret_tags (secret_id, position, key, value)
			SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3 FROM secret_tags WHERE secret_id = $1
			ON CONFLICT (secret_id, key) DO UPDATE SET value = excluded.value`, secretID, *t.Key, tagValue(t)); err != nil {
			return err
		}
	}
	return nil
}

func deleteTags(tx *store.Tx, secretID string, keys []string) error {
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM secret_tags WHERE secret_id = $1 AND key = $2`, secretID, key); err != nil {
			return err
		}
	}
	return nil
}

package secretsmanager

import (
	"fmt"

	"azekura/internal/api"
	"azekura/internal/store"
)

const secretColumns = `id, account, region, name, suffix, rev, description, kms_key_id, policy, stages, held, tags, tagged, created_at, changed_at, accessed_at, deleted_at`

func secretRow(s *secret) []any {
	return []any{&s.id, &s.account, &s.region, &s.name, &s.suffix, &s.rev, &s.description, &s.kmsKeyID, &s.policyText,
		&s.stages, &s.held, &s.tags, &s.tagged, &s.created, &s.changed, &s.accessed, &s.deleted}
}

func selectSecret(tx *store.Tx, account, region, name, lock string) (*secret, error) {
	s, err := store.One(tx, secretRow,
		`SELECT `+secretColumns+` FROM secrets WHERE account = $1 AND region = $2 AND name = $3`+lock, account, region, name)
	return &s, err
}

// selectStages reads where the labels of a secret are.
func selectStages(tx *store.Tx, id string) (labels, error) {
	return store.One(tx, func(l *labels) []any { return []any{l} }, `SELECT stages FROM secrets WHERE id = $1`, id)
}

// selectStamps reads the revs of secrets.
const selectStamps = `SELECT id, rev FROM secrets WHERE id = ANY($1)`

func insertSecret(tx *store.Tx, s *secret) error {
	_, err := tx.Exec(`INSERT INTO secrets (`+secretColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		s.id, s.account, s.region, s.name, s.suffix, s.rev, s.description, s.kmsKeyID, s.policyText,
		s.stages, s.held, s.tags, s.tagged, s.created, s.changed, s.accessed, s.deleted)
	return err
}

// updateSecret writes the whole row and moves its rev. It always writes: a
// repeated request that changes nothing must still wait for its own commit
// before it is acknowledged. Answered from a read, it could confirm a change
// that a failover then loses.
func updateSecret(tx *store.Tx, s *secret) error {
	_, err := tx.Exec(`UPDATE secrets SET rev = rev + 1, description = $2, kms_key_id = $3, policy = $4, stages = $5, held = $6,
		tags = $7, tagged = $8, changed_at = $9, accessed_at = $10, deleted_at = $11 WHERE id = $1`,
		s.id, s.description, s.kmsKeyID, s.policyText, s.stages, s.held, s.tags, s.tagged, s.changed, s.accessed, s.deleted)
	return err
}

// updateVersions writes what a new version changes of its secret, if the row
// still has the rev that s was read with. It names no other column: an index
// over a column that is named is rewritten, whether or not the value is new.
func updateVersions(tx *store.Tx, s *secret) (updated bool, err error) {
	n, err := tx.Exec(`UPDATE secrets SET rev = rev + 1, description = $3, kms_key_id = $4, stages = $5, held = $6, changed_at = $7
		WHERE id = $1 AND rev = $2`, s.id, s.rev, s.description, s.kmsKeyID, s.stages, s.held, s.changed)
	return n == 1, err
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

// touchSecret notes a read on the day that starts at day, and by whom if it is
// the first of that day.
func touchSecret(tx *store.Tx, id, versionID string, day api.Timestamp, by string) error {
	if _, err := tx.Exec(`UPDATE secrets SET rev = rev + 1, accessed_by = CASE WHEN accessed_at < $2 THEN $3 ELSE accessed_by END, accessed_at = $2
		WHERE id = $1 AND accessed_at <= $2`, id, day, by); err != nil {
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

// key is the position's sort key in an order.
func (p *position) key(by order) any {
	if by.column == "name" {
		return p.Text
	}
	return p.Number
}

// An order is one way to sort a list. Its statements walk an index, so that a
// page costs the same wherever in the list it lies.
type order struct {
	column     string
	descending bool
}

// A span is the names from one text up to, but without, another, by bytes.
type span struct{ from, to string }

// selectPage reads the secrets that follow after, or the first if it is nil; of
// those alone whose names are within a span, unless that is nil.
func selectPage(tx *store.Tx, account, region string, by order, within *span, after *position, limit int) ([]secret, error) {
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	var where string
	if by.column == "name" || within != nil {
		where = `account = ` + arg(account) + ` AND region = ` + arg(region)
	} else { // as in the indexes of the other orders
		where = `account || '/' || region = ` + arg(account+"/"+region)
	}
	if within != nil {
		where += ` AND name >= ` + arg(within.from) + ` AND name < ` + arg(within.to)
	}
	compare, direction := ">", "ASC"
	if by.descending {
		compare, direction = "<", "DESC"
	}
	if after != nil {
		where += fmt.Sprintf(` AND (%s, id) %s (%s, %s)`, by.column, compare, arg(after.key(by)), arg(after.ID))
	}
	sorted := fmt.Sprintf(`ORDER BY %s %s, id %s`, by.column, direction, direction)
	where += ` ` + sorted + ` LIMIT ` + arg(limit)
	if within != nil && by.column != "name" { // an index in the order of names tells which few of many rows to read
		where = `id IN (SELECT id FROM secrets WHERE ` + where + `) ` + sorted
	}
	return store.Collect(tx, secretRow, `SELECT `+secretColumns+` FROM secrets WHERE `+where, args...)
}

// countNames counts the names within a span, up to a limit.
func countNames(tx *store.Tx, account, region string, within span, limit int) (int, error) {
	return store.One(tx, func(n *int) []any { return []any{n} }, `SELECT COUNT(*) FROM (
		SELECT name FROM secrets WHERE account = $1 AND region = $2 AND name >= $3 AND name < $4 LIMIT $5) AS found`,
		account, region, within.from, within.to, limit)
}

const versionColumns = `v.version_id, v.kind, v.kms_key, v.created_at, v.accessed_at`

func versionRow(v *version) []any {
	return []any{&v.id, &v.kind, &v.kmsKey, &v.created, &v.accessed}
}

// selectLabelled reads the versions of a secret that have labels, with their
// sealed values, oldest first.
func selectLabelled(tx *store.Tx, s *secret) ([]version, error) {
	ids := s.stages.versions()
	if len(ids) == 0 {
		return nil, nil
	}
	versions, err := store.Collect(tx, sealedRow, `SELECT `+versionColumns+`, v.data_key, v.value FROM secret_versions v
		WHERE v.version_id IN `+store.InList(len(ids))+fmt.Sprintf(` AND v.secret_id = $%d ORDER BY v.created_at, v.version_id`, len(ids)+1),
		append(store.Args(ids), s.id)...)
	for i := range versions {
		versions[i].stages = s.stages.of(versions[i].id)
	}
	return versions, err
}

func sealedRow(v *version) []any { return append(versionRow(v), &v.dataKey, &v.value) }

// selectVersion reads one version with its value, without its labels.
func selectVersion(tx *store.Tx, secretID, versionID string) (version, error) {
	return store.One(tx, sealedRow,
		`SELECT `+versionColumns+`, v.data_key, v.value FROM secret_versions v WHERE v.secret_id = $1 AND v.version_id = $2`,
		secretID, versionID)
}

// selectVersions reads a page of all versions, oldest first, without values
// and labels.
func selectVersions(tx *store.Tx, secretID string, after position, limit int) ([]version, error) {
	return store.Collect(tx, versionRow, `SELECT `+versionColumns+` FROM secret_versions v
		WHERE v.secret_id = $1 AND (v.created_at, v.version_id) > ($2, $3) ORDER BY v.created_at, v.version_id LIMIT $4`,
		secretID, after.Number, after.ID, limit)
}

// insertVersion adds a version, unless the secret has one with that id.
func insertVersion(tx *store.Tx, secretID string, v *version) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO secret_versions (secret_id, version_id, kind, kms_key, data_key, value, created_at, accessed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (secret_id, version_id) DO NOTHING`,
		secretID, v.id, v.kind, v.kmsKey, v.dataKey, v.value, v.created)
	return n == 1, err
}

// fillVersion gives a version that has no value yet one.
func fillVersion(tx *store.Tx, secretID string, v *version) error {
	_, err := tx.Exec(`UPDATE secret_versions SET kind = $3, kms_key = $4, data_key = $5, value = $6
		WHERE secret_id = $1 AND version_id = $2 AND kind = ''`, secretID, v.id, v.kind, v.kmsKey, v.dataKey, v.value)
	return err
}

// deleteDeprecated removes up to limit versions without labels, oldest first,
// that were made before a moment. It returns how many it removed.
func deleteDeprecated(tx *store.Tx, s *secret, before api.Timestamp, limit int) (int64, error) {
	ids := s.stages.versions()
	n := len(ids)
	if n == 0 {
		return 0, nil // no list is empty in SQL
	}
	return tx.Exec(fmt.Sprintf(`DELETE FROM secret_versions WHERE secret_id = $%[2]d AND version_id IN (
		SELECT v.version_id FROM secret_versions v WHERE v.secret_id = $%[2]d AND v.created_at <= $%[3]d AND v.version_id NOT IN %[1]s
		ORDER BY v.created_at, v.version_id LIMIT $%[4]d)`, store.InList(n), n+1, n+2, n+3),
		append(store.Args(ids), s.id, before, limit)...)
}

// resealVersion writes what another key makes of a version.
func resealVersion(tx *store.Tx, secretID string, v *version) error {
	_, err := tx.Exec(`UPDATE secret_versions SET kms_key = $3, data_key = $4, value = $5 WHERE secret_id = $1 AND version_id = $2`,
		secretID, v.id, v.kmsKey, v.dataKey, v.value)
	return err
}

func selectGuarded(tx *store.Tx, keyARN string, limit int) ([]Guarded, error) {
	type row struct {
		account, region, name, suffix string
		Guarded
	}
	rows, err := store.Collect(tx, func(r *row) []any { return []any{&r.account, &r.region, &r.name, &r.suffix, &r.LastRead, &r.Reader} },
		`SELECT account, region, name, suffix, accessed_at, accessed_by FROM secrets
			WHERE id IN (SELECT secret_id FROM secret_versions WHERE kms_key = $1 AND kms_key <> '') ORDER BY id LIMIT $2`, keyARN, limit)
	var guarded []Guarded
	for _, r := range rows {
		r.ARN = arnOf(r.account, r.region, r.name, r.suffix)
		guarded = append(guarded, r.Guarded)
	}
	return guarded, err
}

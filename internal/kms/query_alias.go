package kms

import (
	"strings"

	"azekura/internal/api"
	"azekura/internal/store"
)

// selectAlias finds the ARN of an alias's key by its aliasKey.
func selectAlias(tx *store.Tx, key string) (string, error) {
	account, rest, _ := strings.Cut(key, "/")
	region, alias, _ := strings.Cut(rest, "/")
	return store.One(tx, one[string], `SELECT key_arn FROM kms_aliases WHERE account = $1 AND region = $2 AND name = $3`, account, region, alias)
}

func insertAlias(tx *store.Tx, k *Key, alias string, now api.Timestamp) error {
	_, err := tx.Exec(`INSERT INTO kms_aliases (account, region, name, key_arn, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)`,
		k.account, k.region, alias, k.ARN, now)
	return err
}

const aliasColumns = `name, key_arn, created_at, updated_at`

func aliasDest(a *alias) []any { return []any{&a.name, &a.keyARN, &a.created, &a.updated} }

// selectAliases reads the aliases whose names follow after, in their order: of
// a key, or of an account and region if keyARN is "".
func selectAliases(tx *store.Tx, account, region, keyARN, after string, limit int) ([]alias, error) {
	if keyARN != "" {
		return store.Collect(tx, aliasDest, `SELECT `+aliasColumns+` FROM kms_aliases WHERE key_arn = $1 AND name > $2 ORDER BY name LIMIT $3`,
			keyARN, after, limit)
	}
	return store.Collect(tx, aliasDest, `SELECT `+aliasColumns+` FROM kms_aliases WHERE account = $1 AND region = $2 AND name > $3 ORDER BY name LIMIT $4`,
		account, region, after, limit)
}

// selectAliasNames reads the names of a key's aliases.
func selectAliasNames(tx *store.Tx, keyARN string) ([]string, error) {
	return store.Collect(tx, one[string], `SELECT name FROM kms_aliases WHERE key_arn = $1 ORDER BY name`, keyARN)
}

func moveAlias(tx *store.Tx, k *Key, name string, now api.Timestamp) error {
	_, err := tx.Exec(`UPDATE kms_aliases SET key_arn = $4, updated_at = $5 WHERE account = $1 AND region = $2 AND name = $3`,
		k.account, k.region, name, k.ARN, now)
	return err
}

func deleteAlias(tx *store.Tx, k *Key, name string) error {
	_, err := tx.Exec(`DELETE FROM kms_aliases WHERE account = $1 AND region = $2 AND name = $3`, k.account, k.region, name)
	return err
}

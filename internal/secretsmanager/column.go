package secretsmanager

import (
	"database/sql/driver"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/store"
)

// Value is the tags as the database keeps them, a JSON list in the order in
// which they were set.
func (t tags) Value() (driver.Value, error) { return store.JSONList([]model.Tag(t)) }

// Scan reads what Value wrote.
func (t *tags) Scan(column any) error { return store.ScanJSON(column, (*[]model.Tag)(t)) }

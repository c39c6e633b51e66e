package secretsmanager

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"

	model "azekura/internal/api/secretsmanager"
)

// Value is the tags as the database keeps them, a JSON list in the order in
// which they were set.
func (t tags) Value() (driver.Value, error) {
	if t == nil {
		t = tags{}
	}
	text, err := json.Marshal([]model.Tag(t))
	return string(text), err
}

// Scan reads what Value wrote.
func (t *tags) Scan(column any) error { return scanJSON(column, (*[]model.Tag)(t)) }

// scanJSON reads a TEXT column that holds JSON of ours.
func scanJSON(column, into any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("a column of JSON holds a %T", column)
	}
	return json.Unmarshal([]byte(text), into)
}

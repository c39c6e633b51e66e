package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// JSON is a value as a TEXT column keeps what is always read and written whole.
// It is for the Value method of what is kept so.
func JSON(value any) (driver.Value, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

// JSONList is JSON of a list, of which none and an empty one are the same.
func JSONList[T any](list []T) (driver.Value, error) {
	if list == nil {
		list = []T{}
	}
	return JSON(list)
}

// ScanJSON reads what JSON wrote into a pointer. It is for the Scan method; the
// column is what the driver hands over.
func ScanJSON(column, into any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("a column of JSON holds a %T", column)
	}
	return json.Unmarshal([]byte(text), into)
}

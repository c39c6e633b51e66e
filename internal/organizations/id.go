package organizations

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
)

// newID is an id of the organization's: a prefix and n random characters, 26 at
// most, of lower case and digits.
func newID(prefix string, n int) string { return prefix + strings.ToLower(rand.Text())[:n] }

// newAccountID is an id for an account, which may be taken. None begins with a
// zero, which spreadsheets and YAML lose.
func newAccountID() string {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		panic(err) // the system's source of randomness does not fail
	}
	return fmt.Sprint(n.Int64() + 100_000_000_000)
}

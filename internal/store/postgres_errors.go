package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	uniqueViolation      = "23505"
	readOnlyTransaction  = "25006"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	duplicateTable       = "42P07"
	diskFull             = "53100"
	tooManyConnections   = "53300"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	cannotConnectNow     = "57P03"
)

func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func isState(err error, state string) bool { return err != nil && stateOf(err) == state }

// verdictOf judges an error of a transaction whose COMMIT has not been sent,
// which therefore is certainly not committed. broken says that the error cost
// the connection. A statement that ran into its deadline is not repeated: the
// next one would meet the same lock or the same stalled server.
func verdictOf(err error, broken bool) verdict {
	if errors.Is(err, context.DeadlineExceeded) {
		return final
	}
	switch stateOf(err) {
	case serializationFailure, deadlockDetected, cannotConnectNow, adminShutdown, crashShutdown, tooManyConnections:
		return again
	case uniqueViolation:
		return rival
	}
	if broken {
		return again
	}
	return final
}

// commitFailure judges an error of COMMIT. Only an answer that says why the
// transaction failed proves that it did: a server that goes down may do so
// after it has written the commit.
func commitFailure(err error) attempt {
	switch state := stateOf(err); {
	case state == serializationFailure, state == deadlockDetected:
		return attempt{err: fmt.Errorf("commit: %w", translate(err)), verdict: again}
	case state == diskFull, strings.HasPrefix(state, "23"): // deferred constraints
		return attempt{err: fmt.Errorf("commit: %w", translate(err))}
	}
	// Untranslated: ErrUnavailable would say that nothing was changed.
	return attempt{err: fmt.Errorf("%w: commit: %w", ErrUnknown, err), lost: true}
}

// pgMeaning is the sentinel that an error of PostgreSQL stands for, nil if
// there is none.
func pgMeaning(err error) error {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return ErrUnavailable
	}
	switch state := stateOf(err); {
	case state == uniqueViolation:
		return ErrConflict
	case state == diskFull:
		return ErrFull
	case state == readOnlyTransaction:
		return errNotPrimary
	case state == tooManyConnections, state == adminShutdown, state == crashShutdown, state == cannotConnectNow,
		strings.HasPrefix(state, "08"):
		return ErrUnavailable
	}
	return nil
}

var errNotPrimary = errors.New("the database server does not accept changes: it is a standby, or was set to read only")

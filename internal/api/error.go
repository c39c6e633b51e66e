package api

import (
	"fmt"
	"net/http"
	"time"
)

// An Error is an answer to the caller: its code, status and text are AWS's and
// go out as they stand. Every other error is ours: the caller is told only that
// something failed on the server's side, and the log is told what.
type Error struct {
	Code    string // shape name, such as "ResourceNotFoundException"
	Status  int    // HTTP status
	Message string // AWS's text; may be empty

	// Modelled is true for the errors of a service's own model. AWS's two
	// families differ on the wire: a modelled error's body says "Message",
	// an error of the framework in front of it says "message".
	Modelled bool

	RetryAfter time.Duration // when to try again, for the header of that name; 0 is not said

	Err error // what caused it, for the log only; may be nil
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Validation is the framework's answer to input that breaks a constraint of
// the model, and to names that a service refuses.
func Validation(message string) *Error {
	return &Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: message}
}

// AccessDenied is the answer to a caller whose policies do not allow the call.
func AccessDenied(format string, args ...any) *Error {
	return &Error{Code: "AccessDeniedException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// Throttled is the answer to a caller whose quota is used up for that long.
func Throttled(wait time.Duration) *Error {
	return &Error{Code: "ThrottlingException", Status: http.StatusBadRequest, Message: "Rate exceeded", RetryAfter: wait}
}

// Serialization is the answer to a body that is not the operation's input:
// not JSON, a wrong type, nested too deep.
func Serialization(message string) *Error {
	return &Error{Code: "SerializationException", Status: http.StatusBadRequest, Message: message}
}

// UnknownOperation is the answer to a request for an operation that is not
// served.
func UnknownOperation() *Error {
	return &Error{Code: "UnknownOperationException", Status: http.StatusBadRequest}
}

package wire

import (
	"context"
	"errors"
	"net"
	"net/http"

	"azekura/internal/api"
	"azekura/internal/sigv4"
)

// answerTo is the error that the caller is told of: AWS's errors as they are,
// a bad signature under AWS's name of it, and of everything else only that the
// server failed.
func answerTo(err error) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status >= http.StatusBadRequest {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		if code, known := unauthenticated(e.Kind); known {
			return &api.Error{Code: code, Status: http.StatusBadRequest, Message: e.Message}
		}
	}
	return &api.Error{
		Code:     "InternalServiceError",
		Status:   http.StatusInternalServerError,
		Message:  "An error occurred on the server side.",
		Modelled: true,
		Err:      err,
	}
}

func unauthenticated(kind sigv4.Kind) (code string, known bool) {
	switch kind {
	case sigv4.Missing:
		return "MissingAuthenticationTokenException", true
	case sigv4.Incomplete:
		return "IncompleteSignatureException", true
	case sigv4.UnknownKey:
		return "UnrecognizedClientException", true
	case sigv4.ExpiredToken:
		return "ExpiredTokenException", true
	case sigv4.Mismatch:
		return "InvalidSignatureException", true
	}
	return "", false
}

// encodeError appends e's body. AWS spells the message's member one way in a
// service's own errors and another way in those of its framework.
func encodeError(b *buffer, e *api.Error) {
	b.add(`{"__type":`)
	b.quoted(e.Code)
	if e.Message != "" {
		if e.Modelled {
			b.add(`,"Message":`)
		} else {
			b.add(`,"message":`)
		}
		b.quoted(e.Message)
	}
	b.add("}")
}

// unknownPath is the answer to what no AWS client sends: another method, or
// another path.
func unknownPath() *api.Error {
	e := api.UnknownOperation()
	e.Status = http.StatusNotFound
	return e
}

func tooLarge() *api.Error {
	return &api.Error{
		Code:    "RequestEntityTooLargeException",
		Status:  http.StatusRequestEntityTooLarge,
		Message: "The request body is too large.",
	}
}

// unread says why a body did not arrive. A sender that is too slow, or breaks
// off, is not an error of the server's.
func unread(err error) *api.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return late(err)
	}
	e := api.Serialization("The request body could not be read to its end.")
	e.Err = err
	return e
}

func late(err error) *api.Error {
	return &api.Error{
		Code:    "RequestTimeoutException",
		Status:  http.StatusRequestTimeout,
		Message: "The request was not completed in time.",
		Err:     err,
	}
}

// abandoned tells the errors of a call whose caller has gone from failures: no
// one reads the answer, but the log should not blame the server.
func abandoned(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return late(err)
	}
	return err
}

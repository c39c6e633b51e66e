package wire

import (
	"context"
	"errors"
	"net"
	"net/http"

	"azekura/internal/api"
	"azekura/internal/sigv4"
)

// told is the error of AWS's in err that the caller is told of as it is; nil
// if there is none.
func told(err error) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status >= http.StatusBadRequest {
		return e
	}
	return nil
}

// refusal is the answer to a request that is not authentic, under the code
// that a protocol has for it; nil if that is not what err says.
func refusal(err error, codes map[sigv4.Kind]string, status int) *api.Error {
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		return nil
	}
	code, known := codes[e.Kind]
	if !known {
		return nil
	}
	if e.Kind == sigv4.Closed { // of one status in all protocols
		status = http.StatusForbidden
	}
	return &api.Error{Code: code, Status: status, Message: e.Message}
}

// jsonRefusals and queryRefusals are AWS's codes for requests that are not
// authentic; nobody changes them.
var (
	jsonRefusals = map[sigv4.Kind]string{
		sigv4.Missing:      "MissingAuthenticationTokenException",
		sigv4.Incomplete:   "IncompleteSignatureException",
		sigv4.UnknownKey:   "UnrecognizedClientException",
		sigv4.ExpiredToken: "ExpiredTokenException",
		sigv4.Closed:       "OptInRequired",
		sigv4.Mismatch:     "InvalidSignatureException",
	}
	queryRefusals = map[sigv4.Kind]string{
		sigv4.Missing:      "MissingAuthenticationToken",
		sigv4.Incomplete:   "IncompleteSignature",
		sigv4.UnknownKey:   "InvalidClientTokenId",
		sigv4.ExpiredToken: "ExpiredToken",
		sigv4.Closed:       "OptInRequired",
		sigv4.Mismatch:     "SignatureDoesNotMatch",
	}
)

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

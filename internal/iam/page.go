package iam

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/envelope"
)

// validation is IAM's answer to input that no rule of the model, but one of
// its own, refuses.
func validation(format string, args ...any) *api.Error {
	return &api.Error{Code: "ValidationError", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// pageSize is how many items a page has if MaxItems is absent.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
const pageSize = 100

func sizeOf(maxItems *int64) int {
	if maxItems == nil {
		return pageSize
	}
	return int(*maxItems)
}

// A Marker is the sort key of a page's last item, sealed, so that callers
// neither read anything from it nor make one up. It opens only for the same
// account and operation.

func (s *Service) writeMarker(c *call.Call, last string) *string {
	return new(base64.RawURLEncoding.EncodeToString(s.keyring.Seal([]byte(last), markerAAD(c))))
}

// readMarker is the sort key after which a page begins, "" for the first page.
func (s *Service) readMarker(c *call.Call, marker *string) (string, error) {
	if marker == nil {
		return "", nil
	}
	blob, err := base64.RawURLEncoding.DecodeString(*marker)
	if err != nil {
		return "", validation("Invalid Marker.")
	}
	after, err := s.keyring.Open(blob, markerAAD(c))
	if err != nil {
		return "", validation("Invalid Marker.")
	}
	return string(after), nil
}

func markerAAD(c *call.Call) []byte {
	return envelope.AAD("iam marker", c.Principal.Account, c.Op)
}

// cut makes a page of items that were read with one more than fit, if there
// was one more; next is then where the next page begins.
func cut[T any](s *Service, c *call.Call, items []T, size int, key func(T) string) (page []T, next *string) {
	if len(items) <= size {
		return items, nil
	}
	return items[:size], s.writeMarker(c, key(items[size-1]))
}

// pageOf is a page of a list that is short enough to be read whole. items are
// in the order of their keys, by bytes.
func pageOf[T any](s *Service, c *call.Call, maxItems *int64, marker *string, items []T, key func(T) string) (page []T, next *string, err error) {
	after, err := s.readMarker(c, marker)
	if err != nil {
		return nil, nil, err
	}
	for len(items) > 0 && after != "" && key(items[0]) <= after {
		items = items[1:]
	}
	page, next = cut(s, c, items, sizeOf(maxItems), key)
	return page, next, nil
}

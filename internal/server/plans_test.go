package server

import (
	"testing"

	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/kms"
	"azekura/internal/organizations"
	"azekura/internal/secretsmanager"
	"azekura/internal/sts"
	"azekura/internal/wire"
)

// The inputs of all operations can be read, which a request would find out too
// late.
func TestInputsCanBeRead(t *testing.T) {
	h := &wire.Handler{}
	for _, s := range []call.Service{
		(&secretsmanager.Service{}).API(), (&iam.Service{}).API(), (&sts.Service{}).API(), (&organizations.Service{}).API(), (&kms.Service{}).API(),
	} {
		h.Handle(s)
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}

//go:build !pkcs11

package seal

import (
	"context"
	"errors"

	"azekura/internal/envelope"
)

var builtWithPKCS11 = errors.New("seal pkcs11: this program was built without it, as it takes cgo: build it with make build TAGS=pkcs11")

func openPKCS11(context.Context, Config) (envelope.Root, error) { return nil, builtWithPKCS11 }

func createPKCS11(context.Context, Config) (envelope.Root, error) { return nil, builtWithPKCS11 }

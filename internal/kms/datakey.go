package kms

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/store"
)

// A Context is an encryption context: what a ciphertext is bound to. It is not
// secret, is not in the ciphertext, and must be the same to decrypt.
type Context map[string]string

// A ciphertext is a header, which names the key and its version, and a blob of
// package envelope:
//
//	1 byte   format, 1
//	16 bytes key id
//	4 bytes  key version, big endian
//	...      the blob
const (
	formatCiphertext = 1
	headerSize       = 1 + 16 + 4
)

// GenerateDataKey makes a data key: in the clear for use now, and encrypted
// under key to be kept. The ciphertext opens with the same context only.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) GenerateDataKey(_ context.Context, c *call.Call, key *Key, ec Context) (envelope.Key, []byte, error) {
	sealer := key.versions[key.newest]
	if sealer == nil || !key.usableBy(c) {
		return envelope.Key{}, nil, notFound("Key '%s' does not exist", key.ARN)
	}
	id, err := uuid.Parse(key.ID)
	if err != nil {
		return envelope.Key{}, nil, fmt.Errorf("the key %s: %w", key.ID, err)
	}
	dataKey := envelope.NewKey()
	header := append([]byte{formatCiphertext}, id[:]...)
	header = binary.BigEndian.AppendUint32(header, key.newest)
	return dataKey, append(header, sealer.Seal(dataKey[:], dataKeyAAD(header, ec))...), nil
}

// Decrypt opens a data key that GenerateDataKey encrypted. An *api.Error with
// InvalidCiphertextException says that it does not open: it was changed, or
// made in another context, or by no key that is here; with NotFoundException,
// that its key is not one of the caller's.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) Decrypt(ctx context.Context, c *call.Call, ciphertext []byte, ec Context) (envelope.Key, error) {
	if len(ciphertext) < headerSize || ciphertext[0] != formatCiphertext {
		return envelope.Key{}, invalidCiphertext()
	}
	header, blob := ciphertext[:headerSize], ciphertext[headerSize:]
	id := uuid.UUID(header[1:17]).String()
	key, err := s.keys.Get(ctx, c.Reads, id)
	if errors.Is(err, store.ErrNotFound) {
		return envelope.Key{}, invalidCiphertext()
	}
	if err != nil {
		return envelope.Key{}, fmt.Errorf("load the key %s: %w", id, err)
	}
	if !key.usableBy(c) {
		return envelope.Key{}, notFound("Key '%s' does not exist", key.ARN)
	}
	sealer := key.versions[binary.BigEndian.Uint32(header[17:])]
	if sealer == nil {
		return envelope.Key{}, invalidCiphertext()
	}
	dataKey, err := sealer.OpenKey(blob, dataKeyAAD(header, ec))
	if err != nil {
		return envelope.Key{}, invalidCiphertext()
	}
	return *dataKey, nil
}

// dataKeyAAD binds a data key to the header of its ciphertext and to the
// encryption context, whose pairs are taken in the order of their keys.
func dataKeyAAD(header []byte, ec Context) []byte {
	const usual = 4 // pairs; a context of them takes no memory of its own
	keys := make([]string, 0, usual)
	for k := range ec {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	parts := append(make([]string, 0, 1+2*usual), string(header))
	for _, k := range keys {
		parts = append(parts, k, ec[k])
	}
	return envelope.AAD("kms data key", parts...)
}

// invalidCiphertext has no text, as AWS's.
func invalidCiphertext() *api.Error {
	return &api.Error{Code: "InvalidCiphertextException", Status: 400, Modelled: true}
}

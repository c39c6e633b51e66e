package kms

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/envelope"
)

// A Context is an encryption context: what a ciphertext is bound to. It is not
// secret, is not in the ciphertext, and must be the same to decrypt.
type Context map[string]string

// A ciphertext is a header, which names the key and its version, and a blob of
// package envelope:
//
//	1 byte   1 for a key of one region, 2 for a multi-Region key
//	16 bytes key id
//	4 bytes  key version, big endian
//	...      the blob
//
// A multi-Region key is named without its region: its material is the same in
// all of them.
const (
	formatSingleRegion = 1
	formatMultiRegion  = 2
	headerSize         = 1 + 16 + 4
)

// header begins a ciphertext of a version of the key, with room for what
// follows.
func (k *Key) header(v *version, room int) []byte {
	format := byte(formatSingleRegion)
	digits, multi := strings.CutPrefix(k.ID, multiRegionPrefix)
	if multi {
		format = formatMultiRegion
	}
	id, err := uuid.Parse(digits) // which takes one without dashes, too
	if err != nil {
		panic("kms: a key with the id " + k.ID)
	}
	header := append(make([]byte, 0, headerSize+room), format)
	return binary.BigEndian.AppendUint32(append(header, id[:]...), v.number)
}

// keyIn is the id and the version of the key that made a ciphertext; ok is
// false for bytes that are none.
func keyIn(ciphertext []byte) (id string, number uint32, ok bool) {
	if len(ciphertext) < headerSize+envelope.Overhead {
		return "", 0, false
	}
	raw := ciphertext[1:17]
	number = binary.BigEndian.Uint32(ciphertext[17:headerSize])
	switch ciphertext[0] {
	case formatSingleRegion:
		return uuid.UUID(raw).String(), number, true
	case formatMultiRegion:
		return multiRegionPrefix + hex.EncodeToString(raw), number, true
	}
	return "", 0, false
}

// seal encrypts under the newest version of a symmetric key, in a context.
func (k *Key) seal(plaintext []byte, ec Context) []byte {
	v := k.newest()
	header := k.header(v, len(plaintext)+envelope.Overhead)
	return v.sealer.Append(header, plaintext, contextAAD(header, ec))
}

// unseal decrypts what seal made under any version of the key, in the same
// context. The plaintext is the caller's. The error is AWS's
// InvalidCiphertextException, which does not say what is wrong.
func (k *Key) unseal(ciphertext []byte, ec Context) ([]byte, *version, error) {
	_, number, ok := keyIn(ciphertext)
	v := k.numbered(number)
	if !ok || v == nil || v.sealer == nil {
		return nil, nil, invalidCiphertext()
	}
	header, blob := ciphertext[:headerSize], ciphertext[headerSize:]
	plaintext, err := v.sealer.Open(blob, contextAAD(header, ec))
	if err != nil {
		return nil, nil, invalidCiphertext()
	}
	return plaintext, v, nil
}

// contextAAD binds a ciphertext to its header and to the encryption context,
// whose pairs are taken in the order of their keys.
func contextAAD(header []byte, ec Context) []byte {
	const usual = 4 // pairs; a context of them takes no memory of its own
	keys := slices.AppendSeq(make([]string, 0, usual), maps.Keys(ec))
	slices.Sort(keys)
	parts := append(make([]string, 0, 1+2*usual), string(header))
	for _, k := range keys {
		parts = append(parts, k, ec[k])
	}
	return envelope.AAD("kms data key", parts...)
}

// invalidCiphertext has no text, as AWS's.
func invalidCiphertext() *api.Error { return model.InvalidCiphertext("") }

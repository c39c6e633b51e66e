package material

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"strings"
)

// Unwrap opens material that was wrapped for an import, under the public half
// of an RSA key k with one of AWS's wrapping algorithms: RSAES_OAEP_SHA_1 and
// RSAES_OAEP_SHA_256, and for material that is longer RSA_AES_KEY_WRAP_SHA_1
// and RSA_AES_KEY_WRAP_SHA_256, where the RSA key wraps an AES key that wraps
// the material (RFC 5649). Errors are ErrAlgorithm and ErrOpen.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html
func (k *Key) Unwrap(algorithm string, wrapped []byte) ([]byte, error) {
	private, ok := k.signer.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrAlgorithm
	}
	switch algorithm {
	case "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256":
		return openOAEP(private, hashOf(algorithm), wrapped)
	case "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256":
	default:
		return nil, ErrAlgorithm
	}
	if len(wrapped) < private.Size() {
		return nil, ErrOpen
	}
	kek, err := openOAEP(private, hashOf(algorithm), wrapped[:private.Size()])
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	return unwrapPadded(kek, wrapped[private.Size():])
}

// IsWrapping says whether Unwrap knows an algorithm. Those with SHA-1 it does
// not under GODEBUG=fips140=only.
func IsWrapping(algorithm string) bool {
	if fips140.Enforced() && strings.HasSuffix(algorithm, "_SHA_1") {
		return false
	}
	return strings.HasPrefix(algorithm, "RSAES_OAEP_SHA_") || strings.HasPrefix(algorithm, "RSA_AES_KEY_WRAP_SHA_")
}

const (
	semiblock    = 8
	maxWrapped   = 16 << 10
	wrapConstant = 0xA65959A6
)

// unwrapPadded is the AES key unwrap with padding of RFC 5649 section 4.2. What
// is wrong with a blob is found out without a branch on what it holds.
func unwrapPadded(kek, wrapped []byte) ([]byte, error) {
	n := len(wrapped)/semiblock - 1
	if len(wrapped)%semiblock != 0 || n < 1 || len(wrapped) > maxWrapped {
		return nil, ErrOpen
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, ErrOpen // a key of another length
	}
	out := make([]byte, len(wrapped))
	if n == 1 {
		block.Decrypt(out, wrapped)
	} else {
		unwrapSteps(block, out, wrapped, n)
	}
	said := binary.BigEndian.Uint32(out[4:semiblock])
	padded, size := out[semiblock:], int(said&0x7fffffff)
	sound := subtle.ConstantTimeEq(int32(binary.BigEndian.Uint32(out[:4])^wrapConstant), 0) & subtle.ConstantTimeEq(int32(said>>31), 0)
	sound &= subtle.ConstantTimeLessOrEq(size, len(padded)) & subtle.ConstantTimeLessOrEq(len(padded)-semiblock+1, size)
	for i, b := range padded[len(padded)-semiblock:] {
		isPadding := subtle.ConstantTimeLessOrEq(size, len(padded)-semiblock+i)
		sound &= subtle.ConstantTimeSelect(isPadding, subtle.ConstantTimeByteEq(b, 0), 1)
	}
	if sound != 1 {
		clear(out)
		return nil, ErrOpen
	}
	return padded[:size], nil
}

// unwrapSteps is the unwrapping of RFC 3394 section 2.2.2, step 2: six rounds
// over n semiblocks, from the last to the first.
func unwrapSteps(block cipher.Block, out, wrapped []byte, n int) {
	copy(out, wrapped)
	var pair [aes.BlockSize]byte
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			register := binary.BigEndian.Uint64(out[:semiblock]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(pair[:semiblock], register)
			copy(pair[semiblock:], out[i*semiblock:])
			block.Decrypt(pair[:], pair[:])
			copy(out[:semiblock], pair[:semiblock])
			copy(out[i*semiblock:(i+1)*semiblock], pair[semiblock:])
		}
	}
}

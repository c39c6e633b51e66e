package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// Verify says whether r, as it was received, and a body of that hash were
// signed with the key, in constant time. r.Host must be what the client sent:
// a proxy's X-Forwarded-Host is a stranger's word.
//
// The host must be signed and so must X-Amz-Target, which chooses the
// operation. An unsigned X-Amz-Security-Token is let pass, as by AWS: it is
// worth nothing without the secret that was signed with. Every error is an
// *Error of kind Mismatch, and says nothing of what would have been right.
func (c *Claim) Verify(r *http.Request, key Key, bodySHA256 [sha256.Size]byte) error {
	if !c.signs("host") {
		return mustSign("'Host' or ':authority'")
	}
	if len(r.Header["X-Amz-Target"]) > 0 && !c.signs("x-amz-target") {
		return mustSign("'X-Amz-Target'")
	}
	if !declaresBody(r.Header, bodySHA256) {
		return Refuse(Mismatch)
	}
	buf, ok := c.appendCanonicalRequest(make([]byte, 0, bufferSize), r, wirePath(r), bodySHA256)
	if !ok {
		return Refuse(Mismatch)
	}
	if want := c.mac(key, buf); !hmac.Equal(want[:], c.signature[:]) {
		return Refuse(Mismatch)
	}
	return nil
}

// bufferSize is enough for the canonical request of an SDK's call, session
// token included.
const bufferSize = 2048

func mustSign(header string) *Error {
	return &Error{Mismatch, header + " must be a 'SignedHeader' in the AWS Authorization."}
}

func (c *Claim) signs(name string) bool {
	for rest := c.signedHeaders; rest != ""; {
		var signed string
		signed, rest, _ = strings.Cut(rest, ";")
		if signed == name {
			return true
		}
	}
	return false
}

// declaresBody says whether the hash in X-Amz-Content-Sha256, if there is one,
// is that of the body. This refuses UNSIGNED-PAYLOAD and STREAMING-..., with
// which a signature would hold for any body.
func declaresBody(h http.Header, bodySHA256 [sha256.Size]byte) bool {
	declared := h["X-Amz-Content-Sha256"]
	if len(declared) == 0 {
		return true
	}
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], bodySHA256[:])
	return len(declared) == 1 && declared[0] == string(digits[:])
}

// wirePath is the path as the client wrote it.
func wirePath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.EscapedPath()
}

// mac is the signature of a canonical request, whose buffer it may overwrite.
func (c *Claim) mac(key Key, canonical []byte) [sha256.Size]byte {
	digest := sha256.Sum256(canonical)
	b := canonical[:0]
	b = append(b, algorithm...)
	b = append(b, '\n')
	b = c.Time.AppendFormat(b, timeForm)
	b = append(b, '\n')
	b = append(b, c.Date...)
	b = append(b, '/')
	b = append(b, c.Region...)
	b = append(b, '/')
	b = append(b, c.Service...)
	b = append(b, '/')
	b = append(b, c.terminator...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, digest[:])
	h := hmac.New(sha256.New, key[:])
	h.Write(b)
	return [sha256.Size]byte(h.Sum(b[:0]))
}

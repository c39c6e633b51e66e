package sigv4

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// appendCanonicalRequest appends what is signed of a request. It fails if the
// claim's header names are not lower case, sorted and each once, if one of
// those headers is not there, or if the query cannot be decoded.
func (c *Claim) appendCanonicalRequest(b []byte, r *http.Request, path string, bodySHA256 [sha256.Size]byte) ([]byte, bool) {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendPath(b, path)
	b = append(b, '\n')
	b, ok := appendQuery(b, r.URL.RawQuery, c.Presigned)
	if !ok {
		return nil, false
	}
	b = append(b, '\n')
	previous := ""
	for name := range strings.SplitSeq(c.signedHeaders, ";") {
		if name <= previous {
			return nil, false
		}
		previous = name
		if b, ok = appendHeader(b, r, name); !ok {
			return nil, false
		}
	}
	b = append(b, '\n')
	b = append(b, c.signedHeaders...)
	b = append(b, '\n')
	return hex.AppendEncode(b, bodySHA256[:]), true
}

// appendPath appends the canonical form of a path as it is on the wire: dot
// segments resolved, slashes folded, and what is percent-encoded encoded once
// more, as for every service but S3.
func appendPath(b []byte, path string) []byte {
	start := len(b)
	b = append(b, '/')
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			b = b[:start+1+bytes.LastIndexByte(bytes.TrimSuffix(b[start+1:], []byte("/")), '/')+1]
		default:
			b = appendEncoded(b, segment)
			b = append(b, '/')
		}
	}
	if len(b) > start+1 && !strings.HasSuffix(path, "/") {
		b = b[:len(b)-1]
	}
	return b
}

// appendQuery appends the canonical form of a query, sorted by encoded name,
// then value. Of a presigned request the signature itself is left out.
func appendQuery(b []byte, raw string, presigned bool) ([]byte, bool) {
	if raw == "" {
		return b, true
	}
	query, ok := parseQuery(raw)
	if !ok {
		return nil, false
	}
	for i, p := range query {
		query[i] = parameter{string(appendEncoded(nil, p.name)), string(appendEncoded(nil, p.value))}
	}
	slices.SortFunc(query, func(p, q parameter) int {
		return cmp.Or(cmp.Compare(p.name, q.name), cmp.Compare(p.value, q.value))
	})
	separator := ""
	for _, p := range query {
		if presigned && p.name == "X-Amz-Signature" {
			continue
		}
		b = append(b, separator...)
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
		separator = "&"
	}
	return b, true
}

// appendEncoded appends s percent-encoded but for RFC 3986's unreserved
// characters.
func appendEncoded(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// appendHeader appends the line of one header, whose name is in lower case.
// The values of a repeated header are joined in the order received.
func appendHeader(b []byte, r *http.Request, name string) ([]byte, bool) {
	b = append(b, name...)
	b = append(b, ':')
	switch name {
	case "host":
		return append(appendFolded(b, r.Host), '\n'), true
	case "transfer-encoding":
		b = append(b, strings.Join(r.TransferEncoding, ",")...)
		return append(b, '\n'), len(r.TransferEncoding) > 0
	}
	values, ok := lookUp(r.Header, name)
	if !ok {
		if name != "content-length" || r.ContentLength < 0 {
			return nil, false
		}
		return append(strconv.AppendInt(b, r.ContentLength, 10), '\n'), true
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFolded(b, v)
	}
	return append(b, '\n'), true
}

// lookUp finds a header by its name in lower case, in the form in which
// net/http keeps names, without making a string of it. Names with an upper-case
// letter are never found.
func lookUp(h http.Header, name string) ([]string, bool) {
	var key [64]byte
	if len(name) > len(key) {
		return nil, false
	}
	start := true
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			return nil, false
		}
		if start && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		key[i] = c
		start = c == '-'
	}
	values, ok := h[string(key[:len(name)])]
	return values, ok && len(values) > 0
}

// appendFolded appends a header's value without the blanks around it, and with
// one in the place of each run of them within.
func appendFolded(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	blank := false
	for i := range len(value) {
		c := value[i]
		if c == ' ' || c == '\t' {
			blank = true
			continue
		}
		if blank {
			b = append(b, ' ')
			blank = false
		}
		b = append(b, c)
	}
	return b
}

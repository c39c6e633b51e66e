package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unsigned are the headers that intermediaries and HTTP clients write, or that
// carry the signature.
var unsigned = []string{"authorization", "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
	"proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id"}

// Sign signs a request that is about to be sent, with a body of that hash, in
// its Authorization header. It sets X-Amz-Date and, for a session's
// credentials, X-Amz-Security-Token; what of both and of Authorization was
// there is gone. Every header that is there is signed, but for those that are
// not the signer's. A header added or changed later breaks the signature if it
// was signed, and is unprotected if not. A request that cannot be signed, since
// its query is malformed or a header's name is out of the ordinary, carries an
// empty signature, which every server refuses.
func Sign(r *http.Request, creds Credentials, region, service string, bodySHA256 [sha256.Size]byte, now time.Time) {
	c := newClaim(creds, region, service, now)
	r.Header.Del("Authorization")
	r.Header.Del("Date")
	r.Header.Set("X-Amz-Date", c.Time.Format(timeForm))
	r.Header.Del("X-Amz-Security-Token")
	if creds.Token != "" {
		r.Header.Set("X-Amz-Security-Token", creds.Token)
	}
	c.signedHeaders = headersToSign(r.Header)
	r.Header.Set("Authorization", algorithm+" Credential="+c.credential()+", SignedHeaders="+c.signedHeaders+
		", Signature="+c.sign(r, creds.Secret, bodySHA256))
}

// Presign is Sign into the query, for a request that holds for a time of one
// second to seven days and may be sent by anybody who has its URL.
func Presign(r *http.Request, creds Credentials, region, service string, bodySHA256 [sha256.Size]byte, now time.Time, expires time.Duration) {
	c := newClaim(creds, region, service, now)
	c.Presigned, c.Expires = true, expires
	for _, name := range []string{"Authorization", "Date", "X-Amz-Date", "X-Amz-Security-Token"} {
		r.Header.Del(name)
	}
	c.signedHeaders = headersToSign(r.Header)
	added := []parameter{
		{"X-Amz-Algorithm", algorithm},
		{"X-Amz-Credential", c.credential()},
		{"X-Amz-Date", c.Time.Format(timeForm)},
		{"X-Amz-Expires", strconv.Itoa(int(expires / time.Second))},
		{"X-Amz-SignedHeaders", c.signedHeaders},
	}
	if creds.Token != "" {
		added = append(added, parameter{"X-Amz-Security-Token", creds.Token})
	}
	for _, p := range added {
		addParameter(r, p)
	}
	addParameter(r, parameter{"X-Amz-Signature", c.sign(r, creds.Secret, bodySHA256)})
}

func newClaim(creds Credentials, region, service string, now time.Time) *Claim {
	now = now.UTC().Truncate(time.Second)
	return &Claim{AccessKeyID: creds.AccessKeyID, Date: now.Format(dateForm), Region: region, Service: service,
		Time: now, terminator: terminator}
}

func (c *Claim) credential() string {
	return c.AccessKeyID + "/" + c.Date + "/" + c.Region + "/" + c.Service + "/" + c.terminator
}

func headersToSign(h http.Header) string {
	names := []string{"host"}
	for name := range h {
		if lower := strings.ToLower(name); !slices.Contains(unsigned, lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}

func addParameter(r *http.Request, p parameter) {
	b := []byte(r.URL.RawQuery)
	if len(b) > 0 {
		b = append(b, '&')
	}
	b = appendEncoded(b, p.name)
	b = append(b, '=')
	r.URL.RawQuery = string(appendEncoded(b, p.value))
}

// sign is the signature of r in hexadecimal. The path is that which net/http
// will write, and so is the host.
func (c *Claim) sign(r *http.Request, secret string, bodySHA256 [sha256.Size]byte) string {
	out := *r
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	canonical, ok := c.appendCanonicalRequest(nil, &out, r.URL.EscapedPath(), bodySHA256)
	if !ok {
		return ""
	}
	mac := c.mac(DeriveKey(secret, c.Date, c.Region, c.Service), canonical)
	return hex.EncodeToString(mac[:])
}

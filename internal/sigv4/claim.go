package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a claim may have of each. Real ones are far smaller; the limits bound
// the work that a stranger can ask for.
const (
	maxAuthorization = 8 << 10
	maxQuery         = 32 << 10
	maxParameters    = 256
	maxSignedHeaders = 100
	maxToken         = 16 << 10
)

const maxExpires = 7 * 24 * time.Hour

// window is how far a claim's time may be from the server's. Those of AWS's
// services that speak the query protocol are patient.
func (c *Claim) window() time.Duration {
	switch c.Service {
	case "iam", "sts":
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

// A Claim is what a request says of its signature. It prints without token
// and signature.
type Claim struct {
	AccessKeyID, Date, Region, Service, Token string
	Time                                      time.Time     // when it was signed, UTC, to the second
	Presigned                                 bool          // carried by the query
	Expires                                   time.Duration // of a presigned request: how long from Time it holds

	terminator    string
	signedHeaders string
	signature     [sha256.Size]byte
}

func (c Claim) String() string {
	return c.AccessKeyID + "/" + c.Date + "/" + c.Region + "/" + c.Service
}
func (c Claim) Format(f fmt.State, _ rune)   { io.WriteString(f, c.String()) }
func (c Claim) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c Claim) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Parse reads the claim of a request, from its Authorization header or its
// query. It does not touch the body. A request with both, or with one of
// their parts twice, is refused: two readers could take it for two callers'.
// Every error is an *Error, of kind Missing or Incomplete.
func Parse(r *http.Request) (*Claim, error) {
	headers := r.Header["Authorization"]
	var query []parameter
	if r.URL.RawQuery != "" {
		var ok bool
		if query, ok = parseQuery(r.URL.RawQuery); !ok {
			return nil, &Error{Incomplete, "The query string is malformed or too long."}
		}
	}
	inQuery := slices.ContainsFunc(query, isCarrier)
	switch {
	case len(headers) == 0 && !inQuery:
		return nil, Refuse(Missing)
	case len(headers) > 1 || len(headers) == 1 && inQuery:
		return nil, &Error{Incomplete, "A request is signed once, in one Authorization header or in the query string."}
	case inQuery:
		return parsePresigned(query)
	}
	return parseHeader(r, headers[0])
}

func isCarrier(p parameter) bool {
	return p.name == "X-Amz-Signature" || p.name == "X-Amz-Credential" || p.name == "X-Amz-Algorithm"
}

func parseHeader(r *http.Request, header string) (*Claim, error) {
	if len(header) > maxAuthorization {
		return nil, &Error{Incomplete, "The Authorization header is too long."}
	}
	scheme, rest, _ := strings.Cut(header, " ")
	var p parts
	if scheme == algorithm {
		var fault *Error
		if p, fault = parseParts(rest, header); fault != nil {
			return nil, fault
		}
	}
	stamp, ok := timestamp(r.Header)
	if !ok {
		return nil, &Error{Incomplete, "A request has one 'X-Amz-Date' or 'Date' header."}
	}
	if missing := p.missing(stamp); missing != "" {
		return nil, &Error{Incomplete, missing + echo(scheme, header)}
	}
	tokens := r.Header["X-Amz-Security-Token"]
	if len(tokens) > 1 {
		return nil, &Error{Incomplete, "A request has one 'X-Amz-Security-Token' header."}
	}
	c := &Claim{signedHeaders: p.signedHeaders}
	if len(tokens) == 1 {
		c.Token = tokens[0]
	}
	if fault := c.fill(p.credential, stamp, p.signature); fault != nil {
		return nil, fault
	}
	return c, nil
}

// parts are those of an Authorization header, as they stand there.
type parts struct{ credential, signedHeaders, signature string }

func parseParts(text, header string) (parts, *Error) {
	var p parts
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		name, value, found := strings.Cut(part, "=")
		if !found {
			return p, &Error{Incomplete, "'" + part + "' not a valid key=value pair (missing equal-sign) in Authorization header: '" + header + "'."}
		}
		var at *string
		switch name {
		case "Credential":
			at = &p.credential
		case "SignedHeaders":
			at = &p.signedHeaders
		case "Signature":
			at = &p.signature
		}
		if at == nil || *at != "" {
			return p, &Error{Incomplete, "Authorization header has a parameter that is unknown or given twice."}
		}
		*at = value
	}
	return p, nil
}

// timestamp is when the request was signed, in the basic form whatever the
// form of a Date header, or "" if nothing says it. ok is false if there are
// several to choose from.
func timestamp(h http.Header) (stamp string, ok bool) {
	for _, name := range []string{"X-Amz-Date", "Date"} {
		switch values := h[name]; len(values) {
		case 0:
		case 1:
			if name == "Date" {
				return basicForm(values[0]), true
			}
			return values[0], true
		default:
			return "", false
		}
	}
	return "", true
}

// basicForm is a Date header's time in the basic form, or the header as it is
// if it is in neither HTTP's forms nor botocore's, which has -0000 for GMT.
func basicForm(date string) string {
	t, err := http.ParseTime(date)
	if err != nil {
		t, err = time.Parse(time.RFC1123Z, date)
	}
	if err != nil {
		return date
	}
	return t.UTC().Format(timeForm)
}

// missing is AWS's text on what is not there, or "".
func (p parts) missing(stamp string) string {
	var b strings.Builder
	for _, part := range []struct{ value, text string }{
		{p.credential, "Authorization header requires 'Credential' parameter. "},
		{p.signature, "Authorization header requires 'Signature' parameter. "},
		{p.signedHeaders, "Authorization header requires 'SignedHeaders' parameter. "},
		{stamp, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "},
	} {
		if part.value == "" {
			b.WriteString(part.text)
		}
	}
	return b.String()
}

// echo ends the text on missing parts with the header. What is no signature
// may be a password or a bearer token: of that AWS says the hash.
func echo(scheme, header string) string {
	if scheme == algorithm {
		return "Authorization=" + header
	}
	h := sha256.Sum256([]byte(header))
	return "(Hashed with SHA-256 and encoded with Base64) Authorization=" + base64.StdEncoding.EncodeToString(h[:])
}

func parsePresigned(query []parameter) (*Claim, error) {
	var signingAlgorithm, credential, stamp, expires, signedHeaders, signature, token string
	for _, want := range []struct {
		name     string
		value    *string
		optional bool
	}{
		{"X-Amz-Algorithm", &signingAlgorithm, false},
		{"X-Amz-Credential", &credential, false},
		{"X-Amz-Date", &stamp, false},
		{"X-Amz-Expires", &expires, false},
		{"X-Amz-SignedHeaders", &signedHeaders, false},
		{"X-Amz-Signature", &signature, false},
		{"X-Amz-Security-Token", &token, true},
	} {
		found := 0
		for _, p := range query {
			if p.name == want.name {
				*want.value = p.value
				found++
			}
		}
		if found > 1 || found == 0 && !want.optional {
			return nil, &Error{Incomplete, "AWS query-string parameters must include '" + want.name + "'. Re-examine the query-string parameters."}
		}
	}
	if signingAlgorithm != algorithm {
		return nil, &Error{Incomplete, "Unsupported AWS 'algorithm'. X-Amz-Algorithm must be " + algorithm + "."}
	}
	seconds, err := strconv.ParseUint(expires, 10, 32)
	if err != nil || seconds < 1 || seconds > uint64(maxExpires/time.Second) {
		return nil, &Error{Incomplete, "X-Amz-Expires must be a number between 1 and 604800."}
	}
	c := &Claim{Presigned: true, Expires: time.Duration(seconds) * time.Second, Token: token, signedHeaders: signedHeaders}
	if fault := c.fill(credential, stamp, signature); fault != nil {
		return nil, fault
	}
	return c, nil
}

// fill reads what both carriers have.
func (c *Claim) fill(credential, stamp, signature string) *Error {
	if strings.Count(credential, "/") != 4 {
		return &Error{Incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."}
	}
	c.AccessKeyID, credential, _ = strings.Cut(credential, "/")
	c.Date, credential, _ = strings.Cut(credential, "/")
	c.Region, credential, _ = strings.Cut(credential, "/")
	c.Service, c.terminator, _ = strings.Cut(credential, "/")
	if c.AccessKeyID == "" {
		return &Error{Incomplete, "Credential has no access key id."}
	}
	var ok bool
	if c.Time, ok = parseTime(stamp); !ok {
		return &Error{Incomplete, "Date must be in ISO-8601 'basic format'. Got '" + stamp + "'. See http://en.wikipedia.org/wiki/ISO_8601"}
	}
	if !c.setSignature(signature) {
		return &Error{Incomplete, "Signature must be 64 lower-case hexadecimal digits."}
	}
	if strings.Count(c.signedHeaders, ";") >= maxSignedHeaders {
		return &Error{Incomplete, "SignedHeaders has too many names."}
	}
	if len(c.Token) > maxToken {
		return Refuse(UnknownKey)
	}
	return nil
}

// parseTime reads the basic form. time.Parse alone would let fractions pass.
func parseTime(stamp string) (time.Time, bool) {
	t, err := time.Parse(timeForm, stamp)
	return t, err == nil && len(stamp) == len(timeForm)
}

func (c *Claim) setSignature(s string) bool {
	if len(s) != hex.EncodedLen(len(c.signature)) || strings.Trim(s, "0123456789abcdef") != "" {
		return false
	}
	_, err := hex.Decode(c.signature[:], []byte(s))
	return err == nil
}

// CheckScope says whether the claim's credential scope is for a service, one
// of the served regions, and the day of its own time. Every error is an *Error
// of kind Mismatch.
func (c *Claim) CheckScope(service string, regions []string) error {
	switch {
	case c.terminator != terminator:
		return &Error{Mismatch, "Credential should be scoped with a valid terminator: 'aws4_request'"}
	case !slices.Contains(regions, c.Region):
		return &Error{Mismatch, "Credential should be scoped to a valid region, not '" + c.Region + "'. "}
	case c.Service != service:
		return &Error{Mismatch, "Credential should be scoped to correct service: '" + service + "'. "}
	}
	var buf [len(dateForm)]byte
	if date := c.Time.AppendFormat(buf[:0], dateForm); c.Date != string(date) {
		return &Error{Mismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			c.Date + "' != '" + string(date) + "', from '" + c.Time.Format(timeForm) + "'."}
	}
	return nil
}

// CheckTime says whether the claim holds at a time: within five minutes of it,
// or fifteen for IAM and STS, or, presigned, until it expires. STS does not
// mind what a presigned request says of that: it holds for its fifteen minutes,
// on which Kubernetes' tokens for EKS rely. Every error is an *Error of kind
// Mismatch.
func (c *Claim) CheckTime(now time.Time) error {
	now = now.UTC()
	skew := c.window()
	age, expires := skew, c.Presigned && c.Service != "sts"
	if expires {
		age = c.Expires
	}
	if oldest := now.Add(-age); c.Time.Before(oldest) || expires && c.Time.Equal(oldest) {
		limit := inMinutes(skew)
		if expires {
			limit = strconv.Itoa(int(age/time.Second)) + " sec."
		}
		return &Error{Mismatch, "Signature expired: " + c.Time.Format(timeForm) + " is now earlier than " + oldest.Format(timeForm) +
			" (" + now.Format(timeForm) + " - " + limit + ")"}
	}
	if newest := now.Add(skew); c.Time.After(newest) {
		return &Error{Mismatch, "Signature not yet current: " + c.Time.Format(timeForm) + " is still later than " + newest.Format(timeForm) +
			" (" + now.Format(timeForm) + " + " + inMinutes(skew) + ")"}
	}
	return nil
}

func inMinutes(d time.Duration) string { return strconv.Itoa(int(d/time.Minute)) + " min." }

// A parameter is one decoded pair of a query.
type parameter struct{ name, value string }

// parseQuery decodes a query as AWS does: a plus is a space, a semicolon no
// separator, a name without = has the empty value, and empty pairs are none.
func parseQuery(raw string) ([]parameter, bool) {
	if len(raw) > maxQuery || strings.Count(raw, "&") >= maxParameters {
		return nil, false
	}
	var query []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil {
			return nil, false
		}
		query = append(query, parameter{name, value})
	}
	return query, true
}

package sts

import (
	"encoding/binary"
	"errors"
	"time"
)

// A kind of session says whose permissions it has.
type kind byte

const (
	roleSession      kind = iota + 1 // of AssumeRole and AssumeRoleWithWebIdentity
	userSession                      // of GetSessionToken: the user's
	federatedSession                 // of GetFederationToken: part of the user's
)

// claims are all that is known of a session. They are in its token, sealed, and
// nowhere else.
type claims struct {
	kind    kind
	account string
	id      string // of the role or the user
	parent  string // access key that asked for a user's or federated session
	name    string // of the role session or the federated user

	issued   int64 // milliseconds since 1970
	lifetime int64 // seconds
	mfa      int64 // when a device's code was taken, milliseconds since 1970; 0 if none was

	sourceIdentity string
	provider       string      // ARN of the OIDC provider, of a session that a web identity began
	identity       []attribute // condition keys of the web identity, behind the issuer: sub, aud ...
	tags           []tag
	policy         string   // session policy, as it was given
	policyARNs     []string // managed session policies
}

// An attribute is a condition key with its values.
type attribute struct {
	name   string
	values []string
}

// A tag is a session tag. A transitive one goes on to the next role of a chain.
type tag struct {
	key, value string
	transitive bool
}

// expires is when the session ends, to the second, as it was told with the
// credentials.
func (c *claims) expires() time.Time { return time.Unix(c.issued/1000+c.lifetime, 0).UTC() }

func (c *claims) issueTime() time.Time { return time.UnixMilli(c.issued).UTC() }

// Claims are written in the order of the struct behind one byte of version and
// one of kind: numbers as varints, texts and lists behind their lengths.
const claimsVersion = 1

// Limits of what is read. Writing needs none: packed sizes are checked before.
const (
	maxText = 4 << 10
	maxList = 64
)

var errClaims = errors.New("these are no claims of a session")

func (c *claims) encode() []byte {
	w := writer{claimsVersion, byte(c.kind)}
	for _, s := range []string{c.account, c.id, c.parent, c.name} {
		w.text(s)
	}
	for _, n := range []int64{c.issued, c.lifetime, c.mfa} {
		w.number(n)
	}
	w.text(c.sourceIdentity)
	w.text(c.provider)
	w.number(int64(len(c.identity)))
	for _, a := range c.identity {
		w.text(a.name)
		w.texts(a.values)
	}
	w.pack(c)
	return w
}

// packed is how many bytes of a token policies and tags take: what
// PackedPolicySize measures.
func (c *claims) packed() int {
	var w writer
	w.pack(c)
	return len(w)
}

// decodeClaims reads what encode wrote, and nothing else.
func decodeClaims(b []byte) (*claims, error) {
	if len(b) < 2 || b[0] != claimsVersion {
		return nil, errClaims
	}
	c := &claims{kind: kind(b[1])}
	if c.kind < roleSession || c.kind > federatedSession {
		return nil, errClaims
	}
	r := reader{rest: b[2:]}
	for _, s := range []*string{&c.account, &c.id, &c.parent, &c.name} {
		*s = r.text()
	}
	for _, n := range []*int64{&c.issued, &c.lifetime, &c.mfa} {
		*n = r.number()
	}
	c.sourceIdentity = r.text()
	c.provider = r.text()
	for range r.count() {
		c.identity = append(c.identity, attribute{r.text(), r.texts()})
	}
	for range r.count() {
		t := tag{key: r.text(), value: r.text()}
		flag := r.number()
		r.failed = r.failed || flag > 1
		t.transitive = flag == 1
		c.tags = append(c.tags, t)
	}
	c.policy = r.text()
	c.policyARNs = r.texts()
	if r.failed || len(r.rest) > 0 {
		return nil, errClaims
	}
	return c, nil
}

// size is about what the claims take in memory, in bytes.
func (c *claims) size() int64 { return int64(512 + 64*(len(c.tags)+len(c.identity)+len(c.policyARNs))) }

type writer []byte

func (w *writer) number(n int64) { *w = binary.AppendUvarint(*w, uint64(n)) }

func (w *writer) text(s string) {
	w.number(int64(len(s)))
	*w = append(*w, s...)
}

func (w *writer) texts(list []string) {
	w.number(int64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

func (w *writer) pack(c *claims) {
	w.number(int64(len(c.tags)))
	for _, t := range c.tags {
		w.text(t.key)
		w.text(t.value)
		flag := int64(0)
		if t.transitive {
			flag = 1
		}
		w.number(flag)
	}
	w.text(c.policy)
	w.texts(c.policyARNs)
}

// A reader reads what a writer wrote. After something else it has failed, and
// reads zeros.
type reader struct {
	rest   []byte
	failed bool
}

// number takes only the shortest form of a number, and none that is negative:
// claims have one form.
func (r *reader) number() int64 {
	n, size := binary.Uvarint(r.rest)
	if r.failed || size <= 0 || int64(n) < 0 || size > 1 && r.rest[size-1] == 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[size:]
	return int64(n)
}

func (r *reader) count() int64 {
	n := r.number()
	if n > maxList {
		r.failed = true
		return 0
	}
	return n
}

func (r *reader) text() string {
	n := r.number()
	if n > maxText || n > int64(len(r.rest)) {
		r.failed = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) texts() []string {
	var list []string
	for range r.count() {
		list = append(list, r.text())
	}
	return list
}

package secretsmanager

import (
	"encoding/binary"
	"unsafe"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A kept is a secret as the cache holds it: all of its members one after the
// other in one text. The garbage collector visits everything that a pointer
// leads to, in each of tens of thousands of secrets, and again with every few
// thousand requests; of a secret in the form that operations use it would visit
// a dozen things. To take one out of the text copies nothing but addresses.
type kept struct {
	text   string
	policy *policy.Document // parsed once, nil for most
}

// keep puts a secret with its labelled versions away.
func (s *secret) keep() kept {
	var p packer
	p.string(s.key())
	p.int(s.sealedSize())
	p.string(s.id)
	p.int(s.rev)
	p.string(s.arn())
	p.string(s.description)
	p.string(s.kmsKeyID)
	p.string(s.policyText)
	p.int(int64(s.held))
	p.int(int64(s.created))
	p.int(int64(s.changed))
	p.int(int64(s.accessed))
	p.bool(s.deleted != nil)
	if s.deleted != nil {
		p.int(int64(*s.deleted))
	}
	p.bool(s.tagged)
	p.int(int64(len(s.tags)))
	for _, t := range s.tags {
		p.string(*t.Key)
		p.string(tagValue(t))
	}
	p.int(int64(len(s.versions)))
	for i := range s.versions {
		p.version(&s.versions[i])
	}
	p.text = append(p.text, p.sealed...)
	return kept{text: string(p.text), policy: s.policy}
}

// secret is what was put away. Its sealed values are shared and must not be
// changed; the rest is the caller's.
func (k kept) secret() *secret {
	u := unpacker{text: k.text}
	s := &secret{policy: k.policy}
	u.string() // the key, which is in the ARN, too
	u.sealed = k.text[len(k.text)-int(u.int()):]
	s.id = u.string()
	s.rev = u.int()
	s.fullARN = u.string()
	s.account, s.region, s.name, s.suffix = splitARN(s.fullARN)
	s.description = u.string()
	s.kmsKeyID = u.string()
	s.policyText = u.string()
	s.held = int(u.int())
	s.created = api.Timestamp(u.int())
	s.changed = api.Timestamp(u.int())
	s.accessed = api.Timestamp(u.int())
	if u.bool() {
		s.deleted = new(api.Timestamp(u.int()))
	}
	s.tagged = u.bool()
	if n := u.int(); n > 0 {
		s.tags = u.tags(int(n))
	}
	s.versions = make([]version, u.int())
	for i := range s.versions {
		u.version(&s.versions[i])
	}
	return s
}

func (s *secret) sealedSize() (n int64) {
	for i := range s.versions {
		n += int64(len(s.versions[i].dataKey) + len(s.versions[i].value))
	}
	return n
}

// Key is where the cache keeps it. It is part of the text.
func (k kept) Key() string {
	u := unpacker{text: k.text}
	return u.string()
}

// stamp is that of the secret, without taking more out.
func (k kept) stamp() store.Stamp {
	u := unpacker{text: k.text}
	u.string()
	u.int()
	return store.Stamp{ID: u.string(), Rev: u.int()}
}

// size is about what it takes in memory, in bytes. Memory is given out in
// pieces of some sizes, which on average are an eighth larger than what was
// asked for; a parsed policy is taken for four times its text.
func (k kept) size() int64 {
	n := len(k.text)
	if k.policy != nil {
		n += 4 * len(k.secret().policyText)
	}
	return int64(n + n/8)
}

// A packer makes the text of a kept. What is sealed comes last, so that the rest
// is together, in the few lines of memory that each read waits for.
type packer struct{ text, sealed []byte }

func (p *packer) int(n int64) { p.text = binary.AppendVarint(p.text, n) }

func (p *packer) string(s string) {
	p.int(int64(len(s)))
	p.text = append(p.text, s...)
}

func (p *packer) bool(b bool) {
	if b {
		p.int(1)
	} else {
		p.int(0)
	}
}

func (p *packer) blob(b []byte) {
	p.int(int64(len(b)))
	p.sealed = append(p.sealed, b...)
}

func (p *packer) version(v *version) {
	p.string(v.id)
	p.string(v.kind)
	p.string(v.kmsKey)
	p.blob(v.dataKey)
	p.blob(v.value)
	p.int(int64(v.created))
	p.int(int64(v.accessed))
	p.int(int64(len(v.stages)))
	for _, label := range v.stages {
		p.string(label)
	}
}

// An unpacker takes the text of a kept apart, in the order in which it was put
// together. What it returns is part of the text.
type unpacker struct{ text, sealed string }

func (u *unpacker) int() int64 {
	var zigzag uint64
	for shift := 0; ; shift += 7 {
		b := u.text[0]
		u.text = u.text[1:]
		zigzag |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(zigzag>>1) ^ -int64(zigzag&1)
		}
	}
}

func (u *unpacker) string() string {
	n := u.int()
	s := u.text[:n]
	u.text = u.text[n:]
	return s
}

func (u *unpacker) bool() bool { return u.int() == 1 }

// blob is read-only memory, in a type that does not say so, since ciphers and
// databases take no strings: a copy would be a kilobyte with each read. Who
// writes to it changes the secret for everybody, in a way that does not open.
func (u *unpacker) blob() []byte {
	n := u.int()
	s := u.sealed[:n]
	u.sealed = u.sealed[n:]
	return unsafe.Slice(unsafe.StringData(s), n)
}

func (u *unpacker) tags(n int) tags {
	texts := make([]string, 2*n)
	all := make(tags, n)
	for i := range all {
		key, value := &texts[2*i], &texts[2*i+1]
		*key, *value = u.string(), u.string()
		all[i] = model.Tag{Key: key, Value: value}
	}
	return all
}

func (u *unpacker) version(v *version) {
	v.id = u.string()
	v.kind = u.string()
	v.kmsKey = u.string()
	v.dataKey = u.blob()
	v.value = u.blob()
	v.created = api.Timestamp(u.int())
	v.accessed = api.Timestamp(u.int())
	v.stages = make([]string, u.int())
	for i := range v.stages {
		v.stages[i] = u.string()
	}
}

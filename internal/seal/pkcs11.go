//go:build pkcs11

package seal

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"

	"azekura/internal/api"
	"azekura/internal/envelope"
)

var builtWithPKCS11 error

// A token speaks to a PKCS #11 library (OASIS PKCS #11 v2.40). Each call has a
// session of its own, as calls are rare, and a session that was kept would be
// dead after the HSM has gone and come back.
type token struct {
	module, slot, label string
	pin                 func() (api.Sensitive, error)
	mu                  sync.Mutex // one call at a time
}

func newToken(c Config) *token {
	return &token{module: c.Module, slot: c.Slot, label: c.Key, pin: func() (api.Sensitive, error) { return secret(c.PINFile, c.PIN) }}
}

func openPKCS11(_ context.Context, c Config) (envelope.Root, error) {
	t := newToken(c)
	var id []byte
	var missing error
	err := t.session("find the key", func(s session) (err error) {
		if err := s.canGCM(); err != nil {
			return err
		}
		if _, id, err = s.find(c.Key); errors.Is(err, ErrNoRootKey) {
			missing, err = err, nil
		}
		return err
	})
	if err = cmp.Or(err, missing); err != nil {
		return nil, err
	}
	return &remote{t, fmt.Sprintf("%s:%s/%s/%s", KindPKCS11, c.Slot, c.Key, hex.EncodeToString(id))}, nil
}

func createPKCS11(ctx context.Context, c Config) (envelope.Root, error) {
	root, err := openPKCS11(ctx, c)
	if !errors.Is(err, ErrNoRootKey) {
		return root, err
	}
	if !c.MakeKey {
		return nil, fmt.Errorf("%w; make an AES key of 256 bits with that label, or let this server do it with seal-make-key", err)
	}
	if err := newToken(c).session("make the key", func(s session) error { return s.make(c.Key) }); err != nil {
		return nil, err
	}
	return openPKCS11(ctx, c)
}

const (
	tokenIV  = 12
	tokenTag = 128 // bits
)

// encrypt's result is the IV and what the token made.
func (t *token) encrypt(_ context.Context, plaintext, aad []byte) (out []byte, err error) {
	err = t.session("encrypt", func(s session) error {
		key, _, err := s.find(t.label)
		if err != nil {
			return err
		}
		out, err = s.encrypt(key, plaintext, aad)
		return err
	})
	return out, err
}

func (t *token) decrypt(_ context.Context, ciphertext, aad []byte) (out []byte, err error) {
	if len(ciphertext) <= tokenIV+tokenTag/8 {
		return nil, envelope.ErrOpen
	}
	err = t.session("decrypt", func(s session) error {
		key, _, err := s.find(t.label)
		if err != nil {
			return err
		}
		if out, err = s.decrypt(key, ciphertext, aad); err != nil && s.works(key) {
			return envelope.ErrOpen
		}
		return err
	})
	return out, err
}

func (s session) encrypt(key pkcs11.ObjectHandle, plaintext, aad []byte) ([]byte, error) {
	iv := make([]byte, tokenIV)
	rand.Read(iv) // never fails
	params := pkcs11.NewGCMParams(iv, aad, tokenTag)
	defer params.Free()
	if err := s.EncryptInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	made, err := s.Encrypt(s.handle, plaintext)
	// An HSM in FIPS mode takes its own IV, and writes it over this one.
	if used := params.IV(); len(used) == tokenIV {
		iv = used
	}
	return append(slices.Clone(iv), made...), err
}

func (s session) decrypt(key pkcs11.ObjectHandle, ciphertext, aad []byte) ([]byte, error) {
	params := pkcs11.NewGCMParams(ciphertext[:tokenIV], aad, tokenTag)
	defer params.Free()
	if err := s.DecryptInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	return s.Decrypt(s.handle, ciphertext[tokenIV:])
}

// works says whether the token decrypts what it has just encrypted. What it
// refuses then is wrong itself: the error does not tell, for a wrong tag each
// library has its own, and SoftHSM has the one for whatever goes wrong.
func (s session) works(key pkcs11.ObjectHandle) bool {
	probe := []byte("does it work?")
	ciphertext, err := s.encrypt(key, probe, probe)
	if err != nil {
		return false
	}
	got, err := s.decrypt(key, ciphertext, probe)
	return err == nil && bytes.Equal(got, probe)
}

// A session is with one token, as its user.
type session struct {
	*pkcs11.Ctx
	handle pkcs11.SessionHandle
	slot   uint
}

// libraries holds each PKCS #11 library of this process: it may be initialized
// once only, whoever asks.
var libraries struct {
	sync.Mutex
	loaded map[string]*pkcs11.Ctx
}

func library(path string) (*pkcs11.Ctx, error) {
	libraries.Lock()
	defer libraries.Unlock()
	if lib := libraries.loaded[path]; lib != nil {
		return lib, nil
	}
	lib := pkcs11.New(path)
	if lib == nil {
		return nil, fmt.Errorf("seal-module: %s is no PKCS #11 library, or cannot be loaded", path)
	}
	if err := lib.Initialize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		lib.Destroy()
		return nil, err
	}
	if libraries.loaded == nil {
		libraries.loaded = map[string]*pkcs11.Ctx{}
	}
	libraries.loaded[path] = lib
	return lib, nil
}

// forget ends a library that has lost its HSM. Some see that it is back only
// when they start again.
func forget(path string) {
	libraries.Lock()
	defer libraries.Unlock()
	if lib := libraries.loaded[path]; lib != nil {
		lib.Finalize()
		lib.Destroy()
		delete(libraries.loaded, path)
	}
}

func (t *token) session(what string, do func(session) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.logged(do)
	if err == nil || errors.Is(err, envelope.ErrOpen) {
		return err
	}
	hint := "see that the HSM is there, and that this server's user may use it"
	if _, missing := errors.AsType[noSuchToken](err); missing {
		forget(t.module)
	}
	code, _ := errors.AsType[pkcs11.Error](err)
	switch code {
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED:
		hint = "give the right PIN before it is tried again: tokens lock themselves"
		err = fmt.Errorf("%w: %w", ErrLocks, err)
	case pkcs11.CKR_PIN_LOCKED:
		hint = "let the HSM's security officer set a new PIN"
	case pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, pkcs11.CKR_KEY_TYPE_INCONSISTENT, pkcs11.CKR_MECHANISM_INVALID:
		hint = "it takes an AES key that may encrypt and decrypt with CKM_AES_GCM"
	case pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_SESSION_HANDLE_INVALID:
		forget(t.module)
	}
	return unreachable(fmt.Sprintf("ask the token %q to %s", t.slot, what), err, hint)
}

func (t *token) logged(do func(session) error) error {
	lib, err := library(t.module)
	if err != nil {
		return err
	}
	slot, err := findSlot(lib, t.slot)
	if err != nil {
		return err
	}
	handle, err := lib.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	defer lib.CloseSession(handle)
	pin, err := t.pin()
	if err != nil {
		return fmt.Errorf("read the PIN: %w", err)
	}
	// The end of a program's last session logs it out.
	if err := lib.Login(handle, pkcs11.CKU_USER, string(pin)); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return err
	}
	return do(session{lib, handle, slot})
}

func findSlot(lib *pkcs11.Ctx, label string) (uint, error) {
	slots, err := lib.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	var found []uint
	for _, slot := range slots {
		if info, err := lib.GetTokenInfo(slot); err == nil && info.Label == label {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, noSuchToken{len(slots), len(found)}
	}
	return found[0], nil
}

// noSuchToken says how many tokens there are, and how many have the label.
type noSuchToken struct{ tokens, found int }

func (e noSuchToken) Error() string {
	return fmt.Sprintf("of %d tokens, %d have that label", e.tokens, e.found)
}

func (s session) canGCM() error {
	all, err := s.GetMechanismList(s.slot)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(m *pkcs11.Mechanism) bool { return m.Mechanism == pkcs11.CKM_AES_GCM }) {
		return pkcs11.Error(pkcs11.CKR_MECHANISM_INVALID)
	}
	return nil
}

// find returns a key and its id.
func (s session) find(label string) (pkcs11.ObjectHandle, []byte, error) {
	if err := s.FindObjectsInit(s.handle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}); err != nil {
		return 0, nil, err
	}
	found, _, err := s.FindObjects(s.handle, 2)
	if err = errors.Join(err, s.FindObjectsFinal(s.handle)); err != nil {
		return 0, nil, err
	}
	switch len(found) {
	case 0:
		return 0, nil, fmt.Errorf("%w: the token has no AES key with the label %q", ErrNoRootKey, label)
	case 2:
		return 0, nil, fmt.Errorf("it has two keys with the label %q", label)
	}
	attributes, err := s.GetAttributeValue(s.handle, found[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
	if err != nil {
		return 0, nil, err
	}
	return found[0], bytes.Clone(attributes[0].Value), nil
}

// make makes a key that never leaves the token.
func (s session) make(label string) error {
	id := make([]byte, 8)
	rand.Read(id) // never fails
	_, err := s.GenerateKey(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, envelope.KeySize),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	})
	return err
}

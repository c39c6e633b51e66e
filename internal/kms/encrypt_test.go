package kms

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/envelope"
	"azekura/internal/material"
)

// encrypted is a ciphertext of a text under a key, in a context.
func (w *world) encrypted(key, text string, ec Context) []byte {
	w.t.Helper()
	return do(w, w.Encrypt, &model.EncryptInput{KeyId: &key, Plaintext: api.SensitiveBlob(text), EncryptionContext: ec}).CiphertextBlob
}

func TestEncryptAndDecrypt(t *testing.T) {
	each(t, func(w *world) {
		for _, in := range []*model.CreateKeyInput{{}, {MultiRegion: new(true)}} {
			key := w.newKey(in)
			ec := Context{"b": "2", "a": "1"}
			for _, text := range []string{"x", strings.Repeat("y", 4096)} {
				sealed := do(w, w.Encrypt, &model.EncryptInput{KeyId: key.KeyId, Plaintext: api.SensitiveBlob(text), EncryptionContext: ec})
				if *sealed.KeyId != *key.Arn || *sealed.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" || bytes.Contains(sealed.CiphertextBlob, []byte(text)) && len(text) > 1 {
					w.t.Errorf("%s, %s", *sealed.KeyId, *sealed.EncryptionAlgorithm)
				}
				for _, s := range []*Service{w.Service, w.again()} {
					for _, named := range []*string{nil, key.KeyId, key.Arn} {
						got := do(w, s.Decrypt, &model.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: Context{"a": "1", "b": "2"}, KeyId: named})
						if string(got.Plaintext) != text || *got.KeyId != *key.Arn || *got.KeyMaterialId != *key.CurrentKeyMaterialId {
							w.t.Errorf("%v", got)
						}
					}
				}
			}
		}
	})
}

// A ciphertext opens where and as it was made, and nowhere else.
func TestAttacksOnCiphertexts(t *testing.T) {
	w := newWorld(t)
	key, twin := w.newKey(nil), w.newKey(nil)
	ec := Context{"SecretARN": "a", "SecretVersionId": "v"}
	blob := w.encrypted(*key.KeyId, "a secret", ec)
	foreign := w.encrypted(*twin.KeyId, "another", ec)
	attack := func(name string, blob []byte, ec Context, keyID *string, codes ...string) {
		t.Helper()
		for _, dry := range []*bool{nil, new(true)} {
			out, err := try(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec, KeyId: keyID, DryRun: dry})
			e, _ := errors.AsType[*api.Error](err)
			if out != nil || e == nil || !slices.Contains(codes, e.Code) {
				t.Errorf("%s: got %v, want %v", name, err, codes)
			}
			_, err = try(w, w.ReEncrypt, &model.ReEncryptInput{CiphertextBlob: blob, SourceEncryptionContext: ec, SourceKeyId: keyID, DestinationKeyId: twin.KeyId, DryRun: dry})
			if e, _ := errors.AsType[*api.Error](err); e == nil || !slices.Contains(codes, e.Code) {
				t.Errorf("%s, re-encrypted: got %v, want %v", name, err, codes)
			}
		}
	}
	const invalid, denied, incorrect = "InvalidCiphertextException", "AccessDeniedException", "IncorrectKeyException"
	for i := range blob {
		for _, bit := range []int{0, 3, 7} {
			flipped := slices.Clone(blob)
			flipped[i] ^= 1 << bit
			attack(fmt.Sprint("bit flipped in byte ", i), flipped, ec, nil, invalid, denied)
			attack(fmt.Sprint("bit flipped in byte ", i, ", key named"), flipped, ec, key.KeyId, invalid, incorrect)
		}
		if i > 0 {
			attack(fmt.Sprint("cut at ", i), blob[:i], ec, nil, invalid)
			attack(fmt.Sprint("cut from ", i), blob[i:], ec, nil, invalid, denied)
		}
	}
	attack("longer", append(slices.Clone(blob), 0), ec, nil, invalid)
	attack("twice", append(slices.Clone(blob), blob...), ec, nil, invalid)
	attack("another's header", append(slices.Clone(foreign[:headerSize]), blob[headerSize:]...), ec, nil, invalid)
	attack("another's body", append(slices.Clone(blob[:headerSize]), foreign[headerSize:]...), ec, nil, invalid)
	attack("another key named", blob, ec, twin.KeyId, incorrect)
	attack("as another key's", append(slices.Clone(foreign[:headerSize]), blob[headerSize:]...), ec, twin.KeyId, invalid)
	for name, other := range map[string]Context{
		"no context": nil, "another ARN": {"SecretARN": "b", "SecretVersionId": "v"}, "another version": {"SecretARN": "a", "SecretVersionId": "w"},
		"swapped": {"SecretARN": "v", "SecretVersionId": "a"}, "a pair less": {"SecretARN": "a"}, "a pair more": {"SecretARN": "a", "SecretVersionId": "v", "x": ""},
		"other case": {"secretarn": "a", "SecretVersionId": "v"}, "joined": {"SecretARN": "aSecretVersionIdv"},
	} {
		attack(name, blob, other, nil, invalid)
	}
	w.region = "us-west-2"
	attack("in another region", blob, ec, nil, denied)
	w.region, w.account = region, other
	attack("in another account", blob, ec, nil, denied)
}

// A caller who may not use a ciphertext's key is told neither which it is nor
// whether there is one.
func TestDeniedCiphertexts(t *testing.T) {
	w := newWorld(t)
	blob := w.encrypted(*w.newKey(nil).KeyId, "x", nil)
	unknown := slices.Clone(blob)
	unknown[5] ^= 1
	const who = "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext "
	const resource = who + "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
	refuse(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: unknown}, "AccessDeniedException", resource)
	for _, policies := range []string{`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, `{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:us-east-1:111111111111:key/other"}`} {
		w.policies = granting(t, policies)
		for _, b := range [][]byte{blob, unknown} {
			refuse(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: b}, "AccessDeniedException", who+"because no identity-based policy allows the kms:Decrypt action")
		}
	}
	w.policies, w.account = granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`), other
	for _, b := range [][]byte{blob, unknown} {
		refuse(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: b}, "AccessDeniedException", strings.Replace(resource, account, other, 1))
	}
}

// Each key is refused what it is not for, before anything is computed.
func TestWrongUsage(t *testing.T) {
	w := newWorld(t)
	symmetric := w.newKey(nil)
	rsa := w.newKey(&model.CreateKeyInput{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")})
	mac := w.newKey(&model.CreateKeyInput{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")})
	text := api.SensitiveBlob("x")
	const usage = "InvalidKeyUsageException"
	notFor := func(key *model.KeyMetadata, op string) string {
		return *key.Arn + " key usage is " + *key.KeyUsage + " which is not valid for " + op + "."
	}
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: mac.KeyId, Plaintext: text}, usage, notFor(mac, "Encrypt"))
	refuse(w, w.GenerateDataKey, &model.GenerateDataKeyInput{KeyId: mac.KeyId, KeySpec: new("AES_256")}, usage, notFor(mac, "GenerateDataKey"))
	refuse(w, w.GenerateDataKey, &model.GenerateDataKeyInput{KeyId: rsa.KeyId, KeySpec: new("AES_256")}, usage, notFor(rsa, "GenerateDataKey"))
	refuse(w, w.GenerateDataKeyPair, &model.GenerateDataKeyPairInput{KeyId: rsa.KeyId, KeyPairSpec: new("RSA_2048")}, usage, notFor(rsa, "GenerateDataKeyPair"))
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: rsa.KeyId, Plaintext: text}, usage, "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.")
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: symmetric.KeyId, Plaintext: text, EncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}, usage,
		"Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.")
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: rsa.KeyId, Plaintext: text, EncryptionAlgorithm: new("RSAES_OAEP_SHA_256"), EncryptionContext: Context{"a": "b"}},
		"ValidationException", "An encryption context cannot be specified with an asymmetric key.")
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: rsa.KeyId, Plaintext: make([]byte, 191), EncryptionAlgorithm: new("RSAES_OAEP_SHA_256")},
		"ValidationException", "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.")
	refuse(w, w.Encrypt, &model.EncryptInput{KeyId: symmetric.KeyId, Plaintext: text, EncryptionContext: Context{"a": strings.Repeat("b", maxContext)}},
		"ValidationException", "The encryption context is longer than 8192 bytes.")
}

func TestRSAEncryption(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(&model.CreateKeyInput{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")})
	symmetric := w.newKey(nil)
	for _, algorithm := range material.Algorithms(material.RSA2048, material.EncryptDecrypt) {
		sealed := do(w, w.Encrypt, &model.EncryptInput{KeyId: key.KeyId, Plaintext: api.SensitiveBlob("x"), EncryptionAlgorithm: &algorithm})
		got := do(w, w.Decrypt, &model.DecryptInput{KeyId: key.KeyId, CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: &algorithm})
		if string(got.Plaintext) != "x" || got.KeyMaterialId != nil || *got.EncryptionAlgorithm != algorithm {
			t.Error(got)
		}
		refuse(w, w.Decrypt, &model.DecryptInput{KeyId: key.KeyId, CiphertextBlob: sealed.CiphertextBlob[1:], EncryptionAlgorithm: &algorithm}, "InvalidCiphertextException", "")
		moved := do(w, w.ReEncrypt, &model.ReEncryptInput{SourceKeyId: key.KeyId, CiphertextBlob: sealed.CiphertextBlob, SourceEncryptionAlgorithm: &algorithm,
			DestinationKeyId: symmetric.KeyId, DestinationEncryptionContext: Context{"a": "b"}})
		if back := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: moved.CiphertextBlob, EncryptionContext: Context{"a": "b"}}); string(back.Plaintext) != "x" {
			t.Error(back)
		}
	}
}

func TestReEncrypt(t *testing.T) {
	each(t, func(w *world) {
		from, to := w.newKey(nil), w.newKey(nil)
		old, fresh := Context{"a": "old"}, Context{"a": "new"}
		in := &model.ReEncryptInput{CiphertextBlob: w.encrypted(*from.KeyId, "x", old), SourceEncryptionContext: old, DestinationKeyId: to.KeyId, DestinationEncryptionContext: fresh}
		out := do(w, w.ReEncrypt, in)
		if *out.SourceKeyId != *from.Arn || *out.KeyId != *to.Arn || *out.SourceKeyMaterialId != *from.CurrentKeyMaterialId || *out.DestinationKeyMaterialId != *to.CurrentKeyMaterialId {
			w.t.Error(out)
		}
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: fresh, KeyId: to.KeyId}); string(got.Plaintext) != "x" {
			w.t.Error(got)
		}
		in.DryRun = new(true)
		refuse(w, w.ReEncrypt, in, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
		in.DryRun = nil
		for statement, allowed := range map[string]bool{
			`{"Effect":"Allow","Action":"kms:ReEncrypt*","Resource":"*"}`: true,
			`{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"` + *from.Arn + `"},{"Effect":"Allow","Action":"kms:ReEncryptTo","Resource":"` + *to.Arn + `"}`: true,
			`{"Effect":"Allow","Action":"kms:ReEncryptTo","Resource":"` + *from.Arn + `"},{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"` + *to.Arn + `"}`: false,
			`{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"*"}`:                                                                                            false,
			`{"Effect":"Allow","Action":"kms:ReEncryptTo","Resource":"*"}`:                                                                                              false,
			`{"Effect":"Allow","Action":["kms:Decrypt","kms:Encrypt"],"Resource":"*"}`:                                                                                  false,
			`{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:a":"old"}}},{"Effect":"Allow","Action":"kms:ReEncryptTo","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:a":"new"}}}`: true,
			`{"Effect":"Allow","Action":"kms:ReEncrypt*","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:a":"old"}}}`:                                                                                                                                false,
			`{"Effect":"Allow","Action":"kms:ReEncrypt*","Resource":"*","Condition":{"Bool":{"kms:ReEncryptOnSameKey":"true"}}}`:                                                                                                                                        false,
			`{"Effect":"Allow","Action":"kms:ReEncrypt*","Resource":"*","Condition":{"Bool":{"kms:ReEncryptOnSameKey":"false"}}}`:                                                                                                                                       true,
		} {
			before := w.policies
			w.policies = granting(w.t, statement)
			if _, err := try(w, w.ReEncrypt, in); (err == nil) != allowed {
				w.t.Errorf("under %s: %v", statement, err)
			}
			w.policies = before
		}
	})
}

func TestDataKeys(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	ec := Context{"a": "b"}
	for _, tt := range []struct {
		spec *string
		n    *int64
		size int
	}{{new("AES_128"), nil, 16}, {new("AES_256"), nil, 32}, {nil, new(int64(1)), 1}, {nil, new(int64(1024)), 1024}} {
		out := do(w, w.GenerateDataKey, &model.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: tt.spec, NumberOfBytes: tt.n, EncryptionContext: ec})
		bare := do(w, w.GenerateDataKeyWithoutPlaintext, &model.GenerateDataKeyWithoutPlaintextInput{KeyId: key.KeyId, KeySpec: tt.spec, NumberOfBytes: tt.n, EncryptionContext: ec})
		for _, blob := range [][]byte{out.CiphertextBlob, bare.CiphertextBlob} {
			got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec})
			if len(got.Plaintext) != tt.size || bytes.Equal(got.Plaintext, out.Plaintext) != bytes.Equal(blob, out.CiphertextBlob) && tt.size > 1 {
				t.Errorf("%d bytes, want %d", len(got.Plaintext), tt.size)
			}
		}
	}
	for _, in := range []*model.GenerateDataKeyInput{{KeyId: key.KeyId}, {KeyId: key.KeyId, KeySpec: new("AES_256"), NumberOfBytes: new(int64(32))}} {
		refuse(w, w.GenerateDataKey, in, "ValidationException", "Please specify either number of bytes or key spec.")
	}
	for _, spec := range []string{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		out := do(w, w.GenerateDataKeyPair, &model.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: &spec, EncryptionContext: ec})
		got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob, EncryptionContext: ec})
		private, err := material.Parse(material.Spec(spec), got.Plaintext)
		if err != nil || !bytes.Equal(got.Plaintext, out.PrivateKeyPlaintext) || !bytes.Equal(private.PublicDER(), out.PublicKey) {
			t.Errorf("%s: %v", spec, err)
		}
		bare := do(w, w.GenerateDataKeyPairWithoutPlaintext, &model.GenerateDataKeyPairWithoutPlaintextInput{KeyId: key.KeyId, KeyPairSpec: &spec})
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: bare.PrivateKeyCiphertextBlob}); len(got.Plaintext) == 0 {
			t.Error("no private key")
		} else if private, err := material.Parse(material.Spec(spec), got.Plaintext); err != nil || !bytes.Equal(private.PublicDER(), bare.PublicKey) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	refuse(w, w.GenerateDataKeyPair, &model.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: new("SM2")}, "UnsupportedOperationException", "")
	if got := do(w, w.GenerateRandom, &model.GenerateRandomInput{NumberOfBytes: new(int64(64))}); len(got.Plaintext) != 64 || bytes.Equal(got.Plaintext, make([]byte, 64)) {
		t.Error("not random")
	}
	refuse(w, w.GenerateRandom, &model.GenerateRandomInput{}, "ValidationException", "NumberOfBytes is required.")
}

// A dry run says what would happen, and reveals nothing.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	blob := w.encrypted(*key.KeyId, "x", nil)
	would := func(err error) bool {
		e, _ := errors.AsType[*api.Error](err)
		return e != nil && e.Code == "DryRunOperationException"
	}
	yes, junk, skip := new(true), []byte("junk"), []string{ignoreCiphertext}
	calls := map[string]func() (any, error){
		"Encrypt": func() (any, error) {
			return try(w, w.Encrypt, &model.EncryptInput{KeyId: key.KeyId, Plaintext: api.SensitiveBlob("x"), DryRun: yes})
		},
		"Decrypt": func() (any, error) { return try(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob, DryRun: yes}) },
		"Decrypt, ciphertext ignored": func() (any, error) {
			return try(w, w.Decrypt, &model.DecryptInput{KeyId: key.KeyId, CiphertextBlob: junk, DryRun: yes, DryRunModifiers: skip})
		},
		"Decrypt, no ciphertext": func() (any, error) {
			return try(w, w.Decrypt, &model.DecryptInput{KeyId: key.KeyId, DryRun: yes, DryRunModifiers: skip})
		},
		"GenerateDataKey": func() (any, error) {
			return try(w, w.GenerateDataKey, &model.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: new("AES_256"), DryRun: yes})
		},
		"GenerateDataKeyWithoutPlaintext": func() (any, error) {
			return try(w, w.GenerateDataKeyWithoutPlaintext, &model.GenerateDataKeyWithoutPlaintextInput{KeyId: key.KeyId, KeySpec: new("AES_256"), DryRun: yes})
		},
		"GenerateDataKeyPair": func() (any, error) {
			return try(w, w.GenerateDataKeyPair, &model.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: new("RSA_2048"), DryRun: yes})
		},
	}
	for name, run := range calls {
		if _, err := run(); !would(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuse(w, w.Decrypt, &model.DecryptInput{KeyId: key.KeyId, CiphertextBlob: junk, DryRunModifiers: skip}, "InvalidCiphertextException", "")
	w.setState(*key.Arn, stateDisabled)
	for name, run := range calls {
		if _, err := run(); err == nil || would(err) {
			t.Errorf("%s under a disabled key: %v", name, err)
		}
	}
}

// Ciphertexts come from strangers.
func FuzzDecrypt(f *testing.F) {
	secret := envelope.NewKey()
	key := &Key{ID: newID(false), spec: material.SymmetricDefault, versions: []version{{number: 1, sealer: envelope.NewSealer(&secret)}}}
	sound := key.seal([]byte("text"), Context{"a": "b"})
	f.Add(sound, "a", "b")
	f.Add(sound[:headerSize], "a", "b")
	f.Add(append([]byte{formatMultiRegion}, sound[1:]...), "a", "b")
	f.Fuzz(func(t *testing.T, blob []byte, name, value string) {
		id, _, ok := keyIn(blob)
		if ok && !isKeyID(id) {
			t.Errorf("%x names the key %q", blob, id)
		}
		got, _, err := key.unseal(blob, Context{name: value})
		if err == nil && (string(got) != "text" || !bytes.Equal(blob, sound) || name != "a" || value != "b") {
			t.Errorf("%x opened to %q", blob, got)
		}
	})
}

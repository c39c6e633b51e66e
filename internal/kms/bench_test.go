package kms

import (
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/store/storetest"
)

// What Encrypt and Decrypt of 1 KiB take besides the wire.
func BenchmarkEncryption(b *testing.B) {
	db := storetest.Open(b)
	w := worldOver(b, db)
	key := w.newKey(nil)
	ec := Context{"app": "bench"}
	in := &model.EncryptInput{KeyId: key.KeyId, Plaintext: make(api.SensitiveBlob, 1024), EncryptionContext: ec}
	out := do(w, w.Encrypt, in)
	sealed := &model.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: ec}
	b.Run("Encrypt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Encrypt(b.Context(), w.call("Encrypt", in), in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decrypt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Decrypt(b.Context(), w.call("Decrypt", sealed), sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

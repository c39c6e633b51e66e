package envelope

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The AES-256-GCM vectors of Project Wycheproof with nonces of 12 bytes
// (https://github.com/C2SP/wycheproof, commit dac1dd4, Apache License 2.0): a
// blob opens if, and only if, its vector is valid.
func TestWycheproof(t *testing.T) {
	text, err := os.ReadFile("testdata/wycheproof_aes_gcm.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID                                               int
		Private, Nonce, AAD, Message, Ciphertext, Result string
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	unhex := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range cases {
		key := Key(unhex(c.Private))
		blob := append(append([]byte{formatGCM}, unhex(c.Nonce)...), unhex(c.Ciphertext)...)
		got, err := Open(&key, blob, unhex(c.AAD))
		if opened := err == nil && bytes.Equal(got, unhex(c.Message)); opened != (c.Result == "valid") {
			t.Errorf("case %d: opened %v, want %s", c.ID, opened, c.Result)
		}
	}
}

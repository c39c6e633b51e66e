package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"azekura/internal/sigv4"
)

// The floor is the least a server of this API can do: a bare net/http server
// that verifies the same signature, decrypts 1 KiB with AES-256-GCM and
// writes the same JSON. It has one secret, one caller, no policy and no store.
// Its PutSecretValue appends 1.5 KiB to a file and syncs it, once a request.
type floor struct {
	key     func(date, region, service string) sigv4.Key
	aead    cipher.AEAD
	blob    []byte
	journal *os.File
	mu      sync.Mutex
}

var floorCredentials = sigv4.Credentials{AccessKeyID: "AKIAFLOORFLOORFLOORF", Secret: "floor-secret-access-key"}

func runFloor(journal string) error {
	f := &floor{}
	keys := sync.Map{}
	f.key = func(date, region, service string) sigv4.Key {
		scope := date + "/" + region + "/" + service
		if key, ok := keys.Load(scope); ok {
			return key.(sigv4.Key)
		}
		key := sigv4.DeriveKey(floorCredentials.Secret, date, region, service)
		keys.Store(scope, key)
		return key
	}
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return err
	}
	if f.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return err
	}
	f.blob = f.aead.Seal(nil, nil, []byte(value1K), nil)
	if f.journal, err = os.Create(journal); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = f.verify(r, sha256.Sum256(body))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in struct{ SecretId, ClientRequestToken, SecretString string }
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := map[string]any{
		"ARN": "arn:aws:secretsmanager:us-east-1:111111111111:secret:" + in.SecretId + "-AbCdEf", "Name": in.SecretId,
		"VersionId": "00000000-0000-0000-0000-000000000001", "VersionStages": []string{"AWSCURRENT"},
	}
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutSecretValue") {
		err = f.append(in.SecretString)
	} else {
		var value []byte
		value, err = f.aead.Open(nil, nil, f.blob, nil)
		out["SecretString"], out["CreatedDate"] = string(value), 1523477145.713
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", "00000000-0000-0000-0000-000000000000")
	json.NewEncoder(w).Encode(out)
}

func (f *floor) verify(r *http.Request, hash [32]byte) error {
	claim, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if claim.AccessKeyID != floorCredentials.AccessKeyID {
		return errors.New("unknown key")
	}
	if err := claim.CheckTime(time.Now()); err != nil {
		return err
	}
	return claim.Verify(r, f.key(claim.Date, claim.Region, claim.Service), hash)
}

// append is a durable write of one request on its own.
func (f *floor) append(value string) error {
	row := append(f.aead.Seal(nil, nil, []byte(value), nil), make([]byte, 512)...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.journal.Write(row); err != nil {
		return err
	}
	return f.journal.Sync()
}

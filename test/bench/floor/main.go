// Command floor is the least that a server of this API can do: a bare net/http
// server that verifies the same signature, decrypts 1 KiB with AES-256-GCM and
// writes the same JSON. It has one secret, one caller, no policy, no store and
// no log. Its PutSecretValue appends 1.5 KiB to a file and syncs it, once a
// request, one request after the other. It is a program of its own so that it
// starts with no more than it needs.
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

type floor struct {
	key     func(date, region, service string) sigv4.Key
	aead    cipher.AEAD
	blob    []byte
	mu      sync.Mutex
	journal *os.File
}

const (
	accessKeyID = "AKIAFLOORFLOORFLOORF"
	secretKey   = "floor-secret-access-key"
)

var value1K = strings.Repeat("0123456789abcdef", 64)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: floor JOURNAL")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func serve(journal string) error {
	f := &floor{}
	keys := sync.Map{}
	f.key = func(date, region, service string) sigv4.Key {
		scope := date + "/" + region + "/" + service
		if key, ok := keys.Load(scope); ok {
			return key.(sigv4.Key)
		}
		key := sigv4.DeriveKey(secretKey, date, region, service)
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

type input struct{ SecretId, ClientRequestToken, SecretString string }

type output struct {
	ARN, Name, VersionId string
	VersionStages        []string
	SecretString         string  `json:",omitempty"`
	CreatedDate          float64 `json:",omitempty"`
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = f.verify(r, sha256.Sum256(body))
	}
	var in input
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := output{
		ARN: "arn:aws:secretsmanager:us-east-1:111111111111:secret:" + in.SecretId + "-AbCdEf", Name: in.SecretId,
		VersionId: "00000000-0000-0000-0000-000000000001", VersionStages: []string{"AWSCURRENT"},
	}
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutSecretValue") {
		err = f.append(in.SecretString)
	} else {
		var value []byte
		value, err = f.aead.Open(nil, nil, f.blob, nil)
		out.SecretString, out.CreatedDate = string(value), 1523477145.713
	}
	var answer []byte
	if err == nil {
		answer, err = json.Marshal(out)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-0000-0000-000000000000")
	w.Write(answer)
}

func (f *floor) verify(r *http.Request, hash [32]byte) error {
	claim, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if claim.AccessKeyID != accessKeyID {
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

package seal

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/envelope"
	"azekura/internal/sigv4"
)

// A state is what is wrong with a service; the empty one is nothing.
type state string

const (
	away       state = "away"       // it cuts the connection
	failing    state = "failing"    // 500
	throttling state = "throttling" // 429, or what the service answers then
	refusing   state = "refusing"   // the credentials are good, but not for this
	disabled   state = "disabled"   // the key
	unfit      state = "unfit"      // the key is of another type; transit only
	missing    state = "missing"    // the key
	garbage    state = "garbage"    // 200, and a page of something else
	redirect   state = "redirect"   // to where nobody should go
)

var states = []state{away, failing, throttling, refusing, disabled, missing, garbage, redirect}

// A fake is a service that keeps a key, over TLS.
type fake struct {
	*httptest.Server
	state atomic.Value // of state
	keys  []*envelope.Sealer
	seen  atomic.Int64 // requests
	stray atomic.Int64 // those that followed a redirect
	// refused answers as the service does in a state, or with wrong
	// credentials, which is refusing with no status of its own.
	refused func(w http.ResponseWriter, s state)
}

func newFake(t *testing.T, serve func(f *fake, w http.ResponseWriter, r *http.Request, body []byte)) *fake {
	t.Helper()
	key := envelope.NewKey()
	f := &fake{keys: []*envelope.Sealer{envelope.NewSealer(&key)}}
	f.state.Store(state(""))
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.seen.Add(1)
		if r.URL.Path == "/elsewhere" {
			f.stray.Add(1)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		switch s := f.state.Load().(state); s {
		case "":
			serve(f, w, r, body)
		case away:
			panic(http.ErrAbortHandler)
		case garbage:
			io.WriteString(w, "<html>the hotel's network welcomes you</html>")
		case redirect:
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		default:
			f.refused(w, s)
		}
	}))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// ca is a file with the certificate that the fake's is signed by.
func (f *fake) ca(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open decrypts with whichever of its keys fits.
func (f *fake) open(blob, aad []byte) ([]byte, bool) {
	for _, k := range f.keys {
		if plaintext, err := k.Open(blob, aad); err == nil {
			return plaintext, true
		}
	}
	return nil, false
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

const (
	awsKey    = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	awsSecret = "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY"
)

// newFakeAWS is KMS with one key. It reads and checks signatures.
func newFakeAWS(t *testing.T) (*fake, Config) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", awsSecret)
	t.Setenv("AWS_SESSION_TOKEN", "")
	f := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request, body []byte) {
		claim, err := sigv4.Parse(r)
		if err == nil {
			key := sigv4.DeriveKey(awsSecret, claim.Date, claim.Region, claim.Service)
			err = errors.Join(claim.CheckScope("kms", []string{"eu-west-1"}), claim.CheckTime(time.Now()), claim.Verify(r, key, sha256.Sum256(body)))
		}
		if err != nil {
			f.refused(w, "")
			return
		}
		var in awsRequest
		if json.Unmarshal(body, &in) != nil || in.KeyID != awsKey {
			answer(w, 400, map[string]string{"__type": "ValidationException", "message": "what?"})
			return
		}
		place, _ := json.Marshal(in.EncryptionContext) // in the order of names
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.Encrypt":
			answer(w, 200, awsAnswer{KeyID: awsKey, CiphertextBlob: f.keys[0].Seal(in.Plaintext, place)})
		case "TrentService.Decrypt":
			plaintext, ok := f.open(in.CiphertextBlob, place)
			if !ok {
				answer(w, 400, map[string]any{"__type": "InvalidCiphertextException", "message": nil})
				return
			}
			answer(w, 200, awsAnswer{KeyID: awsKey, Plaintext: plaintext})
		}
	})
	f.refused = func(w http.ResponseWriter, s state) {
		code := map[state]string{
			"": "InvalidSignatureException", failing: "KMSInternalException", throttling: "ThrottlingException",
			refusing: "AccessDeniedException", disabled: "DisabledException", missing: "NotFoundException",
		}[s]
		status := 400
		if s == failing {
			status = 500
		}
		answer(w, status, map[string]string{"__type": code, "message": "no"})
	}
	return f, Config{Kind: KindAWSKMS, Key: awsKey, Endpoint: f.URL, CAFile: f.ca(t)}
}

const gcpKey = "projects/azekura/locations/europe-west1/keyRings/seals/cryptoKeys/root"

// newFakeGCP is Cloud KMS and the place that gives tokens for a service
// account's signed assertions.
func newFakeGCP(t *testing.T) (*fake, Config) {
	f := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request, body []byte) {
		if r.URL.Path == "/token" {
			answer(w, 200, map[string]any{"access_token": "ya29.the-google-token", "token_type": "Bearer", "expires_in": 3600})
			return
		}
		if r.Header.Get("Authorization") != "Bearer ya29.the-google-token" {
			f.refused(w, "")
			return
		}
		var in gcpRequest
		if json.Unmarshal(body, &in) != nil {
			f.refused(w, missing)
			return
		}
		verified := in.PlaintextCRC == crc(in.Plaintext) && in.AssociatedDataCR == crc(in.AssociatedData)
		switch r.URL.Path {
		case "/v1/" + gcpKey + ":encrypt":
			made := f.keys[0].Seal(in.Plaintext, in.AssociatedData)
			answer(w, 200, gcpAnswer{Ciphertext: made, CiphertextCRC: crc(made), VerifiedPlaintext: verified, VerifiedAssociated: verified})
		case "/v1/" + gcpKey + ":decrypt":
			plaintext, ok := f.open(in.Ciphertext, in.AssociatedData)
			if !ok {
				gcpError(w, 400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
				return
			}
			answer(w, 200, gcpAnswer{Plaintext: plaintext, PlaintextCRC: crc(plaintext)})
		}
	})
	f.refused = func(w http.ResponseWriter, s state) {
		switch s {
		case "":
			gcpError(w, 401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		case failing:
			gcpError(w, 500, "INTERNAL", "Internal error encountered.")
		case throttling:
			gcpError(w, 429, "RESOURCE_EXHAUSTED", "Quota exceeded.")
		case refusing:
			gcpError(w, 403, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied.")
		case disabled:
			gcpError(w, 400, "FAILED_PRECONDITION", gcpKey+"/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.")
		case missing:
			gcpError(w, 404, "NOT_FOUND", "CryptoKey "+gcpKey+" not found.")
		}
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", serviceAccount(t, f.URL+"/token"))
	return f, Config{Kind: KindGCPKMS, Key: gcpKey, Endpoint: f.URL, CAFile: f.ca(t)}
}

func gcpError(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": status, "status": code, "message": message}})
}

func serviceAccount(t *testing.T, tokens string) string {
	der, err := x509.MarshalPKCS8PrivateKey(testRSA())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "seal@azekura.example", "private_key_id": "1", "token_uri": tokens,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const azureKeyURL = "https://azekura.vault.azure.net/keys/root"

// newFakeAzure is a vault with one RSA key, and beside it the managed identity
// that gives tokens, as App Service has it.
func newFakeAzure(t *testing.T) (*fake, Config) {
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "here" || r.URL.Query().Get("resource") != "https://vault.azure.net" {
			answer(w, 400, map[string]string{"error": "invalid_request"})
			return
		}
		answer(w, 200, map[string]string{
			"access_token": "eyJ.the-azure-token", "expires_on": "4102444800", "resource": "https://vault.azure.net", "token_type": "Bearer",
		})
	}))
	t.Cleanup(identity.Close)
	t.Setenv("IDENTITY_ENDPOINT", identity.URL)
	t.Setenv("IDENTITY_HEADER", "here")
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	key := testRSA()
	f := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Header.Get("Authorization") != "Bearer eyJ.the-azure-token" {
			f.refused(w, "")
			return
		}
		var in azureRequest
		if json.Unmarshal(body, &in) != nil || r.URL.Query().Get("api-version") == "" {
			answer(w, 400, azureError("BadParameter", "", "what?"))
			return
		}
		var value []byte
		var err error
		version := "0123456789abcdef0123456789abcdef"
		pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		switch r.URL.Path + " " + in.Algorithm {
		case "/keys/root//wrapkey RSA-OAEP-256":
			value, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, in.Value, nil)
		case "/keys/root/" + version + "/unwrapkey RSA-OAEP-256":
			value, err = key.Decrypt(nil, in.Value, &rsa.OAEPOptions{Hash: crypto.SHA256})
		case "/keys/root/" + version + "/sign PS256":
			value, err = key.Sign(rand.Reader, in.Value, pss)
		case "/keys/root/" + version + "/verify PS256":
			answer(w, 200, map[string]bool{"value": rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, in.Digest, in.Value, pss) == nil})
			return
		default:
			f.refused(w, missing)
			return
		}
		if err != nil {
			answer(w, 400, azureError("BadParameter", "", "The parameter is incorrect."))
			return
		}
		answer(w, 200, azureAnswer{azureKeyURL + "/" + version, value})
	})
	f.refused = func(w http.ResponseWriter, s state) {
		switch s {
		case "":
			answer(w, 401, azureError("Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."))
		case failing:
			answer(w, 500, azureError("InternalError", "", "oh"))
		case throttling:
			answer(w, 429, azureError("Throttled", "", "Request was not processed because too many requests were received."))
		case refusing:
			answer(w, 403, azureError("Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."))
		case disabled:
			answer(w, 403, azureError("Forbidden", "KeyDisabled", "Operation wrapKey is not allowed on a disabled key."))
		case missing:
			answer(w, 404, azureError("KeyNotFound", "", "A key with (name/id) root/1 was not found in this key vault."))
		}
	}
	return f, Config{Kind: KindAzureKeyVault, Key: azureKeyURL, Endpoint: f.URL, CAFile: f.ca(t)}
}

func azureError(code, inner, message string) any {
	e := map[string]any{"code": code, "message": message}
	if inner != "" {
		e["innererror"] = map[string]string{"code": inner}
	}
	return map[string]any{"error": e}
}

// newFakeTransit is the transit engine of Vault, with AES-GCM. A state of
// disabled is a key whose old versions may not be used.
func newFakeTransit(t *testing.T) (*fake, Config) {
	f := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Header.Get("X-Vault-Token") != "hvs.the-vault-token" {
			f.refused(w, refusing)
			return
		}
		var in transitRequest
		if err := json.Unmarshal(body, &in); err != nil {
			transitError(w, 400, "what?")
			return
		}
		var out transitAnswer
		switch r.URL.Path {
		case "/v1/engines/transit/encrypt/root":
			n := len(f.keys)
			made := f.keys[n-1].Seal(in.Plaintext, in.AssociatedData)
			out.Data.Ciphertext = fmt.Sprintf("vault:v%d:%s", n, base64.StdEncoding.EncodeToString(made))
		case "/v1/engines/transit/decrypt/root":
			plaintext, text := f.transitDecrypt(in)
			if text != "" {
				transitError(w, 400, text)
				return
			}
			out.Data.Plaintext = plaintext
		default:
			transitError(w, 404, "no handler for route")
			return
		}
		answer(w, 200, out)
	})
	f.refused = func(w http.ResponseWriter, s state) {
		switch s {
		case failing:
			transitError(w, 500, "internal error")
		case throttling:
			transitError(w, 503, "Vault is sealed")
		case refusing:
			transitError(w, 403, "1 error occurred:\n\t* permission denied\n\n")
		case disabled:
			transitError(w, 400, "ciphertext or signature version is disallowed by policy (too old)")
		case unfit:
			transitError(w, 400, "'[0].associated_data' provided for non-AEAD cipher suite rsa-2048")
		case missing:
			transitError(w, 400, "encryption key not found")
		}
	}
	return f, Config{Kind: KindTransit, Key: "root", Mount: "engines/transit", Endpoint: f.URL, CAFile: f.ca(t), Token: "hvs.the-vault-token"}
}

// transitDecrypt refuses in the words of Vault.
func (f *fake) transitDecrypt(in transitRequest) (plaintext []byte, refusal string) {
	rest, ok := strings.CutPrefix(in.Ciphertext, "vault:v")
	if !ok {
		return nil, "invalid ciphertext: no prefix"
	}
	number, text, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, "invalid ciphertext: wrong number of fields"
	}
	version, err := strconv.Atoi(number)
	if err != nil {
		return nil, "invalid ciphertext: version number could not be decoded"
	}
	if version < 1 || version > len(f.keys) {
		return nil, "invalid ciphertext: version is too new"
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, "invalid ciphertext: could not decode base64"
	}
	plaintext, err = f.keys[version-1].Open(raw, in.AssociatedData)
	if err != nil {
		return nil, "cipher: message authentication failed"
	}
	return plaintext, ""
}

func transitError(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"errors": []string{message}})
}

// A sealKeeper keeps a key in memory.
type sealKeeper struct{ *envelope.Sealer }

func (k sealKeeper) encrypt(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	return k.Seal(plaintext, aad), nil
}

func (k sealKeeper) decrypt(_ context.Context, ciphertext, aad []byte) ([]byte, error) {
	return k.Open(ciphertext, aad)
}

package seal

import (
	"bytes"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/envelope"
)

var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// services are the kinds that ask a service, with one that works like it.
var services = map[string]func(*testing.T) (*fake, Config){
	KindAWSKMS: newFakeAWS, KindGCPKMS: newFakeGCP, KindAzureKeyVault: newFakeAzure, KindTransit: newFakeTransit,
}

// secrets must not be in any error.
var secrets = []string{awsSecret, "the-google-token", "the-azure-token", "the-vault-token", "PRIVATE KEY"}

func TestServices(t *testing.T) {
	for name, newService := range services {
		t.Run(name, func(t *testing.T) {
			f, c := newService(t)
			root, err := Create(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			testRoot(t, root, again)
			if f.seen.Load() == 0 {
				t.Error("nobody asked the service")
			}
		})
	}
}

// What a keeper is given goes through to it: no other bytes, no other place.
func TestKeepersBind(t *testing.T) {
	for name, newService := range services {
		t.Run(name, func(t *testing.T) {
			_, c := newService(t)
			root, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			k := root.(*remote).keeper
			made, err := k.encrypt(t.Context(), []byte("a key"), []byte("here"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.decrypt(t.Context(), made, []byte("here")); err != nil || string(got) != "a key" {
				t.Errorf("%q came back, %v", got, err)
			}
			made[len(made)-8] ^= 1
			if _, err := k.decrypt(t.Context(), made, []byte("here")); !errors.Is(err, envelope.ErrOpen) {
				t.Errorf("flipped: %v", err)
			}
			made[len(made)-8] ^= 1
			if _, err := k.decrypt(t.Context(), made, []byte("there")); !errors.Is(err, envelope.ErrOpen) {
				t.Errorf("moved: %v", err)
			}
		})
	}
}

// Whatever a service does but the right thing, the server may ask again, and is
// told what to do.
func TestServicesUnreachable(t *testing.T) {
	hints := map[state]string{refusing: "give this server", disabled: "enable|lower", missing: "seal-key is right|seal-key and seal-mount", away: "reaches", throttling: "again"}
	for name, newService := range services {
		t.Run(name, func(t *testing.T) {
			f, c := newService(t)
			root, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			key, here := envelope.NewKey(), []byte("here")
			blob, err := root.Wrap(t.Context(), &key, here)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range states {
				f.state.Store(s)
				_, wrapping := root.Wrap(t.Context(), &key, here)
				_, unwrapping := root.Unwrap(t.Context(), blob, here)
				for _, err := range []error{wrapping, unwrapping} {
					checkUnreachable(t, string(s), err, hints[s])
				}
			}
			if f.stray.Load() != 0 {
				t.Error("a redirect was followed")
			}
			f.state.Store(state(""))
			if got, err := root.Unwrap(t.Context(), blob, here); err != nil || *got != key {
				t.Errorf("when it is back: %v", err)
			}
			f.Close()
			_, err = root.Unwrap(t.Context(), blob, here)
			checkUnreachable(t, "gone", err, "reaches")
		})
	}
}

func checkUnreachable(t *testing.T, what string, err error, hints string) {
	t.Helper()
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, envelope.ErrOpen) {
		t.Errorf("%s: %v", what, err)
		return
	}
	told := false
	for hint := range strings.SplitSeq(hints, "|") {
		told = told || strings.Contains(err.Error(), hint)
	}
	if !told {
		t.Errorf("%s: it does not say %q: %v", what, hints, err)
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%s: a secret is in %v", what, err)
		}
	}
}

func TestWrongCredentials(t *testing.T) {
	key := envelope.NewKey()
	for name, spoil := range map[string]func(*testing.T, *Config){
		KindAWSKMS: func(t *testing.T, _ *Config) {
			t.Setenv("AWS_SECRET_ACCESS_KEY", "another-secret-access-key-0123456789")
		},
		KindGCPKMS:        func(t *testing.T, _ *Config) { t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json") },
		KindAzureKeyVault: func(t *testing.T, _ *Config) { t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential") },
		KindTransit:       func(_ *testing.T, c *Config) { c.Token = "hvs.another-token" },
	} {
		t.Run(name, func(t *testing.T) {
			_, c := services[name](t)
			spoil(t, &c)
			root, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			_, err = root.Wrap(t.Context(), &key, nil)
			checkUnreachable(t, "wrong credentials", err, "credentials|token")
			for _, s := range []string{"another-secret", "another-token"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("a secret is in %v", err)
				}
			}
		})
	}
}

// A service with a certificate of nobody's is not told anything.
func TestUntrustedService(t *testing.T) {
	for name, newService := range services {
		t.Run(name, func(t *testing.T) {
			f, c := newService(t)
			c.CAFile = ""
			root, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			key := envelope.NewKey()
			_, err = root.Wrap(t.Context(), &key, nil)
			checkUnreachable(t, "untrusted", err, "certificate")
			if f.seen.Load() != 0 {
				t.Error("it was asked")
			}
		})
	}
}

// Vault has a new version of a key after it was rotated; the old one opens what
// it has wrapped.
func TestTransitRotation(t *testing.T) {
	f, c := newFakeTransit(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	blob, err := root.Wrap(t.Context(), &key, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.keys = append(f.keys, envelope.NewSealer(new(envelope.NewKey())))
	if got, err := root.Unwrap(t.Context(), blob, nil); err != nil || *got != key {
		t.Errorf("with the new version: %v", err)
	}
}

// Keys that take no associated data are named as such.
func TestTransitUnfitKey(t *testing.T) {
	f, c := newFakeTransit(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f.state.Store(unfit)
	key := envelope.NewKey()
	_, err = root.Wrap(t.Context(), &key, []byte("here"))
	checkUnreachable(t, "an RSA key", err, "aes256-gcm96")
}

// An agent that renews the token writes it to the file.
func TestTransitTokenFile(t *testing.T) {
	_, c := newFakeTransit(t)
	c.Token, c.TokenFile = "", filepath.Join(t.TempDir(), "token")
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	for _, test := range []struct {
		token string
		mode  os.FileMode
		want  string
	}{
		{"hvs.expired\n", 0o600, "not expired"},
		{"hvs.the-vault-token\n", 0o640, "chmod 600"},
		{"hvs.the-vault-token\nmore\n", 0o600, "one line"},
		{"", 0o600, "one line"},
		{"hvs.the-vault-token\n", 0o600, ""},
	} {
		if err := errors.Join(os.WriteFile(c.TokenFile, []byte(test.token), 0o600), os.Chmod(c.TokenFile, test.mode)); err != nil {
			t.Fatal(err)
		}
		_, err := root.Wrap(t.Context(), &key, nil)
		if test.want == "" && err != nil {
			t.Errorf("the right token: %v", err)
		} else if test.want != "" {
			checkUnreachable(t, test.token, err, test.want)
		}
	}
}

// A blob that says where it was wrapped cannot send this server elsewhere.
func TestAzureVersionOnly(t *testing.T) {
	f, c := newFakeAzure(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	k := root.(*remote).keeper
	for _, version := range []string{"", "..", "../../secrets/x", "1/2", "1?x=y", "1%2f2"} {
		if _, err := k.decrypt(t.Context(), append([]byte(version), 0, 1, 2, 3), nil); !errors.Is(err, envelope.ErrOpen) {
			t.Errorf("version %q: %v", version, err)
		}
	}
	if _, err := k.decrypt(t.Context(), []byte("no version"), nil); !errors.Is(err, envelope.ErrOpen) {
		t.Errorf("without a version: %v", err)
	}
	if f.seen.Load() != 0 {
		t.Error("the vault was asked")
	}
}

// Who knows the public key and no more cannot wrap a key of his own.
func TestAzureForgery(t *testing.T) {
	_, c := newFakeAzure(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	k, aad := root.(*remote).keeper, []byte("here")
	made, err := k.encrypt(t.Context(), []byte("a key"), aad)
	if err != nil {
		t.Fatal(err)
	}
	version, rest, _ := bytes.Cut(made, []byte{0})
	forged, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &testRSA().PublicKey, []byte("a key of mine"), nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := slices.Concat(version, []byte{0}, forged, rest[len(rest)/2:])
	if got, err := k.decrypt(t.Context(), blob, aad); !errors.Is(err, envelope.ErrOpen) || got != nil {
		t.Errorf("a forged key: %v", err)
	}
}

// What comes back changed is seen.
func TestGCPChecksums(t *testing.T) {
	for what, change := range map[string]func(*gcpAnswer){
		"plaintext":    func(a *gcpAnswer) { a.Plaintext[0] ^= 1 },
		"ciphertext":   func(a *gcpAnswer) { a.Ciphertext[0] ^= 1 },
		"not verified": func(a *gcpAnswer) { a.VerifiedPlaintext = false },
	} {
		t.Run(what, func(t *testing.T) {
			made := []byte("made")
			f := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request, _ []byte) {
				if r.URL.Path == "/token" {
					answer(w, 200, map[string]any{"access_token": "ya29.the-google-token", "token_type": "Bearer", "expires_in": 3600})
					return
				}
				a := gcpAnswer{
					Plaintext: make([]byte, 32), PlaintextCRC: crc(make([]byte, 32)), Ciphertext: append([]byte{}, made...), CiphertextCRC: crc(made),
					VerifiedPlaintext: true, VerifiedAssociated: true,
				}
				change(&a)
				answer(w, 200, a)
			})
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", serviceAccount(t, f.URL+"/token"))
			root, err := Open(t.Context(), Config{Kind: KindGCPKMS, Key: gcpKey, Endpoint: f.URL, CAFile: f.ca(t)})
			if err != nil {
				t.Fatal(err)
			}
			k := root.(*remote).keeper
			_, encrypting := k.encrypt(t.Context(), []byte("a key"), nil)
			_, decrypting := k.decrypt(t.Context(), made, nil)
			checkUnreachable(t, what, errors.Join(encrypting, decrypting), "changed")
		})
	}
}

func TestAWSContainer(t *testing.T) {
	for _, test := range []struct{ relative, full, want string }{
		{"/v2/credentials/x", "", "http://169.254.170.2/v2/credentials/x"},
		{"", "http://169.254.170.23/v1/credentials", "http://169.254.170.23/v1/credentials"},
		{"", "https://example.com/c", "https://example.com/c"},
		{"", "http://127.0.0.1:9/c", "http://127.0.0.1:9/c"},
		{"", "http://10.0.0.1/c", "error"},
		{"", "here", "error"},
		{"", "", ""},
	} {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", test.relative)
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", test.full)
		got, err := awsContainer()
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("%q, %q: %s, %v", test.relative, test.full, got, err)
		}
	}
}

// Credentials of a container are got when they are needed.
func TestAWSContainerCredentials(t *testing.T) {
	_, c := newFakeAWS(t)
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "the-pod" {
			answer(w, 401, map[string]string{"message": "no"})
			return
		}
		answer(w, 200, map[string]string{
			"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": awsSecret, "Token": "a-session", "Expiration": "2100-01-01T00:00:00Z",
		})
	}))
	defer agent.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-pod")
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	if _, err := root.Wrap(t.Context(), &key, nil); err != nil {
		t.Error(err)
	}
}

// An account that Google does not know is told from a network that is away.
func TestGCPRefusedAccount(t *testing.T) {
	f, c := newFakeGCP(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 400, map[string]string{"error": "invalid_grant", "error_description": "Invalid JWT Signature.", "echo": "the-google-token"})
	})
	key := envelope.NewKey()
	_, err = root.Wrap(t.Context(), &key, nil)
	checkUnreachable(t, "refused account", err, "give this server")
	if !strings.Contains(err.Error(), "Invalid JWT Signature") {
		t.Errorf("it does not say why: %v", err)
	}
}

// A pod's token becomes a role's credentials, again when they end.
func TestAWSWebIdentity(t *testing.T) {
	_, c := newFakeAWS(t)
	var asked atomic.Int64
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("RoleArn") != "arn:aws:iam::222222222222:role/seal" ||
			r.FormValue("RoleSessionName") == "" || r.FormValue("WebIdentityToken") != "eyJ.the-pods-token" {
			w.WriteHeader(400)
			io.WriteString(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>`+
				`<Code>InvalidIdentityToken</Code><Message>No OpenIDConnect provider found</Message></Error></ErrorResponse>`)
			return
		}
		io.WriteString(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
			`<Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>`+awsSecret+`</SecretAccessKey>`+
			`<SessionToken>a-session</SessionToken><Expiration>`+time.Now().Add(30*time.Second).UTC().Format(time.RFC3339)+`</Expiration>`+
			`</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
	}))
	defer sts.Close()
	file := filepath.Join(t.TempDir(), "token")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::222222222222:role/seal")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	_, err = root.Wrap(t.Context(), &key, nil)
	checkUnreachable(t, "no token", err, "no such file")
	for _, token := range []string{"eyJ.anothers-token", "eyJ.the-pods-token\n", "eyJ.the-pods-token"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := root.Wrap(t.Context(), &key, nil)
		if token != "eyJ.anothers-token" && err != nil {
			t.Errorf("%q: %v", token, err)
		} else if token == "eyJ.anothers-token" {
			checkUnreachable(t, token, err, "credentials that may")
			if strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "No OpenIDConnect provider") {
				t.Error(err)
			}
		}
	}
	if asked.Load() != 3 {
		t.Errorf("STS was asked %d times", asked.Load())
	}
	for _, text := range []string{"", "<a/>", "<html>welcome</html>", "{}", "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult/>"} {
		if got, err := parseAssumed(200, []byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// A credential that Azure's library would end the process for is refused where
// Go allows no SHA-1.
func TestAzureCredentialsOfFIPS(t *testing.T) {
	for _, set := range []map[string]string{
		{"IDENTITY_SERVER_THUMBPRINT": "aa"},
		{"AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_CERTIFICATE_PATH": "cert.pem"},
	} {
		if err := azureAllowed(func(name string) string { return set[name] }); (err != nil) != fips140.Enforced() {
			t.Errorf("%v: %v, with fips140=only: %v", set, err, fips140.Enforced())
		}
	}
	if err := azureAllowed(func(string) string { return "" }); err != nil {
		t.Error(err)
	}
}

package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"azekura/internal/envelope"
)

// KindGCPKMS is a symmetric key in Google Cloud KMS.
const KindGCPKMS = "gcpkms"

const gcpKeyName = `^projects/[A-Za-z0-9.:_-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}$`

const (
	gcpEndpoint = "https://cloudkms.googleapis.com"
	gcpScope    = "https://www.googleapis.com/auth/cloudkms"
)

func checkGCPKMS(c Config) error {
	if !regexp.MustCompile(gcpKeyName).MatchString(c.Key) {
		return fmt.Errorf("seal-key %q: for gcpkms it takes projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY", c.Key)
	}
	if c.Endpoint != "" {
		return checkEndpoint(c.Endpoint)
	}
	return nil
}

// A gcpKMS speaks two methods of
// https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.
type gcpKMS struct {
	key, endpoint string
	client        *http.Client

	mu     sync.Mutex
	tokens oauth2.TokenSource // nil until credentials were found
}

func openGCPKMS(_ context.Context, c Config) (envelope.Root, error) {
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	k := &gcpKMS{key: c.Key, endpoint: c.Endpoint, client: client}
	if k.endpoint == "" {
		k.endpoint = gcpEndpoint
	}
	return &remote{k, KindGCPKMS + ":" + c.Key}, nil
}

// A gcpRequest carries the checksums that let either side see what the network
// has changed: https://cloud.google.com/kms/docs/data-integrity-guidelines.
type gcpRequest struct {
	Plaintext        []byte `json:"plaintext,omitempty"`
	PlaintextCRC     int64  `json:"plaintextCrc32c,omitempty,string"`
	Ciphertext       []byte `json:"ciphertext,omitempty"`
	CiphertextCRC    int64  `json:"ciphertextCrc32c,omitempty,string"`
	AssociatedData   []byte `json:"additionalAuthenticatedData"`
	AssociatedDataCR int64  `json:"additionalAuthenticatedDataCrc32c,string"`
}

type gcpAnswer struct {
	Plaintext          []byte `json:"plaintext"`
	PlaintextCRC       int64  `json:"plaintextCrc32c,string"`
	Ciphertext         []byte `json:"ciphertext"`
	CiphertextCRC      int64  `json:"ciphertextCrc32c,string"`
	VerifiedPlaintext  bool   `json:"verifiedPlaintextCrc32c"`
	VerifiedAssociated bool   `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
}

var errChanged = errors.New("what it got or answered was changed on the way")

func (k *gcpKMS) encrypt(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	var out gcpAnswer
	err := k.call(ctx, "encrypt", gcpRequest{
		Plaintext: plaintext, PlaintextCRC: crc(plaintext), AssociatedData: aad, AssociatedDataCR: crc(aad),
	}, &out)
	if err == nil && (!out.VerifiedPlaintext || !out.VerifiedAssociated || out.CiphertextCRC != crc(out.Ciphertext)) {
		err = k.failed("encrypt", errChanged)
	}
	return out.Ciphertext, err
}

func (k *gcpKMS) decrypt(ctx context.Context, ciphertext, aad []byte) ([]byte, error) {
	var out gcpAnswer
	err := k.call(ctx, "decrypt", gcpRequest{
		Ciphertext: ciphertext, CiphertextCRC: crc(ciphertext), AssociatedData: aad, AssociatedDataCR: crc(aad),
	}, &out)
	if err == nil && out.PlaintextCRC != crc(out.Plaintext) {
		err = k.failed("decrypt", errChanged)
	}
	return out.Plaintext, err
}

func crc(b []byte) int64 { return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) }

func (k *gcpKMS) call(ctx context.Context, method string, in gcpRequest, out *gcpAnswer) error {
	err := ask(ctx, k.client, k.endpoint+"/v1/"+k.key+":"+method, in, out, func(r *http.Request, _ []byte) error {
		token, err := k.token()
		if err != nil {
			return fmt.Errorf("find credentials: %w", err)
		}
		token.SetAuthHeader(r)
		return nil
	}, explainGCP)
	if err != nil {
		return k.failed(method, err)
	}
	return nil
}

// token finds the Application Default Credentials once, and again until there
// are some. A source outlives the call that it is made in.
func (k *gcpKMS) token() (*oauth2.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens == nil {
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, k.client)
		found, err := google.FindDefaultCredentials(ctx, gcpScope)
		if err != nil {
			return nil, err
		}
		k.tokens = found.TokenSource
	}
	token, err := k.tokens.Token()
	if no, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Its text would be the whole answer.
		var answer struct {
			Code    string `json:"error"`
			Message string `json:"error_description"`
		}
		json.Unmarshal(no.Body, &answer) // what is no JSON leaves it empty
		return nil, &refusal{status: no.Response.StatusCode, code: legible(answer.Code), message: legible(answer.Message)}
	}
	return token, err
}

func explainGCP(no *refusal, text []byte) {
	var answer struct {
		Error struct{ Status, Message string }
	}
	if json.Unmarshal(text, &answer) == nil {
		no.code, no.message = answer.Error.Status, answer.Error.Message
	}
}

func (k *gcpKMS) failed(method string, err error) error {
	hint := "see that this server reaches " + k.endpoint + ", and has Application Default Credentials (GOOGLE_APPLICATION_CREDENTIALS)"
	if no, ok := errors.AsType[*refusal](err); ok {
		switch no.code {
		case "INVALID_ARGUMENT":
			// Also the answer to a checksum that does not match, of a request
			// that the network has changed.
			if method == "decrypt" && !strings.Contains(no.message, "hecksum") && !strings.Contains(no.message, "rc32c") {
				return envelope.ErrOpen
			}
			hint = "it is asked again"
		case "FAILED_PRECONDITION":
			hint = "enable the key's version, or restore it if it is to be destroyed (gcloud kms keys versions)"
		case "NOT_FOUND":
			hint = "see whether seal-key is right; nothing opens without that key"
		case "PERMISSION_DENIED", "UNAUTHENTICATED", "invalid_grant", "invalid_client", "unauthorized_client":
			hint = "give this server credentials with the role roles/cloudkms.cryptoKeyEncrypterDecrypter on the key"
		default:
			hint = "it is asked again"
		}
	}
	return unreachable("ask Google Cloud KMS to "+method+" with "+k.key, err, hint)
}

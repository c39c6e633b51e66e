package seal

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"azekura/internal/envelope"
)

// KindAzureKeyVault is an RSA key in Azure Key Vault or Managed HSM.
const KindAzureKeyVault = "azurekeyvault"

// azureKeyPath has no version: each blob says which it takes.
const azureKeyPath = `^/keys/[A-Za-z0-9-]+$`

func isAzureVersion(text string) bool {
	for _, r := range text {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return text != ""
}

const azureVersionOfAPI = "7.4"

func checkAzureKeyVault(c Config) error {
	u, err := url.Parse(c.Key)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !regexp.MustCompile(azureKeyPath).MatchString(u.Path) ||
		u.Scheme != "https" || !strings.Contains(u.Hostname(), ".") {
		return fmt.Errorf("seal-key %q: for azurekeyvault it takes https://VAULT.vault.azure.net/keys/KEY, without a version", c.Key)
	}
	if c.Endpoint != "" {
		return checkEndpoint(c.Endpoint)
	}
	return nil
}

// An azureKey speaks four operations of
// https://learn.microsoft.com/en-us/rest/api/keyvault/keys/operation-groups.
//
// Whoever knows the public half of an RSA key can wrap a key of his own. He who
// can also write to the database would add it to the keyring, read what is sealed
// from then on, and make sessions of everybody. So what was wrapped is also
// signed, with the half that does not leave the vault, and only then unwrapped.
type azureKey struct {
	key      string // its address
	endpoint string // the vault's, where it is asked
	scope    string // of the tokens
	client   *http.Client

	mu     sync.Mutex
	tokens azcore.TokenCredential // nil until asked for
}

func openAzureKeyVault(_ context.Context, c Config) (envelope.Root, error) {
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Key)
	if err != nil {
		return nil, err
	}
	// VAULT.vault.azure.net, HSM.managedhsm.azure.net and those of the other
	// clouds take tokens for the host without its first name.
	_, domain, _ := strings.Cut(u.Hostname(), ".")
	k := &azureKey{key: c.Key, endpoint: c.Endpoint, scope: "https://" + domain + "/.default", client: client}
	if k.endpoint == "" {
		k.endpoint = "https://" + u.Host
	}
	return &remote{k, KindAzureKeyVault + ":" + c.Key}, nil
}

type azureRequest struct {
	Algorithm string    `json:"alg"`
	Digest    azureText `json:"digest,omitempty"`
	Value     azureText `json:"value"`
}

type azureAnswer struct {
	KeyID string    `json:"kid"`
	Value azureText `json:"value"`
}

// azureText is written in base64 for URLs.
type azureText []byte

func (b azureText) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

func (b *azureText) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.AppendDecode(nil, text)
	return err
}

const (
	azureWrapping = "RSA-OAEP-256"
	azureSigning  = "PS256"
)

// encrypt's result is the key's version, a zero byte, what the vault made and
// its signature, which are of one length.
func (k *azureKey) encrypt(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	var wrapped, signed azureAnswer
	if err := k.call(ctx, "", "wrapkey", azureRequest{Algorithm: azureWrapping, Value: plaintext}, &wrapped); err != nil {
		return nil, err
	}
	version, ours := strings.CutPrefix(wrapped.KeyID, k.key+"/")
	if !ours || !isAzureVersion(version) {
		return nil, k.failed("wrapkey", fmt.Errorf("it used the key %q", legible(wrapped.KeyID)))
	}
	digest := azureDigest(version, wrapped.Value, aad)
	if err := k.call(ctx, version, "sign", azureRequest{Algorithm: azureSigning, Value: digest}, &signed); err != nil {
		return nil, err
	}
	if len(signed.Value) != len(wrapped.Value) {
		return nil, k.failed("sign", fmt.Errorf("it answers with a signature of %d bytes", len(signed.Value)))
	}
	return slices.Concat([]byte(version), []byte{0}, wrapped.Value, signed.Value), nil
}

func (k *azureKey) decrypt(ctx context.Context, ciphertext, aad []byte) ([]byte, error) {
	version, rest, found := bytes.Cut(ciphertext, []byte{0})
	if !found || !isAzureVersion(string(version)) || len(rest) == 0 || len(rest)%2 != 0 {
		return nil, envelope.ErrOpen
	}
	wrapped, signature := rest[:len(rest)/2], rest[len(rest)/2:]
	var signed struct{ Value bool }
	in := azureRequest{Algorithm: azureSigning, Digest: azureDigest(string(version), wrapped, aad), Value: signature}
	if err := k.call(ctx, string(version), "verify", in, &signed); err != nil {
		return nil, err
	}
	if !signed.Value {
		return nil, envelope.ErrOpen
	}
	var out azureAnswer
	err := k.call(ctx, string(version), "unwrapkey", azureRequest{Algorithm: azureWrapping, Value: wrapped}, &out)
	return out.Value, err
}

func azureDigest(version string, wrapped, aad []byte) []byte {
	sum := sha256.Sum256(envelope.AAD("seal azurekeyvault", version, string(wrapped), string(aad)))
	return sum[:]
}

func (k *azureKey) call(ctx context.Context, version, operation string, in azureRequest, out any) error {
	name := k.key[strings.LastIndexByte(k.key, '/')+1:]
	// Without a version the path has an empty one, which is the newest.
	address := k.endpoint + "/keys/" + name + "/" + version + "/" + operation + "?api-version=" + azureVersionOfAPI
	err := ask(ctx, k.client, address, in, out, func(r *http.Request, _ []byte) error {
		token, err := k.token(r.Context())
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}, explainAzure)
	if err != nil {
		return k.failed(operation, err)
	}
	return nil
}

// token comes from azidentity's default chain, which keeps it until it ends:
// the environment, a workload's or a managed identity, the Azure CLI.
func (k *azureKey) token(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens == nil {
		if err := azureAllowed(os.Getenv); err != nil {
			return "", err
		}
		found, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: azcore.ClientOptions{Transport: k.client, Retry: policy.RetryOptions{MaxRetries: -1}},
		})
		if err != nil {
			return "", fmt.Errorf("find credentials: %w", err)
		}
		k.tokens = found
	}
	token, err := k.tokens.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{k.scope}})
	if err != nil {
		return "", fmt.Errorf("find credentials: %s", legible(err.Error()))
	}
	return token.Token, nil
}

// azureAllowed refuses the two credentials that Azure's library identifies a
// certificate for by its SHA-1, where that would end the process.
func azureAllowed(getenv func(string) string) error {
	if !fips140.Enforced() {
		return nil
	}
	const instead = "which GODEBUG=fips140=only does not allow: use another credential, or fips140=on"
	switch {
	case getenv("IDENTITY_SERVER_THUMBPRINT") != "":
		return errors.New("find credentials: those of Service Fabric take SHA-1, " + instead)
	case strings.EqualFold(getenv("AZURE_TENANT_ID"), "adfs") && getenv("AZURE_CLIENT_CERTIFICATE_PATH") != "":
		return errors.New("find credentials: a certificate for AD FS takes SHA-1, " + instead)
	}
	return nil
}

func explainAzure(no *refusal, text []byte) {
	var answer struct {
		Error struct {
			Code, Message string
			InnerError    struct{ Code string }
		}
	}
	if json.Unmarshal(text, &answer) == nil {
		no.code, no.message = answer.Error.Code, answer.Error.Message
		if inner := answer.Error.InnerError.Code; inner != "" {
			no.code = inner
		}
	}
}

func (k *azureKey) failed(operation string, err error) error {
	hint := "see that this server reaches " + k.endpoint + ", and has credentials (AZURE_CLIENT_ID and so on, or a managed identity)"
	if no, ok := errors.AsType[*refusal](err); ok {
		switch {
		case no.status == http.StatusBadRequest && (operation == "unwrapkey" || operation == "verify"):
			return envelope.ErrOpen
		case no.code == "KeyDisabled" || no.code == "KeyExpired" || no.code == "KeyNotYetValid":
			hint = "enable the key, and see its dates (az keyvault key set-attributes)"
		case no.status == http.StatusUnauthorized || no.status == http.StatusForbidden:
			hint = "give this server's identity the role Key Vault Crypto User on the key (wrapKey, unwrapKey, sign, verify)"
		case no.status == http.StatusNotFound:
			hint = "see whether seal-key is right, and recover the key if it was deleted; nothing opens without it"
		default:
			hint = "it is asked again"
		}
	}
	return unreachable("ask Azure Key Vault for "+operation+" with "+k.key, err, hint)
}

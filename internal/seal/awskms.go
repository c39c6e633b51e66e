package seal

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"azekura/internal/envelope"
	"azekura/internal/sigv4"
)

// KindAWSKMS is a symmetric key in AWS KMS, or in what speaks its API.
const KindAWSKMS = "awskms"

// parseAWSKey takes an ARN only, which tells the region and is the fingerprint:
// an alias could be pointed to another key, and nothing would open any more.
func parseAWSKey(key string) (partition, region string, ok bool) {
	m := regexp.MustCompile(`^arn:(aws[a-z-]*):kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+$`).FindStringSubmatch(key)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

func checkAWSKMS(c Config) error {
	partition, region, ok := parseAWSKey(c.Key)
	if !ok {
		return fmt.Errorf("seal-key %q: for awskms it takes the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID", c.Key)
	}
	if c.Endpoint != "" {
		return checkEndpoint(c.Endpoint)
	}
	if awsEndpoint("kms", partition, region) == "" {
		return fmt.Errorf("seal-endpoint: name that of KMS in the partition %s", partition)
	}
	return nil
}

// awsEndpoint is empty for partitions whose endpoints are not published:
// https://docs.aws.amazon.com/general/latest/gr/kms.html.
func awsEndpoint(service, partition, region string) string {
	switch partition {
	case "aws", "aws-us-gov":
		return "https://" + service + "." + region + ".amazonaws.com"
	case "aws-cn":
		return "https://" + service + "." + region + ".amazonaws.com.cn"
	}
	return ""
}

// An awsKMS speaks two operations of
// https://docs.aws.amazon.com/kms/latest/APIReference/.
type awsKMS struct {
	key, region, endpoint string
	client                *http.Client
	credentials           aws.CredentialsProvider
}

func openAWSKMS(_ context.Context, c Config) (envelope.Root, error) {
	partition, region, _ := parseAWSKey(c.Key) // Check has seen it
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	endpoint := strings.TrimSuffix(c.Endpoint, "/")
	if endpoint == "" {
		endpoint = awsEndpoint("kms", partition, region)
	}
	credentials, err := awsCredentials(client, partition, region)
	if err != nil {
		return nil, err
	}
	k := &awsKMS{c.Key, region, endpoint, client, credentials}
	return &remote{k, KindAWSKMS + ":" + c.Key}, nil
}

type awsRequest struct {
	KeyID                     string `json:"KeyId"`
	Plaintext, CiphertextBlob []byte `json:",omitempty"`
	EncryptionContext         map[string]string
}

type awsAnswer struct {
	KeyID                     string `json:"KeyId"`
	Plaintext, CiphertextBlob []byte
}

func (k *awsKMS) encrypt(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	out, err := k.call(ctx, "Encrypt", awsRequest{KeyID: k.key, Plaintext: plaintext, EncryptionContext: awsContext(aad)})
	return out.CiphertextBlob, err
}

func (k *awsKMS) decrypt(ctx context.Context, ciphertext, aad []byte) ([]byte, error) {
	out, err := k.call(ctx, "Decrypt", awsRequest{KeyID: k.key, CiphertextBlob: ciphertext, EncryptionContext: awsContext(aad)})
	return out.Plaintext, err
}

// awsContext is a digest, as a context has a limit. AWS logs it.
func awsContext(aad []byte) map[string]string {
	return map[string]string{"azekura": fmt.Sprintf("%x", sha256.Sum256(aad))}
}

func (k *awsKMS) call(ctx context.Context, operation string, in awsRequest) (awsAnswer, error) {
	var out awsAnswer
	err := ask(ctx, k.client, k.endpoint+"/", in, &out, func(r *http.Request, body []byte) error {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "TrentService."+operation)
		return k.sign(r, body)
	}, explainAWS)
	if err == nil && out.KeyID != k.key {
		err = fmt.Errorf("it used the key %q", legible(out.KeyID))
	}
	if err != nil {
		return awsAnswer{}, k.failed(operation, err)
	}
	return out, nil
}

func (k *awsKMS) sign(r *http.Request, body []byte) error {
	credentials, err := k.credentials.Retrieve(r.Context())
	if err != nil {
		return fmt.Errorf("find credentials: %w", err)
	}
	if len(credentials.SecretAccessKey) < 16 {
		return errors.New("the secret access key is too short to be one")
	}
	sigv4.Sign(r, sigv4.Credentials{
		AccessKeyID: credentials.AccessKeyID, Secret: credentials.SecretAccessKey, Token: credentials.SessionToken,
	}, k.region, "kms", sha256.Sum256(body), time.Now())
	return nil
}

func explainAWS(no *refusal, text []byte) {
	var answer struct {
		Type     string `json:"__type"`
		Message  string `json:"message"`
		Message2 string `json:"Message"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return
	}
	no.code = answer.Type[strings.LastIndexByte(answer.Type, '#')+1:]
	no.message = max(answer.Message, answer.Message2)
}

func (k *awsKMS) failed(operation string, err error) error {
	hint := "see that this server reaches " + k.endpoint
	if no, ok := errors.AsType[*refusal](err); ok {
		switch no.code {
		case "InvalidCiphertextException", "IncorrectKeyException":
			return envelope.ErrOpen
		case "DisabledException":
			hint = "enable the key (aws kms enable-key)"
		case "KMSInvalidStateException":
			hint = "see the key's state (aws kms describe-key); if it is to be deleted, cancel that and enable it"
		case "NotFoundException":
			hint = "see whether seal-key is right; nothing opens without that key"
		case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId",
			"ExpiredTokenException", "IncompleteSignature", "MissingAuthenticationTokenException",
			"InvalidIdentityToken", "ExpiredToken", "AccessDenied", "IDPRejectedClaim":
			hint = "give this server credentials that may kms:Encrypt and kms:Decrypt with the key"
		default:
			hint = "it is asked again"
		}
	}
	return unreachable("ask AWS KMS to "+strings.ToLower(operation)+" with "+k.key, err, hint)
}

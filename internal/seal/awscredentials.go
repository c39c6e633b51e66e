package seal

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
)

// awsCredentials are those that AWS's SDKs find on a server, in their order:
// keys in the environment, a web identity (EKS), a container's (ECS, EKS Pod
// Identity, IAM Roles Anywhere), the EC2 instance's. Profiles and single
// sign-on, which are for people, are left out, and STS is asked here: the SDK's
// modules for that would cost each start of each server a millisecond. Nobody is
// asked yet.
//
// See https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html.
func awsCredentials(client *http.Client, partition, region string) (aws.CredentialsProvider, error) {
	static := credentials.NewStaticCredentialsProvider(
		os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN"))
	role, token := os.Getenv("AWS_ROLE_ARN"), os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	container, err := awsContainer()
	if err != nil {
		return nil, err
	}
	switch {
	case static.Value.AccessKeyID != "" && static.Value.SecretAccessKey != "":
		return static, nil
	case role != "" && token != "":
		w := &webIdentity{client, os.Getenv("AWS_ENDPOINT_URL_STS"), role, token, os.Getenv("AWS_ROLE_SESSION_NAME")}
		if w.endpoint == "" {
			w.endpoint = awsEndpoint("sts", partition, region)
		}
		if w.endpoint == "" {
			return nil, fmt.Errorf("AWS_ENDPOINT_URL_STS: name the endpoint of STS in the partition %s", partition)
		}
		return aws.NewCredentialsCache(w, early), nil
	case container != "":
		return aws.NewCredentialsCache(endpointcreds.New(container, func(o *endpointcreds.Options) {
			o.HTTPClient = &http.Client{Timeout: callTimeout}
			o.AuthorizationToken = os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
			if file := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
				o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
					text, err := os.ReadFile(file)
					return string(text), err
				})
			}
		}), early), nil
	}
	return aws.NewCredentialsCache(ec2rolecreds.New(), early), nil
}

// early renews credentials before they end.
func early(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute }

// A webIdentity is a role that is assumed with the token in a file. See
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
type webIdentity struct {
	client                        *http.Client
	endpoint, role, file, session string
}

// Retrieve asks STS. Neither the token nor what it answers is in an error.
func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := os.ReadFile(w.file)
	if err != nil {
		return aws.Credentials{}, err
	}
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {w.role},
		"RoleSessionName": {cmp.Or(w.session, "azekura-seal")}, "WebIdentityToken": {strings.TrimSpace(string(token))},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return aws.Credentials{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.client.Do(r)
	if err != nil {
		return aws.Credentials{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("read the answer of STS: %w", err)
	}
	return parseAssumed(resp.StatusCode, text)
}

func parseAssumed(status int, text []byte) (aws.Credentials, error) {
	var answer struct {
		AccessKeyID  string    `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
		Secret       string    `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
		SessionToken string    `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
		Expiration   time.Time `xml:"AssumeRoleWithWebIdentityResult>Credentials>Expiration"`
		Code         string    `xml:"Error>Code"`
		Message      string    `xml:"Error>Message"`
	}
	err := xml.Unmarshal(text, &answer)
	if status != http.StatusOK {
		return aws.Credentials{}, fmt.Errorf("STS: %w", &refusal{status: status, code: legible(answer.Code), message: legible(answer.Message)})
	}
	if err != nil || answer.AccessKeyID == "" || answer.Secret == "" || answer.Expiration.IsZero() {
		return aws.Credentials{}, errors.New("STS answers 200 without credentials; is that its address?")
	}
	return aws.Credentials{
		AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.Secret, SessionToken: answer.SessionToken,
		CanExpire: true, Expires: answer.Expiration, Source: "web identity",
	}, nil
}

// awsContainer is where a container's credentials are got; empty is nowhere.
// Over plain HTTP they are got from the machine itself only, and from ECS's and
// EKS's own addresses.
func awsContainer() (string, error) {
	if path := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		return "http://169.254.170.2" + path, nil
	}
	full := os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if full == "" {
		return "", nil
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" {
		return "", errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL")
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme == "https", isLoopback(u.Hostname()),
		ip == netip.MustParseAddr("169.254.170.2"), ip == netip.MustParseAddr("169.254.170.23"), ip == netip.MustParseAddr("fd00:ec2::23"):
		return full, nil
	}
	return "", fmt.Errorf("AWS_CONTAINER_CREDENTIALS_FULL_URI names %s over plain HTTP: it takes https", u.Host)
}

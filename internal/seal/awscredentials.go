package seal

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// awsCredentials are those that AWS's SDKs find on a server, in their order:
// keys in the environment, a web identity (EKS), a container's (ECS, EKS Pod
// Identity, IAM Roles Anywhere), the EC2 instance's. Profiles and single
// sign-on, which are for people, are left out: they would cost each start of
// each server half a millisecond. Nobody is asked yet.
//
// See https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html.
func awsCredentials(region string) (aws.CredentialsProvider, error) {
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
		client := sts.New(sts.Options{Region: region})
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, role, stscreds.IdentityTokenFile(token),
			func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = os.Getenv("AWS_ROLE_SESSION_NAME") })), nil
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
		})), nil
	}
	return aws.NewCredentialsCache(ec2rolecreds.New()), nil
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

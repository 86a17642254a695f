package ecr

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Config returns AWS's settings for a profile; "" is the default one. Where nothing else names a region, STS is called
// in region, as boto3 does: for the role of a profile, and for a web identity.
type Config func(ctx context.Context, profile, region string) (aws.Config, error)

// DefaultConfig returns a Config that reads AWS's own environment, files and credential chain. It trusts roots, which
// must not be nil; where AWS_CA_BUNDLE or a profile's ca_bundle names certificates, those and extra (PEM) instead.
func DefaultConfig(roots *x509.CertPool, extra []byte, log *slog.Logger) Config {
	return func(ctx context.Context, profile, region string) (aws.Config, error) {
		trusted := x509.NewCertPool() // the SDK adds those of a bundle
		client := awshttp.NewBuildableClient().WithTimeout(transport.AttemptTimeout).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSClientConfig, t.Proxy = transport.TLS(trusted), proxy
				t.OnProxyConnectResponse = transport.ProxyAnswer
			})
		cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile),
			config.WithDefaultRegion(region),
			config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
				if client, ok := o.Client.(*sts.Client); ok {
					o.Client = sts.New(client.Options(), named)
				}
			}),
			config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
				if client, ok := o.Client.(*sts.Client); ok { // nil when the SDK reads other options
					o.Client = sts.New(client.Options(), named)
				}
			}),
			config.WithHTTPClient(client),
			config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = limited(client) }),
			config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
				log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
			})))
		if err != nil {
			return cfg, failure.Permanent(BadConfig, "load AWS configuration: %w", err)
		}
		if !trusted.Equal(x509.NewCertPool()) {
			trusted.AppendCertsFromPEM(extra)
		} else {
			*trusted = *roots
		}
		cfg.HTTPClient = limited(cfg.HTTPClient)
		return cfg, checkKeys(ctx, cfg.Credentials)
	}
}

// checkKeys conceals keys of the environment or of a profile. It returns an error if they have a character that no key
// has: a line break that was pasted makes every request fail before it is sent.
func checkKeys(ctx context.Context, provider aws.CredentialsProvider) error {
	if !aws.IsCredentialsProvider(provider, credentials.StaticCredentialsProvider{}) {
		return nil
	}
	keys, err := provider.Retrieve(ctx)
	untrusted.Conceal(keys.SecretAccessKey)
	untrusted.Conceal(keys.SessionToken)
	for i, key := range []string{keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken} {
		name := []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}[i]
		if keys.Source != config.CredentialsSourceName {
			name = strings.ToLower(name) + " of the AWS profile"
		}
		if err == nil && strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			err = failure.Permanent(BadKeys, "%s has a blank, a line break or a character beyond ASCII", name)
		}
	}
	return err
}

// limited returns a client whose responses end with an error at transport.MaxResponse bytes: the SDK reads each whole.
// It conceals the tokens that are sent.
func limited(client aws.HTTPClient) smithyhttp.ClientDoFunc {
	return func(req *http.Request) (*http.Response, error) {
		for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Sso_bearer_token", "X-Aws-Ec2-Metadata-Token"} {
			untrusted.Conceal(req.Header.Get(name))
		}
		resp, err := client.Do(req)
		if resp != nil {
			resp.Body = http.MaxBytesReader(nil, resp.Body, transport.MaxResponse)
		}
		return resp, err
	}
}

// named makes a client call the address that is given, as it is: the SDK rejects it together with FIPS or dual-stack,
// and does not read AWS_ENDPOINT_URL where a profile or a web identity needs STS.
func named(o *sts.Options) {
	if env, err := config.NewEnvConfig(); err == nil && o.BaseEndpoint == nil && env.BaseEndpoint != "" {
		o.BaseEndpoint = &env.BaseEndpoint
	}
	if o.BaseEndpoint != nil {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
	}
}

// proxy is http.ProxyFromEnvironment, but for the addresses where AWS issues credentials, which botocore calls
// directly, too: a proxy cannot reach them, and would see the token of a pod.
func proxy(req *http.Request) (*url.URL, error) {
	switch req.URL.Hostname() {
	case "169.254.169.254", "fd00:ec2::254", // instance metadata
		"169.254.170.2",                  // ECS
		"169.254.170.23", "fd00:ec2::23": // EKS Pod Identity
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// once returns a Config that loads each profile once, so that several regions share its credentials.
func once(load Config) Config {
	var loaded sync.Map
	return func(ctx context.Context, profile, region string) (aws.Config, error) {
		first := sync.OnceValues(func() (aws.Config, error) { return load(ctx, profile, region) })
		cfg, _ := loaded.LoadOrStore(profile, first)
		return cfg.(func() (aws.Config, error))()
	}
}

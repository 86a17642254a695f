package ecr

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
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
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Config returns AWS's settings for a profile; "" is the default one. Where nothing else names a region, STS is called
// in region, as boto3 does: for the role of a profile, and for a web identity.
type Config func(ctx context.Context, profile, region string) (aws.Config, error)

// DefaultConfig returns a Config that reads AWS's own environment, files and credential chain. It trusts roots, which
// must not be nil; where AWS_CA_BUNDLE or a profile's ca_bundle names certificates, those and extra (PEM) instead. A
// call is sent only if allow returns nil for its URL, whatever named that.
func DefaultConfig(roots *x509.CertPool, extra []byte, allow func(*url.URL) error, log *slog.Logger) Config {
	return func(ctx context.Context, profile, region string) (aws.Config, error) {
		trusted := x509.NewCertPool() // the SDK adds those of a bundle
		client := awshttp.NewBuildableClient().WithTimeout(transport.AttemptTimeout).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSClientConfig, t.Proxy = transport.TLS(trusted), proxy(allow)
				t.OnProxyConnectResponse, t.IdleConnTimeout = transport.ProxyAnswer, transport.AttemptTimeout
				t.MaxResponseHeaderBytes = transport.MaxHeader
			})
		cfg, err := load(ctx, client, log, profile, region)
		if err != nil {
			return cfg, err
		}
		if !trusted.Equal(x509.NewCertPool()) {
			trusted.AppendCertsFromPEM(extra)
		} else {
			*trusted = *roots
		}
		return cfg, checkKeys(ctx, cfg.Credentials)
	}
}

// load reads AWS's environment and files for a client.
func load(
	ctx context.Context, client *awshttp.BuildableClient, log *slog.Logger, profile, region string,
) (aws.Config, error) {
	env, _ := config.NewEnvConfig() // LoadDefaultConfig returns its error, too
	settings, unread := asBotocore(ctx, cmp.Or(env.SharedConfigFile, config.DefaultSharedConfigFilename()))
	keys, unreadKeys := asBotocore(ctx, cmp.Or(env.SharedCredentialsFile, config.DefaultSharedCredentialsFilename()))
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile),
		config.WithSharedConfigFiles([]string{settings}), config.WithSharedCredentialsFiles([]string{keys}),
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
		config.WithAPIOptions([]func(*middleware.Stack) error{guard}),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { // it has none of these options
			o.HTTPClient, o.APIOptions = client, append(o.APIOptions, guard)
		}),
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
		})))
	return explained(cfg, err, cmp.Or(unread, unreadKeys))
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
		if err == nil && strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			err = failure.Permanent(BadKeys, "%s (or the profile's) has a blank, a line break or the like", name)
		}
	}
	return err
}

// guard makes each response to a client of the SDK end with an error at transport.MaxResponse bytes: the SDK reads it
// whole. It conceals the tokens that are sent, in a header or, of a web identity or SSO, as a long word of the body.
func guard(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("guard", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, _ middleware.Metadata, _ error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			concealTokens(req)
		}
		out, metadata, err := next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		switch {
		case ok && resp.StatusCode == http.StatusSwitchingProtocols: // its body is a connection: no deadline
			return out, metadata, errors.Join(errors.New("it switches protocols"), resp.Body.Close())
		case ok:
			resp.Body = http.MaxBytesReader(nil, resp.Body, transport.MaxResponse)
		}
		return out, metadata, err
	}), middleware.After)
}

func concealTokens(req *smithyhttp.Request) {
	for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Sso_bearer_token", "X-Aws-Ec2-Metadata-Token"} {
		untrusted.Conceal(req.Header.Get(name))
	}
	if auth := req.Header.Get("Authorization"); !strings.HasPrefix(auth, "AWS4-") { // else it is a signature
		untrusted.Conceal(auth)
	}
	if stream := req.GetStream(); stream != nil {
		body, _ := io.ReadAll(stream) // from memory
		_ = req.RewindStream()
		for _, word := range regexp.MustCompile(`[\w.+/=~-]{60,}`).FindAllString(string(body), -1) {
			untrusted.Conceal(word)
		}
	}
}

// named makes a client call AWS_ENDPOINT_URL, which the SDK does not read where a profile or a web identity needs STS.
func named(o *sts.Options) {
	if env, err := config.NewEnvConfig(); err == nil && o.BaseEndpoint == nil && env.BaseEndpoint != "" {
		o.BaseEndpoint = &env.BaseEndpoint
	}
	Source{}.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
}

// proxy returns what a transport asks about each request before it is sent: http.ProxyFromEnvironment, if allow returns
// nil. Not so for the addresses where AWS issues credentials (instance metadata, ECS, EKS Pod Identity), which botocore
// calls directly, too: they know http alone, and a proxy cannot reach them, and would see the token of a pod.
func proxy(allow func(*url.URL) error) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		at, _ := netip.ParseAddr(req.URL.Hostname()) // of a name, it is in no prefix
		if netip.MustParsePrefix("169.254.0.0/16").Contains(at) || netip.MustParsePrefix("fd00:ec2::/32").Contains(at) {
			return nil, nil
		}
		if err := allow(req.URL); err != nil {
			return nil, err
		}
		return http.ProxyFromEnvironment(req)
	}
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

package ecr

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Config returns AWS's settings for a profile; "" is the default one.
type Config func(ctx context.Context, profile string) (aws.Config, error)

// DefaultConfig returns a Config that reads AWS's own environment, files and credential chain. It trusts roots; where
// AWS_CA_BUNDLE or a profile's ca_bundle names certificates, it trusts those and extra (nil: none) instead.
func DefaultConfig(roots, extra *x509.CertPool, log *slog.Logger) Config {
	return func(ctx context.Context, profile string) (aws.Config, error) {
		trusted := roots
		if hasBundle(ctx, profile) { // the SDK adds the bundle to the client's pool
			if trusted = x509.NewCertPool(); extra != nil {
				trusted = extra.Clone()
			}
		}
		cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile),
			config.WithHTTPClient(newClient(trusted)),
			config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
				log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
			})))
		if err != nil {
			return cfg, failure.Permanent(BadConfig, "load AWS configuration: %w", err)
		}
		cfg.HTTPClient = limited(cfg.HTTPClient)
		return cfg, nil
	}
}

// hasBundle reports whether AWS's own settings name certificates. What is wrong with the settings, LoadDefaultConfig
// reports.
func hasBundle(ctx context.Context, profile string) bool {
	env, err := config.NewEnvConfig()
	if err != nil || env.CustomCABundle != "" {
		return err == nil
	}
	profile = cmp.Or(profile, env.SharedConfigProfile, config.DefaultSharedConfigProfile)
	shared, err := config.LoadSharedConfigProfile(ctx, profile, func(o *config.LoadSharedConfigOptions) {
		if env.SharedConfigFile != "" {
			o.ConfigFiles = []string{env.SharedConfigFile}
		}
		if env.SharedCredentialsFile != "" {
			o.CredentialsFiles = []string{env.SharedCredentialsFile}
		}
	})
	return err == nil && shared.CustomCABundle != ""
}

// limited returns a client whose responses end with an error at transport.MaxResponse bytes: the SDK reads each whole.
func limited(client aws.HTTPClient) smithyhttp.ClientDoFunc {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := client.Do(req)
		if resp != nil {
			resp.Body = http.MaxBytesReader(nil, resp.Body, transport.MaxResponse)
		}
		return resp, err
	}
}

func newClient(roots *x509.CertPool) *awshttp.BuildableClient {
	client := awshttp.NewBuildableClient().WithTimeout(transport.AttemptTimeout)
	return client.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig = transport.TLS(roots)
		t.ForceAttemptHTTP2 = false // one request for each connection
	})
}

// once returns a Config that loads each profile once, so that several regions share its credentials.
func once(load Config) Config {
	var mu sync.Mutex
	loaded := map[string]aws.Config{}
	return func(ctx context.Context, profile string) (aws.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		if cfg, found := loaded[profile]; found {
			return cfg, nil
		}
		cfg, err := load(ctx, profile)
		if err == nil {
			loaded[profile] = cfg
		}
		return cfg, err
	}
}

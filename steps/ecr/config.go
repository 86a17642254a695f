package ecr

import (
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
	if extra == nil {
		extra = x509.NewCertPool()
	}
	return func(ctx context.Context, profile string) (aws.Config, error) {
		load := func(client *awshttp.BuildableClient) (aws.Config, error) {
			return config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile), config.WithHTTPClient(client),
				config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
					log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
				})))
		}
		client := newClient(extra.Clone())
		cfg, err := load(client)
		if err == nil && cfg.HTTPClient == aws.HTTPClient(client) { // the SDK would copy it to add certificates
			cfg, err = load(newClient(roots))
		}
		if err != nil {
			return cfg, failure.Permanent(BadConfig, "load AWS configuration: %w", err)
		}
		cfg.HTTPClient = limited(cfg.HTTPClient)
		return cfg, nil
	}
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

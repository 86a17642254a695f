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

// DefaultConfig returns a Config that reads AWS's own environment, files and credential chain. It trusts roots, which
// must not be nil; where AWS_CA_BUNDLE or a profile's ca_bundle names certificates, those and extra (PEM) instead.
func DefaultConfig(roots *x509.CertPool, extra []byte, log *slog.Logger) Config {
	return func(ctx context.Context, profile string) (aws.Config, error) {
		trusted := x509.NewCertPool() // the SDK adds those of a bundle
		client := awshttp.NewBuildableClient().WithTimeout(transport.AttemptTimeout)
		cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile),
			config.WithHTTPClient(client.WithTransportOptions(func(t *http.Transport) {
				t.TLSClientConfig = transport.TLS(trusted)
			})),
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

// once returns a Config that loads each profile once, so that several regions share its credentials.
func once(load Config) Config {
	var loaded sync.Map
	return func(ctx context.Context, profile string) (aws.Config, error) {
		first := sync.OnceValues(func() (aws.Config, error) { return load(ctx, profile) })
		cfg, _ := loaded.LoadOrStore(profile, first)
		return cfg.(func() (aws.Config, error))()
	}
}

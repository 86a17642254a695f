package steps

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/trust"
)

// AWSConfig gives AWS's settings for a profile; "" is the default one.
type AWSConfig func(ctx context.Context, profile string) (aws.Config, error)

// LoadAWS reads AWS's default settings and credential chain, which have an environment and files of their own.
// AWS_CA_BUNDLE, where set, takes the place of the system's certificates (and joins those of --ca-file).
func LoadAWS(roots *trust.Roots, log *slog.Logger) AWSConfig {
	return func(ctx context.Context, profile string) (aws.Config, error) {
		cfg, err := loadAWS(ctx, profile, roots.ConfigForNames(), log)
		if err == nil && hasOwnTrust(cfg) {
			var pool *x509.CertPool
			if pool, err = roots.Pool(); err == nil {
				cfg, err = loadAWS(ctx, profile, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, log)
			}
		}
		if err != nil {
			err = failure.Permanent("look at AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE", "load AWS configuration: %w", err)
		}
		return cfg, err
	}
}

func loadAWS(ctx context.Context, profile string, tlsConfig *tls.Config, log *slog.Logger) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTimeout(attemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig = tlsConfig
		t.ForceAttemptHTTP2 = false // one request a connection
	})
	return config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile), config.WithHTTPClient(client),
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
		})))
}

// hasOwnTrust tells whether AWS's own settings name certificates (AWS_CA_BUNDLE, ca_bundle) or another endpoint, which
// may be an address: then crypto/tls judges certificates itself.
func hasOwnTrust(cfg aws.Config) bool {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	return !ok || client.GetTransport().TLSClientConfig.RootCAs != nil || ecr.NewFromConfig(cfg).Options().BaseEndpoint != nil
}

// identities loads each AWS identity once, however many regions ask for it at the same time.
type identities struct {
	load   AWSConfig
	mu     sync.Mutex
	loaded map[AWSIdentity]func() (aws.Config, error)
}

// config gives the settings of source: its identity's, in its region. A role is assumed at the STS of that region.
func (ids *identities) config(ctx context.Context, source TokenSource) (aws.Config, error) {
	ids.mu.Lock()
	once, found := ids.loaded[source.AWSIdentity]
	if !found {
		once = sync.OnceValues(func() (aws.Config, error) { return ids.assume(ctx, source) })
		ids.loaded[source.AWSIdentity] = once
	}
	ids.mu.Unlock()
	cfg, err := once()
	cfg.Region = source.Region
	return cfg, err
}

func (ids *identities) assume(ctx context.Context, source TokenSource) (aws.Config, error) {
	cfg, err := ids.load(ctx, source.Profile)
	if err != nil || source.RoleARN == "" {
		return cfg, err
	}
	cfg.Region = source.Region
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), source.RoleARN,
		func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(source.RoleSessionName, "ecr-refresh")
			if source.ExternalID != "" {
				o.ExternalID = &source.ExternalID
			}
		}))
	return cfg, nil
}

// WhoAmI gives the ARN of the identity that source asks as: STS GetCallerIdentity, which needs no permission.
func WhoAmI(ctx context.Context, load AWSConfig, source TokenSource) (string, error) {
	ids := &identities{load: load, loaded: map[AWSIdentity]func() (aws.Config, error){}}
	cfg, err := ids.config(ctx, source)
	if err != nil {
		return "", err
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", ecrError("STS", err)
	}
	return aws.ToString(out.Arn), nil
}

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
			if pool, err = ownTrust(cfg, roots); err == nil {
				cfg, err = loadAWS(ctx, profile, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, log)
			}
		}
		if err != nil {
			return cfg, failure.Permanent("look at AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE", "load AWS configuration: %w", err)
		}
		cfg.HTTPClient = bounded{cfg.HTTPClient}
		return cfg, nil
	}
}

// mostAnswer bounds what is read of one answer of AWS. A token takes 3 KiB.
const mostAnswer = 1 << 20

// bounded is a client whose answers end with an error at mostAnswer bytes: the SDK reads each whole.
type bounded struct{ aws.HTTPClient }

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.HTTPClient.Do(req)
	if resp != nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, mostAnswer)
	}
	return resp, err
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
	return hasBundle(cfg) || ecr.NewFromConfig(cfg).Options().BaseEndpoint != nil
}

func hasBundle(cfg aws.Config) bool {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	return !ok || client.GetTransport().TLSClientConfig.RootCAs != nil
}

// ownTrust gives the certificates to which the SDK adds those of AWS_CA_BUNDLE, where it is set.
func ownTrust(cfg aws.Config, roots *trust.Roots) (*x509.CertPool, error) {
	if hasBundle(cfg) {
		return roots.Extra(), nil
	}
	return roots.Pool()
}

// identities loads each profile once, however many regions ask for it at the same time.
type identities struct {
	load   AWSConfig
	mu     sync.Mutex
	loaded map[string]func() (aws.Config, error) // by profile
}

func newIdentities(load AWSConfig) *identities {
	return &identities{load: load, loaded: map[string]func() (aws.Config, error){}}
}

// config gives the settings of source: its identity's, in its region. A role is assumed at the STS of that region, so
// that a region which fails stops no other.
func (ids *identities) config(ctx context.Context, source TokenSource) (aws.Config, error) {
	ids.mu.Lock()
	once, found := ids.loaded[source.Profile]
	if !found {
		once = sync.OnceValues(func() (aws.Config, error) { return ids.load(ctx, source.Profile) })
		ids.loaded[source.Profile] = once
	}
	ids.mu.Unlock()
	cfg, err := once()
	cfg.Region = source.Region
	if err != nil || source.RoleARN == "" {
		return cfg, err
	}
	return source.assume(cfg), nil
}

func (s TokenSource) assume(cfg aws.Config) aws.Config {
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(s.sts(cfg), s.RoleARN,
		func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(s.RoleSessionName, "ecr-refresh")
			if s.ExternalID != "" {
				o.ExternalID = &s.ExternalID
			}
		}))
	return cfg
}

func (s TokenSource) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		if s.STS != "" {
			o.BaseEndpoint = &s.STS
		}
	})
}

// WhoAmI gives the ARN of the identity that source asks as: STS GetCallerIdentity, which needs no permission.
func WhoAmI(ctx context.Context, load AWSConfig, source TokenSource) (string, error) {
	cfg, err := newIdentities(load).config(ctx, source)
	if err != nil {
		return "", err
	}
	out, err := source.sts(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", ecrError("STS", err)
	}
	return aws.ToString(out.Arn), nil
}

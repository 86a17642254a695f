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
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Config gives AWS's settings for a profile; "" is the default one.
type Config func(ctx context.Context, profile string) (aws.Config, error)

// DefaultConfig reads AWS's default settings and credential chain, which have an environment and files of their own. It
// trusts roots; where AWS_CA_BUNDLE or a profile's ca_bundle names certificates, those and extra (nil: none) instead.
func DefaultConfig(roots, extra *x509.CertPool, log *slog.Logger) Config {
	return func(ctx context.Context, profile string) (aws.Config, error) {
		trusted := roots
		if hasBundle(ctx, profile) {
			if trusted = nil; extra != nil {
				trusted = extra.Clone()
			}
		}
		client := awshttp.NewBuildableClient().WithTimeout(transport.AttemptTimeout).WithTransportOptions(func(t *http.Transport) {
			t.TLSClientConfig = transport.TLS(trusted)
			t.ForceAttemptHTTP2 = false // one request a connection
		})
		cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile), config.WithHTTPClient(client),
			config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
				log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
			})))
		if err != nil {
			return cfg, failure.Permanent("look at AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE", "load AWS configuration: %w", err)
		}
		cfg.HTTPClient = limited{cfg.HTTPClient}
		return cfg, nil
	}
}

// hasBundle reports whether AWS's own settings name certificates. What is wrong with them, LoadDefaultConfig reports.
func hasBundle(ctx context.Context, profile string) bool {
	env, err := config.NewEnvConfig()
	if err != nil || env.CustomCABundle != "" {
		return err == nil
	}
	shared, err := config.LoadSharedConfigProfile(ctx, cmp.Or(profile, env.SharedConfigProfile, config.DefaultSharedConfigProfile),
		func(o *config.LoadSharedConfigOptions) {
			if env.SharedConfigFile != "" {
				o.ConfigFiles = []string{env.SharedConfigFile}
			}
			if env.SharedCredentialsFile != "" {
				o.CredentialsFiles = []string{env.SharedCredentialsFile}
			}
		})
	return err == nil && shared.CustomCABundle != ""
}

// limited is a client whose responses end with an error at transport.MaxResponse bytes: the SDK reads each whole.
type limited struct{ aws.HTTPClient }

func (l limited) Do(req *http.Request) (*http.Response, error) {
	resp, err := l.HTTPClient.Do(req)
	if resp != nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, transport.MaxResponse)
	}
	return resp, err
}

// identities loads each profile once, however many regions ask for it at the same time.
type identities struct {
	load   Config
	mu     sync.Mutex
	loaded map[string]func() (aws.Config, error) // by profile
}

func newIdentities(load Config) *identities {
	return &identities{load: load, loaded: map[string]func() (aws.Config, error){}}
}

// config gives the settings of source: its identity's, in its region. A role is assumed at the STS of that region, so
// that a region which fails stops no other.
func (ids *identities) config(ctx context.Context, source Source) (aws.Config, error) {
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

func (s Source) assume(cfg aws.Config) aws.Config {
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(s.sts(cfg), s.RoleARN,
		func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(s.RoleSessionName, "ecr-refresh")
			if s.ExternalID != "" {
				o.ExternalID = &s.ExternalID
			}
		}))
	return cfg
}

func (s Source) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		if s.STS != "" {
			o.BaseEndpoint = &s.STS
		}
	})
}

// WhoAmI gives the ARN of the identity that source asks as: STS GetCallerIdentity, which needs no permission.
func WhoAmI(ctx context.Context, load Config, source Source) (string, error) {
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

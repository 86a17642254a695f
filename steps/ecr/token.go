// Package ecr gets authorization tokens from Amazon ECR and ECR Public: AWS configuration and credentials, endpoints,
// the names of registry hosts, and what an error of AWS means.
package ecr

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// maxPassword bounds a token. ECR's have about 2,400 characters, and nothing promises that they stay so.
const maxPassword = 8 << 10

// Source is what decides which token ECR returns. A token is valid for the registries of a region, in each account that
// its identity may use.
type Source struct {
	Identity
	Service   string // Private or Public
	Region    string
	Endpoint  string // https://HOST of ECR's API, in place of the SDK's own; FIPS and DualStack have no effect then
	Suffix    string // of the endpoints of a partition that the SDK does not know
	FIPS      bool   // call the FIPS endpoint
	DualStack bool   // call the endpoint that also has IPv6
}

// Identity is who requests a token. The zero value is what AWS's default credential chain finds.
type Identity struct {
	Profile         string `json:"profile,omitempty"`           // of ~/.aws/config
	RoleARN         string `json:"role_arn,omitempty"`          // to assume
	ExternalID      string `json:"external_id,omitempty"`       // that the role's trust policy requires
	RoleSessionName string `json:"role_session_name,omitempty"` // as CloudTrail shows it; "": ecr-refresh
}

// config returns the AWS settings of the identity. A role is assumed at the STS of its region: no other one must work.
func (s Source) config(ctx context.Context, load Config) (aws.Config, error) {
	cfg, err := load(ctx, s.Profile, s.Region)
	cfg.Region = s.Region
	if err != nil || s.RoleARN == "" {
		return cfg, err
	}
	assume := stscreds.NewAssumeRoleProvider(s.sts(cfg), s.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cmp.Or(s.RoleSessionName, "ecr-refresh")
		if s.ExternalID != "" {
			o.ExternalID = &s.ExternalID
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(assume)
	return cfg, nil
}

func (s Source) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		if s.Suffix != "" {
			o.BaseEndpoint = aws.String("https://sts." + s.Region + "." + s.Suffix)
		}
		named(o)
	})
}

// GetToken returns the token of a source, without RegistryURL and IssuedAt. (An interface would link the whole API.)
type GetToken func(ctx context.Context, source Source) (secret.Token, error)

// New returns a GetToken that calls ECR with the settings that load returns.
func New(load Config) GetToken {
	load = once(load)
	return func(ctx context.Context, source Source) (secret.Token, error) {
		cfg, err := source.config(ctx, load)
		if err != nil {
			return secret.Token{}, err
		}
		token, expires, err := source.request(ctx, cfg)
		if err != nil {
			return secret.Token{}, classify(err)
		}
		return decode(token, expires)
	}
}

// decode reads what ECR returned: base64 of "AWS:password", and an expiry.
func decode(token *string, expires *time.Time) (secret.Token, error) {
	clear, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	user, password, _ := strings.Cut(string(clear), ":")
	usable := regexp.MustCompile(`^[!-~]+$`).MatchString(password) && len(password) <= maxPassword
	if err != nil || user != "AWS" || !usable || expires == nil {
		return secret.Token{}, failure.Transient(NotAWS, "ECR's answer has no token that can be used")
	}
	info := secret.TokenInfo{Username: user, ExpiresAt: expires.UTC().Truncate(time.Second)}
	return secret.Token{TokenInfo: info, Password: secret.New(password)}, nil
}

// request calls GetAuthorizationToken of Amazon ECR or of ECR Public. The token is nil unless there is exactly one.
func (s Source) request(ctx context.Context, cfg aws.Config) (token *string, expires *time.Time, err error) {
	if s.Service == Public {
		out, err := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
			s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
		}).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
		if err != nil || out.AuthorizationData == nil {
			return nil, nil, err
		}
		return out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, nil
	}
	out, err := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	}).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil || len(out.AuthorizationData) != 1 {
		return nil, nil, err
	}
	return out.AuthorizationData[0].AuthorizationToken, out.AuthorizationData[0].ExpiresAt, nil
}

// endpoint changes the SDK's own settings. An address that is given, by the source or by AWS_ENDPOINT_URL, is called as
// it is: the SDK rejects it together with FIPS or dual-stack.
func (s Source) endpoint(base **string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState) {
	if s.Endpoint != "" {
		*base = &s.Endpoint
	} else if s.Suffix != "" {
		*base = aws.String("https://api.ecr" + ifFIPS(s.FIPS) + "." + s.Region + "." + s.Suffix)
	}
	if *base != nil {
		*fips, *dualStack = aws.FIPSEndpointStateDisabled, aws.DualStackEndpointStateDisabled
		return
	}
	if s.FIPS {
		*fips = aws.FIPSEndpointStateEnabled
	}
	if s.DualStack {
		*dualStack = aws.DualStackEndpointStateEnabled
	}
}

// WhoAmI returns the ARN of the identity of source: STS GetCallerIdentity, which needs no permission.
func WhoAmI(ctx context.Context, load Config, source Source) (string, error) {
	cfg, err := source.config(ctx, load)
	if err != nil {
		return "", err
	}
	out, err := source.sts(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", classify(err)
	}
	return aws.ToString(out.Arn), nil
}

// EndpointURL returns the URL that the token is requested from. It sends nothing.
func (s Source) EndpointURL(ctx context.Context, cfg aws.Config) (string, error) {
	var endpoint *url.URL
	cfg.Region = s.Region
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
	cfg.HTTPClient = smithyhttp.ClientDoFunc(func(req *http.Request) (*http.Response, error) {
		if endpoint = req.URL; endpoint.Scheme != "https" && endpoint.Scheme != "http" {
			endpoint = nil
		}
		return nil, errors.New("unsupported protocol scheme") // as net/http does
	})
	if _, _, err := s.request(ctx, cfg); endpoint == nil {
		return "", classify(err)
	}
	return strings.TrimSuffix(endpoint.String(), "/"), nil
}

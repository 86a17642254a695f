package ecr

import (
	"context"
	"ecr-refresh/steps/failure"

	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
)

// endpoint turns the SDK's own settings. Where an address is given, by the source or by AWS_ENDPOINT_URL, it is called as
// it stands: the SDK refuses to make a FIPS or dual-stack endpoint of it.
func (s Source) endpoint(base **string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState) {
	if s.Endpoint != "" {
		*base = &s.Endpoint
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

// EndpointURL gives where the token is asked for. It sends nothing.
func (s Source) EndpointURL(ctx context.Context, cfg aws.Config) (string, error) {
	cfg.Region = s.Region
	if s.Service == Public {
		o := ecrpublic.NewFromConfig(cfg).Options()
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
		return endpointURL(ecrpublic.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecrpublic.EndpointParameters{
			Region: &s.Region, Endpoint: o.BaseEndpoint,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		}))
	}
	o := ecr.NewFromConfig(cfg).Options()
	s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	return endpointURL(ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &s.Region, Endpoint: o.BaseEndpoint,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	}))
}

func endpointURL(endpoint smithyendpoints.Endpoint, err error) (string, error) {
	if err != nil {
		return "", failure.Permanent("look at fips, dual_stack and the region", "find ECR's endpoint: %w", err)
	}
	return endpoint.URI.String(), nil
}

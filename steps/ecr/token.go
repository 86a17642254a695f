// Package ecr gets authorization tokens of Amazon ECR and ECR Public: AWS configuration and credentials, endpoints, the
// names of registry hosts, and what an error of AWS means.
package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// maxPassword bounds a token. ECR's have about 2,400 characters, and nothing promises that they stay so.
const maxPassword = 8 << 10

// tokenUser is the user name in every ECR authorization token.
const tokenUser = "AWS"

// GetToken returns the token of a source: GetAuthorizationToken of Amazon ECR's API or of ECR Public's. The token's RegistryURL
// is what ECR named, its own account's ("" from ECR Public), and IssuedAt is the caller's to set. (As an interface of the
// SDK's client it would make the linker keep every call of the API.)
type GetToken func(ctx context.Context, source Source) (secret.Token, error)

// New makes the call out of AWS's settings.
func New(load Config) GetToken {
	ids := newIdentities(load)
	return func(ctx context.Context, source Source) (secret.Token, error) {
		cfg, err := ids.config(ctx, source)
		if err != nil {
			return secret.Token{}, err
		}
		data, err := source.ask(ctx, cfg)
		if err != nil {
			return secret.Token{}, ecrError("ECR", err)
		}
		t, err := decodeToken(data)
		if err != nil {
			return secret.Token{}, failure.Transient(hintECR, "ECR's token cannot be used: %w", err)
		}
		return t, nil
	}
}

func (s Source) ask(ctx context.Context, cfg aws.Config) (types.AuthorizationData, error) {
	if s.Service == Public {
		return s.askPublic(ctx, cfg)
	}
	out, err := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	}).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return types.AuthorizationData{}, err
	}
	if len(out.AuthorizationData) != 1 {
		return types.AuthorizationData{}, failure.Transient(hintECR, "ECR answered with %d tokens, not one", len(out.AuthorizationData))
	}
	return out.AuthorizationData[0], nil
}

func (s Source) askPublic(ctx context.Context, cfg aws.Config) (types.AuthorizationData, error) {
	out, err := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	}).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return types.AuthorizationData{}, err
	}
	if out.AuthorizationData == nil {
		return types.AuthorizationData{}, failure.Transient(hintECR, "ECR Public answered without a token")
	}
	return types.AuthorizationData{AuthorizationToken: out.AuthorizationData.AuthorizationToken, ExpiresAt: out.AuthorizationData.ExpiresAt}, nil
}

// decodeToken takes apart what ECR answered: base64 of "user:password", an endpoint and an expiry.
func decodeToken(data types.AuthorizationData) (secret.Token, error) {
	clear, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	if err != nil {
		return secret.Token{}, errors.New("it is not base64")
	}
	user, password, _ := strings.Cut(string(clear), ":")
	switch {
	case user != tokenUser:
		return secret.Token{}, fmt.Errorf("its user is %.20q, not %q", user, tokenUser)
	case password == "" || len(password) > maxPassword:
		return secret.Token{}, fmt.Errorf("its password has %d characters, not 1 to %d", len(password), maxPassword)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' }):
		return secret.Token{}, errors.New("its password holds blanks or characters beyond ASCII")
	case data.ExpiresAt == nil:
		return secret.Token{}, errors.New("it has no expiry")
	}
	return secret.Token{
		RegistryURL: aws.ToString(data.ProxyEndpoint),
		Username:    user,
		Password:    secret.New(password),
		ExpiresAt:   data.ExpiresAt.UTC().Truncate(time.Second),
	}, nil
}

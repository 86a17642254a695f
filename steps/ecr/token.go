// Package ecr gets authorization tokens from Amazon ECR and ECR Public: AWS configuration and credentials, endpoints,
// the names of registry hosts, and what an error of AWS means.
package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// maxPassword bounds a token. ECR's have about 2,400 characters, and nothing promises that they stay so.
const maxPassword = 8 << 10

// tokenUser is the user name in every ECR authorization token.
const tokenUser = "AWS"

// GetToken returns the token of a source, without RegistryURL and IssuedAt. (As an interface of the SDK's client it
// would make the linker keep every call of the API.)
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
		decoded, err := decode(token, expires)
		if err != nil {
			return secret.Token{}, failure.Transient(NotAWS, "ECR's token cannot be used: %w", err)
		}
		return decoded, nil
	}
}

// decode reads what ECR returned: base64 of "user:password", and an expiry.
func decode(token *string, expires *time.Time) (secret.Token, error) {
	clear, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	user, password, _ := strings.Cut(string(clear), ":")
	switch {
	case token == nil:
		return secret.Token{}, errors.New("the response does not hold exactly one")
	case err != nil:
		return secret.Token{}, errors.New("it is not base64")
	case user != tokenUser:
		return secret.Token{}, fmt.Errorf("its user is %.20q, not %q", user, tokenUser)
	case password == "" || len(password) > maxPassword:
		return secret.Token{}, fmt.Errorf("its password has %d characters, not 1 to %d", len(password), maxPassword)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' }):
		return secret.Token{}, errors.New("its password holds blanks or characters beyond ASCII")
	case expires == nil:
		return secret.Token{}, errors.New("it has no expiry")
	}
	expiry := expires.UTC().Truncate(time.Second)
	info := secret.TokenInfo{Username: user, ExpiresAt: expiry}
	return secret.Token{TokenInfo: info, Password: secret.New(password)}, nil
}

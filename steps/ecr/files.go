package ecr

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"

	"ecr-refresh/steps/failure"
)

// explained returns the error of loading AWS's configuration as one of a file that could not be read, if there is any.
// That matters, too, where the SDK's last resort fails, the instance metadata service.
func explained(cfg aws.Config, err, unread error) (aws.Config, error) {
	failed := func(err error) error { return failure.Permanent(BadConfig, "load AWS configuration: %w", err) }
	found := cfg.Credentials
	switch {
	case errors.As(err, new(config.AssumeRoleTokenProviderNotSetError)):
		return cfg, failed(errors.New("its profile asks for an MFA code (mfa_serial), which nobody enters here"))
	case errors.As(err, new(*url.Error)): // which repeats the URL, and that may hold a password
		return cfg, failed(errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL"))
	case err != nil:
		return cfg, failed(cmp.Or(unread, err))
	case unread != nil && aws.IsCredentialsProvider(found, (*ec2rolecreds.Provider)(nil)):
		cfg.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			keys, err := found.Retrieve(ctx)
			if err != nil {
				err = failed(unread)
			}
			return keys, err
		})
	}
	return cfg, nil
}

// asBotocore returns path, or a pipe with what it holds until ctx ends: retry_mode legacy, which the SDK does not know,
// is standard there. The error is why nothing of the file is used, which the SDK does not report.
func asBotocore(ctx context.Context, path string) (name string, unread error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return path, nil // it may be such that it can be read once
	}
	text, err := os.ReadFile(path) // #nosec G304 -- AWS's own setting
	legacy := regexp.MustCompile(`(?m)^(\s*(?i:retry_mode)\s*[=:]\s*)legacy\s*$`)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return path, err
	case bytes.HasPrefix(text, []byte("\ufeff")):
		return path, fmt.Errorf("%s begins with a byte order mark (BOM)", path)
	case !legacy.Match(text):
		return path, nil
	}
	out, in, err := os.Pipe()
	if err == nil {
		context.AfterFunc(ctx, func() { _ = out.Close() })
		go func() { _, _ = in.Write(legacy.ReplaceAll(text, []byte("${1}standard"))); _ = in.Close() }()
		path = fmt.Sprintf("/dev/fd/%d", out.Fd())
	}
	return path, err
}

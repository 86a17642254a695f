// Package registry asks a Docker registry whether it accepts a login.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
)

// Kinds of failure at a registry. The fact Object is its host.
const (
	WrongRegion failure.Kind = "registry of another region" // or an altered token
	Rejected    failure.Kind = "login rejected by registry"
	Unavailable failure.Kind = "registry unavailable"
	NotRegistry failure.Kind = "not a registry"
)

// ErrRejected is the cause where a registry rejects a login, and not where it is unavailable.
var ErrRejected = errors.New("login rejected")

// Client asks Docker registries whether they accept a login.
type Client struct{ http *retryablehttp.Client }

// New returns a Client on transport. It retries once: after a failed connection, 429 and 5xx.
func New(rt http.RoundTripper) *Client {
	return &Client{&retryablehttp.Client{
		HTTPClient: &http.Client{
			Timeout: transport.AttemptTimeout, Transport: rt, CheckRedirect: transport.NoRedirect,
		},
		RetryMax:     1,
		RetryWaitMin: 500 * time.Millisecond,
		Backoff:      func(wait, _ time.Duration, _ int, _ *http.Response) time.Duration { return wait },
		CheckRetry:   retryablehttp.DefaultRetryPolicy,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}}
}

// Check returns nil only if /v2/ of registryURL, https://HOST, answers 200 to Basic authentication, as Docker tests it.
func (c *Client) Check(ctx context.Context, registryURL, username string, password secret.Secret) error {
	host := Host(registryURL)
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, registryURL, nil)
	if err != nil || req.URL.Scheme != "https" || req.URL.Host == "" {
		err = failure.Permanent(NotRegistry, "%.80q is not https://HOST", registryURL).About(host)
	} else {
		req.URL = &url.URL{Scheme: "https", Host: req.URL.Host, Path: "/v2/"}
		req.SetBasicAuth(username, password.Reveal())
		err = c.send(req)
	}
	if err != nil {
		return fmt.Errorf("check token at registry %s: %w", host, err)
	}
	return nil
}

func (c *Client) send(req *retryablehttp.Request) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return failure.Network(req.URL.Host, err)
	}
	defer resp.Body.Close()
	return failure.With(statusError(resp), failure.Facts{Object: req.URL.Host})
}

// statusError reads the status alone: a registry's body may be HTML, plain text or JSON, and repeats its input.
func statusError(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusBadRequest:
		return failure.Transient(WrongRegion, "it answered 400: %w", ErrRejected)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return failure.Transient(Rejected, "it answered %d: %w", code, ErrRejected)
	case code >= 300 && code < 400:
		return failure.Permanent(NotRegistry, "it answered %d, a redirect to %q", code, transport.RedirectHost(resp))
	case transport.IsTransient(code):
		return failure.Transient(Unavailable, "it answered %d", code)
	default:
		return failure.Permanent(NotRegistry, "it answered %d", code)
	}
}

// IsIn reports whether text holds a host's name, and not as a part of a longer name.
func IsIn(text, host string) bool {
	const around = `(^|[^a-z0-9.-])%s([^a-z0-9.-]|$)`
	return regexp.MustCompile(fmt.Sprintf(around, regexp.QuoteMeta(host))).MatchString(strings.ToLower(text))
}

// Host returns the host of a registry's URL, or of a host with neither scheme nor path, in lower case and without port.
func Host(registry string) string {
	if !strings.Contains(registry, "://") {
		registry = "https://" + registry
	}
	u, err := url.Parse(registry)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// Package transport holds what every HTTP client of the steps shares: its limits, its TLS and its rule for redirects.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/untrusted"
)

const (
	// AttemptTimeout bounds one attempt of one call to ECR or a registry.
	AttemptTimeout = 10 * time.Second
	// MaxResponse bounds what is read of one response, in bytes. A token takes 3 KiB.
	MaxResponse = 1 << 20
	// MaxHeader bounds the header of one response, in bytes.
	MaxHeader = 64 << 10
)

// New returns a transport that trusts roots (nil: the system's certificates) and uses HTTPS_PROXY and NO_PROXY.
func New(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, OnProxyConnectResponse: ProxyAnswer, TLSClientConfig: TLS(roots),
		IdleConnTimeout: AttemptTimeout, MaxResponseHeaderBytes: MaxHeader,
	}
}

// ProxyAnswer is an OnProxyConnectResponse of http.Transport: its error names a proxy that does not connect.
func ProxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	code := resp.StatusCode
	if code == http.StatusOK {
		return nil
	}
	err := failure.Permanent(failure.Proxy, "the proxy %s answered %d %s", proxy.Host, code, http.StatusText(code))
	if err.Transient = IsTransient(code); code == http.StatusProxyAuthRequired {
		err.Kind = failure.ProxyAuth
	}
	return err.About(proxy.Host)
}

// TLS returns the configuration of a TLS client that trusts roots (nil: the system's certificates).
func TLS(roots *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}

// IsTransient reports whether another attempt may succeed after an answer of this status.
func IsTransient(status int) bool {
	return status >= 500 || slices.Contains([]int{408, 423, 425, 429}, status)
}

// NoRedirect, as an http.Client's CheckRedirect, follows no redirect: it would send a password to another host.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RedirectHost returns the host that a redirect leads to, with its scheme, or "". Its path and query may hold anything.
func RedirectHost(resp *http.Response) untrusted.Text {
	to, err := resp.Location()
	if err != nil {
		return untrusted.Text{}
	}
	return untrusted.New(to.Scheme + "://" + to.Host)
}

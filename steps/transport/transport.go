// Package transport holds what every HTTP client of the steps shares: its limits, its TLS and its rule for redirects.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

const (
	// AttemptTimeout bounds one attempt of one call to ECR or a registry.
	AttemptTimeout = 10 * time.Second
	// MaxResponse bounds what is read of one response, in bytes. A token takes 3 KiB.
	MaxResponse = 1 << 20
)

// New returns a transport that trusts roots (nil: the system's certificates) and uses HTTPS_PROXY and NO_PROXY.
func New(roots *x509.CertPool) *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: TLS(roots)}
}

// TLS returns the configuration of a TLS client that trusts roots (nil: the system's certificates).
func TLS(roots *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}

// IsTransient reports whether another attempt may succeed after an answer of this status.
func IsTransient(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

// NoRedirect, as an http.Client's CheckRedirect, follows no redirect: it would send a password to another host.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RedirectHost returns the host that a redirect leads to, or "". Its path and query may hold anything, even a secret.
func RedirectHost(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil {
		return ""
	}
	return to.Host
}

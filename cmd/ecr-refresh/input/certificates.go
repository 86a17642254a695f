package input

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
)

// Certificates are what servers are verified with: All of them, and Extra, those of --ca-file alone (PEM), which stay
// where AWS_CA_BUNDLE replaces the system's.
type Certificates struct {
	All   *x509.CertPool
	Extra []byte
}

// Certificates reads the system's certificates and those of --ca-file.
func (r *Reader) Certificates() (roots Certificates) {
	r.checkProxies()
	for _, name := range []string{"SSL_CERT_FILE", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		if !r.checkFile(name, os.Getenv(name)) {
			return roots
		}
	}
	var err error
	if roots.All, err = systemCertificates(); err != nil {
		r.Fault(failure.Permanent(NoFile, "read the system's certificates (SSL_CERT_FILE): %w", err))
		return roots
	}
	roots.Extra = r.CAFile()
	roots.All.AppendCertsFromPEM(roots.Extra)
	return roots
}

func proxies() []string { return []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} }

// checkFile reports a file of the environment that others read whole, and without --timeout: a pipe, but that of a
// shell's <(…), a device, or one that is too long. It returns false then.
func (r *Reader) checkFile(source, path string) bool {
	const endless = os.ModeNamedPipe | os.ModeDevice
	info, err := os.Stat(path) // #nosec G703 -- a setting of the user
	if err != nil || path == os.DevNull || strings.HasPrefix(path, "/dev/fd/") ||
		info.Mode()&endless == 0 && info.Size() <= maxInput {
		return true
	}
	const form = "read %s %q: it is no regular file of at most %d bytes"
	r.Fault(failure.Permanent(NoFile, form, source, path, maxInput))
	return false
}

// proxyURL returns the variable of a proxy as Go reads it: golang.org/x/net/http/httpproxy.
func proxyURL(env string) (*url.URL, error) {
	value := os.Getenv(env)
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	return url.Parse(value)
}

// checkProxies reports a proxy's URL that cannot be one: Go's HTTP client would call servers directly then.
func (r *Reader) checkProxies() {
	for _, name := range proxies() {
		u, err := proxyURL(name)
		known := err == nil && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
		if os.Getenv(name) != "" && (!known || u.Hostname() == "" || u.RawQuery+u.Fragment != "" || len(u.Path) > 1) {
			r.Fault(failure.Permanent(BadProxy, "%s is not the URL of a proxy", name).About(name))
		}
	}
}

// CAFile reads the certificates of --ca-file, or nil.
func (r *Reader) CAFile() []byte {
	path, source := r.Given(r.CA)
	if path == "" {
		return nil
	}
	pem, err := readFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = failure.Permanent(BadValue, "it has no PEM certificate").About(source)
	}
	if err != nil {
		r.Fault(fmt.Errorf("read %s %q: %w", source, path, err))
		return nil
	}
	return pem
}

// systemCertificates returns the system's certificates as Go reads them: of Debian's bundle file alone, where that
// exists. Go would also parse the hundreds of files beside it, half of a step's time.
func systemCertificates() (*x509.CertPool, error) {
	const bundle, folder = "/etc/ssl/certs/ca-certificates.crt", "SSL_CERT_DIR"
	info, err := os.Stat(bundle)
	if err == nil && info.Size() > 0 && os.Getenv("SSL_CERT_FILE")+os.Getenv(folder) == "" {
		_ = os.Setenv(folder, os.DevNull) // the name is good
		defer os.Unsetenv(folder)
	}
	return x509.SystemCertPool()
}

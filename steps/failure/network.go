package failure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
)

// Network sorts an error of a call that got no answer: a certificate that is not trusted is permanent, all else may
// pass. peer is the host that was called.
func Network(peer string, err error) error {
	if IsCertificate(err) {
		return Permanent("if a proxy or a private CA stands between, name its certificate with --ca-file (ECR_REFRESH_CA_FILE); else look at the clock and the host's name",
			"reach %s: %s", peer, Said(cause(err).Error()))
	}
	if IsAlert(err) {
		return Permanent(Kind("let "+peer+", or the proxy before it, speak TLS 1.2 or newer and ask for no client certificate"), "agree on TLS with %s: %s", peer, Said(cause(err).Error()))
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return Transient(Kind("look at the network between here and "+peer+", HTTPS_PROXY and NO_PROXY"), "reach %s: no answer in time", peer)
	}
	return Transient("look at the host's name, its port, HTTPS_PROXY and NO_PROXY", "reach %s: %s", peer, Said(cause(err).Error()))
}

// IsCertificate tells whether err comes of a certificate that is unknown, expired or of another name.
func IsCertificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid)
}

// IsAlert tells a peer that refused the TLS handshake: it speaks another version, or wants a client certificate. crypto/tls
// has no exported type for it.
func IsAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// cause drops url.Error's method and URL, and what the AWS SDK wraps around a failed connection: the caller's own words
// name it better.
func cause(err error) error {
	var at *url.Error
	var op *net.OpError
	switch {
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &op):
		return op
	}
	return err
}

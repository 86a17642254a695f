package failure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"ecr-refresh/steps/untrusted"
)

// Why a call got no answer. The fact Object is the host or the service that was called.
const (
	Untrusted   Kind = "certificate is not trusted"
	TLSAlert    Kind = "TLS handshake was rejected"
	Unreachable Kind = "host is not reachable"  // or does not answer in time
	Proxy       Kind = "proxy does not connect" // Object is the proxy, Want the host
	ProxyAuth   Kind = "proxy wants a login"    // and here
)

// Network classifies the error of a call to host that got no answer: TLS that cannot be agreed on is permanent, all
// else may pass. An error that a client's own code returned, such as transport.ProxyAnswer, stays of its kind.
func Network(host string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("reach %s: %w", host, context.Canceled)
	}
	var timeout net.Error // context.DeadlineExceeded, too
	var own *Error
	why := Cause(err)
	switch {
	case errors.As(err, &own) && (own.Kind == Proxy || own.Kind == ProxyAuth):
		return fmt.Errorf("reach %s: %w", host, own.Want(host))
	case own != nil:
		return own
	case IsCertificate(err):
		return Permanent(Untrusted, "reach %s: %s", host, why).About(host)
	case IsAlert(err):
		return Permanent(TLSAlert, "agree on TLS with %s: %s", host, why).About(host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return Transient(Unreachable, "reach %s: no answer in time", host).About(host)
	}
	return Transient(Unreachable, "reach %s: %s", host, why).About(host)
}

// IsCertificate reports whether err comes of a certificate that is unknown, expired or of another name.
func IsCertificate(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError))
}

// IsAlert reports whether the server rejected the TLS handshake: it speaks another version, or requires a client
// certificate. crypto/tls has no exported type for it.
func IsAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// Cause returns what went wrong with a call, without what its caller names: url.Error's method and URL, what the AWS
// SDK wraps around a failed connection, and a socket's path. It may hold what a server said.
func Cause(err error) string {
	var at *url.Error
	var op *net.OpError
	if errors.As(err, &at) {
		err = at.Err
	} else if errors.As(err, &op) {
		err = op
	}
	if errors.As(err, &op) && op.Net == "unix" {
		err = op.Err
	}
	return untrusted.New(err.Error()).String()
}

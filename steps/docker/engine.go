// Package docker makes the two calls of Docker's Engine API that a login takes, and reads config.json as docker-py does.
package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/go-connections/sockets"
	"github.com/docker/go-connections/tlsconfig"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Engine calls the API of a Docker Engine (https://docs.docker.com/reference/api/engine/), in paths without a version: each
// Engine takes them for its own newest. Docker's own client is not used: see docs/decisions/0008-start-up.md.
type Engine struct {
	Host string // as in DOCKER_HOST
	base string // URL of its API
	http *http.Client
}

// NewEngine makes an Engine. host is as in DOCKER_HOST (unix:///path or tcp://host:port; as with docker-py, unix://path is
// unix:///path); certPath, where not empty, is a
// folder with ca.pem, cert.pem and key.pem as in DOCKER_CERT_PATH, and turns TLS on.
func NewEngine(host, certPath string, verify bool) (*Engine, error) {
	scheme, address, _ := strings.Cut(host, "://")
	if strings.Contains(address, "@") {
		return nil, failure.Permanent("leave it out: an Engine asks for a certificate, not for a login", "read Engine host: it holds a login")
	}
	if scheme == "unix" && address != "" && address[0] != '/' {
		address = "/" + address
	}
	rt, base := new(http.Transport), "http://"+address
	err := sockets.ConfigureTransport(rt, scheme, address)
	if err == nil && (address == "" || !slices.Contains([]string{"unix", "tcp", "http"}, scheme)) {
		err = errors.New("it is neither unix:///PATH nor tcp://HOST:PORT")
	}
	if err != nil {
		return nil, failure.Permanent("give unix:///path/docker.sock or tcp://host:port, or 'none'", "read Engine host %q: %w", host, err)
	}
	if scheme == "unix" {
		base = "http://docker"
	} else if certPath != "" {
		base = "https://" + address
	}
	if certPath != "" {
		rt.TLSClientConfig, err = tlsconfig.Client(tlsconfig.Options{
			CAFile:             filepath.Join(certPath, "ca.pem"),
			CertFile:           filepath.Join(certPath, "cert.pem"),
			KeyFile:            filepath.Join(certPath, "key.pem"),
			InsecureSkipVerify: !verify,
		})
	}
	if err != nil {
		return nil, failure.Permanent("look at DOCKER_CERT_PATH", "load Engine certificates of %q: %w", certPath, err)
	}
	return &Engine{host, strings.TrimSuffix(base, "/"), &http.Client{Transport: rt, CheckRedirect: transport.NoRedirect}}, nil
}

// call sends one request and reads its answer into a value. in may be nil.
func (e *Engine) call(ctx context.Context, method, path string, in, into any) error {
	req, err := e.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" || resp.StatusCode/100 == 3 {
		return notOfEngine(resp, kind)
	}
	answer := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, transport.MaxResponse))
	if resp.StatusCode != http.StatusOK {
		var said types.ErrorResponse
		_ = answer.Decode(&said) // what is no JSON says nothing
		return engineSaid{resp.StatusCode, said.Message}
	}
	return unread(answer.Decode(into))
}

// request makes one without a body where in is nil: not every proxy passes a GET that has one.
func (e *Engine) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, failure.Permanent(hintNoEngine, "its address is not valid")
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

const (
	hintEngine = "start it, or set DOCKER_HOST (--engine); with no Engine on this worker give --engine none"
	// hintNoEngine names what a filter before the Engine's socket must let through.
	hintNoEngine = "is this a Docker Engine? Look at DOCKER_HOST (--engine) and DOCKER_TLS_VERIFY; a proxy before it must pass GET /version and POST /auth"
	hintAgain    = "wait and run it again"
)

// unreached sorts an error of a call that got no answer.
func unreached(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return failure.Permanent("let this user use the Engine's socket (group docker), or mount it into the container", "permission denied")
	case failure.IsCertificate(err):
		return failure.Permanent("give the certificate of the Engine's authority as ca.pem in DOCKER_CERT_PATH, a host name that the Engine's certificate holds, or renew it",
			"%s", why(err))
	case failure.IsAlert(err):
		return failure.Permanent("give cert.pem and key.pem that the Engine's authority has signed in DOCKER_CERT_PATH, and let the Engine speak TLS 1.2 or newer",
			"agree on TLS: %s", why(err))
	}
	return failure.Transient(hintEngine, "it cannot be reached: %s", why(err))
}

// why drops the method and URL, and a socket's path, which the caller's own words name better.
func why(err error) string {
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	if op := new(net.OpError); errors.As(err, &op) && op.Net == "unix" {
		err = op.Err
	}
	return failure.Said(err.Error())
}

// notOfEngine tells an answer that no Engine gives, but a proxy or a web server. Its body is not repeated.
func notOfEngine(resp *http.Response, kind string) error {
	code := resp.StatusCode
	switch {
	case code == http.StatusTooManyRequests || code >= 500:
		return failure.Transient(hintAgain, "it answered %d %s", code, http.StatusText(code))
	case code/100 == 3:
		return failure.Permanent(hintNoEngine, "it answered %d, a redirect to %.80q", code, transport.RedirectHost(resp))
	case code >= 400:
		return failure.Permanent(hintNoEngine, "it answered %d %s", code, http.StatusText(code))
	}
	return failure.Permanent(hintNoEngine, "it answered %d with %s instead of JSON", code, cmp.Or(failure.Said(kind), "nothing"))
}

// engineSaid is an answer other than 200, with the message that an Engine puts there.
type engineSaid struct {
	status  int
	message string
}

func (s engineSaid) Error() string {
	return fmt.Sprintf("the Engine answered %d: %s", s.status, cmp.Or(failure.Said(s.message), http.StatusText(s.status)))
}

// unread tells why an answer of 200 could not be read.
func unread(err error) error {
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, new(*http.MaxBytesError)):
		return failure.Permanent(hintNoEngine, "its answer is longer than %d MiB", transport.MaxResponse>>20)
	}
	return failure.Transient(hintNoEngine, "its answer is not an Engine's JSON, or is cut")
}

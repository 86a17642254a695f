package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
)

// Engine calls the API of a Docker Engine (https://docs.docker.com/reference/api/engine/), in paths without a version: each
// Engine takes them for its own newest. Docker's own client is not used: see docs/decisions/0008-start-up.md.
type Engine struct {
	Host string // as in DOCKER_HOST
	base string // URL of its API
	http *http.Client
}

// mostEngineAnswer bounds what is read of one answer. A version takes 1 KiB.
const mostEngineAnswer = 1 << 20

// NewEngine makes an Engine. host is as in DOCKER_HOST (unix:///path or tcp://host:port); certPath, where not empty, is a
// folder with ca.pem, cert.pem and key.pem as in DOCKER_CERT_PATH, and turns TLS on.
func NewEngine(host, certPath string, verify bool) (*Engine, error) {
	scheme, address, _ := strings.Cut(host, "://")
	transport, base := new(http.Transport), "http://"+address
	err := sockets.ConfigureTransport(transport, scheme, address)
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
		transport.TLSClientConfig, err = tlsconfig.Client(tlsconfig.Options{
			CAFile:             filepath.Join(certPath, "ca.pem"),
			CertFile:           filepath.Join(certPath, "cert.pem"),
			KeyFile:            filepath.Join(certPath, "key.pem"),
			InsecureSkipVerify: !verify,
		})
	}
	if err != nil {
		return nil, failure.Permanent("look at DOCKER_CERT_PATH", "load Engine certificates of %q: %w", certPath, err)
	}
	return &Engine{host, strings.TrimSuffix(base, "/"), &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// stay follows no redirect: it would take a password to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// call sends one request and reads its answer into a value. in may be nil.
func (e *Engine) call(ctx context.Context, method, path string, in, into any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(body))
	if err != nil {
		return failure.Permanent("give unix:///path/docker.sock or tcp://host:port", "its address is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.http.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer resp.Body.Close()
	answer := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, mostEngineAnswer))
	if resp.StatusCode != http.StatusOK {
		return refusedByEngine(resp, answer)
	}
	return answered(answer.Decode(into))
}

// unreached sorts an error of a call that got no answer.
func unreached(err error) error {
	switch {
	case failure.IsCertificate(err):
		return failure.Permanent("DOCKER_CERT_PATH holds the Engine's ca.pem; name the Engine as its certificate does", "%w", failure.Network("the Engine", err))
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return failure.Transient("look at the Engine's log and its way to the registry (its own proxy settings)", "no answer in time")
	case errors.Is(err, fs.ErrPermission):
		return failure.Permanent("let this user use the Engine's socket (group docker), or mount it into the container", "permission denied")
	}
	return failure.Transient("start it, or set DOCKER_HOST (--engine); with no Engine on this worker give --engine none", "it cannot be reached: %s", why(err))
}

// why drops from an error what its reader knows: method, URL and address.
func why(err error) string {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return failure.Said(err.Error())
}

// engineSaid is an answer other than 200, with the message that an Engine puts there.
type engineSaid struct {
	status  int
	message string
}

func (s engineSaid) Error() string {
	if s.message == "" {
		return fmt.Sprintf("the Engine answered %d", s.status)
	}
	return fmt.Sprintf("the Engine answered %d: %s", s.status, failure.Said(s.message))
}

func refusedByEngine(resp *http.Response, answer *json.Decoder) error {
	if resp.StatusCode < http.StatusBadRequest {
		return failure.Permanent("name the Engine itself: a redirect is not followed", "it answered %d, a redirect to %.80q", resp.StatusCode, redirectHost(resp))
	}
	var said types.ErrorResponse
	_ = answer.Decode(&said) // what is no JSON says nothing
	return failure.Transient("look at the Engine's log", "%w", engineSaid{resp.StatusCode, said.Message})
}

// answered tells why an answer of 200 could not be read.
func answered(err error) error {
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &long):
		return failure.Transient("does something else answer in the Engine's place?", "the Engine's answer is longer than %d MiB", mostEngineAnswer>>20)
	case errors.Is(err, context.DeadlineExceeded):
		return unreached(err)
	}
	return failure.Transient("does something else answer in the Engine's place?", "the Engine's answer is cut, or no JSON of its API")
}

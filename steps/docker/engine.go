// Package docker makes the two calls of Docker's Engine API that a login takes, and reads config.json as docker-py
// does.
package docker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/go-connections/sockets"
	"github.com/docker/go-connections/tlsconfig"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Engine calls the API of a Docker daemon (https://docs.docker.com/reference/api/engine/), in paths without a version:
// each daemon takes them for its newest one. Docker's own client is not used: see docs/decisions/0008-start-up.md.
type Engine struct {
	Host string // as in DOCKER_HOST
	base string // URL of its API
	http *http.Client
}

// NewEngine returns the Engine at host, which is as in DOCKER_HOST: unix:///path or tcp://host:port; docker-py reads
// unix://path as unix:///path. certPath, if any, turns TLS on: a folder with ca.pem, cert.pem and key.pem as in
// DOCKER_CERT_PATH. The error names what is wrong with either.
func NewEngine(host, certPath string, verify bool) (*Engine, error) {
	scheme, address, _ := strings.Cut(host, "://")
	if strings.Contains(address, "@") {
		return nil, failure.Permanent(LoginInHost, "read Docker host: it holds a login")
	}
	if scheme == "unix" && address != "" && address[0] != '/' {
		address = "/" + address
	}
	rt := new(http.Transport)
	err := sockets.ConfigureTransport(rt, scheme, address)
	if err == nil && (address == "" || !slices.Contains([]string{"unix", "tcp", "http"}, scheme)) {
		err = errors.New("it is neither unix:///PATH nor tcp://HOST:PORT")
	}
	if err != nil {
		return nil, failure.Permanent(BadHost, "read Docker host %q: %w", host, err)
	}
	base := "http://" + strings.TrimSuffix(address, "/")
	if scheme == "unix" {
		base = "http://docker"
	} else if certPath != "" {
		base = "https://" + strings.TrimSuffix(address, "/")
	}
	if certPath != "" {
		if rt.TLSClientConfig, err = tlsOf(certPath, verify); err != nil {
			return nil, err
		}
	}
	return &Engine{host, base, &http.Client{Transport: rt, CheckRedirect: transport.NoRedirect}}, nil
}

func tlsOf(certPath string, verify bool) (*tls.Config, error) {
	config, err := tlsconfig.Client(tlsconfig.Options{
		CAFile:   filepath.Join(certPath, "ca.pem"),
		CertFile: filepath.Join(certPath, "cert.pem"),
		KeyFile:  filepath.Join(certPath, "key.pem"),
		// docker-py's rule, and the docker command's: DOCKER_CERT_PATH alone verifies nobody, DOCKER_TLS_VERIFY does.
		InsecureSkipVerify: !verify,
	})
	if err != nil {
		const form = "load Docker's certificates of %q: %w"
		return nil, failure.Permanent(BadCertificates, form, certPath, err).About(certPath)
	}
	return config, nil
}

// call sends one request and decodes its answer. in may be nil. late is the kind of error of an answer that is late.
func (e *Engine) call(ctx context.Context, method, path string, in, into any, late failure.Kind) error {
	req, err := e.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		err = unreached(err)
	} else {
		defer resp.Body.Close()
		err = read(resp, into)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = failure.Transient(late, "no answer in time")
	}
	return failure.With(err, failure.Facts{Object: e.Host})
}

// request returns one without a body where in is nil: not every proxy passes a GET that has one.
func (e *Engine) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, body)
	if err != nil {
		return nil, failure.Permanent(BadHost, "its address is not valid")
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func read(resp *http.Response, into any) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" || resp.StatusCode/100 == 3 {
		return notDocker(resp, kind)
	}
	answer := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, transport.MaxResponse))
	if resp.StatusCode != http.StatusOK {
		var body types.ErrorResponse
		_ = answer.Decode(&body) // what is not JSON has no message
		return answered(resp.StatusCode, body.Message)
	}
	return unread(answer.Decode(into))
}

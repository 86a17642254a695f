// Package docker makes the calls of Docker's Engine API that a login takes, and reads config.json as docker-py does.
package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/go-connections/sockets"
	"github.com/docker/go-connections/tlsconfig"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Engine calls the API of a Docker daemon (https://docs.docker.com/reference/api/engine/), in paths without a version:
// each daemon takes them for its newest one. Docker's own client is not used: see docs/decisions/0008-start-up.md.
type Engine struct {
	Host string // to show: unix:///PATH, or tcp, http or https://HOST:PORT
	base string // URL of its API
	http *http.Client
}

// NewEngine returns the Engine at host, which is as docker-py reads DOCKER_HOST (see parseHost). certPath, if any,
// turns TLS on: a folder with ca.pem, cert.pem and key.pem as in DOCKER_CERT_PATH.
func NewEngine(host, certPath string, verify bool) (*Engine, error) {
	to, err := parseHost(host)
	rt := &http.Transport{OnProxyConnectResponse: transport.ProxyAnswer,
		IdleConnTimeout: transport.AttemptTimeout, MaxResponseHeaderBytes: transport.MaxHeader}
	if err == nil {
		err = sockets.ConfigureTransport(rt, to.Scheme, to.Path)
	}
	if err != nil {
		return nil, failure.Permanent(BadHost, "read Docker host: %w", err)
	}
	base := strings.Replace(to.Scheme, "tcp", "http", 1) + "://" + to.Host + to.Path
	if certPath != "" {
		rt.TLSClientConfig, err = tlsconfig.Client(tlsconfig.Options{
			CAFile:   filepath.Join(certPath, "ca.pem"),
			CertFile: filepath.Join(certPath, "cert.pem"),
			KeyFile:  filepath.Join(certPath, "key.pem"),
			// docker-py's rule, and the docker command's: certificates alone verify nobody, DOCKER_TLS_VERIFY does.
			InsecureSkipVerify: !verify,
		})
		if err != nil {
			return nil, failure.Permanent(BadCertificates, "load Docker's certificates of %q: %w", certPath, err)
		}
		base = "https://" + to.Host + to.Path
	}
	shown := to.Scheme + "://" + to.Host
	if to.Scheme == "unix" {
		base, shown = "http://docker", shown+to.Path
	}
	return &Engine{shown, base, &http.Client{Transport: rt, CheckRedirect: transport.NoRedirect}}, nil
}

// parseHost reads DOCKER_HOST as docker-py does (docker/utils/utils.py, parse_host): unix:///path, unix:/path,
// unix://path, http+unix://path, or tcp, http or https with host:port, or that alone. http+unix becomes unix.
// The error repeats nothing: any part may be a piece of a password.
func parseHost(host string) (*url.URL, error) {
	host = strings.TrimSpace(host)
	if given, _, _ := strings.Cut(host, ":"); !regexp.MustCompile(`^[A-Za-z][A-Za-z+]*$`).MatchString(given) {
		host = "tcp://" + host
	}
	u, err := url.Parse(host)
	unclear := errors.New("it is neither unix:///PATH nor tcp://HOST:PORT")
	switch {
	case strings.Contains(host, "@"):
		return nil, errors.New("it holds a login")
	case err != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, unclear
	case u.Scheme == "ssh":
		return nil, errors.New("ssh is not supported: forward the socket (ssh -L /tmp/d.sock:/var/run/docker.sock)")
	case (u.Scheme == "unix" || u.Scheme == "http+unix") && u.Host+u.Path+u.Opaque != "":
		return &url.URL{Scheme: "unix", Path: "/" + strings.TrimPrefix(u.Host+u.Path, "/")}, nil
	case !slices.Contains([]string{"tcp", "http", "https"}, u.Scheme):
		return nil, unclear
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return nil, errors.New("it has no port from 1 to 65535")
	}
	u.Host, u.Path = net.JoinHostPort(cmp.Or(u.Hostname(), "127.0.0.1"), u.Port()), strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Reach returns Docker's version and that of its API.
func (e *Engine) Reach(ctx context.Context) (version, api string, err error) {
	var v struct{ Version, APIVersion untrusted.Text }
	err = e.call(ctx, 10*time.Second, "/version", nil, &v)
	if err == nil && v.Version.Raw() == "" {
		err = failure.Permanent(NotDocker, "it names no version").About(e.Host)
	}
	if err != nil {
		return "", "", fmt.Errorf("reach Docker at %s: %w", e.Host, err)
	}
	return v.Version.String(), v.APIVersion.String(), nil
}

// Login makes Docker log in to the registry at server, and returns its answer ("Login Succeeded"). The error of a
// rejected login is registry.ErrRejected. server must not be empty: Docker would send the password to Docker Hub.
func (e *Engine) Login(ctx context.Context, server, username string, password secret.Secret) (string, error) {
	if server == "" {
		return "", failure.Permanent("", "log in to registry: the host is empty")
	}
	login := registry.AuthConfig{Username: username, Password: password.Reveal(), ServerAddress: server}
	var answer struct{ Status untrusted.Text }
	const timeout = 35 * time.Second // outlasts Docker's own two attempts of 15 s at a registry
	if err := e.call(ctx, timeout, "/auth", login, &answer); err != nil {
		return "", fmt.Errorf("log in to %s through Docker: %w", server, err)
	}
	return answer.Status.String(), nil
}

// call sends one request and decodes its answer: a POST of in, or, without in, a GET, which some proxies want bodiless.
func (e *Engine) call(ctx context.Context, timeout time.Duration, path string, in, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method, header, body := http.MethodGet, http.Header{}, []byte(nil)
	if in != nil {
		method = http.MethodPost
		header.Set("Content-Type", "application/json")
		body, _ = json.Marshal(in) // strings
	}
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(body))
	if err != nil {
		return failure.Permanent(BadHost, "its address is not valid")
	}
	req.Header = header
	resp, err := e.http.Do(req)
	if err != nil {
		err = unreached(err)
	} else {
		defer resp.Body.Close()
		err = read(resp, into)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = failure.Transient(Failed, "no answer in time")
	}
	return failure.With(err, failure.Facts{Object: e.Host})
}

func read(resp *http.Response, into any) error {
	form, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if form != "application/json" || resp.StatusCode/100 != 2 && resp.StatusCode < 400 { // a body of 101 never ends
		return notDocker(resp, form)
	}
	answer := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, transport.MaxResponse))
	if resp.StatusCode != http.StatusOK {
		var body struct{ Message untrusted.Text }
		_ = answer.Decode(&body) // what is not JSON has no message
		return answered(resp.StatusCode, body.Message)
	}
	switch err := answer.Decode(into); {
	case errors.As(err, new(*http.MaxBytesError)):
		return failure.Permanent(NotDocker, "its answer is longer than %d MiB", transport.MaxResponse>>20)
	case err != nil:
		return failure.Transient(NotDocker, "its answer is not Docker's JSON, or is cut")
	}
	return nil
}

// Package sandbox stands in for the peers of ecr-refresh, in one process: ECR, the registry behind it, Airflow's REST
// API and the Docker Engine. Real names stay: an HTTPS proxy with a certificate authority of its own answers for
// api.ecr.<region>.amazonaws.com and every *.dkr.ecr.* host, so that a program runs here exactly as in production, with
// no switch of its own, and nothing leaves the machine.
//
// The stand-ins are strict: a client that the real peer rejects is rejected here, with the same status and words. Each
// one embeds Faults, and has methods for the faults that its real peer is known for.
package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The names that Environ sets for the command ecr-sandbox, which plays Airflow's supervisor.
const (
	ExecutionAPI = "ECR_SANDBOX_EXECUTION_API" // base URL of the API that hands connections to tasks
	TaskToken    = "ECR_SANDBOX_TASK_TOKEN"    // bearer token for it
)

// maxSocketPath is what fits into the address of a unix socket on every system we know.
const maxSocketPath = 103

// Options are what a sandbox is made of. The zero value is a good sandbox: account 123456789012 in us-east-1, one
// connection docker_default with an old password.
type Options struct {
	Dir     string           // folder of the socket, the certificate and the home; "" makes one that Close removes
	Now     func() time.Time // the peers' clock; nil is time.Now
	Account string
	Region  string
}

// Sandbox is a set of running stand-ins.
type Sandbox struct {
	ECR      *ECR
	STS      *STS
	Registry *Registry
	Airflow  *Airflow
	Engine   *Engine
	Proxy    *Proxy

	opts    Options
	closers []func() error // in the order they were opened
}

// Start starts all stand-ins. They are ready when it returns.
func Start(opts Options) (*Sandbox, error) {
	s := &Sandbox{opts: opts}
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start sandbox: %w", err), s.Close())
	}
	return s, nil
}

func (s *Sandbox) start() error {
	if err := s.defaults(); err != nil {
		return err
	}
	s.ECR = newECR(s.opts)
	s.STS = &STS{ecr: s.ECR}
	s.Registry = &Registry{lookup: s.ECR.lookup, now: s.opts.Now}
	s.Airflow = newAirflow(s.opts.Now)
	s.Airflow.SetConnection(dockerDefault(s.opts))
	for _, start := range []func() error{s.startProxy, s.startAirflow, s.startEngine} {
		if err := start(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) defaults() error {
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	if s.opts.Account == "" {
		s.opts.Account = "123456789012"
	}
	if s.opts.Region == "" {
		s.opts.Region = "us-east-1"
	}
	if s.opts.Dir == "" {
		dir, err := os.MkdirTemp("", "ecr-sandbox-")
		if err != nil {
			return err
		}
		s.opts.Dir = dir
		s.onClose(func() error { return os.RemoveAll(dir) })
	}
	return os.MkdirAll(filepath.Join(s.opts.Dir, "home"), 0o700)
}

func (s *Sandbox) startProxy() (err error) {
	s.Proxy, err = newProxy(filepath.Join(s.opts.Dir, "ca.pem"), s.ECR, s.STS, s.Registry)
	if err == nil {
		s.onClose(s.Proxy.close)
	}
	return err
}

func (s *Sandbox) startAirflow() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Airflow.address = listener.Addr().String()
	s.onClose(serve(listener, s.Airflow))
	return nil
}

func (s *Sandbox) startEngine() error {
	socket, err := s.socketPath()
	if err != nil {
		return err
	}
	client := s.HTTPClient()
	s.Engine = newEngine(socket, client)
	s.onClose(func() error { client.CloseIdleConnections(); return nil })
	s.onClose(s.Engine.close)
	return s.Engine.listen()
}

// socketPath returns a path in the sandbox's folder, or in a shorter one when that does not fit.
func (s *Sandbox) socketPath() (string, error) {
	path := filepath.Join(s.opts.Dir, "docker.sock")
	if len(path) <= maxSocketPath {
		return path, nil
	}
	dir, err := os.MkdirTemp("/tmp", "ecr-sandbox-")
	if err != nil {
		return "", err
	}
	s.onClose(func() error { return os.RemoveAll(dir) })
	return filepath.Join(dir, "docker.sock"), nil
}

func (s *Sandbox) onClose(f func() error) { s.closers = append(s.closers, f) }

// Close stops all stand-ins and removes what Start made. It may be called twice.
func (s *Sandbox) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// RegistryHost returns the host of the sandbox's own registry, as a connection of type docker names it.
func (s *Sandbox) RegistryHost() string { return registryHost(s.opts.Account, s.opts.Region) }

// HTTPClient returns a client that reaches ECR and the registry as a program in Environ does: through the proxy,
// trusting its authority.
func (s *Sandbox) HTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyURL(s.Proxy.URL()), TLSClientConfig: s.Proxy.clientTLS(),
			ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Environ returns the complete environment of a worker in which all peers are the sandbox's. Only PATH and TERM are
// taken from the caller's.
func (s *Sandbox) Environ() []string {
	proxy, credentials := s.Proxy.URL().String(), s.ECR.Credentials()
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"TERM=" + os.Getenv("TERM"),
		"HOME=" + filepath.Join(s.opts.Dir, "home"),
		"HTTPS_PROXY=" + proxy,
		"HTTP_PROXY=" + proxy,
		"NO_PROXY=127.0.0.1,localhost",
		"ECR_REFRESH_CA_FILE=" + s.Proxy.CAFile(),
		"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + s.opts.Account,
		"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + s.opts.Region,
		"DOCKER_HOST=" + s.Engine.Host(),
		ExecutionAPI + "=" + s.Airflow.URL() + "/execution",
		TaskToken + "=" + s.Airflow.taskToken,
	}
	if credentials.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+credentials.SessionToken)
	}
	return append(env, s.Airflow.environ()...)
}

// TaskEnviron returns what Airflow renders into the environment of the task test_docker_connection: the fields of the
// stored connection, in clear, and nothing else. A missing connection renders as empty fields.
func (s *Sandbox) TaskEnviron(connectionID string) []string {
	c, _ := s.Airflow.Connection(connectionID)
	return c.TaskEnviron()
}

// TaskEnviron returns the connection as ECR_REFRESH_DOCKER_*. A null port renders as nothing.
func (c Connection) TaskEnviron() []string {
	port := ""
	if c.Port != 0 {
		port = strconv.Itoa(c.Port)
	}
	return []string{
		"ECR_REFRESH_DOCKER_HOST=" + c.Host,
		"ECR_REFRESH_DOCKER_PORT=" + port,
		"ECR_REFRESH_DOCKER_LOGIN=" + c.Login,
		"ECR_REFRESH_DOCKER_PASSWORD=" + c.Password,
	}
}

// dockerDefault is a connection as users have it: refreshed by hand some days ago, with more in it than a password.
func dockerDefault(opts Options) Connection {
	return Connection{
		ID: "docker_default", Type: "docker",
		Description: "Amazon ECR, renewed by refresh_docker_token",
		Host:        registryHost(opts.Account, opts.Region),
		Login:       "AWS",
		Password:    "old-password-" + rand.Text(),
		Extra:       `{"email": "platform@example.com", "registry_token": "extra-` + rand.Text() + `"}`,
	}
}

func registryHost(account, region string) string {
	return account + ".dkr.ecr." + region + ".amazonaws.com"
}

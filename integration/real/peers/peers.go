// Package peers starts what ecr-refresh meets in production, for real and on one machine: Airflow, a Docker Engine,
// podman, registries, and AWS's API as moto and as the sandbox answer it. Each has its own free port, socket, data
// folder and log, so that several runs stand side by side. install.sh installs what they need.
package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ecr-refresh/integration/sandbox"
)

// Regions of the two real registries.
const (
	Region        = "us-east-1" // its registry accepts what moto issues
	RefusedRegion = "eu-west-1" // its registry accepts another password
)

// What the sandbox's ECR answers for, and tasks meet unless their environment leads them to moto. The account of the
// real registries is another one, chosen anew for each run.
const (
	SandboxAccount = "123456789012"
	SandboxHost    = SandboxAccount + ".dkr.ecr." + Region + ".amazonaws.com"
)

// Options say what to start and where.
type Options struct {
	Dir         string   // data and logs of all peers; it is made, and not removed
	Airflow     string   // the release; default 3.3.2
	AuthManager string   // SimpleAuthManager (the default), FABAuthManager or KeycloakAuthManager
	Workers     []string // names of Celery workers, each a host of its own; without any: the LocalExecutor
	Queues      string   // of each worker; default: the DAG's, and one of its own
	Host        string   // the API server's name, at port 8080; default: 127.0.0.1 and a free port
	Binary      string   // ecr-refresh, as the DAG's tasks find it
	Env         []string // added to the environment of Airflow's tasks

	Progress func(string) // is called when a peer runs, or nil
}

// Peers are the running peers.
type Peers struct {
	Dir      string
	Airflow  *Airflow
	Docker   *Engine
	Podman   *Engine          // not started: few tests need it
	Sandbox  *sandbox.Sandbox // for its ECR and its registry: their tokens have the length of real ones
	Moto     *Moto
	Registry *Registry // in Region
	Refusing *Registry // in RefusedRegion
}

// startWithin bounds the start of all peers together.
const startWithin = 5 * time.Minute

// Start starts all peers. When one cannot start, those that did are stopped again.
func Start(ctx context.Context, o Options) (*Peers, error) {
	venv, err := installed(o.Airflow)
	if err != nil {
		return nil, err
	}
	// PostgreSQL, as another user, passes through
	if err := errors.Join(os.MkdirAll(o.Dir, 0o711), os.Chmod(o.Dir, 0o711)); err != nil {
		return nil, err
	}
	ctx, cancel := withDeadline(ctx, startWithin, "starting the peers")
	defer cancel()
	p := &Peers{Dir: o.Dir}
	if err := p.start(ctx, venv, o); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Peers) start(ctx context.Context, venv string, o Options) (err error) {
	account := fmt.Sprint(200_000_000_000 + rand.Int64N(800_000_000_000))
	p.Sandbox, err = sandbox.Start(sandbox.Options{Dir: filepath.Join(p.Dir, "sandbox"), Account: SandboxAccount,
		Region: Region})
	if err != nil {
		return err
	}
	proxy := []string{
		"HTTPS_PROXY=" + p.Sandbox.Proxy.URL().String(),
		"NO_PROXY=127.0.0.1,localhost," + registryHost(account, Region) + "," + registryHost(account, RefusedRegion) +
			"," + o.Host,
	}
	engineEnv := cleanEnv(append(proxy, "SSL_CERT_FILE="+p.CAFile())...)
	if p.Docker, err = newDocker(p.Dir, engineEnv); err != nil {
		return err
	}
	if p.Podman, err = newPodman(p.Dir, engineEnv); err != nil {
		return err
	}
	if p.Airflow, err = newAirflow(p.Dir, venv, o, slices.Concat(proxy, p.taskEnv(o.Binary), o.Env)); err != nil {
		return err
	}
	o.report("ECR and its registry (stand-ins)")
	err = together(
		o.reporting("Airflow's database", func() error { return p.Airflow.migrate(ctx) }),
		o.reporting("AWS's API (moto)", func() (err error) {
			p.Moto, err = startMoto(ctx, p.Dir, venv, account)
			return err
		}),
		o.reporting("registry in "+Region, func() (err error) {
			p.Registry, err = p.startRegistry(ctx, account, Region, account+"-auth-token")
			return err
		}),
		o.reporting("registry in "+RefusedRegion, func() (err error) {
			p.Refusing, err = p.startRegistry(ctx, account, RefusedRegion, "another")
			return err
		}),
	)
	if err != nil {
		return err
	}
	if err := p.writeCAs(); err != nil {
		return err
	}
	return together(
		o.reporting("Docker Engine", func() error { return p.Docker.Start(ctx) }),
		o.reporting("Airflow", func() error { return p.Airflow.start(ctx) }),
	)
}

// report calls Progress, if there is one.
func (o Options) report(peer string) {
	if o.Progress != nil {
		o.Progress(peer)
	}
}

// reporting returns start, with a report of the peer that it started.
func (o Options) reporting(peer string, start func() error) func() error {
	return func() error {
		err := start()
		if err == nil {
			o.report(peer)
		}
		return err
	}
}

func registryHost(account, region string) string {
	return account + ".dkr.ecr." + region + ".amazonaws.com"
}

func (p *Peers) startRegistry(ctx context.Context, account, region, password string) (*Registry, error) {
	return startRegistry(ctx, p.Dir, registryHost(account, region), password)
}

// taskEnv is what a worker's environment holds in production: where the binary, the Engine and AWS are.
func (p *Peers) taskEnv(binary string) []string {
	credentials := p.Sandbox.ECR.Credentials()
	return []string{
		"ECR_REFRESH_BIN=" + binary,
		"ECR_REFRESH_CA_FILE=" + p.CAFile(),
		"DOCKER_HOST=" + p.Docker.Host,
		"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// CAFile is a PEM file with the certificates of the sandbox's proxy and of the real registries, for
// ECR_REFRESH_CA_FILE.
func (p *Peers) CAFile() string { return filepath.Join(p.Dir, "ca.pem") }

func (p *Peers) writeCAs() error {
	var all []byte
	for _, file := range []string{p.Sandbox.Proxy.CAFile(), p.Registry.certificate, p.Refusing.certificate} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	return os.WriteFile(p.CAFile(), all, 0o644) // containers of other users read it
}

// Close stops all peers. Data and logs stay in Dir.
func (p *Peers) Close() error {
	if p.Airflow != nil {
		p.Airflow.stop()
	}
	for _, e := range []*Engine{p.Docker, p.Podman} {
		if e != nil {
			e.Stop()
		}
	}
	if p.Moto != nil {
		p.Moto.proc.stop()
	}
	for _, r := range []*Registry{p.Registry, p.Refusing} {
		if r != nil {
			r.proc.stop()
		}
	}
	if p.Sandbox != nil {
		return errors.Join(p.Sandbox.Close(), removeHosts())
	}
	return removeHosts()
}

// WriteLogs writes the last lines of every peer's log.
func (p *Peers) WriteLogs(w io.Writer, lines int) {
	logs, _ := filepath.Glob(filepath.Join(p.Dir, "*.log"))
	for _, log := range logs {
		fmt.Fprintf(w, "==> %s\n%s\n", log, tail(log, lines))
	}
}

// installed returns the virtualenv of an Airflow release, or an error that names all that install.sh has to install.
func installed(release string) (string, error) {
	if release == "" {
		release = "3.3.2"
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	venv := filepath.Join(cache, "ecr-refresh", "airflow-"+release)
	var missing []string
	for _, program := range []string{
		"dockerd", "podman", "docker-registry", "htpasswd", "redis-server", filepath.Join(venv, "bin", "airflow"),
	} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if _, err := postgresBin(); err != nil {
		missing = append(missing, "postgresql")
	}
	if os.Getuid() != 0 {
		missing = append(missing, "root (a Docker Engine runs as root)")
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("the real peers need %s: run integration/real/peers/install.sh %s",
			strings.Join(missing, ", "), release)
	}
	return venv, nil
}

// Program returns the path of a program in the virtualenv of an Airflow release.
func Program(release, name string) (string, error) {
	venv, err := installed(release)
	return filepath.Join(venv, "bin", name), err
}

// together runs all functions at the same time and joins their errors.
func together(functions ...func() error) error {
	failures := make([]error, len(functions))
	var wait sync.WaitGroup
	for i, f := range functions {
		wait.Go(func() { failures[i] = f() })
	}
	wait.Wait()
	return errors.Join(failures...)
}

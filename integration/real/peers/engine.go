package peers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Engine is a real Docker Engine, or podman's service with the same API, with its own data and socket. Docker's
// containers have the machine's own network, or none; podman's have no use here.
type Engine struct {
	Name   string // of the program
	Host   string // unix://<socket>, for DOCKER_HOST
	Socket string
	dir    string
	env    []string
	argv   []string
	proc   *process
}

// longestSocket is what fits into a unix socket's address.
const longestSocket = 107

// newEngine makes what both programs need; configuration is the text of their file.
func newEngine(dir, name, configuration string, env []string) (*Engine, error) {
	e := &Engine{Name: name, Socket: filepath.Join(dir, name+".sock"), dir: dir, env: env}
	e.Host = "unix://" + e.Socket
	if len(e.Socket) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for a socket (%d bytes): choose a shorter folder", e.Socket,
			longestSocket)
	}
	for _, folder := range []string{"data", "exec"} {
		if err := os.MkdirAll(e.path(folder), 0o700); err != nil {
			return nil, err
		}
	}
	return e, os.WriteFile(e.path("config"), []byte(configuration), 0o600)
}

// newDocker keeps Docker off the machine's network and off another Engine's files. A containerd that the machine
// already runs is shared, in a namespace of our own.
func newDocker(dir string, env []string) (*Engine, error) {
	d, err := newEngine(dir, "dockerd", "{}", env)
	if err != nil {
		return nil, err
	}
	namespace := fmt.Sprintf("ecr-refresh-%d", os.Getpid())
	d.argv = []string{"dockerd",
		"--host=" + d.Host, "--config-file=" + d.path("config"),
		"--data-root=" + d.path("data"), "--exec-root=" + d.path("exec"), "--pidfile=" + d.path("pid"),
		"--containerd-namespace=" + namespace, "--containerd-plugins-namespace=" + namespace + "-plugins",
		"--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
	}
	return d, nil
}

// podmanConfig keeps podman's locks and networks in folders of its own, instead of in /dev/shm and /etc/cni.
const podmanConfig = `[engine]
lock_type = "file"
[network]
network_config_dir = %q
`

func newPodman(dir string, env []string) (*Engine, error) {
	p, err := newEngine(dir, "podman", fmt.Sprintf(podmanConfig, filepath.Join(dir, "podman-networks")), env)
	if err != nil {
		return nil, err
	}
	p.env = append(p.env, "CONTAINERS_CONF="+p.path("config"))
	p.argv = []string{"podman",
		"--root=" + p.path("data"), "--runroot=" + p.path("exec"), "--tmpdir=" + p.path("tmp"),
		"--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none",
		"system", "service", "--time=0", p.Host,
	}
	return p, nil
}

// Start runs the Engine and waits until it answers. env is added to its environment.
func (e *Engine) Start(ctx context.Context, env ...string) error {
	var err error
	if e.proc, err = start(e.Name, e.dir, slices.Concat(e.env, env), e.argv...); err != nil {
		return err
	}
	if err := e.proc.ready(ctx, e.ping); err != nil {
		e.Stop()
		return err
	}
	return nil
}

// Stop ends the Engine; nothing of its data is lost. Docker leaves the network of its containers mounted, and such a
// folder cannot be removed.
func (e *Engine) Stop() {
	if e.proc != nil {
		e.proc.stop()
		e.proc = nil
		// mounted by containers alone
		_ = syscall.Unmount(filepath.Join(e.path("exec"), "netns", "default"), syscall.MNT_DETACH)
	}
}

func (e *Engine) path(name string) string { return filepath.Join(e.dir, e.Name+"-"+name) }

func (e *Engine) ping(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", e.Socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the engine answers %s", answer.Status)
	}
	return nil
}

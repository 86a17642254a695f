package peers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
)

// Docker is a real Docker Engine with its own data, socket and containerd namespace. Its containers have the machine's
// own network, or none.
type Docker struct {
	Host   string // unix://<socket>, for DOCKER_HOST
	Socket string
	dir    string
	env    []string
	proc   *process
}

// longestSocket is what fits into a unix socket's address.
const longestSocket = 107

func newDocker(dir string, env []string) (*Docker, error) {
	socket := filepath.Join(dir, "docker.sock")
	if len(socket) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for a socket (%d bytes): choose a shorter folder", socket,
			longestSocket)
	}
	return &Docker{Host: "unix://" + socket, Socket: socket, dir: dir, env: env}, nil
}

// Start runs the Engine and waits until it answers.
func (d *Docker) Start(ctx context.Context) error {
	for _, name := range []string{"data", "exec"} {
		if err := os.MkdirAll(d.path(name), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(d.path("daemon.json"), []byte("{}"), 0o600); err != nil {
		return err
	}
	var err error
	if d.proc, err = start("dockerd", d.dir, d.env, d.argv()...); err != nil {
		return err
	}
	if err := d.proc.ready(ctx, d.ping); err != nil {
		d.Stop()
		return err
	}
	return nil
}

// Stop ends the Engine; nothing of its data is lost. It leaves the network of its containers mounted, and such a folder
// cannot be removed.
func (d *Docker) Stop() {
	if d.proc != nil {
		d.proc.stop()
		d.proc = nil
		// mounted by containers alone
		_ = syscall.Unmount(filepath.Join(d.path("exec"), "netns", "default"), syscall.MNT_DETACH)
	}
}

func (d *Docker) path(name string) string { return filepath.Join(d.dir, "docker-"+name) }

// argv keeps the Engine off the machine's network and off another Engine's files. A containerd that the machine
// already runs is shared, in a namespace of our own.
func (d *Docker) argv() []string {
	namespace := fmt.Sprintf("ecr-refresh-%d", os.Getpid())
	return []string{"dockerd",
		"--host=" + d.Host, "--config-file=" + d.path("daemon.json"),
		"--data-root=" + d.path("data"), "--exec-root=" + d.path("exec"), "--pidfile=" + d.path("pid"),
		"--containerd-namespace=" + namespace, "--containerd-plugins-namespace=" + namespace + "-plugins",
		"--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
	}
}

func (d *Docker) ping(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.Socket)
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

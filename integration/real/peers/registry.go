package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Registry is a real docker-registry with TLS and Basic authentication, reached under the name that ECR has for an
// account's registry in a region.
type Registry struct {
	Host     string // <account>.dkr.ecr.<region>.amazonaws.com
	Password string // of the user AWS

	certificate string // file
	proc        *process
}

const registryConfig = `version: 0.1
log: {level: warn}
storage: {inmemory: {}}
http:
  addr: %s:443
  tls: {certificate: %s, key: %s}
auth:
  htpasswd: {realm: ecr, path: %s}
`

// startRegistry serves host on port 443 of a loopback address of its own and writes its certificate into dir.
func startRegistry(ctx context.Context, dir, host, password string) (*Registry, error) {
	file := func(suffix string) string { return filepath.Join(dir, "registry-"+host+suffix) }
	ip, err := freeLoopback(443)
	if err != nil {
		return nil, err
	}
	if err := writeCertificate(file(".crt"), file(".key"), host); err != nil {
		return nil, err
	}
	if err := writeHtpasswd(ctx, file(".htpasswd"), password); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(registryConfig, ip, file(".crt"), file(".key"), file(".htpasswd"))
	if err := os.WriteFile(file(".yml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	r := &Registry{Host: host, Password: password, certificate: file(".crt")}
	if r.proc, err = start("registry-"+host, dir, cleanEnv(), "docker-registry", "serve", file(".yml")); err != nil {
		return nil, err
	}
	if err := r.proc.ready(ctx, listening("tcp", ip+":443")); err != nil {
		r.proc.stop()
		return nil, err
	}
	if err := addHosts(ip, host); err != nil {
		r.proc.stop()
		return nil, err
	}
	return r, nil
}

// writeHtpasswd hands the password over on stdin: argv is everybody's to read.
func writeHtpasswd(ctx context.Context, file, password string) error {
	cmd := exec.CommandContext(ctx, "htpasswd", "-niB", "AWS")
	cmd.Stdin = strings.NewReader(password)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	return os.WriteFile(file, out, 0o600)
}

// freeLoopback returns an address of 127.0.0.0/8 on which a port is free: ECR's names bear no port, and two runs must
// not meet.
func freeLoopback(port int) (string, error) {
	var failures []error
	for range 20 {
		ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, port))
		if err == nil {
			return ip, l.Close()
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no free port %d on a loopback address: %w", port, errors.Join(failures...))
}

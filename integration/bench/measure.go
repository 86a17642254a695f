package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ecr-refresh/integration/sandbox"
)

// usage is what one process took.
type usage struct {
	Wall   time.Duration `json:"wall"`
	CPU    time.Duration `json:"cpu"`    // user and system
	Memory int64         `json:"memory"` // peak resident set, bytes; at least that of rusage, some 2 MiB
}

// round is one run of all three steps, in their order.
type round [3]usage

// total adds the times of a round's processes; the peak is the largest of theirs.
func (r round) total() (t usage) {
	for _, u := range r {
		t.Wall += u.Wall
		t.CPU += u.CPU
		t.Memory = max(t.Memory, u.Memory)
	}
	return t
}

// bench runs the programs of options in the sandbox. dir holds the results of the steps.
type bench struct {
	options
	peers       *sandbox.Sandbox
	here        string // the folder of the Python files
	trusted     string // a file: the system's certificates, and the sandbox's among them
	dir         string
	interrupted chan os.Signal
}

// systemBundle is where Debian keeps the system's certificates.
const systemBundle = "/etc/ssl/certs/ca-certificates.crt"

// trust writes a file of the system's certificates and the sandbox's, for the programs that have no --ca-file. The
// sandbox's is the tenth, where Debian has Amazon's first one.
func (b *bench) trust() error {
	system, err := os.ReadFile(systemBundle)
	if err != nil {
		return fmt.Errorf("install ca-certificates: %w", err)
	}
	sandbox, err := os.ReadFile(b.peers.Proxy.CAFile())
	all := bytes.SplitAfterN(system, []byte("-----END CERTIFICATE-----\n"), 10)
	all = slices.Insert(all, len(all)-1, sandbox)
	b.trusted = filepath.Join(b.dir, "ca-certificates.crt")
	return errors.Join(err, os.WriteFile(b.trusted, bytes.Join(all, nil), 0o600))
}

// trusting returns the environment of a Python or Go program that trusts the system's certificates and the sandbox's.
func (b bench) trusting() []string {
	return append(b.peers.Environ(), "SSL_CERT_FILE="+b.trusted, "REQUESTS_CA_BUNDLE="+b.trusted)
}

// ours returns the commands of the three steps.
func (b bench) ours() (round, error) {
	token, updated := filepath.Join(b.dir, "token.json"), filepath.Join(b.dir, "updated.json")
	return b.round(b.peers.Environ(), [3][]string{
		{b.refresh, "extract-ecr-token", "--out", token},
		{b.refresh, "update-docker-connection", "--in", token, "--out", updated},
		{b.refresh, "test-docker-connection", "--in", updated},
	})
}

func (b bench) theirs() (round, error) {
	token, updated := filepath.Join(b.dir, "python-token.json"), filepath.Join(b.dir, "python-updated.json")
	return b.round(append(b.trusting(), "AWS_CA_BUNDLE="+b.trusted), [3][]string{
		{b.python, b.baseline, "extract", token},
		{b.python, b.baseline, "update", token, updated},
		{b.python, b.baseline, "test", updated},
	})
}

func (b bench) round(environ []string, commands [3][]string) (r round, err error) {
	for i, command := range commands {
		env := environ
		if i == 2 { // as Airflow renders the connection for the task
			env = append(env[:len(env):len(env)], b.peers.TaskEnviron("docker_default")...)
		}
		if r[i], err = b.measure(env, command...); err != nil {
			return r, err
		}
	}
	return r, nil
}

// alternate runs both programs in turn, after one round of each that is not counted. Which is first changes each time.
func (b bench) alternate() (ours, theirs []round, err error) {
	for i := range b.pairs + 1 {
		var pair [2]round
		for turn := range 2 {
			side := (i + turn) % 2
			if pair[side], err = [2]func() (round, error){b.ours, b.theirs}[side](); err != nil {
				return nil, nil, err
			}
		}
		if i > 0 {
			ours, theirs = append(ours, pair[0]), append(theirs, pair[1])
		}
	}
	return ours, theirs, nil
}

// starts runs --version and the empty program in turn, after one of each that is not counted.
func (b bench) starts() (version, empty []usage, err error) {
	for i := range b.options.starts + 1 {
		v, err1 := b.measure(b.peers.Environ(), b.refresh, "--version")
		e, err2 := b.measure(b.peers.Environ(), b.empty)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, err
		}
		if i > 0 {
			version, empty = append(version, v), append(empty, e)
		}
	}
	return version, empty, nil
}

// measure runs one command through rusage. A command that fails ends the benchmark, and its stderr is the error.
func (b bench) measure(environ []string, command ...string) (u usage, err error) {
	select {
	case <-b.interrupted:
		return u, errors.New("interrupted")
	default:
	}
	read, write, err := os.Pipe()
	if err != nil {
		return u, err
	}
	defer func() { _ = read.Close() }()
	stderr, err := os.Create(filepath.Join(b.dir, "stderr"))
	if err != nil {
		return u, errors.Join(err, write.Close())
	}
	defer func() { _ = stderr.Close() }()
	shim := exec.Command(b.rusage, command...)
	shim.Env, shim.Dir, shim.Stderr, shim.ExtraFiles = environ, b.dir, stderr, []*os.File{write}
	err = errors.Join(shim.Run(), write.Close())
	if err != nil {
		text, _ := os.ReadFile(stderr.Name())
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, text)
	}
	if err := json.NewDecoder(read).Decode(&u); err != nil {
		return u, fmt.Errorf("read what rusage reports: %w", err)
	}
	return u, nil
}

// output returns what a command prints.
func (b bench) output(command ...string) (string, error) {
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stderr = b.peers.Environ(), os.Stderr
	text, err := c.Output()
	return strings.TrimSpace(string(text)), err
}

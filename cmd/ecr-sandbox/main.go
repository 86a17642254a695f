// Command ecr-sandbox runs a command with stand-ins for AWS, Airflow and Docker around it, in a clean environment:
//
//	ecr-sandbox [--fail NAME]... [--] COMMAND [ARGUMENT]...
//
// starts the stand-ins, runs COMMAND, stops them, and ends with COMMAND's exit code. Nothing of the caller's AWS_*,
// DOCKER_*, AIRFLOW_* and proxy variables reaches COMMAND, and nothing leaves the machine.
//
//	ecr-sandbox task CONNECTION_ID -- COMMAND [ARGUMENT]...
//
// inside a sandbox plays Airflow's supervisor: it runs COMMAND with the stored connection in ECR_REFRESH_DOCKER_*.
//
//	ecr-sandbox env
//
// inside a sandbox prints its environment, secrets hidden.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ecr-refresh/integration/sandbox"
)

// Exit codes of our own; every other one is the command's.
const (
	exitUsage     = 2
	exitFailed    = 125 // the sandbox itself failed
	exitNoCommand = 127 // the command could not be started
)

func main() {
	if self, err := os.Executable(); err == nil { // the command finds ecr-refresh and ecr-sandbox beside us
		_ = os.Setenv("PATH", filepath.Dir(self)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run(args, environ []string, stdout, stderr io.Writer) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "task":
		return runTask(args[1:], environ, stderr)
	case "env":
		return printEnv(environ, stdout, stderr)
	}
	return runSandbox(args, stderr)
}

func runSandbox(args []string, stderr io.Writer) int {
	var faults []string
	flags := flag.NewFlagSet("ecr-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(stderr) }
	flags.Func("fail", "", func(name string) error { faults = append(faults, name); return checkFault(name) })
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case flags.NArg() == 0:
		return fail(stderr, exitUsage, errors.New("no command given: ecr-sandbox -- COMMAND"))
	}
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return fail(stderr, exitFailed, err)
	}
	code := inSandbox(s, faults, flags.Args(), stderr)
	if err := s.Close(); err != nil {
		return fail(stderr, exitFailed, err)
	}
	return code
}

func inSandbox(s *sandbox.Sandbox, faults, command []string, stderr io.Writer) int {
	for _, name := range faults {
		if err := knobs()[name](s); err != nil {
			return fail(stderr, exitFailed, err)
		}
	}
	return execute(command, s.Environ(), stderr)
}

// knobs are the faults that --fail knows.
func knobs() map[string]func(*sandbox.Sandbox) error {
	return map[string]func(*sandbox.Sandbox) error{
		"ecr-denied":       func(s *sandbox.Sandbox) error { s.ECR.Deny(true); return nil },
		"registry-refuses": func(s *sandbox.Sandbox) error { s.Registry.Refuse(true); return nil },
		"viewer":           func(s *sandbox.Sandbox) error { s.Airflow.SetWorker("viewer"); return nil },
		"engine-down":      func(s *sandbox.Sandbox) error { return s.Engine.SetDown(true) },
	}
}

func checkFault(name string) error {
	if knobs()[name] == nil {
		return errors.New("unknown fault; there are ecr-denied, registry-refuses, viewer and engine-down")
	}
	return nil
}

var errNotInside = errors.New("not inside a sandbox: run it by ecr-sandbox -- COMMAND")

func printEnv(environ []string, stdout, stderr io.Writer) int {
	if lookup(environ, sandbox.ExecutionAPI) == "" {
		return fail(stderr, exitUsage, errNotInside)
	}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(entry, "=")
		if strings.Contains(name, "PASSWORD") || strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") {
			entry = name + "=***"
		}
		_, _ = fmt.Fprintln(stdout, entry)
	}
	return 0
}

func lookup(environ []string, name string) string {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// execute runs the command, passes signals on to it, and returns its exit code: 128 + n when signal n ended it.
func execute(command, environ []string, stderr io.Writer) int {
	process := exec.Command(command[0], command[1:]...)
	process.Env, process.Stdin, process.Stdout, process.Stderr = environ, os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := process.Start(); err != nil {
		return fail(stderr, exitNoCommand, err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = process.Wait() }() // its result stands in ProcessState
	for {
		select {
		case s := <-signals:
			_ = process.Process.Signal(s)
		case <-ended:
			return exitCode(process.ProcessState)
		}
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

func fail(stderr io.Writer, code int, err error) int {
	_, _ = fmt.Fprintf(stderr, "ecr-sandbox: error: %v\n", err)
	return code
}

func usage(w io.Writer) {
	_, _ = fmt.Fprint(w, `usage: ecr-sandbox [--fail NAME]... [--] COMMAND [ARGUMENT]...
       ecr-sandbox task CONNECTION_ID -- COMMAND [ARGUMENT]...   (inside a sandbox)
       ecr-sandbox env                                           (inside a sandbox)

Runs COMMAND with stand-ins for ECR, Airflow and the Docker Engine around it. Nothing leaves the machine.

  --fail NAME   ecr-denied, registry-refuses, viewer or engine-down; may be repeated

example: ecr-sandbox -- ecr-refresh extract-ecr-token
`)
}

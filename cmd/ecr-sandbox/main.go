// Command ecr-sandbox runs a command against stand-ins for AWS, Airflow and Docker, in a clean environment:
//
//	ecr-sandbox [--fail NAME]... [--] COMMAND [ARGUMENT]...
//
// starts the stand-ins, runs COMMAND, stops them, and exits with COMMAND's exit code. COMMAND gets none of the caller's
// AWS_*, DOCKER_*, AIRFLOW_* and proxy variables, and its requests do not leave the machine.
//
//	ecr-sandbox task CONNECTION_ID -- COMMAND [ARGUMENT]...
//
// inside a sandbox acts as Airflow's supervisor: it runs COMMAND with the stored connection in ECR_REFRESH_DOCKER_*.
//
//	ecr-sandbox env
//
// inside a sandbox prints its environment, with secrets redacted.
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

// Exit codes of ecr-sandbox itself; all others are the command's.
const (
	exitUsage     = 2
	exitFailed    = 125 // the sandbox itself failed
	exitNoCommand = 127 // the command could not be started
)

func main() {
	if self, err := os.Executable(); err == nil { // the command finds ecr-refresh and ecr-sandbox there
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
	var names []string
	flags := flag.NewFlagSet("ecr-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(stderr) }
	flags.Func("fail", "", func(name string) error { names = append(names, name); return checkFault(name) })
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
	code := inSandbox(s, names, flags.Args(), stderr)
	if err := s.Close(); err != nil {
		return fail(stderr, exitFailed, err)
	}
	return code
}

func inSandbox(s *sandbox.Sandbox, names, command []string, stderr io.Writer) int {
	for _, name := range names {
		if err := faults()[name](s); err != nil {
			return fail(stderr, exitFailed, err)
		}
	}
	return execute(command, s.Environ(), stderr)
}

// faults returns the faults of --fail.
func faults() map[string]func(*sandbox.Sandbox) error {
	return map[string]func(*sandbox.Sandbox) error{
		"ecr-denied":       func(s *sandbox.Sandbox) error { s.ECR.Deny(true); return nil },
		"registry-rejects": func(s *sandbox.Sandbox) error { s.Registry.Refuse(true); return nil },
		"viewer":           func(s *sandbox.Sandbox) error { s.Airflow.SetWorker("viewer"); return nil },
		"docker-down":      func(s *sandbox.Sandbox) error { return s.Engine.SetDown(true) },
	}
}

func checkFault(name string) error {
	if faults()[name] == nil {
		return errors.New("unknown fault; the faults are ecr-denied, registry-rejects, viewer and docker-down")
	}
	return nil
}

var errNotInside = errors.New("not inside a sandbox: run it with ecr-sandbox -- COMMAND")

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

// execute runs the command, forwards signals to it, and returns its exit code: 128 + n if signal n terminated it.
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
	go func() { defer close(ended); _ = process.Wait() }() // its result is in ProcessState
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

Runs COMMAND against stand-ins for ECR, Airflow and Docker. No request leaves the machine.

  --fail NAME   ecr-denied, registry-rejects, viewer or docker-down; may be repeated

example: ecr-sandbox -- ecr-refresh extract-ecr-token
`)
}

// Command bench compares the three steps with their Python baseline on the sandbox's services, in alternating runs,
// and prints medians and ratios; integration/bench/run.sh builds and runs it. With -check it fails if a figure is over
// its limit.
//
// Each step is a process of its own, as in Airflow, started by the small program in rusage, which measures it: wall
// time by the monotonic clock from start to exit, CPU time and peak memory by wait4. The sandbox's services (the other
// end of each TLS handshake) run in this process: their work counts in the wall time of both programs, and in the CPU
// time of neither. Measure on an idle machine; on a busy one rely on the ratio of the fastest runs, and on CPU time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"ecr-refresh/integration/sandbox"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line: the programs in comparison, and how often each runs.
type options struct {
	refresh, python, baseline, rusage, empty, helper string
	venv                                             string
	pairs, starts                                    int
	check                                            bool
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.refresh, "ecr-refresh", "", "our `binary`")
	flags.StringVar(&o.python, "python", "", "the Python `interpreter`")
	flags.StringVar(&o.baseline, "baseline", "", "the compiled baseline, a .pyc `file`")
	flags.StringVar(&o.rusage, "rusage", "", "the `program` that measures")
	flags.StringVar(&o.empty, "empty", "", "an empty static Go `program`")
	flags.StringVar(&o.helper, "helper", "", "docker-credential-ecr-login, the `program`")
	flags.StringVar(&o.venv, "airflow", "", "virtualenv `folder` of Airflow: measure on it too")
	flags.IntVar(&o.pairs, "pairs", 21, "alternating runs of both programs")
	flags.IntVar(&o.starts, "starts", 50, "runs of --version")
	flags.BoolVar(&o.check, "check", false, "fail if a figure is over its limit")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, program := range []*string{&o.refresh, &o.python, &o.baseline, &o.rusage, &o.empty, &o.helper} {
		if *program, err = filepath.Abs(*program); err != nil {
			return o, err
		}
		if info, err := os.Stat(*program); err != nil || info.IsDir() {
			return o, fmt.Errorf("%q is not a file: see run.sh", *program)
		}
	}
	if o.pairs < 1 || o.starts < 1 || flags.NArg() > 0 {
		return o, errors.New("-pairs and -starts are 1 or more, and there are no arguments")
	}
	return o, nil
}

func run(args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	peers, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = peers.Close() }()
	dir, err := os.MkdirTemp("", "ecr-refresh-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	here, err := os.Getwd() // run.sh changes to this folder
	if err != nil {
		return err
	}
	b := bench{options: o, peers: peers, dir: dir, here: here, interrupted: make(chan os.Signal, 1)}
	signal.Notify(b.interrupted, os.Interrupt, syscall.SIGTERM)
	if err := b.trust(); err != nil {
		return err
	}
	r, err := b.report()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, r.table()); err != nil {
		return err
	}
	if o.check {
		return r.check()
	}
	return r.write(filepath.Join(here, "..", ".."), o.python, here)
}

// report measures everything.
func (b bench) report() (r report, err error) {
	info, err := os.Stat(b.refresh)
	if err != nil {
		return r, err
	}
	r.size = info.Size()
	if r.heading, err = b.heading(); err != nil {
		return r, err
	}
	if r.ours, r.python, err = b.alternate(); err != nil {
		return r, err
	}
	if r.version, r.empty, err = b.starts(); err != nil {
		return r, err
	}
	if r.helper, err = b.againstHelper(); err != nil || b.venv == "" {
		return r, err
	}
	r.airflow, err = b.measureAirflow(context.Background(), b.venv)
	return r, err
}

// heading names what is compared.
func (b bench) heading() (string, error) {
	ours, err := b.output(b.refresh, "--version")
	if err != nil {
		return "", err
	}
	python, err := b.output(b.python, "-c", `import platform, boto3, requests, docker
print(f"Python {platform.python_version()} (boto3 {boto3.__version__}, "
      f"requests {requests.__version__}, docker {docker.__version__})")`)
	return fmt.Sprintf("%s beside %s\nmedians of %d alternating runs on the same services, %d CPUs\n", ours, python,
		b.pairs, runtime.NumCPU()), err
}

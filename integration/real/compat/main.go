// Command compat runs the tests on real peers for each release of Airflow under each of its auth managers, and writes
// the results into docs/compatibility.md, as one table. No row is written by hand: those of other releases and auth
// managers are of earlier runs. A pre-release is optional: its rows show what failed, and the command succeeds.
//
//	compat [--releases 3.0.6,3.3.2] [--auth-managers simple,fab,keycloak] [--file docs/compatibility.md]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"ecr-refresh/integration/real/peers"
)

// plan is what to run, and where to write.
type plan struct {
	releases, authManagers []string
	file                   string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	var rows []row
	for _, release := range p.releases {
		for _, authManager := range p.authManagers {
			if authManager == peers.KeycloakAuthManager && release < "3.3" {
				continue // the provider would bring newer versions of others with it
			}
			more, err := measure(ctx, release, authManager)
			if err != nil && optional(release) && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "compat: no row of the pre-release:", err)
				continue
			}
			if err != nil {
				return err
			}
			rows = append(rows, more...)
			if err := rewrite(p.file, table(rows)); err != nil { // each time: it takes half an hour
				return err
			}
		}
	}
	return red(rows)
}

func parse(args []string) (plan, error) {
	flags := flag.NewFlagSet("compat", flag.ContinueOnError)
	releases := flags.String("releases", "3.0.6,3.1.8,3.2.2,3.3.2,3.4.0b2", "Airflow's releases, joined by commas")
	all := []string{peers.SimpleAuthManager, peers.FABAuthManager, peers.KeycloakAuthManager}
	authManagers := flags.String("auth-managers", strings.Join(all, ","), "auth managers, joined by commas")
	file := flags.String("file", "docs/compatibility.md", "the file with the table")
	if err := flags.Parse(args); err != nil {
		return plan{}, err
	}
	if flags.NArg() > 0 {
		return plan{}, fmt.Errorf("unexpected %q", flags.Args())
	}
	return plan{strings.Split(*releases, ","), strings.Split(*authManagers, ","), *file}, nil
}

// measure runs the tests on real peers with one release and one auth manager, and makes the rows of them.
func measure(ctx context.Context, release, authManager string) ([]row, error) {
	begin := time.Now()
	fmt.Fprintf(os.Stderr, "compat: Airflow %s, %s\n", release, authManager)
	out, failed, err := runTests(ctx, "AIRFLOW="+release, "AUTH_MANAGER="+authManager)
	if err != nil {
		return nil, err
	}
	tests, err := read(out, failed)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "compat: %d tests in %.0f s\n", len(tests), time.Since(begin).Seconds())
	versions, err := peers.Providers(release)
	day := begin.UTC().Format(time.DateOnly)
	return rowsOf(tests, row{release: release, authManager: authManager, versions: versions, day: day}), err
}

// runTests returns the output of go test, and whether it failed. The tests of the browser and of documents are left
// out: they show one release.
func runTests(ctx context.Context, env ...string) (out string, failed bool, err error) {
	cmd := exec.CommandContext(ctx, "integration/real/run.sh", "-json", "-skip", "^TestReal(UI|Readme|Docs)")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the tests are children of go test
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	text, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return string(text), true, nil
	}
	return string(text), false, errors.Join(err, ctx.Err())
}

// optional reports whether a release is a pre-release (3.4.0a1, b2, rc1).
func optional(release string) bool { return strings.ContainsAny(release, "abr") }

// red is an error that names what failed, pre-releases aside.
func red(rows []row) error {
	var failures []error
	for _, r := range rows {
		for _, name := range r.failed {
			if optional(r.release) {
				continue
			}
			failures = append(failures, fmt.Errorf("airflow %s, %s: %s failed", r.release, r.authManager, name))
		}
	}
	return errors.Join(failures...)
}

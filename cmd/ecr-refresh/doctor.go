package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/transport"
)

// checkLimit bounds one check.
const checkLimit = 10 * time.Second

func (p *program) doctor() *cli.Command {
	in := p.Settings
	return p.step(cli.Command{
		Name:  "doctor",
		Usage: "check all that a run needs, and say what to do about the rest",
		Flags: []cli.Flag{
			command.JSONFlag(), input.RequireHTTPSFlag(),
			&cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that renews", Value: "refresh_docker_token_v4"},
			&cli.StringFlag{Name: "pool", Usage: "`NAME` of the DAG's pool", Value: "systemqueue"},
		},
		Description: command.Describe(`Run it on a worker, as the user that runs tasks. It changes nothing and publishes nothing. Exit code 1 means that a
check failed.

` + input.AirflowHelp + `
` + input.AdminHelp + `
Without it, what airflow-api's account may not read is skipped: pool, DAG, runs.

Example:
  ecr-refresh doctor --account 123456789012 --region us-east-1`),
	}, []input.Setting{in.Account, in.Region, in.ConnectionIDs, in.TargetsFile, in.AirflowURL, in.Engine},
		func(c *call) command.Work {
			d := c.doctorOf(c.Certificates())
			return func(ctx context.Context) ([]byte, error) {
				found := d.examine(ctx)
				return found.print(c.Bool("json"), console.Paint(c.Stdout)), found.verdict()
			}
		})
}

// doctor is what a run would use. What could not be made of the inputs is nil, and has an error.
type doctor struct {
	*call
	airflow    *airflowclient.Client // as the DAG logs in
	airflowErr error
	reader     *airflowclient.Client // as the admin, where one is named
	readerErr  error
	engine     *docker.Engine
	engineErr  error
	load       ecr.Config
	registry   *registry.Client
	now        func() time.Time

	connections map[string]airflowclient.Connection
	targets     []target.Target
}

func (c *call) doctorOf(roots input.Certificates) *doctor {
	d := &doctor{call: c, load: ecr.DefaultConfig(roots.All, roots.Extra, c.Log), registry: registry.New(transport.New(roots.All)), now: time.Now}
	if d.airflowErr = c.Collect(func() { d.airflow = c.Airflow(roots) }); d.airflowErr != nil {
		d.airflow = nil
	}
	d.reader, d.readerErr = d.airflow, d.airflowErr
	if input.AdminGiven() {
		d.readerErr = c.Collect(func() { d.reader = c.AdminAirflow(roots) })
	}
	d.engineErr = c.Collect(func() { d.engine = c.Docker() })
	return d
}

// examine asks Airflow for the connections first, since their hosts may name the registries; then all else, side by side.
func (d *doctor) examine(ctx context.Context) findings {
	groups := [][]func(context.Context) findings{
		{d.checkConnections},
		{d.checkInputs},
		{d.checkAWS, d.checkRegistries, d.checkRights, d.checkDAG, d.checkEngine, d.checkWorker},
	}
	var all findings
	for _, group := range groups {
		all = append(all, concurrently(ctx, group)...)
	}
	for _, client := range []*airflowclient.Client{d.airflow, d.reader} {
		if client != nil {
			input.LogOut(ctx, client) // the second time of the same client, it does nothing
		}
	}
	return all
}

// concurrently runs checks at once, and gives what they found in their order.
func concurrently(ctx context.Context, checks []func(context.Context) findings) findings {
	found := make([]findings, len(checks))
	var all sync.WaitGroup
	for i, check := range checks {
		all.Go(func() { found[i] = check(ctx) })
	}
	all.Wait()
	return slices.Concat(found...)
}

// each makes a check of every one of things.
func each[T any](things []T, check func(context.Context, T) findings) (checks []func(context.Context) findings) {
	for _, thing := range things {
		checks = append(checks, func(ctx context.Context) findings { return check(ctx, thing) })
	}
	return checks
}

// finding is what came of one check.
type finding struct {
	Name    string `json:"name"`
	State   string `json:"state"` // ok, warn, fail or skip
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

type findings []finding

func (f *findings) ok(name, format string, args ...any) {
	*f = append(*f, finding{name, "ok", fmt.Sprintf(format, args...), ""})
}

func (f *findings) warn(name, hint, format string, args ...any) {
	*f = append(*f, finding{name, "warn", console.OneLine(fmt.Sprintf(format, args...)), hint})
}

func (f *findings) skip(name, hint, format string, args ...any) {
	*f = append(*f, finding{name, "skip", console.OneLine(fmt.Sprintf(format, args...)), hint})
}

func (f *findings) fail(name string, err error) {
	*f = append(*f, finding{name, "fail", console.OneLine(err.Error()), hintOf(err)})
}

// judge is ok or fail.
func (f *findings) judge(name string, err error, format string, args ...any) bool {
	if err != nil {
		f.fail(name, err)
		return false
	}
	f.ok(name, format, args...)
	return true
}

func (f findings) print(asJSON bool, colours console.Painter) []byte {
	var text bytes.Buffer
	if asJSON {
		_ = json.NewEncoder(&text).Encode(map[string]findings{"checks": f}) // into memory
		return text.Bytes()
	}
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, one := range f {
		fmt.Fprintf(out, "%s\t%s\t%s\n", one.state(colours), one.Name, one.Message)
		if one.Hint != "" && one.State != "ok" {
			fmt.Fprintf(out, "%s\t\t→ %s\n", colours.Dim("    "), one.Hint)
		}
	}
	_ = out.Flush()
	return text.Bytes()
}

// state is four characters wide in each colour, so that the columns stand.
func (f finding) state(colours console.Painter) string {
	word := fmt.Sprintf("%-4s", f.State)
	switch f.State {
	case "ok":
		return colours.Good(word)
	case "warn":
		return colours.Warn(word)
	case "fail":
		return colours.Bad(word)
	}
	return colours.Dim(word)
}

func (f findings) verdict() error {
	n := 0
	for _, one := range f {
		if one.State == "fail" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return failure.Transient("each has a hint above", "%d of %d checks failed", n, len(f))
}

// limited gives a check its time.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, checkLimit)
}

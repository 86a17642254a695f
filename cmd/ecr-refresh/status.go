package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/xcom"
)

// How far back status looks for what was published: a token lives 12 hours.
const (
	statusRuns = 25
	statusAge  = 24 * time.Hour
)

func (p *program) status() *cli.Command {
	in := p.Settings
	return p.step(cli.Command{
		Name:  "status",
		Usage: "show when each connection's token was issued and dies",
		Flags: []cli.Flag{
			command.JSONFlag(), input.RequireHTTPSFlag(),
			&cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that renews", Value: "refresh_docker_token_v4"},
			&cli.StringFlag{Name: "min-left", Usage: "fail when a token has less than this `DURATION` left, or none is known"},
		},
		Description: command.Describe(`Reads what the DAG's last runs published, through Airflow's REST API.

` + input.AirflowHelp + `
` + input.AdminHelp + `
The account must be allowed to read them: any role of the SimpleAuthManager; FAB's Viewer, or can_read on DAGs, DAG Runs,
Task Instances and XComs.

Examples:
  ecr-refresh status
  ecr-refresh status --min-left 3h --json`),
	}, []input.Setting{in.AirflowURL},
		func(c *call) command.Work {
			s := status{airflow: c.AdminAirflow(c.Certificates()), dag: c.String("dag-id"), now: time.Now(), paint: console.Paint(c.Stdout), asJSON: c.Bool("json")}
			if c.IsSet("min-left") {
				s.minLeft = c.Positive("--min-left", c.String("min-left"), "3h")
			}
			return func(ctx context.Context) ([]byte, error) {
				if err := s.read(ctx); err != nil {
					return nil, err
				}
				return s.print(), s.check()
			}
		})
}

// status is what the runs of a DAG published.
type status struct {
	airflow *airflowclient.Client
	dag     string
	now     time.Time
	minLeft time.Duration
	paint   console.Painter
	asJSON  bool

	all    []renewed
	failed []string // ids of connections that a run could not publish
}

// renewed is one connection in the newest run that published it. All but its id is null where runs only failed to.
type renewed struct {
	ConnectionID string     `json:"connection_id"`
	RegistryURL  *string    `json:"registry_url"`
	IssuedAt     *time.Time `json:"issued_at"` // null also of a version that did not tell
	ExpiresAt    *time.Time `json:"expires_at"`
	LeftSeconds  *int64     `json:"left_seconds"`
	RunID        *string    `json:"run_id"`
}

// read goes back through the runs. The newest one that published a connection counts.
func (s *status) read(ctx context.Context) error {
	defer input.LogOut(ctx, s.airflow)
	runs, err := s.airflow.DAGRuns(ctx, s.dag, statusRuns)
	if errors.Is(err, airflowclient.ErrNotFound) {
		return failure.Permanent("deploy it (ecr-refresh dag install), or name another (--dag-id)", "read runs of DAG %q: %w", s.dag, err)
	}
	if err != nil {
		return fmt.Errorf("read runs of DAG %q: %w", s.dag, err)
	}
	for _, run := range runs {
		if len(s.all) > 0 && !run.Start.IsZero() && s.now.Sub(run.Start) > statusAge {
			break
		}
		text, err := s.airflow.XCom(ctx, s.dag, run.ID, xcom.StepUpdateDockerConnection, -1)
		if errors.Is(err, airflowclient.ErrNotFound) {
			continue // it has not got so far, or failed
		}
		if err != nil {
			return fmt.Errorf("read XCom of run %q: %w", run.ID, err)
		}
		s.add(run.ID, text)
	}
	for _, id := range s.failed {
		if !s.has(id) {
			s.all = append(s.all, renewed{ConnectionID: id})
		}
	}
	slices.SortFunc(s.all, func(a, b renewed) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return nil
}

func (s *status) add(run, text string) {
	doc, err := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil {
		return // not of this tool, or of another version
	}
	for _, p := range doc.Connections {
		if !p.Published || s.has(p.ConnectionID) {
			continue
		}
		left := int64(p.ExpiresAt.Sub(s.now).Seconds())
		r := renewed{ConnectionID: p.ConnectionID, RegistryURL: &p.RegistryURL, ExpiresAt: &p.ExpiresAt, LeftSeconds: &left, RunID: &run}
		if !p.IssuedAt.IsZero() {
			r.IssuedAt = &p.IssuedAt
		}
		s.all = append(s.all, r)
	}
	for _, f := range doc.Failures {
		if xcom.IsConnectionID(f.ConnectionID) && !slices.Contains(s.failed, f.ConnectionID) {
			s.failed = append(s.failed, f.ConnectionID)
		}
	}
}

func (s *status) has(id string) bool {
	return slices.ContainsFunc(s.all, func(r renewed) bool { return r.ConnectionID == id })
}

func (s *status) print() []byte {
	if s.asJSON {
		text, _ := command.JSONLine(map[string]any{"connections": append([]renewed{}, s.all...)}, nil)
		return text
	}
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CONNECTION\tREGISTRY\tISSUED\tEXPIRES\tLEFT")
	for _, r := range s.all {
		host := "-"
		if r.RegistryURL != nil {
			host = registry.Host(*r.RegistryURL)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", r.ConnectionID, host, moment(r.IssuedAt), moment(r.ExpiresAt), s.left(r))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// left is the last column, so that colours move nothing.
func (s *status) left(r renewed) string {
	switch left := r.left(); {
	case r.ExpiresAt == nil:
		return s.paint.Bad("unknown")
	case left <= 0:
		return s.paint.Bad("dead")
	case left < max(s.minLeft, 2*time.Hour):
		return s.paint.Warn(left.Round(time.Minute).String())
	default:
		return s.paint.Good(left.Round(time.Minute).String())
	}
}

// left is 0 where nothing is known.
func (r renewed) left() time.Duration {
	if r.LeftSeconds == nil {
		return 0
	}
	return time.Duration(*r.LeftSeconds) * time.Second
}

// check names the connections under --min-left.
func (s *status) check() error {
	var short []string
	for _, r := range s.all {
		if left := r.left(); r.ExpiresAt == nil {
			short = append(short, r.ConnectionID+" (unknown)")
		} else if left < s.minLeft {
			short = append(short, fmt.Sprintf("%s (%s)", r.ConnectionID, left.Round(time.Minute)))
		}
	}
	switch {
	case !slices.ContainsFunc(s.all, func(r renewed) bool { return r.ExpiresAt != nil }):
		return failure.Transient("trigger the DAG, and look at its last run", "check tokens: no run of DAG %q has published one", s.dag)
	case s.minLeft > 0 && len(short) > 0:
		return failure.Transient("look at the last runs of the DAG: ecr-refresh doctor", "check tokens: less than %s left for %s", s.minLeft, strings.Join(short, ", "))
	}
	return nil
}

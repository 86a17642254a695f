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
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
	"ecr-refresh/steps/xcom"
)

// How far back status looks for what was published: a token lives 12 hours.
const (
	statusRuns = 25
	statusAge  = 24 * time.Hour
)

func (p *program) status() *cli.Command {
	in := settings()
	return p.step(cli.Command{
		Name:  "status",
		Usage: "show when each connection's token was issued and dies",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that renews", Value: "refresh_docker_token_v4"},
			&cli.StringFlag{Name: "min-left", Usage: "fail when a token has less than this `DURATION` left, or none is known"},
		},
		Description: describe(`Reads what the DAG's last runs published, through Airflow's REST API.

` + airflowEnvHelp + `
` + adminEnvHelp + `
The account must be allowed to read DAG runs, task instances and XComs.

Examples:
  ecr-refresh status
  ecr-refresh status --min-left 3h --json`),
	}, []setting{in.airflowURL},
		func(c *call) func(context.Context) ([]byte, error) {
			s := status{airflow: c.reader(c.roots()), dag: c.String("dag-id"), now: time.Now(), paint: paint(c.stdout), asJSON: c.Bool("json")}
			if c.IsSet("min-left") {
				s.minLeft = c.positive("min-left", c.String("min-left"), "3h")
			}
			return func(ctx context.Context) ([]byte, error) {
				if err := s.read(ctx); err != nil {
					return nil, err
				}
				_, err := c.stdout.Write(s.print())
				return nil, errors.Join(err, s.check())
			}
		})
}

// status is what the runs of a DAG published.
type status struct {
	airflow *airflowclient.Client
	dag     string
	now     time.Time
	minLeft time.Duration
	paint   painter
	asJSON  bool

	all []renewed
}

// renewed is one connection in the newest run that published it.
type renewed struct {
	ConnectionID string     `json:"connection_id"`
	RegistryURL  string     `json:"registry_url"`
	IssuedAt     *time.Time `json:"issued_at"` // null: of a version that did not tell
	ExpiresAt    time.Time  `json:"expires_at"`
	LeftSeconds  int64      `json:"left_seconds"`
	RunID        string     `json:"run_id"`
}

// read goes back through the runs. The newest one that published a connection counts.
func (s *status) read(ctx context.Context) error {
	defer func() { _ = s.airflow.Logout(context.WithoutCancel(ctx)) }()
	runs, err := s.airflow.DAGRuns(ctx, s.dag, statusRuns)
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
	slices.SortFunc(s.all, func(a, b renewed) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return nil
}

func (s *status) add(run, text string) {
	doc, err := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil {
		return // not of this tool, or of another version
	}
	for _, p := range doc.Connections {
		if !p.Published || slices.ContainsFunc(s.all, func(r renewed) bool { return r.ConnectionID == p.ConnectionID }) {
			continue
		}
		r := renewed{
			ConnectionID: p.ConnectionID, RegistryURL: p.RegistryURL, ExpiresAt: p.ExpiresAt,
			LeftSeconds: int64(p.ExpiresAt.Sub(s.now).Seconds()), RunID: run,
		}
		if !p.IssuedAt.IsZero() {
			r.IssuedAt = &p.IssuedAt
		}
		s.all = append(s.all, r)
	}
}

func (s *status) print() []byte {
	if s.asJSON {
		text, _ := jsonLine(map[string]any{"connections": append([]renewed{}, s.all...)}, nil)
		return text
	}
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CONNECTION\tREGISTRY\tISSUED\tEXPIRES\tLEFT")
	for _, r := range s.all {
		issued := "-"
		if r.IssuedAt != nil {
			issued = r.IssuedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", r.ConnectionID, token.Host(r.RegistryURL), issued, r.ExpiresAt.Format(time.RFC3339), s.left(r))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

// left is the last column, so that colours move nothing.
func (s *status) left(r renewed) string {
	switch left := time.Duration(r.LeftSeconds) * time.Second; {
	case left <= 0:
		return s.paint.bad("dead")
	case left < max(s.minLeft, 2*time.Hour):
		return s.paint.warn(left.Round(time.Minute).String())
	default:
		return s.paint.good(left.Round(time.Minute).String())
	}
}

// check names the connections under --min-left.
func (s *status) check() error {
	var short []string
	for _, r := range s.all {
		if left := time.Duration(r.LeftSeconds) * time.Second; s.minLeft > 0 && left < s.minLeft {
			short = append(short, fmt.Sprintf("%s (%s)", r.ConnectionID, left.Round(time.Minute)))
		}
	}
	switch {
	case len(s.all) == 0:
		return failure.Transient("trigger the DAG, and look at its last run", "check tokens: no run of DAG %q has published one", s.dag)
	case len(short) > 0:
		return failure.Transient("look at the last runs of the DAG: ecr-refresh doctor", "check tokens: less than %s left for %s", s.minLeft, strings.Join(short, ", "))
	}
	return nil
}

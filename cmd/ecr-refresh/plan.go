package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

func (p *program) plan() *cli.Command {
	return p.step(cli.Command{
		Name:  "plan",
		Usage: "show what a run would do: each connection, its registry, and where its token comes from",
		Flags: []cli.Flag{
			command.JSONFlag(),
			&cli.StringFlag{Name: "registry", Usage: "show what the name of this `HOST` says, and nothing else"},
		},
		Description: command.Describe(`Sends nothing and needs no credentials. What is not known here is "-" in
the table and empty in the JSON.

Examples:
  ecr-refresh plan --account 123456789012 --region us-east-1
  ecr-refresh plan --targets ecr_targets.json --json
  ecr-refresh plan --registry 123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com`),
	}, []input.Setting{p.Account, p.Region, p.ConnectionIDs, p.TargetsFile, p.AirflowURL},
		func(c *call) command.Work {
			roots := c.Certificates()
			var targets []target.Target
			if c.IsSet("registry") {
				t, err := target.Of("", c.String("registry"))
				c.Fault(err)
				targets = append(targets, t)
			} else {
				targets = c.Targets()
			}
			return func(ctx context.Context) ([]byte, error) {
				plan, err := c.planOf(ctx, targets, roots)
				if err != nil || c.Bool("json") {
					return command.JSONLine(plan, err)
				}
				return plan.table(), nil
			}
		})
}

// plan is what --json prints. What is not known is "".
type plan struct {
	Targets []plannedTarget `json:"targets"`
}

type plannedTarget struct {
	ConnectionID string `json:"connection_id"`
	Registry     string `json:"registry"`
	Account      string `json:"account"` // of the registry; ECR Public has none
	Region       string `json:"region"`
	Partition    string `json:"partition"`
	Service      string `json:"service"`
	FIPS         bool   `json:"fips"`
	DualStack    bool   `json:"dual_stack"`
	Endpoint     string `json:"endpoint"`
	AirflowURL   string `json:"airflow_url"`
}

// planOf returns the plan for targets. It sends nothing, but reads AWS's own settings, AWS_ENDPOINT_URL and the like.
func (c *call) planOf(ctx context.Context, targets []target.Target, roots input.Certificates) (p plan, err error) {
	load := ecr.DefaultConfig(roots.All, roots.Extra, c.Log)
	airflow, _ := c.AirflowConfig() // as far as it is known
	for _, t := range targets {
		cfg, err := load(ctx, t.Source.Profile)
		if err != nil {
			return p, err
		}
		endpoint, err := t.Source.EndpointURL(ctx, cfg)
		if err != nil {
			return p, fmt.Errorf("plan connection %q: %w", t.ConnectionID, err)
		}
		p.Targets = append(p.Targets, plannedTarget{
			ConnectionID: t.ConnectionID, Registry: t.Registry.Name, Account: t.Registry.Account,
			Region: t.Registry.Region, Partition: t.Registry.Partition, Service: t.Registry.Service,
			FIPS: t.Source.FIPS, DualStack: t.Source.DualStack, Endpoint: endpoint, AirflowURL: airflow.BaseURL,
		})
	}
	return p, nil
}

func (p plan) table() []byte {
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CONNECTION\tREGISTRY\tPARTITION\tTOKEN FROM\tAIRFLOW")
	for _, t := range p.Targets {
		row := []string{t.ConnectionID, t.Registry, t.Partition, t.Endpoint, t.AirflowURL}
		for i, cell := range row {
			row[i] = cmp.Or(cell, "-")
		}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

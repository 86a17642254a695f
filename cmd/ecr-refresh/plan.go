package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

func (p *program) plan() *cli.Command {
	const otherwise = "without --targets or --registry"
	return p.local(cli.Command{
		Name:  "plan",
		Usage: "show what a run would do: each connection, its registry, and where its token comes from",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.StringFlag{Name: "registry", Usage: "show what the name of this `HOST` says, and nothing else"},
		},
		Description: `Sends nothing and needs no credentials.

Examples:
  ecr-refresh plan --account 123456789012 --region us-east-1
  ecr-refresh plan --targets ecr_targets.json --json
  ecr-refresh plan --registry 123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com` + exits("", wrong),
	}, []input.Setting{
		p.Account.Required(otherwise), p.Region.Required(otherwise), p.ConnectionIDs, p.TargetsFile, p.AirflowURL,
	}, (*call).plan)
}

// plannedTarget is what --json prints of a target. What is not known is "".
type plannedTarget struct {
	ConnectionID string `json:"connection_id"`
	ecr.Host
	Endpoint   string `json:"endpoint"`
	AirflowURL string `json:"airflow_url"`
}

// plan returns the work that shows the plan. It sends nothing, but reads AWS's own settings.
func (c *call) plan() work {
	roots := c.Certificates()
	var targets []target.Target
	if c.IsSet("registry") {
		t, err := target.Of(c.String("registry"))
		c.Fault(err)
		targets = append(targets, t)
	} else {
		targets = c.Targets()
	}
	load := c.AWS(roots)
	airflow, _ := c.AirflowConfig() // as far as it is known
	return func(ctx context.Context) ([]byte, error) {
		var all []plannedTarget
		rows := [][]string{{"CONNECTION", "REGISTRY", "PARTITION", "TOKEN FROM", "AIRFLOW"}}
		for _, t := range targets {
			cfg, err := load(ctx, t.Source.Profile, t.Source.Region)
			if err != nil {
				return nil, err
			}
			endpoint, err := t.Source.EndpointURL(ctx, cfg)
			if err != nil {
				return nil, fmt.Errorf("plan connection %q: %w", t.ConnectionID, err)
			}
			host := t.Registry
			host.FIPS, host.DualStack = t.Source.FIPS, t.Source.DualStack // of the endpoint
			all = append(all, plannedTarget{t.ConnectionID, host, endpoint, airflow.BaseURL})
			rows = append(rows, []string{cmp.Or(t.ConnectionID, "-"), host.Name, cmp.Or(host.Partition, "-"), endpoint,
				cmp.Or(airflow.BaseURL, "-")})
		}
		return c.text(map[string]any{"targets": all}, console.Table(rows)), nil
	}
}

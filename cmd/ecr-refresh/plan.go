package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/plan"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

func (p *program) plan() *cli.Command {
	in := p.Settings
	return p.step(cli.Command{
		Name:  "plan",
		Usage: "show what a run would do: each connection, its registry, and where its token comes from",
		Flags: []cli.Flag{
			command.JSONFlag(),
			&cli.StringFlag{Name: "registry", Usage: "show what the name of this `HOST` says, and nothing else"},
		},
		Description: command.Describe(`Sends nothing and needs no credentials. What is not known here is "-" in
the table and null in the JSON.

Examples:
  ecr-refresh plan --account 123456789012 --region us-east-1
  ecr-refresh plan --targets ecr_targets.json --json
  ecr-refresh plan --registry 123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com`),
	}, []input.Setting{in.Account, in.Region, in.ConnectionIDs, in.TargetsFile, in.AirflowURL},
		func(c *call) command.Work {
			roots := c.Certificates()
			targets := c.plannedTargets()
			return func(ctx context.Context) ([]byte, error) {
				plan, err := c.planOf(ctx, targets, roots)
				if err != nil || c.Bool("json") {
					return command.JSONLine(plan, err)
				}
				return plan.Table(), nil
			}
		})
}

// plannedTargets returns what a run would refresh, or the registry that --registry names, with or without connections.
func (c *call) plannedTargets() (targets []target.Target) {
	if !c.IsSet("registry") {
		return c.Targets()
	}
	ids := c.IDs()
	if len(ids) == 0 {
		ids = []string{""}
	}
	for _, id := range ids {
		t, err := target.Of(id, c.String("registry"))
		c.Fault(err)
		targets = append(targets, t)
	}
	return targets
}

// planOf returns the plan for targets, with Airflow's base URL as far as it is known.
func (c *call) planOf(ctx context.Context, targets []target.Target, roots input.Certificates) (plan.Plan, error) {
	base := ""
	_ = c.Collect(func() { base = c.AirflowConfig().BaseURL })
	return plan.Of(ctx, targets, ecr.DefaultConfig(roots.All, roots.Extra, c.Log), base)
}

package main

import (
	"context"
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/allsteps"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
)

func (p *program) run() *cli.Command {
	in := p.Settings
	return p.step(cli.Command{
		Name:  "run",
		Usage: "all three steps in one process; the token is not stored on this host",
		Flags: []cli.Flag{
			input.DryRunFlag(), input.RequireHTTPSFlag(),
			input.Switch("json", "with --dry-run: print the plan as one JSON object"),
		},
		Description: command.Describe(`For a shell. Logs in to Docker with the new token and the host that
Airflow's REST API shows, since this command does not see the connection as tasks do: "matches" is null in its
result, unless AIRFLOW_CONN_DOCKER_DEFAULT or ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD} is that connection.

` + input.AirflowHelp + `

Example:
  ecr-refresh run --account 123456789012 --region us-east-1 --dry-run`),
	}, []input.Setting{
		in.Account, in.Region, in.ConnectionIDs, in.TargetsFile, in.AirflowURL, in.Engine, in.Out, in.Metrics,
	},
		func(c *call) command.Work {
			roots := c.Certificates()
			all := allsteps.Steps{Extract: c.extract(roots), Update: c.update(roots), Test: c.test()}
			var ids []string
			for _, t := range all.Extract.Targets {
				ids = append(ids, t.ConnectionID)
			}
			all.Test.Connections = c.DockerConnections(ids, false) // before anything is changed
			all.Extract.Registry, all.Test.Registry = all.Update.Registry, all.Update.Registry
			if c.Bool("json") && !all.Update.DryRun {
				c.Fault(errors.New("--json is for --dry-run: the result of a run is JSON anyway"))
			}
			return func(ctx context.Context) ([]byte, error) {
				if all.Update.DryRun {
					return c.dryRun(ctx, all, roots)
				}
				return command.Printed(all.Run(ctx))
			}
		})
}

// dryRun logs the plan, then checks everything that a run needs. With --json, the plan is the result.
func (c *call) dryRun(ctx context.Context, all allsteps.Steps, roots input.Certificates) ([]byte, error) {
	plan, err := c.planOf(ctx, all.Extract.Targets, roots)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(plan.Table())) {
		c.Log.Info("plan: " + strings.TrimRight(line, " \n"))
	}
	result, err := command.Printed(all.Run(ctx))
	if err == nil && c.Bool("json") {
		return command.JSONLine(plan, nil)
	}
	return result, err
}

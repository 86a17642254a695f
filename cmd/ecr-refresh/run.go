package main

import (
	"context"
	"maps"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

func (p *program) run() *cli.Command {
	const without = "without --targets"
	return p.command(cli.Command{
		Name:  "run",
		Usage: "all three steps in one process; the token is not stored on this host",
		Flags: []cli.Flag{
			input.DryRunFlag(),
			input.Switch("json", "with --dry-run: print the plan as one JSON object, if all is well"),
		},
		Description: `For cron, systemd timers and Kubernetes CronJobs in place of the DAG: run it every
six hours, with its inputs in the file of ECR_REFRESH_ENV_FILE; a second run does no harm. Step 3 logs in with the
new token to the host that Airflow's REST API shows ("matches" is null in the result), unless
AIRFLOW_CONN_DOCKER_DEFAULT or ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD} is the connection as tasks see it.

` + input.AirflowHelp + `

Example:
  ecr-refresh run --account 123456789012 --region us-east-1 --dry-run` + exits(unavailable, wrong),
	}, []input.Setting{
		p.Account.Required(without), p.Region.Required(without), p.ConnectionIDs, p.TargetsFile, p.AirflowURL,
		p.Engine, p.Out, p.Metrics,
	}, (*call).run)
}

// run returns the work of all steps or, with --json, that of plan if they succeed.
func (c *call) run() work {
	run, asJSON := result(c, c.allSteps()), c.Bool("json")
	if asJSON && !c.DryRun() {
		c.Fault(failure.Permanent("", "--json needs --dry-run: the result is JSON anyway"))
	}
	if !asJSON || c.Faulty() {
		return run
	}
	plan := c.plan()
	return func(ctx context.Context) ([]byte, error) {
		if _, err := run(ctx); err != nil {
			return nil, err
		}
		return plan(ctx)
	}
}

// allSteps hands to each step the result and the keys from the one before. The token is encrypted all the same, to a
// key pair that exists for this run only.
func (c *call) allSteps() func(context.Context) (xcom.TestDockerConnection, error) {
	roots := c.Certificates()
	extract, update, test := c.extract(roots), c.update(roots), c.test()
	_ = c.Collect(func() { test.Asked = c.Asked() }) // extract has reported the errors of these
	given := c.DockerConnections(test.Asked, false)  // before anything is changed
	test.Connections = map[string]steps.DockerConnection{}
	update.After = test.Connections
	extract.Registry, test.Registry = update.Registry, update.Registry
	return func(ctx context.Context) (result xcom.TestDockerConnection, err error) {
		update.Identity = secret.NewIdentity()
		extract.Recipient = update.Identity.Recipient()
		if update.Input, err = extract.Run(ctx); err != nil {
			return result, err
		}
		if test.Input, err = update.Run(ctx); err != nil {
			return result, err
		}
		maps.Copy(test.Connections, given)
		return test.Run(ctx)
	}
}

package main

import (
	"context"
	"strconv"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
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
			input.DryRunFlag(), input.RequireHTTPSFlag(),
			input.Switch("json", "with --dry-run: print the plan as one JSON object, if all is well"),
		},
		Description: `For cron, systemd timers and Kubernetes CronJobs in place of the DAG, and for a
shell. Run it every six hours, with its inputs in the file of ECR_REFRESH_ENV_FILE; a second run does no harm. Logs
in to Docker with the new token and the host that Airflow's REST API shows, since this command does not see the
connection as tasks do: "matches" is null in its result, unless AIRFLOW_CONN_DOCKER_DEFAULT or
ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD} is that connection.

` + input.AirflowHelp + `

Example:
  ecr-refresh run --account 123456789012 --region us-east-1 --dry-run` + exits(unavailable, wrong),
	}, []input.Setting{
		p.Account.Required(without), p.Region.Required(without), p.ConnectionIDs, p.TargetsFile, p.AirflowURL,
		p.Engine, p.Out, p.Metrics,
	},
		(*call).run)
}

// run reads the inputs of all steps.
func (c *call) run() work {
	roots := c.Certificates()
	all := allSteps{extract: c.extract(roots), update: c.update(roots), test: c.test()}
	var ids []string
	for _, t := range all.extract.Targets {
		ids = append(ids, t.ConnectionID)
	}
	all.test.Connections = c.DockerConnections(ids, false) // before anything is changed
	all.extract.Registry, all.test.Registry = all.update.Registry, all.update.Registry
	run := result(c, all.run)
	if !c.Bool("json") {
		return run
	}
	if !all.update.DryRun {
		c.Fault(failure.Permanent("", "--json needs --dry-run: the result is JSON anyway"))
	}
	plan := c.plan(all.extract.Targets, roots)
	return func(ctx context.Context) ([]byte, error) {
		if _, err := run(ctx); err != nil {
			return nil, err
		}
		return plan(ctx)
	}
}

// allSteps are the steps with their inputs, but for the results and the keys that each gets from the one before. The
// token is encrypted all the same, to a key pair that exists for this run only.
type allSteps struct {
	extract steps.ExtractECRToken
	update  steps.UpdateDockerConnection
	test    steps.TestDockerConnection
}

func (a allSteps) run(ctx context.Context) (result xcom.TestDockerConnection, err error) {
	a.update.Identity = secret.NewIdentity()
	a.extract.Recipient = a.update.Identity.Recipient()
	if a.update.Input, err = a.extract.Run(ctx); err != nil {
		return result, err
	}
	seen := &connectionsSeen{Airflow: a.update.Airflow}
	a.update.Airflow = seen
	if a.test.Input, err = a.update.Run(ctx); err != nil {
		return result, err
	}
	tokens, err := secret.Decrypt(a.update.Identity, a.update.Input.Recipient, a.update.Input.Sealed)
	if err != nil {
		return result, err
	}
	for i, t := range tokens {
		for _, id := range a.update.Input.Tokens[i].Connections {
			if _, given := a.test.Connections[id]; given {
				continue
			}
			read := seen.byID[id]
			made := steps.DockerConnection{Host: read.Host, Login: t.Username, Password: t.Password, Assumed: true}
			if read.Port != 0 {
				made.Port = strconv.Itoa(read.Port)
			}
			a.test.Connections[id] = made
		}
	}
	return a.test.Run(ctx)
}

// connectionsSeen remembers the connections that step 2 read, for step 3.
type connectionsSeen struct {
	steps.Airflow
	byID map[string]airflowclient.Connection
}

// ConnectionsByID implements steps.Airflow.
func (s *connectionsSeen) ConnectionsByID(
	ctx context.Context, ids []string,
) (found map[string]airflowclient.Connection, failed map[string]error) {
	s.byID, failed = s.Airflow.ConnectionsByID(ctx, ids)
	return s.byID, failed
}

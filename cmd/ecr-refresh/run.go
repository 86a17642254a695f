package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

func (p *program) run() *cli.Command {
	in := p.inputs
	return p.step(cli.Command{
		Name:  "run",
		Usage: "all three steps in one process, with nothing at rest",
		Flags: []cli.Flag{dryRunFlag(), requireHTTPSFlag(), &cli.BoolFlag{Name: "json", Usage: "with --dry-run: print the plan as one JSON object", DisableDefaultText: true}},
		Description: describe(`For a shell. The Engine logs in with the token in hand and the host that Airflow's REST API shows, since
this command cannot see what tasks see: "matches" is null, unless AIRFLOW_CONN_DOCKER_DEFAULT or
ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD} hands the connection over.

` + airflowEnvHelp + `

Example:
  ecr-refresh run --account 123456789012 --region us-east-1 --dry-run`),
	}, []setting{in.account, in.region, in.connectionIDs, in.targets, in.airflowURL, in.engine, in.out, in.metrics},
		func(c *call) func(context.Context) ([]byte, error) {
			roots := c.certificates()
			all := allSteps{call: c, extract: c.extract(roots), update: c.update(roots), test: c.test()}
			all.handOver()
			all.extract.Registry, all.test.Registry = all.update.Registry, all.update.Registry
			if c.Bool("json") && !all.update.DryRun {
				c.fault(failure.Permanent("a run's result is JSON anyway", "--json is for --dry-run"))
			}
			return func(ctx context.Context) ([]byte, error) {
				if all.update.DryRun {
					return all.dryRun(ctx, roots)
				}
				return printed(all.run(ctx))
			}
		})
}

// allSteps is the DAG in one process. The token is sealed all the same, to an identity that lives as long as the run.
type allSteps struct {
	*call
	extract steps.ExtractECRToken
	update  steps.UpdateDockerConnection
	test    steps.TestDockerConnection
}

// dryRun shows the plan, then checks everything on the way that a run takes. The plan is the result where it is asked for.
func (a allSteps) dryRun(ctx context.Context, roots certificates) ([]byte, error) {
	plan, err := a.plannedBy(ctx, a.extract.Targets, roots)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(plan.table())) {
		a.log.Info("plan: " + strings.TrimRight(line, " \n"))
	}
	document, err := printed(a.run(ctx))
	if err == nil && a.Bool("json") {
		return jsonLine(plan, nil)
	}
	return document, err
}

// handOver reads the connections that the environment shows as tasks see them, before anything is done.
func (a allSteps) handOver() {
	handed := a.handed()
	for _, t := range a.extract.Targets {
		conn, found, err := asTasksSee(t.ConnectionID, handed, len(a.extract.Targets) == 1)
		a.fault(err)
		if found {
			a.test.Connections[t.ConnectionID] = conn
		}
	}
}

func (a allSteps) run(ctx context.Context) (doc xcom.TestDockerConnection, err error) {
	if a.update.Identity, err = secret.NewIdentity(); err != nil {
		return doc, err
	}
	a.extract.Recipient = a.update.Identity.Recipient()
	if a.update.Input, err = a.extract.Run(ctx); err != nil {
		return doc, err
	}
	seen := &connectionsSeen{Airflow: a.update.Airflow}
	a.update.Airflow = seen
	if a.test.Input, err = a.update.Run(ctx); err != nil {
		return doc, err
	}
	if err := a.handOverAll(seen); err != nil {
		return doc, err
	}
	return a.test.Run(ctx)
}

// connectionsSeen remembers the connections that step 2 read, for step 3.
type connectionsSeen struct {
	steps.Airflow
	byID map[string]airflowclient.Connection
}

func (s *connectionsSeen) ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error) {
	found, failed := s.Airflow.ConnectionsByID(ctx, ids)
	s.byID = found
	return found, failed
}

// handOverAll gives step 3 each connection: as tasks see it where the environment says so, else made of what was published.
func (a allSteps) handOverAll(seen *connectionsSeen) error {
	tokens, err := secret.Decrypt(a.update.Identity, a.update.Input.Recipient, a.update.Input.Sealed)
	if err != nil {
		return err
	}
	published := map[string]secret.Token{}
	for i, t := range tokens {
		for _, id := range a.update.Input.Tokens[i].Connections {
			published[id] = t
		}
	}
	for _, p := range a.test.Input.Connections {
		if _, found := a.test.Connections[p.ConnectionID]; !found {
			a.test.Connections[p.ConnectionID] = unseen(seen.byID[p.ConnectionID], published[p.ConnectionID])
		}
	}
	return nil
}

func unseen(conn airflowclient.Connection, t secret.Token) steps.DockerConnection {
	made := steps.DockerConnection{Host: conn.Host, Login: t.Username, Password: t.Password, Assumed: true}
	if conn.Port != 0 {
		made.Port = fmt.Sprint(conn.Port)
	}
	return made
}

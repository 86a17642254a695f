package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/xcom"
)

func (p *program) updateDockerConnection() *cli.Command {
	in := p.inputs
	return p.step(cli.Command{
		Name:  "update-docker-connection",
		Usage: "step 2: put the token into Airflow's connection",
		Flags: []cli.Flag{dryRunFlag(), requireHTTPSFlag()},
		Description: describe(`Checks the token at its registry again, logs in to Airflow's REST API and changes the password of the
connection, and its login if that is not the token's. Nothing else of the connection is touched.

` + airflowEnvHelp + `
The identity that opens the seal: ECR_REFRESH_PRIVATE_KEY, or --identity-file, or this host's own.

Example:
  ecr-refresh update-docker-connection --in token.json --out published.json`),
	}, []setting{in.document, in.out, in.metrics, in.maxAge, in.identityFile, in.airflowURL},
		func(c *call) func(context.Context) ([]byte, error) {
			s := c.update(c.certificates())
			s.Input = documentOf(c, xcom.Parse[xcom.ExtractECRToken])
			if len(c.faults) == 0 {
				s.Identity = c.openWith(s.Input.Recipient)
			}
			return func(ctx context.Context) ([]byte, error) { return printed(s.Run(ctx)) }
		})
}

// update reads the inputs of step 2, but for the document and the identity.
func (c *call) update(roots certificates) steps.UpdateDockerConnection {
	return steps.UpdateDockerConnection{
		MaxAge:   c.duration(c.maxAge),
		DryRun:   c.dryRun(),
		Airflow:  c.airflow(roots),
		Registry: registry.New(transport.New(roots.all)),
		Now:      time.Now,
		Log:      c.log,
	}
}

// openWith gives the identity for a seal made to recipient. Only step 1 makes one.
func (c *call) openWith(recipient string) secret.Identity {
	id, found, err := c.givenIdentity()
	if found {
		c.fault(err)
		return id
	}
	path, err := c.identityPath()
	if err == nil {
		id, err = secret.LoadIdentity(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = failure.Permanent("run 'ecr-refresh keygen' once and set the two Airflow Variables that it prints: this worker is not the one that ran step 1",
			"missing identity for recipient %.70q (%s or %s or %s)", recipient, privateKeyEnv, c.identityFile.names(), path)
	}
	c.fault(err)
	return id
}

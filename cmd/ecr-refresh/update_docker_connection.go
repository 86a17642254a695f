package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps"
	"ecr-refresh/steps/xcom"
)

func (p *program) updateDockerConnection() *cli.Command {
	return p.command(cli.Command{
		Name:  "update-docker-connection",
		Usage: "step 2: update Airflow's connection with the token",
		Flags: []cli.Flag{input.DryRunFlag()},
		Description: `Changes the password of the connection, and its login if that is not the
token's, but nothing else of it.

` + input.AirflowHelp + `
The private key that decrypts the token is ECR_REFRESH_PRIVATE_KEY, or --identity-file, or this host's own.

Example:
  ecr-refresh update-docker-connection --in token.json --out published.json` + exits(unavailable, wrong+inTheDAG),
	}, []input.Setting{p.Previous.Required(""), p.Out, p.Metrics, p.MaxAge, p.IdentityFile, p.AirflowURL},
		func(c *call) work {
			s := c.update(c.Certificates())
			s.Input = input.Result(c.Reader, xcom.Parse[xcom.ExtractECRToken])
			if !c.Faulty() {
				s.Identity = c.PrivateKey(s.Input.Recipient)
			}
			return result(c, s.Run)
		})
}

// update reads the inputs of step 2, but for step 1's result and the private key.
func (c *call) update(roots input.Certificates) steps.UpdateDockerConnection {
	return steps.UpdateDockerConnection{
		MaxAge:   c.Duration(c.MaxAge),
		DryRun:   c.DryRun(),
		Airflow:  c.Airflow(roots),
		Registry: checker(roots),
		Now:      time.Now,
		Log:      c.Log,
	}
}

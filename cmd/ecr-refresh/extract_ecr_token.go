package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/transport"
)

func (p *program) extractECRToken() *cli.Command {
	return p.command(cli.Command{
		Name:  "extract-ecr-token",
		Usage: "step 1: get a token from ECR, check it at its registry, encrypt it",
		Description: `AWS credentials come from AWS's default chain (AWS_PROFILE, AWS_ACCESS_KEY_ID, a
role, …). One token is for the registries of all accounts in the region that this AWS identity may use.

Example:
  ecr-refresh extract-ecr-token --account 123456789012 --region us-east-1 --out token.json` +
			exits(unavailable, wrong+inTheDAG),
	}, []input.Setting{
		p.Account.Required("without --targets"), p.Region.Required("without --targets"), p.ConnectionIDs,
		p.TargetsFile, p.Recipient, p.IdentityFile, p.Out, p.Metrics,
	}, func(c *call) work {
		s := c.extract(c.Certificates())
		s.Recipient = c.PublicKey()
		return result(c, s.Run)
	})
}

// extract reads the inputs of step 1, but for the public key.
func (c *call) extract(roots input.Certificates) steps.ExtractECRToken {
	return steps.ExtractECRToken{
		Targets:  c.Targets(),
		ECR:      ecr.New(c.AWS(roots)),
		Registry: checker(roots),
		Now:      time.Now,
		Log:      c.Log,
	}
}

// checker returns what tries a token at its registry.
func checker(roots input.Certificates) *registry.Client {
	return registry.New(transport.New(roots.All))
}

package main

import (
	"context"
	"net/url"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/xcom"
)

func (p *program) extractECRToken() *cli.Command {
	in := p.inputs
	return p.step(cli.Command{
		Name:  "extract-ecr-token",
		Usage: "step 1: get a token from ECR, check it at its registry, seal it",
		Flags: []cli.Flag{requireHTTPSFlag(), &cli.BoolFlag{Name: "skip-registry-check", Usage: "leave the check to step 2, which makes it all the same", DisableDefaultText: true}},
		Description: describe(`Gets one authorization token, which every account's registry in the region accepts that this AWS
identity may reach. AWS credentials come from AWS's default chain (AWS_PROFILE, AWS_ACCESS_KEY_ID,
a role, …).

Example:
  ecr-refresh extract-ecr-token --account 123456789012 --region us-east-1 --out token.json`),
	}, []setting{in.account, in.region, in.connectionIDs, in.targets, in.recipient, in.identityFile, in.out, in.metrics},
		func(c *call) func(context.Context) ([]byte, error) {
			s := c.extract(c.certificates())
			if c.Bool("skip-registry-check") {
				s.Registry = nil
			}
			if len(c.faults) == 0 {
				s.Recipient = c.sealTo()
			}
			return func(ctx context.Context) ([]byte, error) { return printed(s.Run(ctx)) }
		})
}

// extract reads the inputs of step 1, but for the seal.
func (c *call) extract(roots certificates) steps.ExtractECRToken {
	c.awsEndpoints()
	return steps.ExtractECRToken{
		Targets:  c.targetList(),
		ECR:      ecr.New(ecr.DefaultConfig(roots.all, roots.extra, c.log)),
		Registry: registry.New(transport.New(roots.all)),
		Now:      time.Now,
		Log:      c.log,
	}
}

// awsEndpoints looks at the addresses that AWS's SDK takes from the environment.
func (c *call) awsEndpoints() {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC"} {
		if u, err := url.Parse(os.Getenv(name)); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			c.inClear(u.Host, "the token", "give "+name+" as https")
		}
	}
}

// sealTo gives the recipient: handed over, or of an identity handed over, or of this host's own, made here if need be.
func (c *call) sealTo() string {
	if to, _ := given(c.Context, c.recipient); to != "" {
		c.fault(secret.CheckRecipient(to))
		return to
	}
	id, found, err := c.givenIdentity()
	if !found {
		id, err = c.ownIdentity()
	}
	if err != nil {
		c.fault(err)
		return ""
	}
	return id.Recipient()
}

func (c *call) ownIdentity() (secret.Identity, error) {
	path, err := c.identityPath()
	if err != nil {
		return secret.Identity{}, err
	}
	return secret.CreateIdentity(path)
}

// printed turns a step's result into its document's line.
func printed(doc any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return xcom.Print(doc)
}

// describe closes a command's description with what all of them share.
func describe(text string) string {
	return text + `

Exit codes:
  0    done
  1    a peer failed: a retry may help
  2    input, configuration or permission: a retry cannot help
  130, 143  ended by SIGINT, SIGTERM`
}

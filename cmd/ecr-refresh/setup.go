package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
)

func (p *program) setup() *cli.Command {
	in := p.Settings
	return p.command(cli.Command{
		Name:  "setup",
		Usage: "create in Airflow what the DAG needs: pool, Variables, connections, encryption key pair",
		Flags: []cli.Flag{
			input.Switch("force", "change what exists and differs"),
			input.Switch("no-identity", "no encryption key pair: one host runs all steps"),
			input.DryRunFlag(), jsonFlag(), input.RequireHTTPSFlag(),
		},
		Description: `Creates what is missing, through Airflow's REST API: pool systemqueue,
Variables ecr_aws_account and ecr_aws_region_name, connections airflow-api and docker_default, and the encryption
key pair. Shows what exists and what differs, but for passwords and private keys, which Airflow does not show;
changes nothing that exists without --force. Then it logs in with the airflow-api account, and checks its rights.

The admin account, with which setup creates, comes from ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} (required), or
ECR_REFRESH_ADMIN_TOKEN. The airflow-api account, which the DAG uses and connection airflow-api stores, comes from
ECR_REFRESH_AIRFLOW_{LOGIN,PASSWORD} (required). On a terminal, setup asks for what is missing of the two.

Example:
  ecr-refresh setup --account 123456789012 --region us-east-1 --airflow-url http://localhost:8080 --dry-run` +
			exits(unavailable, wrong+", or an object differs from what setup would create"),
	}, []input.Setting{in.Account.Required(""), in.Region.Required(""), in.AirflowURL.Required("")},
		func(c *call) work {
			s := c.setup()
			return func(ctx context.Context) ([]byte, error) {
				defer s.Admin.Logout(ctx)
				defer s.Account.Logout(ctx)
				result, err := s.Run(ctx)
				return c.text(result, result.Text()), err
			}
		})
}

// setup reads the inputs, and then the accounts, or asks for them.
func (c *call) setup() setup.Setup {
	s := setup.Setup{KeyPair: !c.Bool("no-identity"), Force: c.Bool("force"), DryRun: c.DryRun()}
	s.AWSAccount, s.Region = c.Need(c.Account, ""), c.Need(c.Region, "")
	registry, err := ecr.NewHost(s.AWSAccount, s.Region, "", false, false)
	if !c.Faulty() {
		c.Fault(err)
	}
	config, err := c.AirflowConfig()
	if c.Fault(err); err == nil {
		c.NeedHost(config)
	}
	config.Token, config.Account = secret.Secret{}, input.AirflowAccount // a token cannot be stored
	roots, admin := c.Certificates(), c.AdminConfig(config.BaseURL, false)
	c.AskLogin(input.APIAccount, &config)
	if err == nil { // else one error is enough
		c.NeedLogin(config, input.APIAccount, names.AirflowPrefix)
	}
	s.Registry, s.Login, s.Password = registry.Name, config.Login, config.Password
	s.Admin, s.Account = c.Client(admin, roots), c.Client(config, roots)
	return s
}

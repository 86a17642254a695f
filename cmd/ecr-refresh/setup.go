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
			input.Switch("remove", "show what of these objects would be removed; with --force, remove it"),
			input.Switch("force", "change what exists and differs"),
			input.Switch("no-identity", "no encryption key pair: one host runs all steps"),
			input.DryRunFlag(), jsonFlag(),
		},
		Description: `Creates what is missing, through Airflow's REST API: pool systemqueue,
Variables ecr_aws_account and ecr_aws_region_name, connections airflow-api and docker_default, and the encryption
key pair. Shows what exists and differs, and changes that with --force; passwords and keys are not compared, since
Airflow does not show them. Then it logs in with the airflow-api account, and checks its rights.

With --remove, it shows which of these it would remove, and removes them with --force. What differs from what setup
would create stays, and so do the airflow-api account, the DAG, and Variable ecr_targets.

Setup logs in with the admin account, ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN (required).
The DAG uses the airflow-api account, ECR_REFRESH_AIRFLOW_{LOGIN,PASSWORD} (required), which the connection
airflow-api stores. On a terminal, setup asks for what is missing of the two.

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
	s := setup.Setup{KeyPair: !c.Bool("no-identity"), Force: c.Bool("force"), DryRun: c.DryRun(),
		Remove: c.Bool("remove")}
	s.AWSAccount, s.Region = c.Need(c.Account, ""), c.Need(c.Region, "")
	registry, _ := ecr.NewHost(s.AWSAccount, s.Region, "", false, false) // Need has checked them
	config, err := c.AirflowConfig()
	c.NeedHost(config, err)
	config.Token = secret.Secret{} // a token cannot be stored
	config.Account = "the " + string(input.API) + " in Airflow, and " + names.AirflowPrefix + "{LOGIN,PASSWORD}"
	roots, admin := c.Certificates(), c.AdminConfig(config.BaseURL, false)
	if err == nil && (!s.Remove || config.Login == "") { // else one error is enough, and the password is not compared
		c.AskLogin(&config, input.API, false)
		c.NeedLogin(config, input.API)
	}
	s.Registry, s.Login, s.GrantType, s.Password = registry.Name, config.Login, config.GrantType, config.Password
	s.Admin, s.Account = c.Client(admin, roots), c.Client(config, roots)
	if s.Remove && !s.Force && !c.Faulty() {
		c.Log.Info("nothing is removed without --force")
	}
	return s
}

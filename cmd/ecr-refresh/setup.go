package main

import (
	"context"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

func (p *program) setup() *cli.Command {
	in, flag := p.Settings, func(name, usage string) cli.Flag {
		return input.Switch(name, usage)
	}
	return p.step(cli.Command{
		Name:  "setup",
		Usage: "create in Airflow what the DAG needs: pool, Variables, connections, encryption key pair",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "registry", Usage: "`HOST` of the registry, instead of account and region"},
			flag("force", "change what exists and differs"),
			flag("no-identity", "no encryption key pair: one host runs all steps"),
			flag("print-cli", "send nothing: print commands of Airflow's command line"),
			input.DryRunFlag(), command.JSONFlag(), input.RequireHTTPSFlag(),
		},
		Description: command.Describe(`Creates what is missing, through Airflow's REST API: pool systemqueue,
Variables ecr_aws_account and ecr_aws_region_name (ecr_targets for a --registry that these do not name),
connections airflow-api and docker_default, and the encryption key pair. Shows what exists and what differs;
changes nothing that exists without --force. Safe to run again. Then it logs in as the account of airflow-api,
and checks that it may do what it must and no more.

The admin comes from ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN, the account that is stored in
airflow-api from ECR_REFRESH_AIRFLOW_{LOGIN,PASSWORD}; on a terminal, setup asks for what is missing.

Examples:
  ecr-refresh setup --account 123456789012 --region us-east-1 --airflow-url http://localhost:8080 --dry-run
  ecr-refresh setup --account 123456789012 --region us-east-1 --airflow-url http://localhost:8080 --print-cli`),
	}, []input.Setting{in.Account, in.Region, in.AirflowURL},
		func(c *call) command.Work {
			want, config := c.wanted()
			if !c.Bool("print-cli") {
				return c.setup(want, config)
			}
			return func(context.Context) ([]byte, error) { return want.Commands(), nil }
		})
}

// wanted reads the inputs that are no secret, and the account that is to be stored, as far as it is given.
func (c *call) wanted() (w setup.Wanted, config airflowclient.Config) {
	if c.IsSet("registry") {
		c.Fault(w.SetRegistry(c.String("registry")))
		if w.Account != "" { // ECR Public has none
			c.contradicts(c.Account, w.Account, w.Registry)
			c.contradicts(c.Region, w.Region, w.Registry)
		}
	} else if account, region := c.Need(c.Account), c.Need(c.Region); !c.Faulty() {
		c.Fault(w.SetAccount(account, region))
	}
	config = c.AirflowConfig()
	config.Token, config.Account = secret.Secret{}, input.AirflowAccount // a token cannot be stored
	w.BaseURL, w.Login, w.KeyPair = strings.TrimRight(config.BaseURL, "/"), config.Login, !c.Bool("no-identity")
	return w, config
}

// contradicts rejects a setting that is given and is not what the name of the registry says.
func (c *call) contradicts(s input.Setting, want, registry string) {
	if is, from := input.Given(c.Context, s); is != "" && is != want {
		const form = "%s is %q, and registry %s has %s %s"
		err := failure.Permanent(input.Conflict, form, from, is, registry, s.Flag, want)
		c.Fault(err.Want("leave out " + from + ", or --registry"))
	}
}

// setup reads the accounts, or asks for them.
func (c *call) setup(want setup.Wanted, config airflowclient.Config) command.Work {
	roots, admin := c.Certificates(), c.AdminConfig(want.BaseURL)
	c.AskLogin("Airflow login to store in "+names.AirflowConnection, &config)
	c.NeedLogin(config, names.AirflowPrefix)
	want.Login, want.Password = config.Login, config.Password
	s := setup.Setup{
		Wanted: want, Admin: c.Client(admin, roots), Account: c.Client(config, roots),
		Force: c.Bool("force"), DryRun: c.DryRun(), Out: c.Stdout, Log: c.Log,
	}
	if c.Bool("json") {
		s.Out = io.Discard
	}
	return func(ctx context.Context) ([]byte, error) {
		defer input.LogOut(ctx, s.Admin)
		defer input.LogOut(ctx, s.Account)
		result, err := s.Run(ctx)
		text := result.Commands()
		if c.Bool("json") {
			text, _ = command.JSONLine(result, nil) // strings and lists
		}
		return text, err
	}
}

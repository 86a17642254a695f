package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

func (p *program) setup() *cli.Command {
	in := p.Settings
	return p.step(cli.Command{
		Name:  "setup",
		Usage: "make in Airflow what the DAG needs: pool, Variables, connections, sealing identity",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "registry", Usage: "`HOST` of the registry, instead of the one that account and region name"},
			&cli.BoolFlag{Name: "force", Usage: "change what exists and differs", DisableDefaultText: true},
			&cli.BoolFlag{Name: "no-identity", Usage: "make no sealing identity: one host runs all steps", DisableDefaultText: true},
			&cli.BoolFlag{Name: "print-cli", Usage: "send nothing: print the same as commands of Airflow's command line", DisableDefaultText: true},
			input.DryRunFlag(), command.JSONFlag(), input.RequireHTTPSFlag(),
		},
		Description: command.Describe(`Makes what is missing, through Airflow's REST API: pool systemqueue, Variables ecr_aws_account and
ecr_aws_region_name (ecr_targets for a --registry that these do not name), connections airflow-api and docker_default,
and the sealing identity. Shows what is there and what differs; changes nothing that exists without --force. Safe to
run again. Then it logs in as the account of airflow-api, and checks that it can do what it must and no more.

The admin comes from ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN, the account that is stored in
airflow-api from ECR_REFRESH_AIRFLOW_{LOGIN,PASSWORD}; on a terminal, setup asks for what is missing.

Examples:
  ecr-refresh setup --account 123456789012 --region us-east-1 --airflow-url http://localhost:8080 --dry-run
  ecr-refresh setup --account 123456789012 --region us-east-1 --airflow-url http://localhost:8080 --print-cli`),
	}, []input.Setting{in.Account, in.Region, in.AirflowURL},
		func(c *call) command.Work {
			want := c.wanted()
			if c.Bool("print-cli") {
				if want.base != "" {
					_, err := airflowclient.New(airflowclient.Config{BaseURL: want.base})
					c.Fault(err)
				}
				return func(context.Context) ([]byte, error) { return want.commandLines(), nil }
			}
			return c.setup(want).run
		})
}

// wanted is what Airflow shall have.
type wanted struct {
	account, region string
	targets         string // the value of Variable ecr_targets, in place of account and region
	host            string
	airflow         airflowclient.Update // airflow-api
	base            string               // the URL that airflow-api leads to
	identity        bool
}

// wanted reads the inputs that are no secret.
func (c *call) wanted() wanted {
	w := wanted{identity: !c.Bool("no-identity")}
	if c.IsSet("registry") {
		c.wantRegistry(&w)
	} else if w.account, w.region = c.Need(c.Account), c.Need(c.Region); !c.Faulty() {
		host, err := ecr.NewHost(w.account, w.region, "", false, false)
		c.Fault(err)
		w.host = host.Name
	}
	config := c.AirflowConfig()
	if w.base = strings.TrimRight(config.BaseURL, "/"); w.base == "" && !c.Faulty() {
		c.Missing("Airflow host", c.AirflowURL.Names())
	}
	w.airflow = apiConnection(w.base)
	w.airflow.Login, w.airflow.Password = config.Login, config.Password
	return w
}

// wantRegistry wants the registry of --registry. One that its account and region do not name, by its form or since it has no
// account, is declared as a target.
func (c *call) wantRegistry(w *wanted) {
	named, err := ecr.ParseHost(c.String("registry"))
	if err != nil {
		c.Fault(err)
		return
	}
	w.host, w.account, w.region = named.Name, named.Account, named.Region
	if plain, err := ecr.NewHost(w.account, w.region, "", false, false); err != nil || plain.Name != w.host {
		targets, _ := json.Marshal([]target.Entry{{ConnectionID: names.DockerConnection, Registry: w.host}}) // strings
		w.targets = string(targets)
	}
	if named.Service == ecr.Private {
		c.contradicts(c.Account, w.account, w.host)
		c.contradicts(c.Region, w.region, w.host)
	}
}

func (c *call) contradicts(s input.Setting, want, host string) {
	if said, from := input.Given(c.Context, s); said != "" && said != want {
		c.Fault(failure.Permanent(failure.Kind("leave out "+from+", or --registry"), "%s is %q, and registry %s has %s %s", from, said, host, s.Flag, want))
	}
}

// apiConnection gives the connection that leads to base. A base path has no other place than the host.
func apiConnection(base string) airflowclient.Update {
	conn := airflowclient.Update{ID: names.AirflowConnection, Type: "http", Description: "Airflow's REST API, for ecr-refresh"}
	u, err := url.Parse(base)
	if err != nil || u.Path != "" {
		conn.Host = base
		return conn
	}
	conn.Schema, conn.Host = u.Scheme, u.Hostname()
	conn.Port, _ = strconv.Atoi(u.Port()) // none: 0
	return conn
}

// setup is one run of the command.
type setup struct {
	*call
	want           wanted
	admin, account *airflowclient.Client
	force, dry     bool
}

// setup reads the secrets, or asks for them, and makes the two clients.
func (c *call) setup(want wanted) *setup {
	roots := c.Certificates()
	admin := c.AdminConfig(want.base)
	config := airflowclient.Config{BaseURL: want.base, Login: want.airflow.Login, Password: want.airflow.Password,
		Token: secret.Secret{}, Account: input.APIAccount, Log: c.Log}
	c.AskLogin("Airflow login to store in airflow-api", &config)
	c.NeedLogin(config, names.AirflowPrefix)
	want.airflow.Login, want.airflow.Password = config.Login, config.Password
	return &setup{
		call: c, want: want, force: c.Bool("force"), dry: c.DryRun(),
		admin: c.Client(admin, roots), account: c.Client(config, roots),
	}
}

// setupResult is what --json prints.
type setupResult struct {
	Objects []outcome `json:"objects"`
	Account *rights   `json:"account"` // null: not checked, since an object failed
}

func (s *setup) run(ctx context.Context) ([]byte, error) {
	defer input.LogOut(ctx, s.admin)
	defer input.LogOut(ctx, s.account)
	objects, failures := s.settleAll(ctx)
	result := setupResult{Objects: objects}
	if err := failure.Join(failures); err == nil || failure.IsPermanent(err) {
		account, err := s.checkAccount(ctx)
		result.Account = &account
		if err != nil {
			failures = append(failures, fmt.Errorf("check account %q of connection %s: %w", s.want.airflow.Login, names.AirflowConnection, err))
		}
	}
	text := result.Account.print()
	if s.Bool("json") {
		text, _ = command.JSONLine(result, nil) // strings and lists
	}
	if _, err := s.Stdout.Write(text); err != nil {
		failures = append(failures, err)
	}
	return nil, failure.Join(failures)
}

// print gives the commands for the account's role, where there are roles to make.
func (r *rights) print() []byte {
	if r == nil || r.SimpleRole != "" {
		return nil
	}
	return []byte(roleComment + strings.Join(r.Commands, "\n") + "\n")
}

package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/doctor"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

const doctorHelp = `Run it on a worker, as the user that runs tasks. It changes nothing.

With --run, from any machine, it triggers the DAG with dry_run, waits for its end (--timeout is 10m then) and
reports each task's error with the URL of its log: that tests stored passwords, Variables, queue, pool, worker
and Docker, and whether the registry accepts the present password of each connection.

` + input.AirflowHelp + `
` + input.AdminHelp + `
On a terminal, doctor asks for what is missing of both.

Without an admin, doctor skips what airflow-api's account may not read. To see all, FAB needs can_read on
Connections, Variables, Pools, DAGs, DAG Code, DAG Runs, Task Instances, Task Logs, XComs and ImportError; --run
also can_create on DAG Runs and can_edit on DAGs. With SimpleAuthManager it is role Op; for --run, User.

Examples:
  ecr-refresh doctor
  ecr-refresh doctor --run`

func (p *program) doctor() *cli.Command {
	in := p.Settings
	return p.command(cli.Command{
		Name:  "doctor",
		Usage: "check what a run needs, and print a hint for each problem",
		Flags: []cli.Flag{
			jsonFlag(), input.RequireHTTPSFlag(), dagIDFlag(),
			&cli.StringFlag{Name: "pool", Usage: "`NAME` of the DAG's pool", Value: names.Pool},
			input.Switch("run", "instead of these checks, trigger a dry run of the DAG and report what became of it"),
		},
		Description: doctorHelp + exits("a check failed", wrong),
	}, []input.Setting{in.Account, in.Region, in.ConnectionIDs, in.TargetsFile, in.AirflowURL, in.Engine},
		func(c *call) work {
			examine := (*doctor.Doctor).Examine
			if c.Bool("run") {
				examine, c.Timeout.Fallback = (*doctor.Doctor).Run, doctor.RunLimit.String()
			}
			d := c.doctor(c.Certificates())
			return func(ctx context.Context) ([]byte, error) {
				defer d.Airflow.Logout(ctx)
				defer d.Reader.Logout(ctx)
				found := examine(d, ctx)
				return c.text(found, found.Table(c.App.Writer)), found.Err()
			}
		})
}

// doctor reads the inputs, and asks for logins. What is missing or malformed becomes a finding.
func (c *call) doctor(roots input.Certificates) *doctor.Doctor {
	d := &doctor.Doctor{
		Faults: map[string]error{}, Pool: c.String("pool"), DAG: c.String("dag-id"), Version: version(), Log: c.Log,
		KeyFile: c.Optional(c.IdentityFile) != "",
		AWS:     ecr.DefaultConfig(roots.All, roots.Extra, c.Log), Registry: checker(roots),
	}
	d.Flags = map[string]string{names.AccountVariable: c.String("account"), names.RegionVariable: c.String("region")}
	c.accounts(d, roots)
	if !c.Bool("run") {
		d.Docker = unlessFaulty(c, d.Faults, "docker engine", c.Docker)
	}
	d.IDs = func(variables map[string]string) (ids []string) {
		c.Variables = variables
		_ = c.Collect(func() { ids = c.WantedIDs() }) // Targets returns the errors of these
		return ids
	}
	d.Targets = func(hosts map[string]string) (targets []target.Target, err error) {
		c.Hosts = hosts
		err = c.Collect(func() { targets = c.Targets() })
		return targets, err
	}
	return d
}

// accounts reads the admin and the account of airflow-api, and asks for what is missing of them.
func (c *call) accounts(d *doctor.Doctor, roots input.Certificates) {
	config, err := c.AirflowConfig()
	d.Reader = unlessFaulty(c, d.Faults, input.AdminAccount, func() *airflowclient.Client {
		return c.Client(c.OptionalAdmin(config.BaseURL), roots)
	})
	if c.Bool("run") && d.Reader != nil {
		return // a run does not need the account from here
	}
	d.Airflow = unlessFaulty(c, d.Faults, "airflow", func() *airflowclient.Client {
		c.AskLogin(input.APIAccount, &config)
		if c.Fault(err); err == nil {
			c.NeedAirflow(config)
		}
		return c.Client(config, roots)
	})
	if d.Account = config.Account; config.Token.Empty() {
		d.Login = config.Login
	}
}

// unlessFaulty returns what read returns, or nil and adds to faults.
func unlessFaulty[T any](c *call, faults map[string]error, name string, read func() *T) (client *T) {
	if err := c.Collect(func() { client = read() }); err != nil {
		faults[name], client = err, nil
	}
	return client
}

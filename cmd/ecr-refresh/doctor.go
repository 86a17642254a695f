package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/doctor"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
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
also can_create on DAG Runs and can_edit on DAGs. With SimpleAuthManager and Keycloak it is role Op; for --run, User.

Examples:
  ecr-refresh doctor
  ecr-refresh doctor --run`

func (p *program) doctor() *cli.Command {
	in := p.Settings
	return p.command(cli.Command{
		Name:  "doctor",
		Usage: "check what a run needs, and print a hint for each problem",
		Flags: []cli.Flag{
			jsonFlag(), dagIDFlag(),
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
		Inputs: c.Reader, Pool: c.String("pool"), DAG: c.String("dag-id"), Version: version(),
		AWS: c.AWS(roots), Registry: checker(roots),
	}
	config, err := c.AirflowConfig()
	d.Reader = unlessFaulty(d, string(input.Admin), func() *airflowclient.Client {
		return c.Client(c.AdminConfig(config.BaseURL, true), roots)
	})
	if c.Bool("run") && d.Reader != nil {
		return d // a run does not need the account from here
	}
	d.Airflow = unlessFaulty(d, "airflow", func() *airflowclient.Client {
		c.AskLogin(&config, input.API, false)
		c.NeedAirflow(config, err)
		return c.Client(config, roots)
	})
	d.Account, d.Login, d.GrantType = config.Account, config.Login, config.GrantType
	if !c.Bool("run") {
		d.Docker = unlessFaulty(d, "docker engine", c.Docker)
	}
	return d
}

// unlessFaulty returns what read returns, or nil and adds a finding.
func unlessFaulty[T any](d *doctor.Doctor, name string, read func() *T) (client *T) {
	if err := d.Inputs.Collect(func() { client = read() }); err != nil {
		d.Fault(name, err)
		return nil
	}
	return client
}

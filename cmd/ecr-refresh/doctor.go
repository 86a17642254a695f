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

func (p *program) doctor() *cli.Command {
	in := p.Settings
	return p.command(cli.Command{
		Name:  "doctor",
		Usage: "check what a run needs, and print a hint for each problem",
		Flags: []cli.Flag{
			jsonFlag(), input.RequireHTTPSFlag(), dagIDFlag(),
			&cli.StringFlag{Name: "pool", Usage: "`NAME` of the DAG's pool", Value: names.Pool},
		},
		Description: `Run it on a worker, as the user that runs tasks. It changes nothing.

` + input.AirflowHelp + `
` + input.AdminHelp + `
Without it, doctor skips what airflow-api's account may not read: pool, DAG, runs.

Example:
  ecr-refresh doctor --account 123456789012 --region us-east-1` + exits("a check failed", wrong),
	}, []input.Setting{
		in.Account.Required("without --targets"), in.Region.Required("without --targets"), in.ConnectionIDs,
		in.TargetsFile, in.AirflowURL, in.Engine,
	},
		func(c *call) work {
			d := c.doctor(c.Certificates())
			return func(ctx context.Context) ([]byte, error) {
				defer d.Airflow.Logout(ctx)
				defer d.Reader.Logout(ctx)
				found := d.Examine(ctx)
				return c.text(found, found.Table(c.stdout)), found.Err()
			}
		})
}

// doctor reads the inputs. What is missing or malformed becomes a finding.
func (c *call) doctor(roots input.Certificates) *doctor.Doctor {
	d := &doctor.Doctor{
		Faults: map[string]error{}, Pool: c.String("pool"), DAG: c.String("dag-id"),
		AWS: ecr.DefaultConfig(roots.All, roots.Extra, c.Log), Registry: checker(roots),
	}
	d.Airflow = unlessFaulty(c, d.Faults, "airflow", func() *airflowclient.Client { return c.Airflow(roots) })
	if input.AdminGiven() {
		read := func() *airflowclient.Client { return c.AdminAirflow(roots) }
		d.Reader = unlessFaulty(c, d.Faults, input.AdminAccount, read)
	}
	d.Docker = unlessFaulty(c, d.Faults, "docker engine", c.Docker)
	// Targets returns the errors of these.
	_ = c.Collect(func() { d.ConnectionIDs = c.WantedIDs() })
	config, _ := c.AirflowConfig()
	d.Account = config.Account
	d.Targets = func(hosts map[string]string) (targets []target.Target, err error) {
		c.Hosts = hosts
		err = c.Collect(func() { targets = c.Targets() })
		return targets, err
	}
	return d
}

// unlessFaulty returns what read returns, or nil and adds to faults.
func unlessFaulty[T any](c *call, faults map[string]error, name string, read func() *T) (client *T) {
	if err := c.Collect(func() { client = read() }); err != nil {
		faults[name], client = err, nil
	}
	return client
}

package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/status"
)

func (p *program) status() *cli.Command {
	const minLeft = "min-left"
	return p.command(cli.Command{
		Name:  "status",
		Usage: "show when each connection's token was issued and expires",
		Flags: []cli.Flag{
			jsonFlag(), input.RequireHTTPSFlag(), dagIDFlag(),
			&cli.StringFlag{Name: minLeft, Usage: "fail if a token has less than this `DURATION` left, or is unknown"},
		},
		Description: `Reads the results of the DAG's latest runs through Airflow's REST API.

` + input.AirflowHelp + `
` + input.AdminHelp + `
The account must be allowed to read them: any role of the SimpleAuthManager; FAB's Viewer, or can_read on DAGs,
DAG Runs, Task Instances and XComs.

Examples:
  ecr-refresh status
  ecr-refresh status --min-left 3h --json` +
			exits(unavailable+"; or a token is unknown, or expires before --min-left", wrong),
	}, []input.Setting{p.Settings.AirflowURL},
		func(c *call) work {
			airflow, dag, limit := c.AdminAirflow(c.Certificates()), c.String("dag-id"), time.Duration(0)
			if c.IsSet(minLeft) {
				limit = c.Duration(input.Setting{Flag: minLeft})
			}
			return func(ctx context.Context) ([]byte, error) {
				defer airflow.Logout(ctx)
				found, err := status.Read(ctx, airflow, dag, time.Now())
				if err != nil {
					return nil, err
				}
				return c.text(found, found.Table(limit, c.stdout)), found.Check(dag, limit)
			}
		})
}

func dagIDFlag() cli.Flag {
	return &cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that refreshes the tokens", Value: names.DAG}
}

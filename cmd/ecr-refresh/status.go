package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/status"
)

const statusHelp = `Reads from Airflow's REST API what the DAG's latest runs returned, who changed the connections after
that (Airflow's event log), and the connections. An update or change by hand counts as a change.

  UPDATED, EXPIRES, LEFT   the token of the last update by a run
  CHANGED                  after that: by whom, and how it differs from what the update left
  TESTED                   the last test by a run: "ok", "refused", "failed"; "not since" the update or the change

` + input.AirflowHelp + `
` + input.AdminHelp + `
The account must be allowed to read runs and XComs: any role of the SimpleAuthManager; FAB's Viewer, or can_read on
DAGs, DAG Runs, Task Instances and XComs. More is known with can_read on Audit Logs (every role of the
SimpleAuthManager, FAB's Admin) and on Connections (Op); without them, what is not known is a warning.

Examples:
  ecr-refresh status
  ecr-refresh status --min-left 3h --json`

func (p *program) status() *cli.Command {
	const minLeft = "min-left"
	return p.command(cli.Command{
		Name:  "status",
		Usage: "show when each connection's token expires, and who changed the connection since",
		Flags: []cli.Flag{
			jsonFlag(), dagIDFlag(),
			&cli.StringFlag{Name: minLeft, Usage: "fail if a token has less than this `DURATION` left or " +
				"is unknown, or its connection was changed and not tested since"},
		},
		Description: statusHelp +
			exits(unavailable+"; or --min-left is not met, or no token is known", wrong),
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
				for _, what := range found.Unknown {
					c.Log.Warn(what)
				}
				return c.text(found, found.Table(limit, c.App.Writer)), found.Check(dag, limit)
			}
		})
}

func dagIDFlag() cli.Flag {
	return &cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that refreshes the tokens", Value: names.DAG}
}

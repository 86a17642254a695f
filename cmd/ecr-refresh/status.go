package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/status"
	"ecr-refresh/steps/xcom"
)

func (p *program) status() *cli.Command {
	const minLeft = "min-left"
	return p.step(cli.Command{
		Name:  "status",
		Usage: "show when each connection's token was issued and expires",
		Flags: []cli.Flag{
			command.JSONFlag(), input.RequireHTTPSFlag(), dagIDFlag(),
			&cli.StringFlag{Name: minLeft, Usage: "fail if a token has less than this `DURATION` left, or is unknown"},
		},
		Description: command.Describe(`Reads the results of the DAG's latest runs through Airflow's REST API.

` + input.AirflowHelp + `
` + input.AdminHelp + `
The account must be allowed to read them: any role of the SimpleAuthManager; FAB's Viewer, or can_read on DAGs,
DAG Runs, Task Instances and XComs.

Examples:
  ecr-refresh status
  ecr-refresh status --min-left 3h --json`),
	}, []input.Setting{p.Settings.AirflowURL},
		func(c *call) command.Work {
			airflow, dag, limit := c.AdminAirflow(c.Certificates()), c.String("dag-id"), time.Duration(0)
			if c.IsSet(minLeft) {
				limit = c.Duration(input.Setting{Flag: minLeft})
			}
			return func(ctx context.Context) ([]byte, error) {
				defer input.LogOut(ctx, airflow)
				found, err := status.Read(ctx, airflow, dag, time.Now())
				if err != nil {
					return nil, err
				}
				return c.text(found, found.Table(limit, console.Paint(c.Stdout))), found.Check(dag, limit)
			}
		})
}

func dagIDFlag() cli.Flag {
	return &cli.StringFlag{Name: "dag-id", Usage: "`ID` of the DAG that refreshes the tokens", Value: names.DAG}
}

// text returns v as JSON with --json, else the text.
func (c *call) text(v any, text []byte) []byte {
	if c.Bool("json") {
		text, _ = xcom.Print(v) // strings, numbers and times
	}
	return text
}

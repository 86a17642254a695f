package main

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

func (p *program) testDockerConnection() *cli.Command {
	return p.command(cli.Command{
		Name:  "test-docker-connection",
		Usage: "step 3: log in with the connection, as a Docker task would",
		Description: `Compares the connection, as tasks see it, with what step 2 updated; looks for
entries of ~/.docker/config.json that docker-py would use in its place; logs in with it, through Docker.

Of the connections in that result it takes those that were to be refreshed, of type docker, at the port 443 of their
registry: in a task those of connection_ids and ecr_targets, or docker_default; in a shell, where neither is given, all.

The connections come from the environment: ECR_REFRESH_DOCKER_SECRETS, the DAG's JSON list of logins ({"login",
"password", "connections": [{"connection_id", "conn_type", "host", "port"}]}); or, for one,
ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD}; or AIRFLOW_CONN_DOCKER_DEFAULT (a URI, or JSON; another id in its place).
DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH count as for Docker's own tools.

Example, on a host that reaches Airflow's database, and whose command line prints the connection:
  export AIRFLOW_CONN_DOCKER_DEFAULT=$(airflow connections export - --file-format env | sed -n 's/^docker_default=//p')
  ecr-refresh test-docker-connection --in published.json` + exits(unavailable, wrong+inTheDAG),
	}, []input.Setting{
		p.Previous.Required(""), p.ConnectionIDs, p.TargetsFile, p.Out, p.Metrics, p.Engine,
	}, func(c *call) work {
		s := c.test()
		if s.Engine == nil || !s.Config.Empty() { // a login of the file is tried there
			s.Registry = checker(c.Certificates())
		} else {
			c.CAFile() // is checked, though Docker has its own certificates
		}
		s.Input = input.Result(c.Reader, xcom.Parse[xcom.UpdateDockerConnection])
		var ids []string
		for _, updated := range s.Input.Connections {
			ids = append(ids, updated.ConnectionID)
		}
		if input.Operator() == "" { // whoever names the result's file has to give each of its connections, too
			c.ConnectionIDs.Fallback = strings.Join(ids, ",")
		}
		other := func(e target.Entry) bool { return !slices.Contains(ids, e.ConnectionID) }
		s.Asked = slices.DeleteFunc(c.Asked(), other)
		s.Connections = c.DockerConnections(s.Asked, true)
		return result(c, s.Run)
	})
}

// test reads the inputs of step 3, but for step 2's result and the connections.
func (c *call) test() steps.TestDockerConnection {
	config, err := input.DockerConfig()
	if err != nil {
		c.Log.Warn(err.Error(), steps.FailureKey, err)
	}
	return steps.TestDockerConnection{Engine: c.Docker(), Config: config, Now: time.Now, Log: c.Log}
}

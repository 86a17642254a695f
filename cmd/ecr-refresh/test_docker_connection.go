package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/xcom"
)

func (p *program) testDockerConnection() *cli.Command {
	in := p.inputs
	return p.step(cli.Command{
		Name:  "test-docker-connection",
		Usage: "step 3: log in with the connection, as a Docker task would",
		Flags: []cli.Flag{requireHTTPSFlag()},
		Description: describe(`Compares the connection, as Airflow hands it to tasks, with what step 2 published; looks for entries of
~/.docker/config.json that would win over it; makes the Docker Engine log in with it.

The connections come from the environment: ECR_REFRESH_DOCKER_SECRETS, the DAG's JSON list of logins
({"login", "password", "connections": [{"connection_id", "host", "port"}]}); or, for one, ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD};
or AIRFLOW_CONN_DOCKER_DEFAULT (a URI, or JSON; another connection id in its place).
The Engine as Docker's own tools: DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH.

Example:
  ecr-refresh test-docker-connection --in published.json`),
	}, []setting{in.document, in.out, in.metrics, in.engine},
		func(c *call) func(context.Context) ([]byte, error) {
			s := c.test()
			s.Registry = registry.New(transport.New(c.certificates().all))
			s.Input = documentOf(c, xcom.Parse[xcom.UpdateDockerConnection])
			handed := c.handed()
			for _, published := range s.Input.Connections {
				c.handOver(s, published.ConnectionID, handed, len(s.Input.Connections) == 1)
			}
			return func(ctx context.Context) ([]byte, error) { return printed(s.Run(ctx)) }
		})
}

// test reads the inputs of step 3, but for the document and the connections.
func (c *call) test() steps.TestDockerConnection {
	s := steps.TestDockerConnection{
		Connections: map[string]steps.DockerConnection{},
		Now:         time.Now,
		Log:         c.log,
	}
	s.Engine = c.dockerEngine()
	var err error
	if s.Config, err = dockerConfig(); err != nil {
		c.log.Warn(err.Error())
	}
	return s
}

// dockerEngine gives none for --engine none.
func (c *call) dockerEngine() *docker.Engine {
	host := c.optional(c.engine)
	if host == "none" {
		return nil
	}
	certificates := c.dockerCertPath()
	engine, err := docker.NewEngine(host, certificates, os.Getenv("DOCKER_TLS_VERIFY") != "")
	c.fault(err)
	if u, err := url.Parse(host); err == nil && (u.Scheme == "tcp" || u.Scheme == "http") && certificates == "" && !isLoopback(u.Hostname()) {
		c.inClear(u.Host, "the token", "let the Engine speak TLS, and set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH")
	}
	return engine
}

// dockerConfig reads the file that docker-py would (docker/utils/config.py). Of a file that cannot be read, docker-py takes
// nothing.
func dockerConfig() (docker.Config, error) {
	folder := dockerFolder()
	if folder == "" {
		return docker.Config{}, nil
	}
	return docker.ReadConfig(filepath.Join(folder, "config.json"))
}

// dockerFolder is where Docker's tools keep what is theirs; "" when there is no home.
func dockerFolder() string {
	if folder := os.Getenv("DOCKER_CONFIG"); folder != "" {
		return folder
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}

// dockerCertPath is where docker-py looks for certificates (docker/utils/utils.py, kwargs_from_env).
func (c *call) dockerCertPath() string {
	if path := os.Getenv("DOCKER_CERT_PATH"); path != "" || os.Getenv("DOCKER_TLS_VERIFY") == "" {
		return path
	}
	return dockerFolder()
}

const (
	dockerPrefix  = "ECR_REFRESH_DOCKER_"
	dockerSecrets = dockerPrefix + "SECRETS"
)

func (c *call) handed() map[string]connection {
	handed, err := handedConnections()
	c.fault(err)
	return handed
}

// handOver gives step 3 the connection id, or a fault.
func (c *call) handOver(s steps.TestDockerConnection, id string, handed map[string]connection, only bool) {
	conn, found, err := asTasksSee(id, handed, only)
	if err == nil && !found {
		c.missing("connection "+id, dockerSecrets+" or "+dockerPrefix+"{HOST,LOGIN,PASSWORD} or "+connectionEnv(id))
	}
	c.fault(err)
	s.Connections[id] = conn
}

// asTasksSee reads one connection as Airflow hands it to tasks: out of the DAG's list, or the fields, where they can
// only be this one's, or AIRFLOW_CONN_<ID>. Beside the first two, that variable is evidence: tasks read it before the
// database.
func asTasksSee(id string, handed map[string]connection, only bool) (seen steps.DockerConnection, found bool, err error) {
	conn, found := handed[id]
	if !found && only {
		conn, found = connectionFields(dockerPrefix)
	}
	if !found {
		conn, found, err = connectionFromEnv(id)
	}
	if !unset(os.Getenv(connectionEnv(id))) {
		seen.OverriddenBy = connectionEnv(id)
	}
	if err == nil {
		err = checkPort(conn.port)
	}
	seen.Host, seen.Port, seen.Login, seen.Password = conn.host, conn.port, conn.login, conn.password
	return seen, found, err
}

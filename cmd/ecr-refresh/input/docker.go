package input

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
)

// Docker returns the client of Docker's Engine API, or nil for --engine none.
func (r *Reader) Docker() *docker.Engine {
	host := r.Optional(r.Engine)
	if host == "none" {
		return nil
	}
	certificates := dockerCertPath()
	engine, err := docker.NewEngine(host, certificates, os.Getenv("DOCKER_TLS_VERIFY") != "")
	r.Fault(err)
	if u, err := url.Parse(host); err == nil && (u.Scheme == "tcp" || u.Scheme == "http") && certificates == "" {
		r.unencrypted(PlainDocker, u, "the token", "")
	}
	return engine
}

// DockerConfig reads the file that docker-py reads (docker/utils/config.py), which ignores one that cannot be read.
func DockerConfig() (docker.Config, error) {
	folder := dockerFolder()
	if folder == "" {
		return docker.Config{}, nil
	}
	return docker.ReadConfig(filepath.Join(folder, "config.json"))
}

// dockerFolder returns where Docker's tools keep their files, or "" when there is no home.
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

// dockerCertPath returns where docker-py looks for certificates (docker/utils/utils.py, kwargs_from_env).
func dockerCertPath() string {
	if path := os.Getenv("DOCKER_CERT_PATH"); path != "" || os.Getenv("DOCKER_TLS_VERIFY") == "" {
		return path
	}
	return dockerFolder()
}

// DockerConnections returns the connections of ids as tasks see them: from the DAG's list, or the fields of one, where
// they can only be those of a single id, or AIRFLOW_CONN_<ID>. One that is missing is an error where all are needed.
func (r *Reader) DockerConnections(ids []string, needed bool) map[string]steps.DockerConnection {
	listed, seen := r.listed(), map[string]steps.DockerConnection{}
	for _, id := range ids {
		conn, found := listed[id]
		if !found && len(ids) == 1 {
			conn, found = connectionIn(names.DockerPrefix)
		}
		var err error
		if !found {
			conn, found, err = connectionOf(id)
		}
		if err == nil && connection.CheckPort(conn.Port) != nil {
			err = fmt.Errorf("connection %q: %w", id, connection.CheckPort(conn.Port))
		}
		if !found && needed {
			err = failure.Permanent(NoDocker, "Airflow connection %q %s", id, absent()).About(connectionEnv(id))
		}
		r.Fault(err)
		if found {
			seen[id] = steps.DockerConnection{
				Host: conn.Host, Port: conn.Port, Login: conn.Login, Password: conn.Password,
				OverriddenBy: OverriddenBy(id),
			}
		}
	}
	return seen
}

// listed reads the connections that the DAG lists, in as many variables as it takes.
func (r *Reader) listed() map[string]connection.Connection {
	listed := map[string]connection.Connection{}
	for n := 1; ; n++ {
		env := part(names.LoginsEnv, n)
		text := lookup(env)
		if text == "" {
			return listed
		}
		if err := connection.ParseList(text, listed); err != nil {
			r.Fault(failure.Permanent(OldDAG, "read %s: %w", env, err))
			return listed
		}
	}
}

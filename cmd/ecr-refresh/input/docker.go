package input

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/target"
)

// Docker returns the client of Docker's Engine API, or nil for --engine none.
func (r *Reader) Docker() *docker.Engine {
	host := r.Optional(r.Engine)
	if host == "none" {
		return nil
	}
	// As docker-py does it: docker/utils/utils.py, kwargs_from_env.
	verify, certificates := os.Getenv("DOCKER_TLS_VERIFY") != "", os.Getenv("DOCKER_CERT_PATH")
	if verify && certificates == "" {
		certificates = cmp.Or(os.Getenv("DOCKER_CONFIG"), os.Getenv("HOME")+"/.docker")
	}
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if certificates != "" && !r.checkFile("DOCKER_CERT_PATH", filepath.Join(certificates, name)) {
			return nil
		}
	}
	engine, err := docker.NewEngine(host, certificates, verify)
	if r.Fault(err); err != nil {
		return nil
	}
	switch to, _ := url.Parse(engine.Host); {
	case certificates == "":
		r.Fault(r.encrypted("TLS to Docker: DOCKER_TLS_VERIFY and DOCKER_CERT_PATH")(to))
	case !verify && to.Scheme != "unix" && !isLocal(to):
		r.Fault(r.insecure(r.yes(requireHTTPS, names.RequireHTTPSEnv), "DOCKER_TLS_VERIFY=1, beside DOCKER_CERT_PATH",
			"TLS to Docker at "+engine.Host+" verifies no certificate: anybody may get the token"))
	}
	return engine
}

// DockerConfig reads the file that docker-py reads (docker/utils/config.py), which ignores one that cannot be read.
func DockerConfig() (docker.Config, error) {
	home := os.Getenv("HOME")
	paths := []string{home + "/.docker/config.json", home + "/.dockercfg"}
	if folder := os.Getenv("DOCKER_CONFIG"); folder != "" {
		paths = append([]string{filepath.Join(folder, "config.json")}, paths...)
	}
	config, err := docker.ReadConfig(paths...)
	// A list of what helpers need would lack what one of them reads (AZURE_…, PASSWORD_STORE_…, AWS_… of ecr-login): it
	// would fail where docker-py does not. So they get all but our inputs and Airflow's settings: these hold secrets.
	config.Environ = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "ECR_REFRESH_") || strings.HasPrefix(v, "AIRFLOW_")
	})
	return config, err
}

// DockerConnections returns the connections of entries as tasks see them: from the DAG's list, or the fields of one,
// where they can only be those of a single one, or AIRFLOW_CONN_<ID>. One that is missing is an error where all are
// needed.
func (r *Reader) DockerConnections(entries []target.Entry, needed bool) map[string]steps.DockerConnection {
	listed, err := connection.ParseList(parts(names.LoginsEnv))
	if err != nil {
		r.Fault(failure.Permanent(OldDAG, "read %s: %w", names.LoginsEnv, err))
	}
	seen := map[string]steps.DockerConnection{}
	none := connection.Connection{}
	for _, e := range entries {
		id := e.ConnectionID
		conn, err := listed[id], error(nil)
		if conn == none && len(entries) == 1 {
			conn = connectionIn(names.DockerPrefix)
		}
		if conn == none {
			conn, err = connectionOf(id)
		}
		if kind := cmp.Or(conn.Type, "docker"); kind != "docker" {
			const form = "connection %q: its type is %.40q, not docker"
			err = failure.Permanent(BadField, form, id, kind).About(id).Want("type")
		}
		if err == nil && conn == none && needed {
			err = failure.Permanent(NoDocker, "Airflow connection %q is missing", id).About(connectionEnv(id))
		}
		if r.Fault(err); conn != none {
			seen[id] = steps.DockerConnection{
				Server: strings.TrimSuffix(conn.Host+":"+conn.Port, ":"), Login: conn.Login, Password: conn.Password,
				KeepLogin: conn.KeepLogin,
			}
		}
	}
	return seen
}

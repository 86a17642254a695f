package real

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// shell is somebody at a worker's shell. With an id, there is a connection for them.
func (w *world) shell(t *testing.T, id string) suite.Shell {
	t.Helper()
	h := suite.Shell{Site: w, Binary: w.bin, Dir: t.TempDir(), ConnectionID: id}
	if id != "" {
		h.Connect(t, id, h.Host(), suite.OldPassword(id))
	}
	return h
}

// admin is the account of a person beside airflow-api's.
func (w *world) admin(user string) []string {
	login := w.Airflow.Users[user]
	return []string{"ECR_REFRESH_ADMIN_LOGIN=" + login.User, "ECR_REFRESH_ADMIN_PASSWORD=" + login.Password}
}

// Environ leads to real Airflow, Docker Engine and registry, with moto for AWS.
func (w *world) Environ() []string {
	env := append(w.As("op"),
		"PATH="+os.Getenv("PATH"),
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT="+w.Moto.Account, "AIRFLOW_VAR_ECR_AWS_REGION_NAME="+peers.Region,
		"ECR_REFRESH_AIRFLOW_HOST=127.0.0.1", "ECR_REFRESH_AIRFLOW_PORT="+strconv.Itoa(w.Airflow.Port),
		"DOCKER_HOST="+w.Docker.Host, "ECR_REFRESH_CA_FILE="+w.CAFile())
	for name, value := range w.Moto.Environ() {
		env = append(env, name+"="+value)
	}
	return env
}

func (w *world) As(role string) []string {
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	user := w.Airflow.Users[role]
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + user.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

// WrongLogin: Keycloak from 26.6 on answers 400 where it answered 401, which makes its auth manager answer 500.
func (w *world) WrongLogin() (code int, answer string) {
	switch {
	case !isKeycloak():
		return 2, "airflow answered 401: Invalid credentials"
	case strings.HasPrefix(os.Getenv("KEYCLOAK"), "26.5."):
		return 2, "airflow answered 403: Invalid credentials"
	}
	return 1, "airflow answered 500 Internal Server Error"
}

func (w *world) Rejected() []string {
	return []string{"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.RefusedRegion, "AWS_REGION=" + peers.RefusedRegion}
}

func (w *world) Host() string { return w.Registry.Host }

func (w *world) Issued() string { return w.Moto.Password }

func (w *world) Connect(t *testing.T, id, host, secret string) {
	w.setConnection(t, peers.Connection{ID: id, Type: "docker", Host: &host, Login: new("AWS"), Password: &secret})
}

func (w *world) Password(t *testing.T, id string) string {
	t.Helper()
	password, err := w.Airflow.StoredPassword(t.Context(), id)
	must(t, err)
	w.secrets.add(password)
	return password
}

func (w *world) StopEngine(*testing.T) { w.Docker.Stop() }

func (w *world) StartEngine(t *testing.T) { must(t, w.Docker.Start(t.Context())) }

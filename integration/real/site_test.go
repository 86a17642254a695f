package real

import (
	"os"
	"strconv"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// realSite is real Airflow, Docker Engine and registry, with moto for AWS.
type realSite struct{ *world }

func (s realSite) Environ() []string {
	op := s.Airflow.Users["op"]
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + s.Moto.Account, "AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region,
		"ECR_REFRESH_AIRFLOW_HOST=127.0.0.1", "ECR_REFRESH_AIRFLOW_PORT=" + strconv.Itoa(s.Airflow.Port),
		"ECR_REFRESH_AIRFLOW_LOGIN=" + op.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + op.Password,
		"DOCKER_HOST=" + s.Docker.Host, "ECR_REFRESH_CA_FILE=" + s.CAFile(),
	}
	for name, value := range s.Moto.Environ() {
		env = append(env, name+"="+value)
	}
	return env
}

func (s realSite) As(role string) []string {
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	user := s.Airflow.Users[role]
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + user.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

func (s realSite) Rejected() []string {
	return []string{"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.RefusedRegion, "AWS_REGION=" + peers.RefusedRegion}
}

func (s realSite) Host() string { return s.Registry.Host }

func (s realSite) Issued() string { return s.Moto.Password }

func (s realSite) Connect(t *testing.T, id, host, secret string) {
	must(t, s.Airflow.SetConnection(t.Context(), peers.Connection{
		ID: id, Type: "docker", Host: &host, Login: new("AWS"), Password: &secret,
	}))
}

func (s realSite) Password(t *testing.T, id string) string { return s.world.password(t, id) }

func (s realSite) StopEngine(*testing.T) { s.Docker.Stop() }

func (s realSite) StartEngine(t *testing.T) { must(t, s.Docker.Start(t.Context())) }
